//! MO traffic: how many messages of each stream a session may send now.
//!
//! Streams are shared by the receiving sessions whose address range holds their destinations: each gets an equal share of the rate, whatever the number of sessions, and
//! takes the next number of the stream for each message. No session sends a burst after it was stalled.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bytes::BytesMut;

use super::arguments::SmscArguments;
use super::choice::MobileOriginated;
use crate::simulator::message::{AddressPattern, MessageCommand, MessageShape, Place, Scratch};
use crate::simulator::pattern::{Counters, Pattern};
use crate::simulator::payload::Payload;
use crate::simulator::range::RangeCheck;
use crate::simulator::token::Token;

/// A stream of MO messages.
#[derive(Debug)]
pub(super) struct MoStream {
    pub(super) shape: MessageShape,
    rate: Option<f64>,
    count: Option<u64>,
    issued: AtomicU64,
    /// Receiving sessions that take it.
    receiving: AtomicU32,
}

impl MoStream {
    /// # Errors
    /// A sentence on what does not fit together.
    pub(super) fn new(arguments: &SmscArguments, stream: &MobileOriginated) -> Result<Self, String> {
        if arguments.mo_command == MessageCommand::SubmitSm {
            return Err("--mo-command submit_sm: a message centre sends deliver_sm or data_sm".to_owned());
        }
        let payload = Payload::new(&arguments.payload, arguments.mo_command != MessageCommand::DataSm)?;
        let address = |pattern: &Pattern| AddressPattern {
            ton: arguments.mo_ton,
            npi: arguments.mo_npi,
            pattern: pattern.clone(),
        };
        let stream = Self {
            shape: MessageShape {
                command: arguments.mo_command,
                service_type: String::new(),
                source: address(&arguments.mo_source),
                destination: address(&stream.destination),
                registered_delivery: 0,
                payload,
            },
            rate: stream.rate,
            count: stream.count,
            issued: AtomicU64::new(0),
            receiving: AtomicU32::new(0),
        };
        stream.check_that_messages_fit()?;
        Ok(stream)
    }

    /// Whether a session with this address range takes the stream. All destinations of a stream start alike, so one is
    /// looked at for all.
    pub(super) fn fits(&self, range: &RangeCheck) -> bool {
        range.holds(&self.shape.destination.pattern.rendered(Counters::default()))
    }

    /// A session begins to take it.
    pub(super) fn enter(&self) {
        self.receiving.fetch_add(1, Ordering::Relaxed);
    }

    /// A session does not take it any more.
    pub(super) fn leave(&self) {
        self.receiving.fetch_sub(1, Ordering::Relaxed);
    }

    /// The rate of each session; `None` is as fast as its window allows.
    fn rate_of_session(&self) -> Option<f64> {
        let receiving = self.receiving.load(Ordering::Relaxed).max(1);
        self.rate.map(|rate| rate / f64::from(receiving))
    }

    /// Takes the number of the next message; `None` when all were sent.
    pub(super) fn claim(&self) -> Option<u64> {
        let next = |issued| (self.count.is_none_or(|count| issued < count)).then_some(issued + 1);
        self.issued
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .ok()
    }

    /// Whether there is nothing left to send.
    pub(super) fn is_exhausted(&self) -> bool {
        self.count
            .is_some_and(|count| self.issued.load(Ordering::Relaxed) >= count)
    }

    fn check_that_messages_fit(&self) -> Result<(), String> {
        let place = Place {
            counters: Counters {
                number: self.count.unwrap_or(u32::MAX.into()),
                connection: u32::MAX.into(),
            },
            part: 0,
            reference: 0,
            token: Token {
                run: 0,
                stream: 0,
                number: 0,
            },
        };
        let written = self
            .shape
            .write(&place, 1, &mut Scratch::default(), &mut BytesMut::new());
        written.map(drop).map_err(|fault| format!("MO: {fault}"))
    }
}

/// One session's share of one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Share {
    /// Whether the session takes the stream.
    pub(super) takes: bool,
    credit: f64,
    last_us: Option<u64>,
    /// The message that is being sent, and its next segment.
    pub(super) message: u64,
    pub(super) part: usize,
}

/// More credit than this many seconds' worth is never saved up.
const CREDIT_SECONDS_MAX: f64 = 0.1;

impl Share {
    /// Adds the credit for the time that went by.
    pub(super) fn accrue(&mut self, stream: &MoStream, now_us: u64) {
        let Some(rate) = stream.rate_of_session() else {
            self.credit = f64::INFINITY;
            return;
        };
        let elapsed_us = now_us.saturating_sub(*self.last_us.get_or_insert(now_us));
        self.last_us = Some(now_us);
        self.credit =
            (self.credit + rate * elapsed_us as f64 / 1e6).min((rate * CREDIT_SECONDS_MAX).max(1.0));
    }

    /// Whether a PDU may be sent.
    pub(super) fn is_due(&self) -> bool {
        self.takes && self.credit >= 1.0
    }

    /// A PDU was sent.
    pub(super) fn spend(&mut self) {
        self.credit -= 1.0;
    }

    /// When the next PDU may be sent.
    pub(super) fn next_due_us(&self, stream: &MoStream, now_us: u64) -> u64 {
        let Some(rate) = stream.rate_of_session() else {
            return now_us;
        };
        let missing = (1.0 - self.credit).max(0.0);
        self.last_us.unwrap_or(now_us) + (missing / rate * 1e6).ceil() as u64
    }
}
