//! Requests and answers counted by kind and status, and response times: for the report, one for each server and session.
//!
//! Plain integers of one thread, copied out on request. Counting what goes well is one addition; only answers with an error
//! look something up. It must never grow beyond its bounds, whatever statuses a peer makes up.

use super::settings::{ClientIndex, VserverIndex};
use super::wire::{CommandId, FaultKind, Status};
use std::collections::BTreeMap;
use std::time::Duration;

/// Whether what goes well is counted, and PDUs are looked at for traces and the message log. Only `benches/compare --figures`, which
/// measures what that costs, is built without it: nothing of it is missing elsewhere.
pub(crate) const ARE_KEPT: bool = !cfg!(feature = "without-figures");

/// So many more of what a counter on the way of each message counts.
#[inline(always)]
pub(crate) const fn count(counter: &mut u64, more: u64) {
    if ARE_KEPT {
        *counter += more;
    }
}

/// What is requested, and by which side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum RequestKind {
    /// submit_sm of a client.
    SubmitSm,
    /// data_sm of a client.
    DataSm,
    /// submit_multi.
    SubmitMulti,
    /// query_sm.
    QuerySm,
    /// cancel_sm.
    CancelSm,
    /// replace_sm.
    ReplaceSm,
    /// broadcast_sm.
    BroadcastSm,
    /// query_broadcast_sm.
    QueryBroadcastSm,
    /// cancel_broadcast_sm.
    CancelBroadcastSm,
    /// Any other command of a client.
    Other,
    /// deliver_sm of a server.
    DeliverSm,
    /// data_sm of a server.
    DeliveredDataSm,
    /// Anything else that a server sent: vendor commands.
    OtherOfServer,
}

impl RequestKind {
    /// How many there are.
    pub const COUNT: usize = 13;

    /// Every one.
    pub const ALL: [Self; Self::COUNT] = [
        Self::SubmitSm,
        Self::DataSm,
        Self::SubmitMulti,
        Self::QuerySm,
        Self::CancelSm,
        Self::ReplaceSm,
        Self::BroadcastSm,
        Self::QueryBroadcastSm,
        Self::CancelBroadcastSm,
        Self::Other,
        Self::DeliverSm,
        Self::DeliveredDataSm,
        Self::OtherOfServer,
    ];

    /// The kind of a client's request, by its own command or that of its answer.
    pub const fn of_client(command: CommandId) -> Self {
        let request = command.0 as usize & Self::WITHOUT_RESPONSE_BIT;
        if request < Self::OF_CLIENTS.len() {
            Self::OF_CLIENTS[request]
        } else {
            Self::Other
        }
    }

    /// The kind of a server's request, by its own command or that of its answer.
    pub const fn of_server(command: CommandId) -> Self {
        match command.request() {
            CommandId::DELIVER_SM => Self::DeliverSm,
            CommandId::DATA_SM => Self::DeliveredDataSm,
            _ => Self::OtherOfServer,
        }
    }

    const WITHOUT_RESPONSE_BIT: usize = 0x7FFF_FFFF;

    /// By command_id of the request: one look is less than comparing with each.
    const OF_CLIENTS: [Self; CommandId::CANCEL_BROADCAST_SM.0 as usize + 1] = {
        let mut kinds = [Self::Other; CommandId::CANCEL_BROADCAST_SM.0 as usize + 1];
        kinds[CommandId::SUBMIT_SM.0 as usize] = Self::SubmitSm;
        kinds[CommandId::DATA_SM.0 as usize] = Self::DataSm;
        kinds[CommandId::SUBMIT_MULTI.0 as usize] = Self::SubmitMulti;
        kinds[CommandId::QUERY_SM.0 as usize] = Self::QuerySm;
        kinds[CommandId::CANCEL_SM.0 as usize] = Self::CancelSm;
        kinds[CommandId::REPLACE_SM.0 as usize] = Self::ReplaceSm;
        kinds[CommandId::BROADCAST_SM.0 as usize] = Self::BroadcastSm;
        kinds[CommandId::QUERY_BROADCAST_SM.0 as usize] = Self::QueryBroadcastSm;
        kinds[CommandId::CANCEL_BROADCAST_SM.0 as usize] = Self::CancelBroadcastSm;
        kinds
    };

    /// The command's name; both sides' data_sm have the same.
    pub const fn command(self) -> &'static str {
        match self {
            Self::SubmitSm => "submit_sm",
            Self::DataSm | Self::DeliveredDataSm => "data_sm",
            Self::SubmitMulti => "submit_multi",
            Self::QuerySm => "query_sm",
            Self::CancelSm => "cancel_sm",
            Self::ReplaceSm => "replace_sm",
            Self::BroadcastSm => "broadcast_sm",
            Self::QueryBroadcastSm => "query_broadcast_sm",
            Self::CancelBroadcastSm => "cancel_broadcast_sm",
            Self::Other | Self::OtherOfServer => "other",
            Self::DeliverSm => "deliver_sm",
        }
    }

    /// It is a server's request (MO), not a client's (MT).
    pub const fn is_mobile_originated(self) -> bool {
        matches!(
            self,
            Self::DeliverSm | Self::DeliveredDataSm | Self::OtherOfServer
        )
    }

    const fn place(self) -> usize {
        self as usize
    }
}

/// Pairs of kind and error that are counted apart; what comes beyond is counted as [`OTHER_STATUS`].
const ERRORS_MAX: usize = 64;

/// Stands for every status for which there was no room.
pub const OTHER_STATUS: Status = Status(u32::MAX);

/// Requests and their answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchanges {
    requests: [u64; RequestKind::COUNT],
    accepted: [u64; RequestKind::COUNT],
    /// Few: looked through from the front.
    errors: Vec<(RequestKind, Status, u64)>,
}

impl Exchanges {
    /// Counts a request of a client. As good as all are submit_sm: that is a comparison and an addition.
    #[inline(always)]
    pub(super) fn client_request(&mut self, command: CommandId) {
        if !ARE_KEPT {
            return;
        }
        if command == CommandId::SUBMIT_SM {
            self.requests[RequestKind::SubmitSm.place()] += 1;
        } else {
            self.other_request(RequestKind::of_client(command));
        }
    }

    /// Counts a request of a server. As good as all are deliver_sm.
    #[inline(always)]
    pub(super) fn server_request(&mut self, command: CommandId) {
        if !ARE_KEPT {
            return;
        }
        if command == CommandId::DELIVER_SM {
            self.requests[RequestKind::DeliverSm.place()] += 1;
        } else {
            self.other_request(RequestKind::of_server(command));
        }
    }

    /// Counts an answer to a client's request of that command as one with ESME_ROK; [`client_error`](Self::client_error) follows where
    /// it is none.
    #[inline(always)]
    pub(super) fn client_accepted(&mut self, request: CommandId) {
        if !ARE_KEPT {
            return;
        }
        if request == CommandId::SUBMIT_SM {
            self.accepted[RequestKind::SubmitSm.place()] += 1;
        } else {
            self.other_accepted(RequestKind::of_client(request));
        }
    }

    /// An answer that was counted as one with ESME_ROK is an error.
    #[cold]
    #[inline(never)]
    pub(super) fn client_error(&mut self, request: CommandId, status: Status) {
        if ARE_KEPT {
            let kind = RequestKind::of_client(request);
            self.accepted[kind.place()] -= 1;
            self.error(kind, status, 1);
        }
    }

    /// Counts an answer to a client's request by the answer's own command.
    #[inline(always)]
    pub(super) fn client_answer(&mut self, response: CommandId, status: Status) {
        if !ARE_KEPT {
            return;
        }
        if status.is_ok() && response == CommandId::SUBMIT_SM_RESP {
            self.accepted[RequestKind::SubmitSm.place()] += 1;
        } else {
            self.other_answer(RequestKind::of_client(response), status);
        }
    }

    /// Counts an answer to a server's request by the answer's own command.
    #[inline(always)]
    pub(super) fn server_answer(&mut self, response: CommandId, status: Status) {
        if !ARE_KEPT {
            return;
        }
        if status.is_ok() && response == CommandId::DELIVER_SM_RESP {
            self.accepted[RequestKind::DeliverSm.place()] += 1;
        } else {
            self.other_answer(RequestKind::of_server(response), status);
        }
    }

    #[inline(never)]
    fn other_request(&mut self, kind: RequestKind) {
        self.requests[kind.place()] += 1;
    }

    #[inline(never)]
    fn other_accepted(&mut self, kind: RequestKind) {
        self.accepted[kind.place()] += 1;
    }

    #[inline(never)]
    fn other_answer(&mut self, kind: RequestKind, status: Status) {
        if status.is_ok() {
            self.accepted[kind.place()] += 1;
        } else {
            self.error(kind, status, 1);
        }
    }

    #[cold]
    fn error(&mut self, kind: RequestKind, status: Status, count: u64) {
        let place = |wanted| {
            self.errors
                .iter()
                .position(|(of, status, _)| (*of, *status) == wanted)
        };
        // The last places are kept for what is beyond the bound, one for each kind.
        let has_room = self.errors.len() < ERRORS_MAX - RequestKind::COUNT;
        let wanted = match place((kind, status)) {
            Some(place) => return self.errors[place].2 += count,
            None if has_room => (kind, status),
            None => (kind, OTHER_STATUS),
        };
        match place(wanted) {
            Some(place) => self.errors[place].2 += count,
            None => self.errors.push((wanted.0, wanted.1, count)),
        }
    }

    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.requests.iter_mut().zip(other.requests) {
            *sum += count;
        }
        for (sum, count) in self.accepted.iter_mut().zip(other.accepted) {
            *sum += count;
        }
        for (kind, status, count) in &other.errors {
            self.error(*kind, *status, *count);
        }
    }

    /// Requests of one kind.
    pub const fn requests_of(&self, kind: RequestKind) -> u64 {
        self.requests[kind.place()]
    }

    /// Answers with ESME_ROK to requests of one kind.
    pub const fn accepted_of(&self, kind: RequestKind) -> u64 {
        self.accepted[kind.place()]
    }

    /// Answers with an error: kind, status and number.
    pub fn errors(&self) -> &[(RequestKind, Status, u64)] {
        &self.errors
    }

    /// Requests of one side.
    pub fn requests(&self, mobile_originated: bool) -> u64 {
        self.sum(mobile_originated, Self::requests_of)
    }

    /// Answers with an error to requests of one side.
    pub fn failed(&self, mobile_originated: bool) -> u64 {
        let of_side = self
            .errors
            .iter()
            .filter(|(kind, ..)| kind.is_mobile_originated() == mobile_originated);
        of_side.map(|(_, _, count)| count).sum()
    }

    /// Answers to requests of one side, whatever their status.
    pub fn answers(&self, mobile_originated: bool) -> u64 {
        self.sum(mobile_originated, Self::accepted_of) + self.failed(mobile_originated)
    }

    fn sum(&self, mobile_originated: bool, figure: impl Fn(&Self, RequestKind) -> u64) -> u64 {
        let kinds = RequestKind::ALL.into_iter();
        kinds
            .filter(|kind| kind.is_mobile_originated() == mobile_originated)
            .map(|kind| figure(self, kind))
            .sum()
    }

    /// Nothing was counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Response times, or other ones, in buckets whose bounds double.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// One for each power of two that there can be: those without a bound are put together when they are read, and not for each message.
    buckets: [u64; Latency::POWERS],
    sum_nanoseconds: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            buckets: [0; Self::POWERS],
            sum_nanoseconds: 0,
        }
    }
}

impl Latency {
    /// Buckets with a bound; one more has none.
    pub const BUCKETS: usize = 20;

    /// The first bound is this power of two of nanoseconds (131 µs), the last one 68.7 s.
    const FIRST_POWER: u32 = 17;

    /// Times below the first bound, and those of each power of two from there.
    const POWERS: usize = (u64::BITS - Self::FIRST_POWER) as usize + 1;

    /// The bound of a bucket: times in it are shorter, by a nanosecond at least.
    pub const fn bound(bucket: usize) -> Duration {
        Duration::from_nanos(1 << (Self::FIRST_POWER as usize + bucket))
    }

    /// Counts one time.
    #[inline(always)]
    pub(crate) const fn record(&mut self, nanoseconds: u64) {
        self.record_times(nanoseconds, 1);
    }

    /// Counts one time for so many that are like it.
    #[inline(always)]
    pub(crate) const fn record_times(&mut self, nanoseconds: u64, times: u64) {
        if !ARE_KEPT {
            return;
        }
        // How many times the first bound has to be doubled. With one bit more there is no 0, which has no logarithm.
        let beyond = nanoseconds >> Self::FIRST_POWER;
        let power = (beyond << 1 | 1).ilog2() as usize;
        self.buckets[power] += times;
        // 584 years of waiting in all, and then from the start again, as a counter may.
        self.sum_nanoseconds = self.sum_nanoseconds.wrapping_add(nanoseconds.wrapping_mul(times));
    }

    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.buckets.iter_mut().zip(other.buckets) {
            *sum += count;
        }
        self.sum_nanoseconds = self.sum_nanoseconds.wrapping_add(other.sum_nanoseconds);
    }

    /// Times in each bucket, the last one without a bound.
    pub fn buckets(&self) -> [u64; Self::BUCKETS + 1] {
        let (with_bound, without) = self.buckets.split_at(Self::BUCKETS);
        let mut buckets = [0; Self::BUCKETS + 1];
        buckets[..Self::BUCKETS].copy_from_slice(with_bound);
        buckets[Self::BUCKETS] = without.iter().sum();
        buckets
    }

    /// How many times there are.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All times together.
    pub const fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_nanoseconds)
    }
}

/// A rule that peers have broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Rule {
    /// The PDU ends before a field does.
    Truncated,
    /// A command that this session does not know.
    UnknownCommand,
    /// A field with a length outside its definition.
    FieldLength,
    /// A field with a value that makes the PDU unusable.
    FieldValue,
    /// TLVs that do not parse.
    Tlv,
    /// A command in a state or on a session that does not allow it.
    State,
    /// A message_id that names nothing.
    MessageId,
    /// A command_length that cannot be.
    CommandLength,
    /// An answer to nothing.
    UnmatchedAnswer,
    /// Anything else.
    Other,
}

impl Rule {
    /// Every one, by its name in metrics.
    pub const NAMES: [&str; 10] = [
        "truncated",
        "unknown_command",
        "field_length",
        "field_value",
        "tlv",
        "state",
        "message_id",
        "command_length",
        "unmatched_answer",
        "other",
    ];

    /// The rule of a fault.
    pub(super) const fn of_fault(kind: FaultKind) -> Self {
        match kind {
            FaultKind::Truncated => Self::Truncated,
            FaultKind::UnknownCommand => Self::UnknownCommand,
            FaultKind::FieldLength => Self::FieldLength,
            FaultKind::FieldValue => Self::FieldValue,
            FaultKind::TlvArea | FaultKind::TlvLength | FaultKind::TlvMissing => Self::Tlv,
        }
    }

    /// The rule behind a refusal.
    pub(super) const fn of_refusal(status: Status) -> Self {
        match status {
            Status::ESME_RINVBNDSTS => Self::State,
            Status::ESME_RINVMSGID => Self::MessageId,
            _ => Self::Other,
        }
    }
}

/// Violations by [`Rule`], in the order of [`Rule::NAMES`].
pub type Violations = [u64; Rule::NAMES.len()];

/// What the sessions that are gone have counted.
#[derive(Debug)]
pub(super) struct PastExchanges {
    /// Accounts that had a session; `None` is for those without an account (`auth = "forward"`).
    pub(super) clients: BTreeMap<Option<ClientIndex>, Exchanges>,
    /// In configured order.
    pub(super) vservers: Vec<Exchanges>,
}

impl PastExchanges {
    pub(super) fn new(vservers: usize) -> Self {
        Self {
            clients: BTreeMap::new(),
            vservers: vec![Exchanges::default(); vservers],
        }
    }

    /// A session of a client is gone.
    pub(super) fn keep(&mut self, vserver: VserverIndex, client: Option<ClientIndex>, exchanges: &Exchanges) {
        if exchanges.is_empty() {
            return;
        }
        if let Some(sum) = self.vservers.get_mut(usize::from(vserver.0)) {
            sum.add(exchanges);
        }
        self.clients.entry(client).or_default().add(exchanges);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Goal: whatever a peer answers, no answer is lost from the sum and the memory stays bounded.
        #[test]
        fn every_answer_is_counted_within_the_bound(statuses in prop::collection::vec(0..2_000_u32, 0..500)) {
            let mut exchanges = Exchanges::default();
            for status in &statuses {
                exchanges.client_request(CommandId::SUBMIT_SM);
                // Both ways of counting one.
                let status = Status(*status);
                if status.0.is_multiple_of(3) {
                    exchanges.client_answer(CommandId::SUBMIT_SM_RESP, status);
                } else {
                    exchanges.client_accepted(CommandId::SUBMIT_SM);
                    exchanges.client_error(CommandId::SUBMIT_SM, status);
                }
            }
            let ok = statuses.iter().filter(|status| **status == 0).count() as u64;
            prop_assert_eq!(exchanges.requests(false), statuses.len() as u64);
            prop_assert_eq!(exchanges.answers(false), statuses.len() as u64);
            prop_assert_eq!(exchanges.accepted_of(RequestKind::SubmitSm), ok);
            prop_assert!(exchanges.errors().len() <= ERRORS_MAX);
            let mut sum = exchanges.clone();
            sum.add(&exchanges);
            prop_assert_eq!(sum.answers(false), 2 * statuses.len() as u64);
            prop_assert_eq!(sum.answers(true), 0);
        }

        /// Goal: a time falls in the first bucket whose bound it does not reach.
        #[test]
        fn times_fall_in_their_bucket(nanoseconds in 0..200_000_000_000_u64) {
            let time = Duration::from_nanos(nanoseconds);
            let mut latency = Latency::default();
            latency.record(nanoseconds);
            let bucket = latency.buckets().iter().position(|count| *count == 1).expect("one is counted");
            prop_assert!(bucket == Latency::BUCKETS || time < Latency::bound(bucket));
            prop_assert!(bucket == 0 || time >= Latency::bound(bucket - 1));
            prop_assert_eq!(latency.sum(), time);
        }
    }

    /// Goal: the places of kinds and rules are those of their lists.
    #[test]
    fn lists_are_in_order() {
        for (place, kind) in RequestKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.place(), place);
        }
        assert_eq!(Rule::NAMES[Rule::Other as usize], "other");
        assert_eq!(Rule::NAMES[Rule::State as usize], "state");
    }
}
