//! Things that are due later, in the order of their time; bounded.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A bounded queue ordered by due time; equal times keep their order.
#[derive(Debug)]
pub(crate) struct DelayQueue<T> {
    heap: BinaryHeap<Entry<T>>,
    capacity: usize,
    pushed: u64,
}

#[derive(Debug)]
struct Entry<T> {
    due_us: u64,
    order: u64,
    item: T,
}

impl<T> DelayQueue<T> {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self {
            heap: BinaryHeap::new(),
            capacity,
            pushed: 0,
        }
    }

    /// Adds an item; gives it back when the queue is full.
    pub(crate) fn push(&mut self, due_us: u64, item: T) -> Result<(), T> {
        if self.is_full() {
            return Err(item);
        }
        self.pushed += 1;
        let order = self.pushed;
        self.heap.push(Entry { due_us, order, item });
        Ok(())
    }

    /// Takes the earliest item if it is due.
    pub(crate) fn pop_due(&mut self, now_us: u64) -> Option<T> {
        if self.next_due_us()? > now_us {
            return None;
        }
        self.heap.pop().map(|entry| entry.item)
    }

    /// When the earliest item is due.
    pub(crate) fn next_due_us(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.due_us)
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.heap.len() >= self.capacity
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    /// The earliest is the greatest, since the heap gives out the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due_us, other.order).cmp(&(self.due_us, self.order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: items come out by time, equal times in order, none before its time, none beyond the limit.
    #[test]
    fn items_come_by_time() {
        let mut queue = DelayQueue::new(4);
        for (due_us, item) in [(30, 'c'), (10, 'a'), (20, 'b'), (10, 'A')] {
            assert_eq!(queue.push(due_us, item), Ok(()));
        }
        assert_eq!(queue.push(0, 'x'), Err('x'));
        assert_eq!(queue.pop_due(9), None);
        let due: Vec<char> = std::iter::from_fn(|| queue.pop_due(20)).collect();
        assert_eq!(due, ['a', 'A', 'b']);
        assert_eq!((queue.len(), queue.next_due_us()), (1, Some(30)));
    }
}
