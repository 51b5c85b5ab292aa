//! Counters of what the sessions of a message centre did.

use smppmux_engine::core::wire::CommandId;

use crate::simulator::counts::counters;

counters! {
    /// What one session, or all, did.
    SessionCounts {
        /// Binds that were accepted.
        bound,
        /// Binds that were refused.
        binds_refused,
        /// Sessions that the client unbound.
        unbound_by_client,
        /// Sessions that ended with an answered unbind of the message centre.
        unbound,
        /// Bound sessions whose connection ended without unbind.
        lost,
        /// submit_sm received.
        submit_sm,
        /// data_sm received.
        data_sm,
        /// submit_multi received.
        submit_multi,
        /// query_sm received.
        query_sm,
        /// cancel_sm received.
        cancel_sm,
        /// replace_sm received.
        replace_sm,
        /// enquire_link received.
        enquire_link,
        /// Other requests received, binds and unbinds not counted.
        other_requests,
        /// Messages received, by any command.
        messages,
        /// query_sm, cancel_sm and replace_sm that were answered with an error.
        ancillary_refused,
        /// Requests that the session's state does not allow.
        wrong_state,
        /// Messages that were left without an answer on purpose.
        left_unanswered,
        /// Messages that were answered late on purpose.
        answered_late,
        /// Messages that were answered twice on purpose.
        answered_twice,
        /// Connections that were dropped on purpose.
        dropped_on_purpose,
        /// Delivery receipts that were asked for.
        receipts_asked,
        /// Delivery receipts sent.
        receipts_sent,
        /// Delivery receipts answered.
        receipts_answered,
        /// Of those, answered with an error.
        receipts_refused,
        /// Delivery receipts that got no answer.
        receipts_unanswered,
        /// Delivery receipts for which no session of the account had room.
        receipts_undeliverable,
        /// Most unanswered requests at one time; over several sessions the sum of their peaks.
        window_peak,
        /// Requests beyond --window-max.
        window_violations,
        /// Requests with a sequence number outside of 1 to 0x7FFFFFFF.
        out_of_range_sequence_numbers,
        /// Requests with the sequence number of another one that had no answer yet.
        sequence_numbers_in_use,
        /// Framing errors: command_lengths that no PDU has.
        bad_lengths,
    }
}

impl SessionCounts {
    pub(super) const fn note_command(&mut self, command_id: CommandId) {
        match command_id {
            CommandId::SUBMIT_SM => self.submit_sm += 1,
            CommandId::DATA_SM => self.data_sm += 1,
            CommandId::SUBMIT_MULTI => self.submit_multi += 1,
            CommandId::QUERY_SM => self.query_sm += 1,
            CommandId::CANCEL_SM => self.cancel_sm += 1,
            CommandId::REPLACE_SM => self.replace_sm += 1,
            CommandId::ENQUIRE_LINK => self.enquire_link += 1,
            CommandId::UNBIND => {}
            other if other.is_bind() => {}
            _ => self.other_requests += 1,
        }
    }

    /// The peer kept the rules of a session.
    pub(super) const fn is_exact(&self) -> bool {
        self.window_violations == 0
            && self.out_of_range_sequence_numbers == 0
            && self.sequence_numbers_in_use == 0
            && self.bad_lengths == 0
            && self.receipts_unanswered == 0
    }
}
