//! One io_uring: what is asked of the kernel, and what it told.
//!
//! Requests are only queued here; [`enter`](Uring::enter) hands all of them over and waits for completions in one system
//! call.
//!
//! Invariant: `in_kernel` counts the requests that may still touch memory or sockets. Whoever owns memory that a request
//! names (a buffer that is sent, the provided buffers, the bell's count) frees it only when the request is over; at the
//! end [`settle`](Uring::settle) says whether all are.

use super::super::turn_loop::Wait;
use super::features::TaskRun;
use super::operation::Operation;
use super::provided_buffers::ProvidedBuffers;
use io_uring::squeue::{self, Flags};
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{CompletionQueue, IoUring, SubmissionQueue, Submitter, cqueue, opcode};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// The one group of provided buffers.
const BUFFER_GROUP: u16 = 0;
/// Completions for each entry of the submission queue: a request may complete many times.
const COMPLETIONS_PER_ENTRY: u32 = 4;
/// How often a full queue is offered to a kernel that has no memory for it.
const HAND_OVER_TRIES: usize = 1000;

/// A ring in one thread's hands.
pub(super) struct Uring<'ring> {
    submitter: Submitter<'ring>,
    submissions: SubmissionQueue<'ring>,
    completions: CompletionQueue<'ring>,
    in_kernel: usize,
    buffers_registered: bool,
    /// Why the kernel took no requests any more.
    broken: Option<io::Error>,
}

/// What the kernel told of one request. No copies: one may own the descriptor of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Completion {
    pub(super) operation: Operation,
    /// As the system call would have returned: a count, or an error number below 0.
    pub(super) result: i32,
    flags: u32,
}

/// A ring with `entries` places for requests.
///
/// # Errors
/// What io_uring_setup said.
pub(super) fn build(entries: u32, task_run: TaskRun) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    let completions = entries.saturating_mul(COMPLETIONS_PER_ENTRY);
    builder.dontfork().setup_cqsize(completions);
    match task_run {
        TaskRun::Deferred => {
            builder.setup_single_issuer().setup_defer_taskrun();
            builder.setup_taskrun_flag().setup_submit_all();
        }
        TaskRun::Cooperative => {
            builder.setup_coop_taskrun().setup_taskrun_flag();
            builder.setup_submit_all();
        }
        TaskRun::AtOnce => {}
    }
    builder.build(entries)
}

impl<'ring> Uring<'ring> {
    /// Only on the thread that built the ring.
    pub(super) fn new(ring: &'ring mut IoUring) -> Self {
        let (mut submitter, submissions, completions) = ring.split();
        // It saves looking the descriptor up in each call; without it the ring works as well.
        let _ = submitter.register_ring_fd();
        Self {
            submitter,
            submissions,
            completions,
            in_kernel: 0,
            buffers_registered: false,
            broken: None,
        }
    }

    /// Lets receives use `buffers`, whose memory must outlive their use: see [`settle`](Self::settle).
    ///
    /// # Errors
    /// When this kernel has no such thing.
    pub(super) fn register_buffers(&mut self, buffers: &mut ProvidedBuffers) -> io::Result<()> {
        // SAFETY: the ring of buffers is valid, and its owner keeps it until `settle` has taken it back.
        unsafe {
            self.submitter.register_buf_ring_with_flags(
                buffers.ring_address(),
                buffers.count(),
                BUFFER_GROUP,
                0,
            )
        }?;
        self.buffers_registered = true;
        Ok(())
    }

    /// Receives into provided buffers: once, of so many octets, or again and again.
    pub(super) fn receive(&mut self, socket: impl AsFd, operation: Operation, once_octets: Option<u32>) {
        let socket = Fd(socket.as_fd().as_raw_fd());
        let entry = match once_octets {
            None => opcode::RecvMulti::new(socket, BUFFER_GROUP).build(),
            Some(octets) => opcode::Recv::new(socket, std::ptr::null_mut(), octets)
                .buf_group(BUFFER_GROUP)
                .build()
                .flags(Flags::BUFFER_SELECT),
        };
        // SAFETY: it names no memory but the provided buffers.
        unsafe { self.push(entry, operation) };
    }

    /// Sends without waiting for the socket. If all octets were written nothing is told; the send is over when the request
    /// was handed over and [`next_completion`](Self::next_completion) has been asked until it had none, and then
    /// [`count_quiet_success`](Self::count_quiet_success) must be called.
    ///
    /// # Safety
    /// The octets must stay where they are until the send is over.
    pub(super) unsafe fn send_quietly(&mut self, socket: impl AsFd, operation: Operation, octets: &[u8]) {
        let entry = send_entry(socket, octets, SendFlags::DONTWAIT).flags(Flags::SKIP_SUCCESS);
        // SAFETY: by the caller's promise.
        unsafe { self.push(entry, operation) };
    }

    /// Sends, as soon as the socket has room, all octets.
    ///
    /// # Safety
    /// The octets must stay where they are until the completion has come.
    pub(super) unsafe fn send(&mut self, socket: impl AsFd, operation: Operation, octets: &[u8]) {
        let entry = send_entry(socket, octets, SendFlags::empty());
        // SAFETY: by the caller's promise.
        unsafe { self.push(entry, operation) };
    }

    /// Accepts connections again and again.
    pub(super) fn accept(&mut self, listener: impl AsFd, operation: Operation) {
        let flags = rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK;
        let entry = opcode::AcceptMulti::new(Fd(listener.as_fd().as_raw_fd()))
            .flags(flags.bits().cast_signed())
            .build();
        // SAFETY: it names no memory.
        unsafe { self.push(entry, operation) };
    }

    /// Waits until a socket has one of these events, or an error, once.
    pub(super) fn await_events(&mut self, socket: impl AsFd, operation: Operation, events: PollFlags) {
        let events = u32::from(events.bits());
        let entry = opcode::PollAdd::new(Fd(socket.as_fd().as_raw_fd()), events).build();
        // SAFETY: it names no memory.
        unsafe { self.push(entry, operation) };
    }

    /// Reads a counter, once there is one.
    ///
    /// # Safety
    /// The count must stay where it is until the completion has come.
    pub(super) unsafe fn read_count(
        &mut self,
        counter: impl AsFd,
        operation: Operation,
        count: &mut [u8; 8],
    ) {
        let counter = Fd(counter.as_fd().as_raw_fd());
        let entry = opcode::Read::new(counter, count.as_mut_ptr(), 8).build();
        // SAFETY: by the caller's promise.
        unsafe { self.push(entry, operation) };
    }

    /// Asks the kernel to give a request up. It may be over already; in any case its own completion tells.
    pub(super) fn cancel(&mut self, operation: Operation) {
        let entry = opcode::AsyncCancel::new(operation.to_bits())
            .build()
            .flags(Flags::SKIP_SUCCESS);
        // SAFETY: it names no memory.
        unsafe { self.push(entry, Operation::Ignored) };
    }

    /// # Safety
    /// What memory the entry names must stay where it is until the request is over.
    unsafe fn push(&mut self, entry: squeue::Entry, operation: Operation) {
        let entry = entry.user_data(operation.to_bits());
        let mut tries = 0;
        // SAFETY: by the caller's promise.
        while unsafe { self.submissions.push(&entry) }.is_err() {
            let outcome = self.enter(Wait::Not);
            tries += 1;
            if tries == HAND_OVER_TRIES || outcome.is_err() {
                let full = || io::Error::other("the kernel takes no more requests");
                self.broken = Some(outcome.err().unwrap_or_else(full));
                return;
            }
        }
        self.in_kernel += usize::from(operation != Operation::Ignored);
    }

    /// Hands every request over and waits for a completion.
    ///
    /// # Errors
    /// When the ring is of no more use.
    pub(super) fn enter(&mut self, wait: Wait) -> io::Result<()> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        self.submissions.sync();
        let idle = self.submissions.is_empty() && !self.submissions.taskrun();
        if wait == Wait::Not && idle && !self.submissions.cq_overflow() {
            return Ok(());
        }
        let entered = match wait {
            Wait::Not => self.submitter.submit_with_args(0, &SubmitArgs::new()),
            Wait::ForEver => self.submitter.submit_and_wait(1),
            Wait::AtMost(limit) => {
                let limit = Timespec::from(limit);
                self.submitter
                    .submit_with_args(1, &SubmitArgs::new().timespec(&limit))
            }
        };
        self.submissions.sync();
        match entered {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
                // The time is up, a signal came, or the kernel is short of memory for the moment: what was not taken is
                // offered again.
                Some(Errno::TIME | Errno::INTR | Errno::AGAIN | Errno::BUSY) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Whether the kernel has every request.
    pub(super) fn all_handed_over(&self) -> bool {
        self.submissions.is_empty()
    }

    /// Completions that did not fit wait in the kernel for the next [`enter`](Self::enter).
    pub(super) fn overflowed(&self) -> bool {
        self.submissions.cq_overflow()
    }

    /// The next thing that the kernel told.
    pub(super) fn next_completion(&mut self) -> Option<Completion> {
        let entry = match self.completions.next() {
            Some(entry) => entry,
            None => {
                self.completions.sync();
                self.completions.next()?
            }
        };
        let completion = Completion {
            operation: Operation::from_bits(entry.user_data()),
            result: entry.result(),
            flags: entry.flags(),
        };
        if completion.operation != Operation::Ignored && !completion.more() {
            self.in_kernel = self.in_kernel.saturating_sub(1);
        }
        Some(completion)
    }

    /// A quiet send is over of which nothing was told.
    pub(super) fn count_quiet_success(&mut self) {
        self.in_kernel = self.in_kernel.saturating_sub(1);
    }

    /// Waits until every request is over, which the caller has cancelled, or `limit` has passed, and takes the provided
    /// buffers back. True: the kernel touches no memory any more.
    pub(super) fn settle(&mut self, limit: Duration) -> bool {
        const STEP: Duration = Duration::from_millis(10);
        let end = Instant::now() + limit;
        while self.in_kernel > 0 && Instant::now() < end {
            if self.enter(Wait::AtMost(STEP)).is_err() {
                break;
            }
            while let Some(completion) = self.next_completion() {
                completion.discard();
            }
        }
        if self.in_kernel > 0 {
            return false;
        }
        !self.buffers_registered || self.submitter.unregister_buf_ring(BUFFER_GROUP).is_ok()
    }
}

fn send_entry(socket: impl AsFd, octets: &[u8], more: SendFlags) -> squeue::Entry {
    let flags = SendFlags::NOSIGNAL | more;
    // For a send too it means: not less than all.
    let all = RecvFlags::WAITALL.bits();
    let octet_count = u32::try_from(octets.len()).unwrap_or(u32::MAX);
    opcode::Send::new(Fd(socket.as_fd().as_raw_fd()), octets.as_ptr(), octet_count)
        .flags((flags.bits() | all).cast_signed())
        .build()
}

impl Completion {
    /// The request goes on: more completions follow.
    pub(super) fn more(&self) -> bool {
        cqueue::more(self.flags)
    }

    /// The provided buffer that was filled.
    pub(super) fn buffer(&self) -> Option<u16> {
        cqueue::buffer_select(self.flags)
    }

    /// # Errors
    /// What went wrong.
    pub(super) fn count(&self) -> Result<usize, Errno> {
        usize::try_from(self.result).map_err(|_| Errno::from_raw_os_error(-self.result))
    }

    /// The socket of an accepted connection.
    ///
    /// # Errors
    /// Why none was accepted.
    pub(super) fn accepted(self) -> Result<OwnedFd, Errno> {
        self.count()?;
        // SAFETY: the kernel has just made this descriptor for this completion, which is consumed.
        Ok(unsafe { OwnedFd::from_raw_fd(self.result) })
    }

    /// Closes what nobody wants any more.
    pub(super) fn discard(self) {
        if let Operation::Accept(_) = self.operation {
            drop(self.accepted());
        }
    }
}
