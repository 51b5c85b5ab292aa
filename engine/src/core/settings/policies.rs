//! What an operator can choose between: methods and policies.

/// Balancing methods; priority groups always apply before the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// In turn.
    RoundRobin,
    /// In turn, as often as the weight says, spread evenly.
    WeightedRoundRobin,
    /// The server with the fewest unanswered requests for its weight.
    LeastOutstanding,
    /// The server with the shortest smoothed response time for its load.
    LeastResponseTime,
    /// The same key goes to the same server while it can take it.
    Hash,
    /// Priority groups, least-outstanding inside a group.
    Priority,
}

/// What `Method::Hash` hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// source_addr.
    Source,
    /// destination_addr.
    Destination,
    /// The client's system_id.
    SystemId,
}

/// Who checks a client's password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// The client table.
    Local,
    /// A server: the bind itself is forwarded.
    Forward,
}

/// Every window is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// Hold the message for `hold_time`, then ESME_RTHROTTLED.
    Hold,
    /// ESME_RTHROTTLED at once.
    Throttle,
}

/// No server is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllServersDown {
    /// ESME_RSYSERR for each message.
    Answer,
    /// Hold messages for `hold_time`, then ESME_RSYSERR.
    Hold,
    /// Unbind the clients and refuse binds.
    Unbind,
}

/// A server session died with requests that were written but not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnServerLoss {
    /// ESME_RSYSERR: at most once.
    Fail,
    /// Sent again to another server: at least once, may duplicate.
    Retry,
}

/// A server has answered ESME_RTHROTTLED or ESME_RMSGQFUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnThrottle {
    /// The client gets the answer.
    Answer,
    /// Another server, or the same one later, gets the request within `hold_time` of its arrival.
    Retry,
}

/// How a session is chosen inside a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMethod {
    /// In turn.
    RoundRobin,
    /// The session with the fewest unanswered requests.
    LeastOutstanding,
}

/// What a bind with an empty address_range gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmptyRange {
    /// All MO that nobody claims more precisely.
    All,
    /// No MO.
    None,
    /// What the account's `address-ranges` allow.
    Allowed,
}

/// How the segments of a concatenated message say that they belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConcatReference {
    /// As they came.
    Keep,
    /// A user data header with an 8-bit reference.
    Udh8,
    /// A user data header with a 16-bit reference.
    Udh16,
    /// The sar_* TLVs.
    Sar,
}
