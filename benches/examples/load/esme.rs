//! One simulated ESME: binds, keeps its window full or follows the schedule, answers what it gets.

use std::collections::VecDeque;
use std::io;

use crate::arguments::{Arguments, Kind};
use crate::figures::Meter;
use crate::pdu::{self, Header};
use crate::socket::Socket;
use crate::window::Window;

const BIND_SEQUENCE: u32 = 1;

/// Messages of one write, made once and patched for each.
#[derive(Debug)]
pub(crate) struct Batch {
    octets: Vec<u8>,
    is_concatenated: bool,
}

impl Batch {
    /// Room for `messages` of them.
    pub(crate) fn new(kind: Kind, messages: usize) -> Self {
        let is_concatenated = kind == Kind::Concatenated;
        let esm_class = if is_concatenated { pdu::ESM_CLASS_UDHI } else { 0 };
        let message = pdu::message(
            pdu::SUBMIT_SM,
            pdu::MOBILE_PREFIX,
            esm_class,
            u8::from(kind == Kind::Receipts),
        );
        Self {
            octets: message.repeat(messages),
            is_concatenated,
        }
    }
}

/// One connection to the proxy.
#[derive(Debug)]
pub(crate) struct Esme {
    pub(crate) socket: Socket,
    pub(crate) is_bound: bool,
    index: usize,
    digits: [u8; 5],
    window: Window,
    /// Messages that were due while the window was full: when.
    overdue_ns: VecDeque<u64>,
    /// Segments sent so far.
    segments: usize,
}

impl Esme {
    /// Sends its bind.
    pub(crate) fn new(mut socket: Socket, index: usize, arguments: &Arguments) -> io::Result<Self> {
        let mut bind = Vec::new();
        let body = pdu::bind_body(index, arguments.accounts, arguments.is_range_empty);
        pdu::write(pdu::BIND_TRANSCEIVER, BIND_SEQUENCE, &body, &mut bind);
        socket.send(&bind)?;
        Ok(Self {
            socket,
            is_bound: false,
            index,
            digits: pdu::digits(index),
            window: Window::new(arguments.window),
            overdue_ns: VecDeque::new(),
            segments: 0,
        })
    }

    /// Fills the window.
    pub(crate) fn send_all(&mut self, now_ns: u64, batch: &mut Batch) -> io::Result<bool> {
        self.send(self.window.room(), now_ns, batch)
    }

    /// A message of the schedule is due: it is sent, or waits for room.
    pub(crate) fn send_due(&mut self, due_ns: u64, batch: &mut Batch) -> io::Result<bool> {
        if self.window.room() == 0 {
            self.overdue_ns.push_back(due_ns);
            return Ok(true);
        }
        self.send(1, due_ns, batch)
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
            meter.fault(format!("ESME: a command_length of {length}"));
            input.len()
        })
    }

    /// Sends what is overdue and fits; the schedule's part of a turn.
    pub(crate) fn send_overdue(&mut self, batch: &mut Batch) -> io::Result<bool> {
        let mut all_went_out = true;
        while self.window.room() > 0
            && let Some(due_ns) = self.overdue_ns.pop_front()
        {
            all_went_out = self.send(1, due_ns, batch)?;
        }
        Ok(all_went_out)
    }

    fn take_one(&mut self, header: Header, now_ns: u64, meter: &mut Meter, output: &mut Vec<u8>) {
        const SUBMIT_ANSWER: u32 = pdu::SUBMIT_SM | pdu::RESPONSE;
        const BIND_ANSWER: u32 = pdu::BIND_TRANSCEIVER | pdu::RESPONSE;
        if header.status != 0 {
            meter.fault(format!(
                "ESME: command {:#x} with status {:#x}",
                header.command, header.status
            ));
        }
        match header.command {
            SUBMIT_ANSWER => match self.window.settle(header.sequence) {
                Some(since_ns) => meter.note(now_ns.saturating_sub(since_ns)),
                None => meter.fault("ESME: an answer that nobody waits for"),
            },
            pdu::DELIVER_SM => {
                meter.receipts += 1;
                pdu::write(pdu::DELIVER_SM | pdu::RESPONSE, header.sequence, b"\0", output);
            }
            pdu::ENQUIRE_LINK => pdu::write(pdu::ENQUIRE_LINK | pdu::RESPONSE, header.sequence, b"", output),
            BIND_ANSWER => self.is_bound = header.status == 0,
            _ => meter.fault(format!("ESME: command {:#x}", header.command)),
        }
    }

    fn send(&mut self, messages: usize, since_ns: u64, batch: &mut Batch) -> io::Result<bool> {
        let octets = &mut batch.octets[..messages * pdu::MESSAGE_OCTETS];
        for message in octets.chunks_exact_mut(pdu::MESSAGE_OCTETS) {
            pdu::patch(message, self.window.open(since_ns), self.digits);
            if batch.is_concatenated {
                let reference = (self.segments / 2 + self.index) as u8;
                pdu::patch_segment(message, reference, (self.segments % 2) as u8 + 1);
                self.segments += 1;
            }
        }
        self.socket.send(octets)
    }
}
