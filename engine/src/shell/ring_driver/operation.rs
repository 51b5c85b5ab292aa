//! What a completion belongs to, as the 64 bits that the kernel hands back with it.

/// One kind of request, with the place in the driver's table that it belongs to. No place is used again while a request
/// of it is in the kernel's hands, so the number is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Of no interest: a cancellation.
    Ignored,
    /// The bell was rung.
    Bell,
    /// A listener took a connection in.
    Accept(u32),
    /// A connect has ended.
    Connect(u32),
    /// Octets have arrived.
    Receive(u32),
    /// The peer has closed its side, or the connection is lost.
    HangUp(u32),
    /// A send that does not wait for its socket has failed or was cut short.
    QuietSend(u32),
    /// A send that waits for its socket has ended.
    Send(u32),
}

impl Operation {
    pub(super) fn to_bits(self) -> u64 {
        let (kind, place) = match self {
            Self::Ignored => (0, 0),
            Self::Bell => (1, 0),
            Self::Accept(place) => (2, place),
            Self::Connect(place) => (3, place),
            Self::Receive(place) => (4, place),
            Self::QuietSend(place) => (5, place),
            Self::Send(place) => (6, place),
            Self::HangUp(place) => (7, place),
        };
        u64::from(place) << 8 | kind
    }

    pub(super) fn from_bits(bits: u64) -> Self {
        let place = u32::try_from(bits >> 8).unwrap_or(u32::MAX);
        match bits & 0xFF {
            1 => Self::Bell,
            2 => Self::Accept(place),
            3 => Self::Connect(place),
            4 => Self::Receive(place),
            5 => Self::QuietSend(place),
            6 => Self::Send(place),
            7 => Self::HangUp(place),
            _ => Self::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every operation is found again in what the kernel hands back.
    #[test]
    fn operations_survive_the_kernel() {
        let places = [0, 1, 255, 256, u32::MAX];
        let kinds = [
            Operation::Accept,
            Operation::Connect,
            Operation::Receive,
            Operation::HangUp,
            Operation::QuietSend,
            Operation::Send,
        ];
        let of_places = kinds.iter().flat_map(|kind| places.map(kind));
        for operation in of_places.chain([Operation::Ignored, Operation::Bell]) {
            assert_eq!(Operation::from_bits(operation.to_bits()), operation);
        }
    }
}
