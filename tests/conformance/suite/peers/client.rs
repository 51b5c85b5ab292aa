//! An ESME of a script: a connection that may be bound, numbers its own requests, and keeps what came early.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, MessageIdRespView, Status, Version};
use smppmux_tests::configuration::PASSWORD;
use smppmux_tests::pdu::{self, Pdu, header_only};
use smppmux_tests::peer::{Peer, Received};

use super::{PATIENCE, QUIET_TIME};
use crate::failure::{Outcome, fail, wrong};
use crate::sms::Sms;
use crate::want::Want;

/// The number of an enquire_link that shows that nothing else was sent; no script uses it otherwise.
const MARK: u32 = 0x5E5E_5E5E;

/// How a script binds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BindAs<'a> {
    pub(crate) command: CommandId,
    pub(crate) system_id: &'a str,
    pub(crate) password: &'a str,
    pub(crate) version: Version,
    pub(crate) range: &'a str,
}

impl<'a> BindAs<'a> {
    /// A transceiver of v3.4 without a range.
    pub(crate) const fn transceiver(system_id: &'a str) -> Self {
        Self {
            command: CommandId::BIND_TRANSCEIVER,
            system_id,
            password: PASSWORD,
            version: Version::V34,
            range: "",
        }
    }

    /// A transmitter of v3.4.
    pub(crate) const fn transmitter(system_id: &'a str) -> Self {
        Self {
            command: CommandId::BIND_TRANSMITTER,
            ..Self::transceiver(system_id)
        }
    }

    /// A receiver of v3.4.
    pub(crate) const fn receiver(system_id: &'a str) -> Self {
        Self {
            command: CommandId::BIND_RECEIVER,
            ..Self::transceiver(system_id)
        }
    }

    /// With this address_range.
    #[must_use]
    pub(crate) const fn range(self, range: &'a str) -> Self {
        Self { range, ..self }
    }

    /// With another version.
    #[must_use]
    pub(crate) const fn version(self, version: Version) -> Self {
        Self { version, ..self }
    }

    /// With another password.
    #[must_use]
    pub(crate) const fn password(self, password: &'a str) -> Self {
        Self { password, ..self }
    }

    /// On the wire.
    pub(crate) fn octets(&self, number: u32) -> Vec<u8> {
        let credentials = (self.system_id, self.password);
        pdu::bind(self.command, number, credentials, self.version, self.range)
    }
}

/// An ESME.
#[derive(Debug)]
pub(crate) struct Client {
    peer: Peer,
    last_number: u32,
    early: Vec<Pdu>,
}

impl Client {
    /// Connects, and says nothing yet.
    pub(crate) fn connect(target: SocketAddr) -> Outcome<Self> {
        match Peer::try_connect(target) {
            Ok(peer) => Ok(Self {
                peer,
                last_number: 0,
                early: Vec::new(),
            }),
            Err(error) => fail(format!(
                "the balancer does not take a connection at {target}: {error}"
            )),
        }
    }

    /// Connects and binds.
    pub(crate) fn bind(target: SocketAddr, bind: BindAs<'_>) -> Outcome<Self> {
        let mut client = Self::connect(target)?;
        let answer = client.try_bind(bind)?;
        if !answer.status().is_ok() {
            return wrong(&answer, format!("the bind of {} is refused", bind.system_id));
        }
        Ok(client)
    }

    /// Asks for a bind on an open connection; gives the answer.
    pub(crate) fn try_bind(&mut self, bind: BindAs<'_>) -> Outcome<Pdu> {
        let number = self.next_number();
        self.send(&bind.octets(number))?;
        self.expect(Want::a(bind.command.response()).numbered(number))
    }

    /// A number that this session has not used.
    pub(crate) const fn next_number(&mut self) -> u32 {
        self.last_number += 1;
        self.last_number
    }

    /// Writes octets.
    pub(crate) fn send(&mut self, octets: &[u8]) -> Outcome {
        if self.peer.try_send(octets) {
            Ok(())
        } else {
            fail("the balancer ended the connection while the ESME wrote")
        }
    }

    /// The connection, for what this type has no word for.
    pub(crate) const fn peer(&mut self) -> &mut Peer {
        &mut self.peer
    }

    /// Sends a message; gives its number.
    pub(crate) fn send_sms(&mut self, sms: &Sms) -> Outcome<u32> {
        let number = self.next_number();
        self.send(&sms.octets(number))?;
        Ok(number)
    }

    /// Sends a submit_sm; gives its number.
    pub(crate) fn submit(&mut self, source: &str, destination: &str, text: &str) -> Outcome<u32> {
        self.send_sms(&Sms::submit(source, destination, text))
    }

    /// The next PDU; enquire_links are answered on the way.
    pub(crate) fn next(&mut self) -> Outcome<Pdu> {
        if !self.early.is_empty() {
            return Ok(self.early.remove(0));
        }
        match self.peer.receive_within(PATIENCE) {
            Received::Pdu(pdu) => Ok(pdu),
            Received::Closed => fail("the balancer ended the ESME's connection while a PDU was due"),
            Received::Nothing => fail(format!("the ESME got no PDU within {PATIENCE:?}")),
        }
    }

    /// The next PDU, if one comes in time.
    pub(crate) fn next_within(&mut self, limit: Duration) -> Option<Pdu> {
        if !self.early.is_empty() {
            return Some(self.early.remove(0));
        }
        match self.peer.receive_within(limit) {
            Received::Pdu(pdu) => Some(pdu),
            Received::Closed | Received::Nothing => None,
        }
    }

    /// The next PDU, which must be this.
    pub(crate) fn expect(&mut self, want: Want) -> Outcome<Pdu> {
        let pdu = match self.next() {
            Ok(pdu) => pdu,
            Err(failure) => return fail(format!("{want} was due: {}", failure.what)),
        };
        if want.is(&pdu) {
            Ok(pdu)
        } else {
            wrong(&pdu, format!("{want} was due; {pdu:?} came"))
        }
    }

    /// The answer to the request with this number; whatever else comes meanwhile is kept.
    pub(crate) fn answer_to(&mut self, number: u32) -> Outcome<Pdu> {
        self.find(|pdu| pdu.command().is_response() && pdu.sequence_number() == number)
            .or_else(|failure| {
                fail(format!(
                    "the answer to request {number:#x} is missing: {}",
                    failure.what
                ))
            })
    }

    /// The next deliver_sm or data_sm; whatever else comes meanwhile is kept.
    pub(crate) fn delivery(&mut self) -> Outcome<Pdu> {
        self.find(|pdu| matches!(pdu.command(), CommandId::DELIVER_SM | CommandId::DATA_SM))
            .or_else(|failure| fail(format!("a delivery is missing: {}", failure.what)))
    }

    /// The next delivery, accepted.
    pub(crate) fn take_delivery(&mut self) -> Outcome<Pdu> {
        let delivery = self.delivery()?;
        self.accept(&delivery)?;
        Ok(delivery)
    }

    fn find(&mut self, is_it: impl Fn(&Pdu) -> bool) -> Outcome<Pdu> {
        if let Some(place) = self.early.iter().position(&is_it) {
            return Ok(self.early.remove(place));
        }
        let deadline = Instant::now() + PATIENCE;
        let mut others = Vec::new();
        loop {
            match self
                .peer
                .receive_within(deadline.saturating_duration_since(Instant::now()))
            {
                Received::Pdu(pdu) if is_it(&pdu) => {
                    self.early.append(&mut others);
                    return Ok(pdu);
                }
                Received::Pdu(pdu) => others.push(pdu),
                Received::Closed => {
                    return fail(format!("the connection ended; before that came {others:?}"));
                }
                Received::Nothing => {
                    return fail(format!("nothing within {PATIENCE:?}; other PDUs: {others:?}"));
                }
            }
        }
    }

    /// Accepts a delivery.
    pub(crate) fn accept(&mut self, delivery: &Pdu) -> Outcome {
        let number = delivery.sequence_number();
        self.send(&pdu::response_with_id(delivery.command().response(), number, ""))
    }

    /// Refuses a delivery.
    pub(crate) fn refuse(&mut self, delivery: &Pdu, status: Status) -> Outcome {
        let (command, number) = (delivery.command().response(), delivery.sequence_number());
        self.send(&header_only(command, status, number))
    }

    /// An enquire_link shows that the session lives and that nothing else was sent before its answer.
    pub(crate) fn is_quiet(&mut self) -> Outcome {
        self.send(&header_only(CommandId::ENQUIRE_LINK, Status::ESME_ROK, MARK))?;
        self.expect(Want::a(CommandId::ENQUIRE_LINK_RESP).ok().numbered(MARK))?;
        Ok(())
    }

    /// The same, after some time in which something could have come.
    pub(crate) fn stays_quiet(&mut self) -> Outcome {
        match self.next_within(QUIET_TIME) {
            None => self.is_quiet(),
            Some(pdu) => wrong(&pdu, format!("nothing was due; {pdu:?} came")),
        }
    }

    /// Waits for the end of the connection; gives what came before.
    pub(crate) fn until_closed(&mut self) -> Outcome<Vec<Pdu>> {
        let mut pdus = std::mem::take(&mut self.early);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .peer
                .receive_within(deadline.saturating_duration_since(Instant::now()))
            {
                Received::Pdu(pdu) => pdus.push(pdu),
                Received::Closed => return Ok(pdus),
                Received::Nothing => {
                    return fail(format!(
                        "the balancer does not close the connection; so far came {pdus:?}"
                    ));
                }
            }
        }
    }

    /// Waits for the end of the connection, before which nothing may come.
    pub(crate) fn expect_closed(&mut self) -> Outcome {
        match self.until_closed()?.first() {
            None => Ok(()),
            Some(pdu) => wrong(pdu, format!("nothing was due before the end; {pdu:?} came")),
        }
    }

    /// Unbinds and waits for the end.
    pub(crate) fn unbind(mut self) -> Outcome {
        let number = self.next_number();
        self.send(&header_only(CommandId::UNBIND, Status::ESME_ROK, number))?;
        self.expect(Want::a(CommandId::UNBIND_RESP).numbered(number))?;
        self.expect_closed()
    }

    /// Ends the connection by RST, as a process does that dies.
    pub(crate) fn reset(self) {
        self.peer.reset();
    }

    /// Waits for the end, agrees to unbinds meanwhile, and counts what has to do with them.
    pub(crate) fn until_closed_answering_unbinds(&mut self) -> Outcome<Unbinding> {
        let mut seen = Unbinding::default();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .peer
                .receive_within(deadline.saturating_duration_since(Instant::now()))
            {
                Received::Pdu(pdu) if pdu.command() == CommandId::UNBIND => {
                    seen.unbinds += 1;
                    let number = pdu.sequence_number();
                    // It may be closed by now: both sides unbind.
                    self.peer
                        .try_send(&header_only(CommandId::UNBIND_RESP, Status::ESME_ROK, number));
                }
                Received::Pdu(pdu) if pdu.command() == CommandId::UNBIND_RESP => seen.unbind_responses += 1,
                Received::Pdu(pdu) => return wrong(&pdu, format!("the end was due; {pdu:?} came")),
                Received::Closed => return Ok(seen),
                Received::Nothing => return fail("the balancer does not close the connection"),
            }
        }
    }

    /// Agrees to the balancer's unbind, which must come, and waits for the end; gives what came before it.
    pub(crate) fn until_unbound(&mut self) -> Outcome<Vec<Pdu>> {
        let mut before = Vec::new();
        loop {
            let pdu = self.next()?;
            if pdu.command() == CommandId::UNBIND {
                let number = pdu.sequence_number();
                self.send(&header_only(CommandId::UNBIND_RESP, Status::ESME_ROK, number))?;
                before.extend(self.until_closed()?);
                return Ok(before);
            }
            before.push(pdu);
        }
    }
}

/// What was said at the end of a session.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unbinding {
    pub(crate) unbinds: usize,
    pub(crate) unbind_responses: usize,
}

/// The message id of a positive answer to a message.
pub(crate) fn id_of(answer: &Pdu) -> Outcome<String> {
    if !answer.status().is_ok() {
        return wrong(answer, "the message is refused");
    }
    match MessageIdRespView::parse(answer.octets()) {
        Ok(view) => Ok(String::from_utf8_lossy(view.message_id()).into_owned()),
        Err(fault) => wrong(answer, format!("an answer that cannot be read: {fault}")),
    }
}
