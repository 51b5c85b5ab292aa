//! One session at a simulated SMSC: answers, sends MO as its window allows, and receipts for what asked for them.

use std::io;

use crate::arguments::Kind;
use crate::figures::Meter;
use crate::pdu::{self, Header};
use crate::socket::Socket;
use crate::window::Window;

/// Receipts that may wait for their answers at one session.
const RECEIPTS_MAX: usize = 60_000;

/// One connection to an SMSC.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) socket: Socket,
    pub(crate) is_bound: bool,
    /// May be sent deliver_sm.
    pub(crate) receives: bool,
    smsc: usize,
    kind: Kind,
    /// deliver_sm under way.
    window: Window,
    /// submit_sm received.
    pub(crate) messages: u64,
}

impl Session {
    pub(crate) fn new(socket: Socket, smsc: usize, kind: Kind) -> Self {
        Self {
            socket,
            is_bound: false,
            receives: false,
            smsc,
            kind,
            window: Window::new(if kind == Kind::Receipts { RECEIPTS_MAX } else { 1 }),
            messages: 0,
        }
    }

    /// Begins to send MO.
    pub(crate) fn start_mobile_originated(&mut self, window: usize) {
        self.window = Window::new(window);
    }

    /// Writes as many MO messages as the window has room for.
    pub(crate) fn fill(&mut self, now_ns: u64, messages: &[Vec<u8>; 3], output: &mut Vec<u8>) {
        for _ in 0..self.window.room() {
            let sequence = self.window.open(now_ns);
            let start = output.len();
            let number = sequence as usize;
            output.extend_from_slice(&messages[number % messages.len()]);
            pdu::patch(&mut output[start..], sequence, pdu::digits(number));
        }
    }

    /// Handles all whole PDUs of `input`; gives how many octets those were. What is to be answered goes to `output`.
    pub(crate) fn take(
        &mut self,
        input: &[u8],
        now_ns: u64,
        meter: &mut Meter,
        output: &mut Vec<u8>,
    ) -> usize {
        let taken = pdu::take_whole(input, |header| self.take_one(header, now_ns, meter, output));
        taken.unwrap_or_else(|length| {
            meter.fault(format!("SMSC: a command_length of {length}"));
            input.len()
        })
    }

    fn take_one(&mut self, header: Header, now_ns: u64, meter: &mut Meter, output: &mut Vec<u8>) {
        const DELIVER_ANSWER: u32 = pdu::DELIVER_SM | pdu::RESPONSE;
        const ENQUIRE_LINK_ANSWER: u32 = pdu::ENQUIRE_LINK | pdu::RESPONSE;
        const UNBIND_ANSWER: u32 = pdu::UNBIND | pdu::RESPONSE;
        let response = header.command | pdu::RESPONSE;
        match header.command {
            pdu::SUBMIT_SM => self.answer(header.sequence, now_ns, meter, output),
            DELIVER_ANSWER => {
                if header.status != 0 {
                    meter.fault(format!("SMSC: deliver_sm_resp with status {:#x}", header.status));
                }
                match self.window.settle(header.sequence) {
                    Some(since_ns) if self.kind == Kind::MobileOriginated => {
                        meter.note(now_ns.saturating_sub(since_ns));
                    }
                    Some(_) => {}
                    None => meter.fault("SMSC: an answer that nobody waits for"),
                }
            }
            pdu::BIND_RECEIVER | pdu::BIND_TRANSCEIVER | pdu::BIND_TRANSMITTER => {
                self.is_bound = true;
                self.receives = header.command != pdu::BIND_TRANSMITTER;
                pdu::write(response, header.sequence, b"smsc\0", output);
            }
            pdu::ENQUIRE_LINK | pdu::UNBIND => pdu::write(response, header.sequence, b"", output),
            ENQUIRE_LINK_ANSWER | UNBIND_ANSWER => {}
            pdu::GENERIC_NACK => meter.fault("SMSC: generic_nack"),
            command => meter.fault(format!("SMSC: command {command:#x}")),
        }
    }

    fn answer(&mut self, sequence: u32, now_ns: u64, meter: &mut Meter, output: &mut Vec<u8>) {
        self.messages += 1;
        // Sessions of one SMSC must not give out the same ids.
        let session = std::os::fd::AsRawFd::as_raw_fd(&self.socket.fd());
        let id = pdu::message_id(self.smsc, ((session as u64) << 40) | self.messages);
        let mut body = [0; pdu::ANSWER_OCTETS - pdu::HEADER_OCTETS];
        body[..id.len()].copy_from_slice(&id);
        pdu::write(pdu::SUBMIT_SM | pdu::RESPONSE, sequence, &body, output);
        if self.kind == Kind::Receipts {
            if self.window.room() == 0 {
                meter.fault("SMSC: too many receipts wait for their answers");
                return;
            }
            pdu::write_receipt(self.window.open(now_ns), id, output);
        }
    }

    /// Sends what was written for it.
    pub(crate) fn send(&mut self, output: &[u8]) -> io::Result<bool> {
        self.socket.send(output)
    }
}
