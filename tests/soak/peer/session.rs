//! One connection: its octets, its numbers, and what it waits for.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::records::Cause;

pub(crate) struct Session {
    pub(crate) key: u32,
    pub(crate) account: u8,
    pub(crate) is_bound: bool,
    /// Its unbind was sent or received, and how it will have ended.
    pub(crate) leaving: Option<Cause>,
    /// How it has ended; it is removed at the end of the turn.
    pub(crate) ended: Option<Cause>,
    pub(crate) output: Vec<u8>,
    /// Requests without answer: number, token and when.
    pub(crate) waiting: HashMap<u32, (u64, Instant)>,
    pub(crate) input: Vec<u8>,
    stream: TcpStream,
    sequence: u32,
}

impl Session {
    pub(crate) fn new(stream: TcpStream, key: u32, account: u8) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            key,
            account,
            is_bound: false,
            leaving: None,
            ended: None,
            output: Vec::new(),
            waiting: HashMap::new(),
            input: Vec::new(),
            stream,
            sequence: 0,
        })
    }

    pub(crate) const fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence % 0x7FFF_FFFF + 1;
        self.sequence
    }

    /// Reads what is there, once; true if there was something.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> bool {
        match self.stream.read(buffer) {
            Ok(0) => self.end(Cause::Dropped),
            Ok(count) => {
                self.input.extend_from_slice(&buffer[..count]);
                return true;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.end(Cause::Dropped),
        }
        false
    }

    pub(crate) fn write(&mut self) {
        while !self.output.is_empty() && self.ended.is_none() {
            match self.stream.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.end(Cause::Dropped),
            }
        }
    }

    /// The first cause is the one that counts, and an unbind explains the end that follows it.
    pub(crate) fn end(&mut self, cause: Cause) {
        self.ended = self.ended.or(self.leaving).or(Some(cause));
    }
}
