//! The shadow model: every request and message by its number, and what may become of it.
//!
//! It knows what each peer sent and saw, and nothing of the engine. A request reaches at most one server session, with the
//! octets that its ESME wrote; an answer that says ESME_ROK is one that a server gave, under the id that it gave.

use crate::concatenated::Place;
use crate::event::LinkId;
use crate::heard::Heard;
use crate::pdu::{Pdu, command};
use crate::rules::{REFUSED, REJECTED, Rules};
use crate::scenario::{Scenario, TIMEOUT_STATUS};
use crate::versions::{V33, V50, is_newer_than_v33};
use smppmux_engine::core::queue::QueueKey;
use smppmux_engine::core::settings::{MessageIdMode, OnServerLoss, OnThrottle};
use smppmux_engine::core::time::Moment;
use std::time::Duration;

/// What SMSCs answer when they refuse; none of them is a status that smppmux makes itself for what has reached a server, but for the throttling one.
pub(crate) const SMSC_ERRORS: [u32; 4] = [0x14, 0x45, 0x58, 0x0400];
pub(crate) const SMSC_NACK: u32 = 0x0401;
/// What ESMEs answer when they refuse.
pub(crate) const ESME_ERRORS: [u32; 3] = [0x65, 0x66, 0x0402];
pub(crate) const APPLICATION_ERROR: u32 = 0x0403;

const ESME_RINVMSGLEN: u32 = 0x01;
const ESME_RINVCMDID: u32 = 0x03;
const ESME_RINVBNDSTS: u32 = 0x04;
const ESME_RSYSERR: u32 = 0x08;
const ESME_RINVDSTADR: u32 = 0x0B;
const ESME_RINVMSGID: u32 = 0x0C;
const ESME_RMSGQFUL: u32 = 0x14;
const ESME_RSUBMITFAIL: u32 = 0x45;
const ESME_RTHROTTLED: u32 = 0x58;
const ESME_RX_T_APPN: u32 = 0x64;
const ESME_RX_P_APPN: u32 = 0x65;

/// A request of an ESME.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) esme: usize,
    /// Where it was written.
    pub(crate) link: Option<LinkId>,
    pub(crate) pdu: Pdu,
    pub(crate) segment: Option<Place>,
    pub(crate) sent_at: Moment,
    /// When an engine had consumed it.
    pub(crate) taken_at: Option<Moment>,
    /// The server that its tagged id names.
    pub(crate) wanted: Option<usize>,
    pub(crate) reached: Option<(usize, LinkId)>,
    /// How often it has reached a server.
    pub(crate) arrivals: u32,
    /// What the server answered, once or more.
    pub(crate) answers: Vec<ServerAnswer>,
    pub(crate) wants_receipt: bool,
    /// The message that an operation is about.
    pub(crate) about: Option<KnownId>,
    /// That message is another account's.
    pub(crate) is_foreign: bool,
    /// When the ESME had ESME_ROK, and the id that came with it.
    pub(crate) given: Option<(Moment, KnownId)>,
    pub(crate) is_answered: bool,
    pub(crate) must_succeed: bool,
    /// The answer that an engine has consumed.
    pub(crate) heard: Option<Heard>,
}

/// An id that an ESME was given.
#[derive(Clone, Debug)]
pub(crate) struct KnownId {
    /// As the ESME knows it.
    pub(crate) given: Vec<u8>,
    pub(crate) server: usize,
    /// As the server knows it.
    pub(crate) own: Vec<u8>,
    /// The request that it names.
    pub(crate) request: usize,
}

/// What a receipt reports on.
#[derive(Clone, Debug)]
pub(crate) struct ReceiptOf {
    pub(crate) request: usize,
    pub(crate) server: usize,
    /// The server's own id.
    pub(crate) id: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct ServerAnswer {
    pub(crate) server: usize,
    pub(crate) status: u32,
    pub(crate) id: Vec<u8>,
    /// What stands behind the id for the ESME to read.
    pub(crate) behind: Vec<u8>,
}

/// A message of an SMSC.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) link: LinkId,
    pub(crate) pdu: Pdu,
    pub(crate) segment: Option<Place>,
    pub(crate) destination: &'static str,
    pub(crate) sent_at: Moment,
    /// The numbers under which the store has it, or had it: the queue may deliver it more than once.
    pub(crate) stored: Vec<u64>,
    /// A core has heard that it is safe: from then on it may be acknowledged.
    pub(crate) is_safe: bool,
    /// Its time in the queue is over.
    pub(crate) has_expired: bool,
    /// When it was taken out of the queue, by a client's word.
    pub(crate) taken_out_at: Option<Moment>,
    /// Its SMSC was told that it is taken.
    pub(crate) was_taken: bool,
    /// The line in which it stood first.
    pub(crate) stored_in: Option<QueueKey>,
    /// The core that sent it last to another one, out of the queue.
    pub(crate) drained_by: Option<usize>,
    pub(crate) reached: Option<(usize, LinkId)>,
    pub(crate) receipt_of: Option<ReceiptOf>,
    /// A client left it unanswered, or thought about the answer for long.
    pub(crate) was_kept_waiting: bool,
    pub(crate) answers: Vec<u32>,
    pub(crate) is_answered: bool,
    pub(crate) must_succeed: bool,
    /// The answer that an engine has consumed.
    pub(crate) heard: Option<Heard>,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    /// Somebody has ordered something: accounts and servers may be gone for a while.
    pub(crate) has_operator: bool,
    rules: Rules,
    pub(crate) servers_of_v33: Vec<bool>,
    servers_of_v50: Vec<bool>,
    pub(crate) requests: Vec<Request>,
    pub(crate) messages: Vec<Message>,
    /// `on-server-loss = "retry"`: a request may reach another session when one was lost.
    pub(crate) resends_lost: bool,
    /// `on-throttle = "retry"`: a request that a server throttled may reach another session, or the same one later.
    pub(crate) resends_throttled: bool,
    pub(crate) message_id: MessageIdMode,
    /// A core is gone, leaving, or has stalled: what it kept of ids may be lost or late.
    pub(crate) had_core_trouble: bool,
    /// The process was killed then: what it kept of ids that it gave before is lost.
    pub(crate) forgotten_until: Option<Moment>,
}

/// More ids than any run gives.
const IDS_ENOUGH: u64 = 100_000;
/// An entry that was made so long ago has reached its home.
const ENTRY_TIME: Duration = Duration::from_secs(1);

impl Ledger {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let vserver = &scenario.settings.vservers[0];
        let versions = scenario
            .settings
            .servers
            .iter()
            .map(|server| server.interface_version);
        Self {
            rules: scenario.rules.clone(),
            servers_of_v33: versions.clone().map(|version| version == V33).collect(),
            servers_of_v50: versions.map(|version| version == V50).collect(),
            has_operator: false,
            requests: Vec::new(),
            messages: Vec::new(),
            resends_lost: vserver.on_server_loss == OnServerLoss::Retry,
            resends_throttled: vserver.on_throttle == OnThrottle::Retry,
            message_id: vserver.message_id.mode,
            // Where few ids are remembered, one may be forgotten at any time.
            had_core_trouble: scenario.settings.receipts.entries_max < IDS_ENOUGH,
            forgotten_until: None,
        }
    }

    pub(crate) fn request_sent(
        &mut self,
        esme: usize,
        pdu: Pdu,
        sent_at: Moment,
        about: Option<KnownId>,
        must_succeed: bool,
    ) {
        self.requests.push(Request {
            esme,
            link: None,
            pdu,
            segment: None,
            sent_at,
            taken_at: None,
            wanted: about.as_ref().map(|known| known.server),
            about,
            wants_receipt: false,
            is_foreign: false,
            given: None,
            reached: None,
            arrivals: 0,
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
        let is_operation = matches!(
            request.pdu.command,
            command::QUERY_SM | command::CANCEL_SM | command::REPLACE_SM
        );
        let expected = match &request.about {
            Some(known) => with_id(&request.pdu.body, &known.given, &known.own),
            None => self.rules.expected_body(number, &request.pdu, pdu, server),
        };
        assert!(
            !self.servers_of_v33[server] || !is_newer_than_v33(pdu),
            "request {number} reached server {server}, whose version cannot read it"
        );
        assert!(
            self.servers_of_v50[server] || pdu.command != command::BROADCAST_SM,
            "broadcast {number} reached server {server}, whose version cannot read it"
        );
        assert!(
            request.about.is_some() || !is_operation,
            "request {number} names nobody's message and reached server {server}"
        );
        assert_eq!(pdu.body, expected, "request {number} was changed on its way");
        assert!(
            !self.requests[number].is_foreign || !self.is_guarded(number),
            "request {number} touched the message of another account"
        );
        number
    }

    /// An ESME has its answer. `Some`: an id that it may use, and the server that knows it.
    pub(crate) fn request_answered(&mut self, number: usize, pdu: &Pdu, now: Moment) -> Option<KnownId> {
        let may_be_invalid = self.may_be_invalid(number);
        let message_id = self.message_id;
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
        ) || pdu.status == ESME_RINVMSGID && may_be_invalid;
        let is_own = is_own
            || pdu.status == REJECTED && self.rules.rejects(&request.pdu)
            || pdu.status == ESME_RSUBMITFAIL && self.rules.tears_apart(&request.pdu)
            // No server that is bound knows it.
            || pdu.status == ESME_RINVCMDID && request.pdu.command == command::BROADCAST_SM;
        // No server of v3.3 can carry so much.
        let is_too_long = self.servers_of_v33.contains(&true) && request.pdu.has_tlvs();
        let is_own = is_own || is_too_long && pdu.status == ESME_RINVMSGLEN;
        // A server that was taken out of the settings is unknown by its tag.
        let is_own = is_own || self.has_operator && pdu.status == ESME_RINVMSGID;
        assert!(
            from_server.is_some() || is_own,
            "request {number}: nobody gave the answer {:#x}",
            pdu.status
        );
        if pdu.status != 0 {
            return None;
        }
        match (request.pdu.command, &request.about) {
            (command::SUBMIT_SM | command::DATA_SM | command::SUBMIT_MULTI | command::BROADCAST_SM, _) => {
                let given = pdu.string(0).to_vec();
                let behind = &pdu.body[given.len() + 1..];
                let mut answers = request
                    .answers
                    .iter()
                    .filter(|answer| is_id_of(answer, &given, message_id) && answer.behind == behind);
                let answer = answers.next().unwrap_or_else(|| {
                    let given = given.escape_ascii();
                    panic!("request {number}: no server gave the id {given}, {message_id:?}")
                });
                // Of two servers that took it, a mapped id does not say which is meant.
                if answers.any(|other| (other.server, &other.id) != (answer.server, &answer.id)) {
                    return None;
                }
                let known = KnownId {
                    given,
                    server: answer.server,
                    own: answer.id.clone(),
                    request: number,
                };
                request.given = Some((now, known.clone()));
                Some(known)
            }
            (command::QUERY_SM, Some(known)) => {
                assert_eq!(
                    pdu.string(0),
                    known.given,
                    "request {number}: the id that was asked for"
                );
                None
            }
            _ => None,
        }
    }

    /// smppmux may refuse this operation on its own: the id is nobody's or another account's, or what it stands for may be
    /// lost. However soon it follows the answer that carried its id, that is no reason.
    fn may_be_invalid(&self, number: usize) -> bool {
        let request = &self.requests[number];
        match &request.about {
            Some(known) if !request.is_foreign => {
                self.message_id == MessageIdMode::Mapped
                    && (self.had_core_trouble || self.is_forgotten(known.request))
            }
            _ => true,
        }
    }

    /// A foreign operation has to be refused: the id itself says whose it is, or an owner is stored for certain.
    fn is_guarded(&self, number: usize) -> bool {
        let request = &self.requests[number];
        let about = request
            .about
            .as_ref()
            .expect("a foreign operation is about a message");
        self.message_id != MessageIdMode::Tagged
            || self.requests[about.request].wants_receipt
                && !self.had_core_trouble
                && !self.is_forgotten(about.request)
    }

    /// It was sent to a process that was killed since.
    fn is_forgotten(&self, number: usize) -> bool {
        self.forgotten_until
            .is_some_and(|until| self.requests[number].sent_at <= until)
    }

    /// What is remembered of a request has certainly reached its home by then, and is there.
    pub(crate) fn is_settled(&self, number: usize, by: Moment) -> bool {
        let given_at = self.requests[number].given.as_ref().map(|(at, _)| *at);
        !self.had_core_trouble
            && !self.is_forgotten(number)
            && given_at.is_some_and(|at| at + ENTRY_TIME <= by)
    }

    /// The submitter of what a receipt reports on is known for certain.
    pub(crate) fn is_certain(&self, receipt: &ReceiptOf, by: Moment) -> bool {
        let given = self.requests[receipt.request].given.as_ref();
        let is_given =
            given.is_some_and(|(_, known)| known.server == receipt.server && known.own == receipt.id);
        is_given && self.is_settled(receipt.request, by)
    }

    /// The requests that a receipt may be taken for as long as its own message is not known: their ids, read in another base,
    /// are its id (PITFALLS 8). Its source has to be their destination then, of which an entry keeps a hash of 16 bits, so the
    /// addresses say nothing here. With each, the server's own id.
    pub(crate) fn taken_for(
        &self,
        receipt: &ReceiptOf,
        by: Moment,
    ) -> impl Iterator<Item = (&Request, &[u8])> {
        let (server, id) = (receipt.server, receipt.id.clone());
        let may_be = !self.is_certain(receipt, by);
        let waiting = self
            .requests
            .iter()
            .filter(move |request| may_be && request.wants_receipt);
        waiting.filter_map(move |request| {
            let answer = request.answers.iter().find(|answer| {
                answer.server == server && answer.status == 0 && is_other_reading(&answer.id, &id)
            })?;
            Some((request, &answer.id[..]))
        })
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
            segment: None,
            destination,
            sent_at,
            stored: Vec::new(),
            is_safe: false,
            has_expired: false,
            taken_out_at: None,
            was_taken: false,
            stored_in: None,
            drained_by: None,
            reached: None,
            receipt_of: None,
            was_kept_waiting: false,
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
        assert!(
            message.receipt_of.is_some() || !self.rules.refuse(message.destination),
            "message {number} arrived at ESME {esme} though a rule refuses it"
        );
        assert!(
            message.reached.is_none() || !message.stored.is_empty(),
            "message {number} arrived a second time, at ESME {esme} on link {link}"
        );
        message.reached = Some((esme, link));
        let message = &self.messages[number];
        assert_eq!(
            message.pdu.command, pdu.command,
            "message {number} changed its command"
        );
        match &message.receipt_of {
            None => assert_eq!(
                pdu.body,
                message.pdu.with_reference_of(pdu),
                "message {number} was changed on its way"
            ),
            Some(receipt) => {
                let request = &self.requests[receipt.request];
                let plain = tagged(&receipt.id, receipt.server);
                let given = request.given.as_ref().map(|(_, known)| known);
                // A request that was sent again may have been taken twice; the ESME has but one of the ids.
                let given = given.filter(|known| known.server == receipt.server && known.own == receipt.id);
                let destination = message.destination;
                let is_with = |id: &[u8]| pdu.body == crate::pdu::receipt(0, number, destination, id).body;
                // Without its entry a signed id has no check value; one that the ESME never got is not known here.
                let is_right = match given {
                    Some(known) if is_with(&known.given) => true,
                    None if self.message_id != MessageIdMode::Tagged => true,
                    _ => self.message_id != MessageIdMode::Mapped && is_with(&plain),
                } || self.taken_for(receipt, message.sent_at).any(|(other, id)| {
                    let given = other.given.as_ref();
                    given.is_some_and(|(_, known)| is_with(&known.given))
                        || is_with(&tagged(id, receipt.server))
                });
                assert!(
                    is_right,
                    "message {number}: a receipt with another id than request {}: {}",
                    receipt.request,
                    pdu.body.escape_ascii()
                );
            }
        }
        number
    }

    /// An SMSC has the answer to its message.
    pub(crate) fn message_answered(&mut self, number: usize, pdu: &Pdu) {
        let message = &mut self.messages[number];
        assert!(!message.is_answered, "message {number} has a second answer");
        message.is_answered = true;
        message.was_taken = pdu.status == 0;
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
        let is_own = matches!(pdu.status, ESME_RX_T_APPN | ESME_RINVBNDSTS | ESME_RMSGQFUL)
            || pdu.status == ESME_RX_P_APPN && message.receipt_of.is_some()
            || pdu.status == 0 && message.is_safe;
        let is_own = is_own || pdu.status == REFUSED && self.rules.refuse(message.destination);
        // An operator may have taken it out of the settings, or what it may claim.
        let is_own = is_own || self.has_operator && pdu.status == ESME_RINVDSTADR;
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

/// An ESME may have got this id for a message that a server took.
fn is_id_of(answer: &ServerAnswer, given: &[u8], message_id: MessageIdMode) -> bool {
    let tagged = tagged(&answer.id, answer.server);
    answer.status == 0
        && match message_id {
            MessageIdMode::Tagged => given == tagged,
            MessageIdMode::Signed => given.starts_with(&tagged) && given.len() == tagged.len() + 4,
            MessageIdMode::Mapped => given.len() == 12 && given.iter().all(u8::is_ascii_alphanumeric),
        }
}

/// An id with the tag of its server.
fn tagged(id: &[u8], server: usize) -> Vec<u8> {
    [id, format!("#mx-0{}", char::from(b'A' + server as u8)).as_bytes()].concat()
}

/// The same number, one of the ids being read as decimal and the other as hexadecimal.
fn is_other_reading(id: &[u8], other: &[u8]) -> bool {
    let number = |id: &[u8], radix| u64::from_str_radix(std::str::from_utf8(id).ok()?, radix).ok();
    let reads = |decimal, hexadecimal| {
        number(decimal, 10).is_some_and(|value| number(hexadecimal, 16) == Some(value))
    };
    id != other && (reads(id, other) || reads(other, id))
}

/// A body with one id in place of another.
fn with_id(body: &[u8], id: &[u8], other: &[u8]) -> Vec<u8> {
    let at = body.windows(id.len()).position(|window| window == id);
    let at = at.expect("the operation has the id that it is about");
    [&body[..at], other, &body[at + id.len()..]].concat()
}
