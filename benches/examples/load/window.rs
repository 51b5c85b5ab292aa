//! The requests of one session that wait for their answers.

/// Places for each request of the window, so that one that waits long does not hold up the numbers behind it.
const PLACES_PER_REQUEST: usize = 2;

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// 0: free.
    sequence: u32,
    since_ns: u64,
}

/// A window: never more than its size waits, and each number stands for one request.
#[derive(Debug)]
pub(crate) struct Window {
    places: Box<[Place]>,
    last_sequence: u32,
    size: usize,
    waiting: usize,
}

impl Window {
    pub(crate) fn new(size: usize) -> Self {
        let places = (size * PLACES_PER_REQUEST).next_power_of_two();
        Self {
            places: vec![Place::default(); places].into_boxed_slice(),
            last_sequence: 0,
            size,
            waiting: 0,
        }
    }

    pub(crate) const fn room(&self) -> usize {
        self.size - self.waiting
    }

    /// Takes a number. There must be room.
    pub(crate) fn open(&mut self, since_ns: u64) -> u32 {
        loop {
            self.last_sequence = self.last_sequence % 0x7FFF_FFFF + 1;
            let sequence = self.last_sequence;
            let place = self.place(sequence);
            if place.sequence == 0 {
                *place = Place { sequence, since_ns };
                self.waiting += 1;
                return sequence;
            }
        }
    }

    /// An answer: since when its request waited; none if no such request does.
    pub(crate) fn settle(&mut self, sequence: u32) -> Option<u64> {
        let place = self.place(sequence);
        if sequence == 0 || place.sequence != sequence {
            return None;
        }
        place.sequence = 0;
        let since_ns = place.since_ns;
        self.waiting -= 1;
        Some(since_ns)
    }

    fn place(&mut self, sequence: u32) -> &mut Place {
        let mask = self.places.len() - 1;
        &mut self.places[sequence as usize & mask]
    }
}
