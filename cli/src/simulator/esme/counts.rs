//! Counters of what happened to the connections of an ESME run.

use crate::simulator::counts::counters;

counters! {
    /// What happened to the connections.
    ConnectionCounts {
        /// TCP connections that were opened.
        connected,
        /// Attempts that opened no connection.
        connect_failures,
        /// Binds that were accepted.
        bound,
        /// Binds that were refused or not answered.
        bind_failures,
        /// Bound connections that ended before the run did.
        lost,
        /// unbinds that the server sent.
        unbound_by_server,
        /// Sessions that ended with an answered unbind of ours.
        unbound,
        /// unbinds of ours that were not answered.
        unbind_unanswered,
        /// enquire_links that were not answered in time.
        enquire_link_misses,
        /// enquire_links received.
        enquire_links_received,
        /// Requests that no server may send; answered with a generic_nack.
        unexpected_requests,
        /// Framing errors: command_lengths that no PDU has.
        bad_lengths,
    }
}
