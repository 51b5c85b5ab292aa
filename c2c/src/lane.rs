//! The three lanes between two cores.

/// What kind of message this is, and with that which bound holds for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Asks for an answer; the only lane whose refusal is part of normal work.
    Request,
    /// Answers a request; its room was reserved when the request left.
    Answer,
    /// A change that every core must see, or the acknowledgement of one.
    Control,
}

impl Lane {
    /// Every lane, in the order of [`Lane::as_usize`].
    pub const ALL: [Self; 3] = [Self::Request, Self::Answer, Self::Control];

    /// As an index into a table that has one row for each lane.
    pub const fn as_usize(self) -> usize {
        self as usize
    }

    /// The lane's name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
            Self::Control => "control",
        }
    }
}
