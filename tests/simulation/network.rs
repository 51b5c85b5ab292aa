//! The network and the kernels: octets in order, in pieces of any size, late, or not at all any more.

use crate::event::{Event, Input, LinkId};
use crate::link::{End, Peer};
use crate::world::World;
use std::time::Duration;

impl World {
    pub(crate) fn network_delay(&mut self) -> Duration {
        let highest = self.scenario.faults.network_delay_ms as usize;
        self.random.microseconds(50, 100 + highest * 1_000)
    }

    /// How much of what is there arrives at once: all of it, or any part.
    fn piece(&mut self, octets: usize) -> usize {
        if octets > 1 && self.random.chance(self.scenario.faults.split) {
            self.random.between(1, octets)
        } else {
            octets
        }
    }

    pub(crate) fn schedule_readable(&mut self, id: LinkId) {
        let link = &mut self.links[id];
        let has_news =
            !link.to_engine.octets.is_empty() || (link.to_engine.is_finished && !link.to_engine.end_is_told);
        if link.engine_end != End::Open || link.to_engine.is_scheduled || !has_news {
            return;
        }
        link.to_engine.is_scheduled = true;
        let core = link.engine;
        let delay = self.network_delay();
        self.input_after(delay, core, Input::Readable(id));
    }

    pub(crate) fn schedule_peer(&mut self, id: LinkId) {
        let link = &mut self.links[id];
        let has_news =
            !link.to_peer.octets.is_empty() || (link.to_peer.is_finished && !link.to_peer.end_is_told);
        if link.peer_end == End::Closed || link.to_peer.is_scheduled || !has_news {
            return;
        }
        link.to_peer.is_scheduled = true;
        let wait = link.session.deaf_until.since(self.now);
        let delay = self.network_delay();
        self.after(delay.max(wait), Event::PeerReadable(id));
    }

    pub(crate) fn schedule_writable(&mut self, id: LinkId) {
        let link = &mut self.links[id];
        if link.writable_scheduled || link.sending.is_none() || link.engine_end != End::Open {
            return;
        }
        link.writable_scheduled = true;
        let core = link.engine;
        let delay = self.random.microseconds(0, 50);
        self.input_after(delay, core, Input::Writable(id));
    }

    /// The kernel shows the engine what has come.
    pub(crate) fn engine_readable(&mut self, core: usize, id: LinkId) {
        let available = self.links[id].to_engine.octets.len();
        let octets = self.piece(available);
        let link = &mut self.links[id];
        link.to_engine.is_scheduled = false;
        if link.engine_end != End::Open || link.reading_paused {
            return;
        }
        link.unread.extend(link.to_engine.octets.drain(..octets));
        let connection = link.connection.expect("an open link has a handle");
        let outcome = self.hosts[core]
            .engine
            .handle_bytes(self.now, connection, &self.links[id].unread);
        let link = &mut self.links[id];
        assert!(
            outcome.consumed_octets <= link.unread.len() && outcome.missing_octets > 0,
            "consumed more than there was"
        );
        link.unread.drain(..outcome.consumed_octets);
        link.consumed_octets += outcome.consumed_octets as u64;
        self.answers_heard(id);
        self.requests_taken(id);
        let link = &mut self.links[id];
        let pipe = &mut link.to_engine;
        if octets == 0 && pipe.octets.is_empty() && pipe.is_finished && !pipe.end_is_told {
            pipe.end_is_told = true;
            self.trace
                .line(self.now, || format!("core {core} sees the end of link {id}"));
            self.hosts[core].engine.handle_read_closed(self.now, connection);
        }
        self.schedule_readable(id);
    }

    /// The kernel takes what it has room for.
    pub(crate) fn engine_writable(&mut self, core: usize, id: LinkId) {
        let room = self.links[id]
            .capacity
            .saturating_sub(self.links[id].to_peer.octets.len());
        let link = &mut self.links[id];
        link.writable_scheduled = false;
        if link.engine_end != End::Open || room == 0 {
            return;
        }
        let Some(waiting) = link
            .sending
            .as_ref()
            .map(|sending| sending.octets.len() - sending.written)
        else {
            return;
        };
        let octets = self.piece(waiting.min(room));
        let link = &mut self.links[id];
        let Some(mut sending) = link.sending.take() else {
            return;
        };
        let end = sending.written + octets;
        if !link.is_broken {
            link.to_peer.octets.extend(&sending.octets[sending.written..end]);
        }
        sending.written = end;
        let connection = link.connection.expect("an open link has a handle");
        if end == sending.octets.len() {
            self.hosts[core]
                .engine
                .handle_transmitted(self.now, connection, sending.octets);
        } else {
            link.sending = Some(sending);
            if self.random.chance(self.scenario.faults.torn_write) {
                // What was written arrives; of the rest the engine knows that it was not.
                self.exercised.torn_writes += 1;
                let written = self.links[id].to_peer.octets.len();
                self.break_off(id, written, false);
            }
            self.schedule_writable(id);
        }
        self.schedule_peer(id);
    }

    /// The engine's shell closes its end.
    pub(crate) fn engine_closes(&mut self, id: LinkId, after_writing: bool) {
        self.segments_cut_off(id);
        let link = &mut self.links[id];
        if let Some(sending) = link.sending.take().filter(|_| after_writing && !link.is_broken) {
            link.to_peer.octets.extend(&sending.octets[sending.written..]);
        }
        // It may have given up a bind whose answer, and what followed it, it has not come to read.
        let has_not_read_bind = link.consumed_octets < link.bind_answer_end;
        if !after_writing || has_not_read_bind {
            link.session.is_excused = true;
        }
        link.engine_end = End::Closed;
        link.ended_at = Some(self.now);
        link.to_peer.is_finished = true;
        self.schedule_peer(id);
    }

    /// What has come is the peer's to read.
    pub(crate) fn peer_readable(&mut self, id: LinkId) {
        self.links[id].to_peer.is_scheduled = false;
        if self.links[id].session.deaf_until > self.now {
            return self.schedule_peer(id);
        }
        let available = self.links[id].to_peer.octets.len();
        let octets = self.piece(available);
        let link = &mut self.links[id];
        if link.peer_end == End::Closed {
            return;
        }
        link.session.input.extend(link.to_peer.octets.drain(..octets));
        while let Some(pdu) = self.links[id].session.next_pdu() {
            self.trace.line(self.now, || {
                let link = &self.links[id];
                format!(
                    "link {id} core {} → {:?}: {}",
                    link.engine,
                    link.peer,
                    pdu.describe()
                )
            });
            self.peer_reads(id, &pdu);
        }
        let link = &mut self.links[id];
        let pipe = &mut link.to_peer;
        if octets == 0 && pipe.octets.is_empty() && pipe.is_finished && !pipe.end_is_told {
            pipe.end_is_told = true;
            self.peer_sees_end(id);
        }
        self.schedule_writable(id);
        self.schedule_peer(id);
    }

    pub(crate) fn peer_writes(&mut self, id: LinkId, pdu: &crate::pdu::Pdu) {
        let link = &mut self.links[id];
        if link.peer_end != End::Open || link.to_engine.is_finished || link.session.has_lost_step {
            return;
        }
        self.trace.line(self.now, || {
            format!(
                "link {id} {:?} → core {}: {}",
                link.peer,
                link.engine,
                pdu.describe()
            )
        });
        if link.engine_end != End::Closed && !link.is_broken {
            let octets = pdu.encode();
            link.written_octets += octets.len() as u64;
            if pdu.is_bind_answer() {
                link.bind_answer_end = link.written_octets;
            }
            link.to_engine.octets.extend(octets);
            self.peer_wrote(id, pdu);
            self.schedule_readable(id);
        }
    }

    /// The peer will write nothing more; it still reads.
    pub(crate) fn peer_half_closes(&mut self, id: LinkId) {
        self.exercised.half_closes += 1;
        self.links[id].to_engine.is_finished = true;
        self.links[id].session.is_leaving = true;
        self.schedule_readable(id);
    }

    /// The peer closes its end: what is under way to it is lost.
    pub(crate) fn peer_closes(&mut self, id: LinkId) {
        if self.links[id].peer_end == End::Closed {
            return;
        }
        self.trace
            .line(self.now, || format!("link {id} {:?} closes", self.links[id].peer));
        let link = &mut self.links[id];
        link.to_engine.is_finished = true;
        link.session.is_excused = true;
        link.is_broken = true;
        link.capacity = usize::MAX;
        link.to_peer.octets.clear();
        self.schedule_readable(id);
        self.schedule_writable(id);
        let link = &mut self.links[id];
        // Octets to a peer that is gone come back as a reset, sooner or later.
        if link.engine_end == End::Open && self.random.chance(500) {
            let core = self.links[id].engine;
            let delay = self.network_delay();
            self.input_after(delay, core, Input::Lost(id));
        }
        self.peer_is_gone(id);
    }

    /// The connection breaks: octets under way are lost in both directions, and each end learns of it by itself.
    pub(crate) fn reset(&mut self, id: LinkId) {
        let keep = self.random.between(0, self.links[id].to_peer.octets.len());
        let takes_more = self.random.chance(500);
        self.break_off(id, keep, takes_more);
    }

    /// Of the octets under way to the peer so many arrive. Until the engine knows, it writes on, into the void; or its kernel
    /// takes no more.
    fn break_off(&mut self, id: LinkId, keep: usize, takes_more: bool) {
        let link = &mut self.links[id];
        if !link.is_open() {
            return;
        }
        self.trace.line(self.now, || format!("link {id} is reset"));
        self.exercised.resets += 1;
        link.to_engine.octets.clear();
        self.segments_cut_off(id);
        let link = &mut self.links[id];
        link.to_peer.octets.truncate(keep);
        link.to_peer.is_finished = true;
        link.session.is_excused = true;
        let core = link.engine;
        link.is_broken = true;
        link.capacity = if takes_more { usize::MAX } else { 0 };
        let wait = self.network_delay();
        self.input_after(wait, core, Input::Lost(id));
        self.schedule_peer(id);
    }

    /// The far end is gone at once, without a word.
    pub(crate) fn peer_is_cut_off(&mut self, id: LinkId) {
        let link = &mut self.links[id];
        link.session.is_excused = true;
        link.to_peer.is_finished = true;
        self.schedule_peer(id);
    }

    /// The peer's process has no such connection any more.
    pub(crate) fn peer_is_gone(&mut self, id: LinkId) {
        self.segments_cut_off(id);
        self.links[id].peer_end = End::Closed;
        match self.links[id].peer {
            Peer::Esme(index) => self.esme_lost(index, id),
            Peer::Smsc(index) => self.smsc_lost(index, id),
        }
    }
}
