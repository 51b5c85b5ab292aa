//! The buffers that the kernel receives into: one ring of them for all sockets of a core, so that an idle connection has
//! none.
//!
//! Invariants:
//! - A buffer is either the kernel's (it stands in the ring) or ours (a completion named it and it was not given back).
//! - The memory stays where it is for as long as the kernel may write to it: see [`Uring`](super::uring::Uring).

use io_uring::types::BufRingEntry;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// The kernel wants the ring to begin on a page.
const PAGE_OCTETS: usize = 4096;

/// Buffers of one size, and the ring by which they go to the kernel.
#[derive(Debug)]
pub(super) struct ProvidedBuffers {
    ring: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    /// A power of two.
    count: u16,
    octets: usize,
    tail: u16,
}

impl ProvidedBuffers {
    /// `count` (a power of two, up to 32768) buffers of `octets` each. Memory that is never filled is never touched.
    pub(super) fn new(count: u16, octets: usize) -> Self {
        assert!(count.is_power_of_two() && octets > 0, "a ring of buffers");
        let mut buffers = Self {
            ring: allocate(Self::ring_layout(count)).cast(),
            memory: allocate(Self::memory_layout(count, octets)),
            count,
            octets,
            tail: 0,
        };
        for id in 0..count {
            buffers.give_back(id);
        }
        buffers
    }

    /// Where the ring begins, for the kernel.
    pub(super) fn ring_address(&self) -> u64 {
        self.ring.as_ptr() as u64
    }

    pub(super) fn count(&self) -> u16 {
        self.count
    }

    /// The size of each buffer.
    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    /// What the kernel wrote into a buffer that a completion named, which is ours until [`give_back`](Self::give_back).
    pub(super) fn filled(&self, id: u16, octets: usize) -> &[u8] {
        assert!(id < self.count && octets <= self.octets, "a buffer of this ring");
        // SAFETY: inside the allocation by the assertion, initialised because it was allocated as zeroes, and the kernel
        // does not write to a buffer that it has named in a completion.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().add(usize::from(id) * self.octets), octets) }
    }

    /// Lets the kernel fill this buffer (again).
    pub(super) fn give_back(&mut self, id: u16) {
        assert!(id < self.count, "a buffer of this ring");
        let place = self.tail & (self.count - 1);
        // SAFETY: both places are inside their allocations: `id` by the assertion, `place` by the mask. The kernel does
        // not read an entry before the tail, stored below, has passed it.
        unsafe {
            let address = self.memory.as_ptr().add(usize::from(id) * self.octets) as u64;
            let entry = self.ring.as_ptr().add(usize::from(place));
            (*entry).set_addr(address);
            (*entry).set_len(u32::try_from(self.octets).unwrap_or(u32::MAX));
            (*entry).set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        self.published_tail().store(self.tail, Ordering::Release);
    }

    /// The tail as the kernel reads it.
    fn published_tail(&self) -> &AtomicU16 {
        // SAFETY: the ring's first entry is initialised and aligned, the tail is a u16 inside it that is only accessed
        // through this atomic, and it lives as long as we do.
        unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.ring.as_ptr()).cast_mut()) }
    }

    fn ring_layout(count: u16) -> Layout {
        layout(usize::from(count) * size_of::<BufRingEntry>())
    }

    fn memory_layout(count: u16, octets: usize) -> Layout {
        layout(usize::from(count) * octets)
    }
}

impl Drop for ProvidedBuffers {
    fn drop(&mut self) {
        // SAFETY: allocated with the same layouts. That the kernel has let go is the owner's duty.
        unsafe {
            dealloc(self.ring.as_ptr().cast(), Self::ring_layout(self.count));
            dealloc(self.memory.as_ptr(), Self::memory_layout(self.count, self.octets));
        }
    }
}

fn layout(octets: usize) -> Layout {
    Layout::from_size_align(octets, PAGE_OCTETS).expect("a few mebibytes")
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: the layout is not empty: there is at least one buffer of at least one octet.
    NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}
