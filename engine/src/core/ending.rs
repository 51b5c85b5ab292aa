//! Connections to servers that end of our own accord while the server may still count them among its binds: one that is out of step and
//! is told so by a generic_nack, or has refused our bind.
//!
//! Invariant: no server has more connections of a core than are configured, not even for a moment: before the next one is asked for,
//! those that are ending are closed, whether their last octets were written or not. Must never delay the next one.

use super::contract::{CloseReason, ConnectionId};
use super::engine::PacketEngine;
use super::session::ServerSide;
use super::settings::ServerIndex;

impl PacketEngine {
    /// A session ends of our own accord, and is closed when its last octets are written. Unless the server has unbound it, it counts
    /// among its binds until then.
    pub(super) fn note_ending(&mut self, id: ConnectionId, side: &ServerSide, reason: CloseReason) {
        let is_unbound = matches!(reason, CloseReason::PeerUnbound | CloseReason::WeUnbound);
        // What a server has opened itself is not counted.
        if is_unbound || side.caller.is_some() || self.sessions.get(id).is_none() {
            return;
        }
        let ending = &mut self.servers[usize::from(side.server.0)].ending;
        ending.retain(|other| self.sessions.get(*other).is_some());
        ending.push(id);
    }

    /// The next connection may be made now, here or by another core: what a server has not read by now of those that end it need not
    /// read any more.
    pub(super) fn cut_off_ending(&mut self, index: ServerIndex) {
        for id in std::mem::take(&mut self.servers[usize::from(index.0)].ending) {
            self.abort_closing(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::contract::Action;
    use crate::core::engine::tests::{bind_server, engine};
    use crate::core::time::Moment;

    /// A server to which this engine's only session is bound, and that connection.
    fn bound_server(now: Moment) -> (PacketEngine, ConnectionId) {
        let mut engine = engine(1);
        let connection = bind_server(&mut engine, now);
        (engine, connection)
    }

    /// What the engine asks of the shell, in order, until it asks for a connection.
    fn actions_until_connect(engine: &mut PacketEngine) -> Vec<Action> {
        let mut actions = Vec::new();
        while !matches!(actions.last(), Some(Action::Connect { .. })) {
            match engine.poll_action() {
                Some(action) => actions.push(action),
                None => engine.handle_timeout(engine.next_timeout()),
            }
        }
        actions
    }

    /// The old connection is closed, whatever of it is unwritten, and then the next one is asked for.
    fn assert_cut_off_before_the_next(engine: &mut PacketEngine, connection: ConnectionId) {
        let cut_off = Action::Close {
            connection,
            after_writing: false,
        };
        let actions = actions_until_connect(engine);
        assert_eq!((&actions[0], actions.len()), (&cut_off, 2));
    }

    /// Goal: a server that neither reads our unbind nor answers it has one connection, never two: when the unbind's time is up the
    /// old one is closed before the next one is asked for.
    #[test]
    fn an_unbind_that_is_not_read_leaves_no_second_connection() {
        let now = Moment::START;
        let (mut engine, connection) = bound_server(now);
        engine.leave_gently(now, connection);
        let unbind = engine.poll_transmit().expect("an unbind");
        assert_eq!(unbind.connection, connection);
        assert_cut_off_before_the_next(&mut engine, connection);
    }

    /// Goal: the same for a server that has lost its step and does not read our generic_nack: that may be written until the next
    /// connection is made, and no longer.
    #[test]
    fn a_nack_that_is_not_read_leaves_no_second_connection() {
        let now = Moment::START;
        let (mut engine, connection) = bound_server(now);
        engine.handle_bytes(now, connection, &[0; 16]);
        let nack = engine.poll_transmit().expect("a generic_nack");
        assert_eq!(nack.connection, connection);
        assert_eq!(engine.poll_action(), None, "it may still be written");
        assert_cut_off_before_the_next(&mut engine, connection);
    }

    /// Goal: a server that reads gets the generic_nack, and the next connection when it would have been made anyway.
    #[test]
    fn a_nack_that_is_read_is_the_end() {
        let now = Moment::START;
        let (mut engine, connection) = bound_server(now);
        engine.handle_bytes(now, connection, &[0; 16]);
        let nack = engine.poll_transmit().expect("a generic_nack");
        engine.handle_transmitted(now, connection, nack.octets);
        let actions = actions_until_connect(&mut engine);
        let close = Action::Close {
            connection,
            after_writing: true,
        };
        assert_eq!((&actions[0], actions.len()), (&close, 2));
    }
}
