//! The requests of one session that wait for their answers, found by sequence number without hashing.
//!
//! Invariants: a sequence number stands for one request at most; numbers run 1 to 0x7FFFFFFF and round again; a settled
//! request is remembered until its slot is needed, so that a second or late answer is told from an invented one.

use smppmux_engine::core::wire::CommandId;

const SEQUENCE_NUMBER_MAX: u32 = 0x7FFF_FFFF;
const SLOTS_MIN: usize = 256;
/// Slots for each request in flight: settled ones are remembered for about this many windows.
const SLOTS_PER_REQUEST: usize = 4;

/// [`Request::number`] of a request that carries no message of the stream.
pub(crate) const NO_MESSAGE: u64 = u64::MAX;

/// A request that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// What it is.
    pub(crate) command_id: CommandId,
    /// Which message of its stream it carries, or [`NO_MESSAGE`].
    pub(crate) number: u64,
    /// When it was due by the schedule.
    pub(crate) due_us: u64,
    /// When it was sent.
    pub(crate) sent_us: u64,
}

impl Request {
    /// Whether it carries a message of the stream; false for binds, enquire_links, unbinds and receipts.
    pub(crate) const fn carries_message(&self) -> bool {
        self.number != NO_MESSAGE
    }
}

/// What an answer turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The one answer to this request.
    First(Request),
    /// The request had timed out before.
    Late(Request),
    /// The request was answered before.
    Duplicate,
    /// The request is of another kind; it is settled by this.
    WrongCommand(Request),
    /// No request has this sequence number.
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    Waiting,
    Answered,
    Expired,
}

#[derive(Clone, Copy)]
struct Slot {
    sequence_number: u32,
    state: State,
    request: Request,
}

/// The window of one session.
pub(crate) struct Outstanding {
    slots: Box<[Slot]>,
    next_sequence_number: u32,
    waiting: usize,
}

impl Outstanding {
    /// Room for `window` requests and the session's own; numbers start at `first_sequence_number`.
    pub(crate) fn new(window: usize, first_sequence_number: u32) -> Self {
        let empty = Slot {
            sequence_number: 0,
            state: State::Free,
            request: Request {
                command_id: CommandId(0),
                number: 0,
                due_us: 0,
                sent_us: 0,
            },
        };
        let slots = (window * SLOTS_PER_REQUEST).max(SLOTS_MIN).next_power_of_two();
        Self {
            slots: vec![empty; slots].into_boxed_slice(),
            next_sequence_number: first_sequence_number.clamp(1, SEQUENCE_NUMBER_MAX),
            waiting: 0,
        }
    }

    /// Takes a sequence number for `request`; `None` when every slot waits (the window is far smaller than that).
    pub(crate) fn open(&mut self, request: Request) -> Option<u32> {
        for _ in 0..self.slots.len() {
            let sequence_number = self.next_sequence_number;
            self.next_sequence_number = sequence_number % SEQUENCE_NUMBER_MAX + 1;
            let slot = self.slot(sequence_number);
            if slot.state != State::Waiting {
                *slot = Slot {
                    sequence_number,
                    state: State::Waiting,
                    request,
                };
                self.waiting += 1;
                return Some(sequence_number);
            }
        }
        None
    }

    /// Judges an answer and settles its request.
    pub(crate) fn settle(&mut self, command_id: CommandId, sequence_number: u32) -> Answer {
        let slot = self.slot(sequence_number);
        if slot.sequence_number != sequence_number {
            return Answer::Unknown;
        }
        let request = slot.request;
        match slot.state {
            State::Free => Answer::Unknown,
            State::Answered => Answer::Duplicate,
            State::Expired => {
                slot.state = State::Answered;
                Answer::Late(request)
            }
            State::Waiting => {
                slot.state = State::Answered;
                self.waiting -= 1;
                let fits =
                    command_id == request.command_id.response() || command_id == CommandId::GENERIC_NACK;
                if fits {
                    Answer::First(request)
                } else {
                    Answer::WrongCommand(request)
                }
            }
        }
    }

    /// Gives up on requests that were sent before `sent_before_us`, and tells `expired` of each.
    pub(crate) fn expire(&mut self, sent_before_us: u64, mut expired: impl FnMut(Request)) {
        if self.waiting == 0 {
            return;
        }
        for slot in &mut self.slots {
            if slot.state == State::Waiting && slot.request.sent_us < sent_before_us {
                slot.state = State::Expired;
                self.waiting -= 1;
                expired(slot.request);
            }
        }
    }

    fn slot(&mut self, sequence_number: u32) -> &mut Slot {
        let mask = self.slots.len() - 1;
        &mut self.slots[sequence_number as usize & mask]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: u64) -> Request {
        Request {
            command_id: CommandId::SUBMIT_SM,
            number,
            due_us: 0,
            sent_us: number,
        }
    }

    /// Goal: each way an answer can be wrong is told apart from the right one.
    #[test]
    fn answers_are_judged() {
        let mut window = Outstanding::new(10, 1);
        let numbers: Vec<u32> = (0..4).filter_map(|number| window.open(request(number))).collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
        assert_eq!(
            window.settle(CommandId::SUBMIT_SM_RESP, 2),
            Answer::First(request(1))
        );
        assert_eq!(window.settle(CommandId::SUBMIT_SM_RESP, 2), Answer::Duplicate);
        assert_eq!(
            window.settle(CommandId::DATA_SM_RESP, 1),
            Answer::WrongCommand(request(0))
        );
        assert_eq!(
            window.settle(CommandId::GENERIC_NACK, 4),
            Answer::First(request(3))
        );
        for unknown in [0, 5, 2 + 256, 0x8000_0001, u32::MAX] {
            assert_eq!(window.settle(CommandId::SUBMIT_SM_RESP, unknown), Answer::Unknown);
        }
        let mut expired = Vec::new();
        window.expire(u64::MAX, |request| expired.push(request.number));
        assert_eq!((expired, window.waiting), (vec![2], 0));
        assert_eq!(
            window.settle(CommandId::SUBMIT_SM_RESP, 3),
            Answer::Late(request(2))
        );
        assert_eq!(window.settle(CommandId::SUBMIT_SM_RESP, 3), Answer::Duplicate);
    }

    /// Goal: numbers wrap to 1 and never meet a request that still waits.
    #[test]
    fn numbers_wrap_around_waiting_requests() {
        let mut window = Outstanding::new(1, SEQUENCE_NUMBER_MAX);
        assert_eq!(window.open(request(0)), Some(SEQUENCE_NUMBER_MAX));
        assert_eq!(window.open(request(1)), Some(1));
        for number in 2..1000 {
            let taken = window.open(request(number)).expect("a free slot");
            assert!((2..=SEQUENCE_NUMBER_MAX).contains(&taken));
            assert_eq!(
                window.settle(CommandId::SUBMIT_SM_RESP, taken),
                Answer::First(request(number))
            );
        }
        assert_eq!(
            window.settle(CommandId::SUBMIT_SM_RESP, 1),
            Answer::First(request(1))
        );
    }

    /// Goal: when every slot waits, no number is handed out twice.
    #[test]
    fn a_full_ring_refuses() {
        let mut window = Outstanding::new(1, 1);
        let taken = std::iter::from_fn(|| window.open(request(0))).count();
        assert_eq!((taken, window.waiting), (SLOTS_MIN, SLOTS_MIN));
    }
}
