//! What was read, on its way to the engine: a PDU that straddles two reads is put together here.
//!
//! A driver with one read buffer reads behind the leftover ([`Station::stage_leftover`], [`Station::received`]); one whose
//! octets come in the kernel's choice of buffers passes them as they are ([`Station::received_apart`]), and only the PDU
//! that straddles is copied.

use super::super::engine::Engine;
use super::super::link::{Link, LinkId, Phase};
use super::Station;
use crate::core::contract::ConnectionId;
use crate::core::time::Moment;
use bytes::BytesMut;

/// How often the engine is asked about a leftover with no more than it lacked: once for the header, once for the rest. An
/// engine that still takes nothing does not want to for now.
const COMPLETIONS_MAX: usize = 2;

impl<E: Engine> Station<E> {
    /// Puts what the engine left of this link at the front of `buffer` and says how long it is; what is read next
    /// goes behind it. `None`: do not read now.
    pub(crate) fn stage_leftover(&mut self, id: LinkId, buffer: &mut [u8]) -> Option<usize> {
        let link = self.links.get_mut(id)?;
        let octets = link.leftover.len();
        if octets == 0 {
            return Some(0);
        }
        debug_assert!(octets < buffer.len(), "the engine left a full buffer unpaused");
        buffer.get_mut(..octets)?.copy_from_slice(&link.leftover);
        (octets < buffer.len()).then_some(octets)
    }

    /// Bytes were read: `bytes` is the leftover and what came behind it.
    pub(crate) fn received(&mut self, now: Moment, id: LinkId, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if link.tls.is_some() {
            return self.secured(now, id, bytes);
        }
        // Of a connection that the engine has closed we read only to hear the peer's FIN.
        let Phase::Open(connection) = link.phase else {
            return self.greeted(now, id, bytes);
        };
        let rest = if link.paused {
            bytes
        } else {
            let outcome = self.engine.handle_bytes(now, connection, bytes);
            link.missing_octets = outcome.missing_octets;
            bytes.get(outcome.consumed_octets..).unwrap_or_default()
        };
        self.leftovers.keep(&mut link.leftover, rest);
    }

    /// Bytes were read that stand apart from the leftover.
    pub(crate) fn received_apart(&mut self, now: Moment, id: LinkId, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if link.tls.is_some() {
            return self.secured(now, id, bytes);
        }
        let Phase::Open(connection) = link.phase else {
            return self.greeted_apart(now, id, bytes);
        };
        if link.paused {
            self.leftovers.append(&mut link.leftover, bytes);
            return;
        }
        let rest = complete_leftover(
            &mut self.engine,
            &mut self.leftovers,
            now,
            connection,
            link,
            bytes,
        );
        if rest.is_empty() {
            return;
        }
        let outcome = self.engine.handle_bytes(now, connection, rest);
        link.missing_octets = outcome.missing_octets;
        let rest = rest.get(outcome.consumed_octets..).unwrap_or_default();
        self.leftovers.keep(&mut link.leftover, rest);
    }
}

/// Adds to the leftover what it lacks and shows it to the engine; gives the bytes behind it. They are all used up, unless
/// there is no leftover any more.
fn complete_leftover<'bytes, E: Engine>(
    engine: &mut E,
    leftovers: &mut LeftoverPool,
    now: Moment,
    connection: ConnectionId,
    link: &mut Link,
    mut bytes: &'bytes [u8],
) -> &'bytes [u8] {
    let mut completions = 0;
    while !link.leftover.is_empty() && !bytes.is_empty() {
        let lacks = if completions < COMPLETIONS_MAX {
            link.missing_octets
        } else {
            bytes.len()
        };
        completions += 1;
        let (added, behind) = bytes.split_at(lacks.min(bytes.len()));
        link.leftover.extend_from_slice(added);
        bytes = behind;
        if added.len() < lacks {
            // Its PDU is still not whole.
            link.missing_octets = lacks - added.len();
            break;
        }
        let outcome = engine.handle_bytes(now, connection, &link.leftover);
        link.missing_octets = outcome.missing_octets;
        leftovers.consume(&mut link.leftover, outcome.consumed_octets);
    }
    bytes
}

/// Buffers for leftovers. Most links have none most of the time, so they share a few.
#[derive(Debug, Default)]
pub(super) struct LeftoverPool {
    spare: Vec<BytesMut>,
}

impl LeftoverPool {
    const SPARE_BUFFERS: usize = 64;
    const SPARE_OCTETS: usize = 8 * 1024;

    /// Makes `leftover` hold `rest`.
    pub(super) fn keep(&mut self, leftover: &mut BytesMut, rest: &[u8]) {
        if rest.is_empty() {
            self.give_back(std::mem::take(leftover));
            return;
        }
        if leftover.capacity() == 0 {
            *leftover = self.spare.pop().unwrap_or_default();
        }
        leftover.clear();
        leftover.extend_from_slice(rest);
    }

    /// Adds `more` to what `leftover` holds.
    pub(super) fn append(&mut self, leftover: &mut BytesMut, more: &[u8]) {
        if leftover.capacity() == 0 {
            *leftover = self.spare.pop().unwrap_or_default();
        }
        leftover.extend_from_slice(more);
    }

    /// Takes so many octets away from the front of `leftover`.
    fn consume(&mut self, leftover: &mut BytesMut, octets: usize) {
        let rest = leftover.len().saturating_sub(octets);
        if rest == 0 {
            self.give_back(std::mem::take(leftover));
            return;
        }
        let end = leftover.len();
        leftover.copy_within(end - rest..end, 0);
        leftover.truncate(rest);
    }

    /// A buffer with nothing in it.
    pub(super) fn take(&mut self) -> BytesMut {
        self.spare.pop().unwrap_or_default()
    }

    pub(super) fn give_back(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        if (1..=Self::SPARE_OCTETS).contains(&buffer.capacity()) && self.spare.len() < Self::SPARE_BUFFERS {
            self.spare.push(buffer);
        }
    }
}
