//! The shadow model: every request and message by its number, and what may become of it.
//!
//! It knows what each peer sent and saw, and nothing of the engine. A request reaches at most one server session, with the
//! octets that its ESME wrote; an answer that says ESME_ROK is one that a server gave, under the id that it gave.

use crate::event::LinkId;
use crate::heard::Heard;
use crate::pdu::{Pdu, command};
use crate::scenario::TIMEOUT_STATUS;
use smppmux_engine::core::settings::{OnServerLoss, OnThrottle, VserverSettings};
use smppmux_engine::core::time::Moment;

/// What SMSCs answer when they refuse; none of them is a status that smppmux makes itself, but for the throttling one.
pub(crate) const SMSC_ERRORS: [u32; 4] = [0x14, 0x45, 0x58, 0x0400];
pub(crate) const SMSC_NACK: u32 = 0x0401;
/// What ESMEs answer when they refuse.
pub(crate) const ESME_ERRORS: [u32; 3] = [0x65, 0x66, 0x0402];
pub(crate) const APPLICATION_ERROR: u32 = 0x0403;

const ESME_RINVBNDSTS: u32 = 0x04;
const ESME_RSYSERR: u32 = 0x08;
const ESME_RINVMSGID: u32 = 0x0C;
const ESME_RMSGQFUL: u32 = 0x14;
const ESME_RTHROTTLED: u32 = 0x58;
const ESME_RX_T_APPN: u32 = 0x64;

/// A request of an ESME.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) esme: usize,
    pub(crate) pdu: Pdu,
    pub(crate) sent_at: Moment,
    /// The server that its tagged id names.
    pub(crate) wanted: Option<usize>,
    pub(crate) reached: Option<(usize, LinkId)>,
    /// What the server answered, once or more.
    pub(crate) answers: Vec<ServerAnswer>,
    pub(crate) is_answered: bool,
    pub(crate) must_succeed: bool,
    /// The answer that an engine has consumed.
    pub(crate) heard: Option<Heard>,
}

#[derive(Debug)]
pub(crate) struct ServerAnswer {
    pub(crate) server: usize,
    pub(crate) status: u32,
    pub(crate) id: Vec<u8>,
}

/// A message of an SMSC.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) link: LinkId,
    pub(crate) pdu: Pdu,
    pub(crate) destination: &'static str,
    pub(crate) sent_at: Moment,
    pub(crate) reached: Option<(usize, LinkId)>,
    pub(crate) answers: Vec<u32>,
    pub(crate) is_answered: bool,
    pub(crate) must_succeed: bool,
    /// The answer that an engine has consumed.
    pub(crate) heard: Option<Heard>,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) requests: Vec<Request>,
    pub(crate) messages: Vec<Message>,
    /// `on-server-loss = "retry"`: a request may reach another session when one was lost.
    pub(crate) resends_lost: bool,
    /// `on-throttle = "retry"`: a request that a server throttled may reach another session, or the same one later.
    pub(crate) resends_throttled: bool,
}

impl Ledger {
    pub(crate) fn new(vserver: &VserverSettings) -> Self {
        Self {
            resends_lost: vserver.on_server_loss == OnServerLoss::Retry,
            resends_throttled: vserver.on_throttle == OnThrottle::Retry,
            ..Self::default()
        }
    }

    pub(crate) fn request_sent(
        &mut self,
        esme: usize,
        pdu: Pdu,
        sent_at: Moment,
        wanted: Option<usize>,
        must_succeed: bool,
    ) {
        self.requests.push(Request {
            esme,
            pdu,
            sent_at,
            wanted,
            reached: None,
            answers: Vec::new(),
            is_answered: false,
            must_succeed,
            heard: None,
        });
    }

    /// A request has arrived at a server, whole.
    pub(crate) fn request_reached(&mut self, server: usize, link: LinkId, pdu: &Pdu) -> usize {
        let number = pdu.message().expect("every request is numbered");
        let request = &mut self.requests[number];
        if let Some((_, previous)) = request.reached {
            let was_throttled = request
                .answers
                .last()
                .is_some_and(|answer| is_throttling(answer.status));
            let may_repeat = self.resends_lost && previous != link || self.resends_throttled && was_throttled;
            assert!(
                may_repeat,
                "request {number} arrived a second time, at server {server} on link {link}"
            );
        }
        request.reached = Some((server, link));
        assert_eq!(
            request.pdu.command, pdu.command,
            "request {number} changed its command"
        );
        if let Some(wanted) = request.wanted {
            assert_eq!(server, wanted, "request {number} names another server's message");
        }
        let expected = match request.pdu.command {
            command::QUERY_SM | command::CANCEL_SM | command::REPLACE_SM => without_tag(&request.pdu.body),
            _ => request.pdu.body.clone(),
        };
        assert_eq!(pdu.body, expected, "request {number} was changed on its way");
        number
    }

    /// An ESME has its answer. `Some`: an id that it may use, and the server that knows it.
    pub(crate) fn request_answered(&mut self, number: usize, pdu: &Pdu) -> Option<(Vec<u8>, usize)> {
        let request = &mut self.requests[number];
        assert!(!request.is_answered, "request {number} has a second answer");
        request.is_answered = true;
        assert_eq!(
            pdu.command,
            request.pdu.command | command::RESPONSE,
            "request {number}: an answer of another kind"
        );
        assert!(
            pdu.status == 0 || !request.must_succeed,
            "request {number} failed with {:#x} while all was well",
            pdu.status
        );
        let from_server = request.answers.iter().find(|answer| answer.status == pdu.status);
        let is_own = matches!(
            pdu.status,
            ESME_RSYSERR | ESME_RTHROTTLED | TIMEOUT_STATUS | ESME_RINVBNDSTS
        ) || pdu.status == ESME_RINVMSGID && request.pdu.string(0).ends_with(b"#mx-ZZ")
            || pdu.status == ESME_RINVMSGID && request.pdu.string(1).ends_with(b"#mx-ZZ");
        assert!(
            from_server.is_some() || is_own,
            "request {number}: nobody gave the answer {:#x}",
            pdu.status
        );
        if pdu.status != 0 {
            return None;
        }
        match request.pdu.command {
            command::SUBMIT_SM | command::DATA_SM | command::QUERY_SM => {
                let given = request.answers.iter().find(|answer| {
                    let tag = format!("#mx-0{}", char::from(b'A' + answer.server as u8));
                    answer.status == 0 && pdu.string(0) == [&answer.id[..], tag.as_bytes()].concat()
                });
                let given = given.unwrap_or_else(|| {
                    panic!(
                        "request {number}: no server gave the id {:?}, tagged",
                        pdu.string(0)
                    )
                });
                Some((pdu.string(0).to_vec(), given.server))
            }
            _ => None,
        }
    }

    pub(crate) fn message_sent(
        &mut self,
        link: LinkId,
        pdu: Pdu,
        destination: &'static str,
        sent_at: Moment,
        must_succeed: bool,
    ) {
        self.messages.push(Message {
            link,
            pdu,
            destination,
            sent_at,
            reached: None,
            answers: Vec::new(),
            is_answered: false,
            must_succeed,
            heard: None,
        });
    }

    /// A message has arrived at an ESME, whole.
    pub(crate) fn message_reached(&mut self, esme: usize, link: LinkId, pdu: &Pdu) -> usize {
        let number = pdu.message().expect("every message is numbered");
        let message = &mut self.messages[number];
        assert_eq!(
            message.reached, None,
            "message {number} arrived a second time, at ESME {esme} on link {link}"
        );
        message.reached = Some((esme, link));
        assert_eq!(
            message.pdu.command, pdu.command,
            "message {number} changed its command"
        );
        assert_eq!(
            pdu.body, message.pdu.body,
            "message {number} was changed on its way"
        );
        number
    }

    /// An SMSC has the answer to its message.
    pub(crate) fn message_answered(&mut self, number: usize, pdu: &Pdu) {
        let message = &mut self.messages[number];
        assert!(!message.is_answered, "message {number} has a second answer");
        message.is_answered = true;
        assert_eq!(
            pdu.command,
            message.pdu.command | command::RESPONSE,
            "message {number}: an answer of another kind"
        );
        assert!(
            pdu.status == 0 || !message.must_succeed,
            "message {number} to {} failed with {:#x} while all was well",
            message.destination,
            pdu.status
        );
        // Account 0 may claim every address, so none is refused as nobody's.
        let is_own = matches!(pdu.status, ESME_RX_T_APPN | ESME_RINVBNDSTS);
        assert!(
            message.answers.contains(&pdu.status) || is_own,
            "message {number} to {}: nobody gave the answer {:#x}",
            message.destination,
            pdu.status
        );
    }
}

/// A server says that it was sent too much.
pub(crate) const fn is_throttling(status: u32) -> bool {
    matches!(status, ESME_RMSGQFUL | ESME_RTHROTTLED)
}

/// A body with the tag of its message_id cut out.
fn without_tag(body: &[u8]) -> Vec<u8> {
    let Some(start) = body.iter().position(|octet| *octet == b'#') else {
        return body.to_vec();
    };
    let end = start + body[start..].iter().position(|octet| *octet == 0).unwrap_or(0);
    [&body[..start], &body[end..]].concat()
}
