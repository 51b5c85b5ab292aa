//! Turns `host:port` into addresses without ever blocking an engine.
//!
//! Addresses in numbers are read on the spot. Names go to a few threads that may block in the system's resolver; they
//! are shared by all cores and started by the first name. The queue is bounded: a core whose name finds no room gets an
//! error at once and tries again with its reconnect.

use super::link::LinkId;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::thread;

/// Names that may wait to be resolved, over all cores.
const QUEUE: usize = 256;
/// Names that are resolved at the same time: one server's dead name server must not hold up the others.
const THREADS: usize = 4;

/// The resolver threads of the process.
#[derive(Clone, Debug, Default)]
pub(super) struct Resolver {
    questions: Arc<OnceLock<SyncSender<Question>>>,
}

/// One core's access to the resolver.
#[derive(Debug)]
pub(super) struct ResolverClient {
    resolver: Resolver,
    waker: Waker,
    answers: Receiver<Resolved>,
    answer_to: Sender<Resolved>,
}

/// What a name stands for.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) link: LinkId,
    pub(super) addresses: io::Result<Vec<SocketAddr>>,
}

#[derive(Debug)]
struct Question {
    link: LinkId,
    address: String,
    answer_to: Sender<Resolved>,
    waker: Waker,
}

impl Resolver {
    /// Access for one core; `waker` is called when an answer is there.
    pub(super) fn client(&self, waker: Waker) -> ResolverClient {
        // Bounded by the questions, and so by the links that wait for an answer.
        let (answer_to, answers) = channel();
        ResolverClient {
            resolver: self.clone(),
            waker,
            answers,
            answer_to,
        }
    }

    fn ask(&self, question: Question) -> io::Result<()> {
        let questions = self.questions.get_or_init(start_threads);
        questions.try_send(question).map_err(|error| match error {
            TrySendError::Full(_) => {
                io::Error::new(io::ErrorKind::ResourceBusy, "too many names wait to be resolved")
            }
            TrySendError::Disconnected(_) => io::Error::other("no resolver thread could be started"),
        })
    }
}

impl ResolverClient {
    /// The address itself when it is given in numbers; otherwise the answer comes by [`poll`](Self::poll).
    ///
    /// # Errors
    /// `ResourceBusy` when too many names wait already.
    pub(super) fn resolve(&self, link: LinkId, address: &str) -> io::Result<Option<SocketAddr>> {
        if let Ok(address) = address.parse() {
            return Ok(Some(address));
        }
        self.resolver.ask(Question {
            link,
            address: address.to_owned(),
            answer_to: self.answer_to.clone(),
            waker: self.waker.clone(),
        })?;
        Ok(None)
    }

    /// The next answer.
    pub(super) fn poll(&self) -> Option<Resolved> {
        self.answers.try_recv().ok()
    }
}

fn start_threads() -> SyncSender<Question> {
    let (sender, receiver) = sync_channel(QUEUE);
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..THREADS {
        let receiver = Arc::clone(&receiver);
        let started = thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || answer_questions(&receiver));
        if let Err(error) = started {
            tracing::error!(%error, "cannot start a resolver thread");
        }
    }
    sender
}

/// Ends when the last core has gone.
fn answer_questions(questions: &Mutex<Receiver<Question>>) {
    loop {
        let next = questions.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(question) = next else { return };
        let addresses = question.address.to_socket_addrs().map(Iterator::collect);
        let answer = Resolved {
            link: question.link,
            addresses,
        };
        // A core that has stopped needs no answer.
        if question.answer_to.send(answer).is_ok() {
            question.waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::link::{Link, LinkTable, Phase};
    use super::*;
    use std::task::Wake;
    use std::time::{Duration, Instant};

    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn link() -> LinkId {
        LinkTable::default()
            .insert(Link::new(Phase::Flushing))
            .expect("room")
    }

    /// Goal: numbers need no thread, a name is answered by waking the core, nonsense is an error and no panic.
    #[test]
    fn numbers_at_once_and_names_by_wake() {
        let client = Resolver::default().client(Waker::from(Arc::new(Unpark(thread::current()))));
        let literal = client.resolve(link(), "[::1]:2775").expect("an address");
        assert_eq!(literal, "[::1]:2775".parse().ok());
        for (address, known) in [("localhost:2775", true), ("no port", false), ("", false)] {
            assert_eq!(client.resolve(link(), address).expect("room in the queue"), None);
            let end = Instant::now() + Duration::from_secs(20);
            let answer = loop {
                if let Some(answer) = client.poll() {
                    break answer;
                }
                assert!(Instant::now() < end, "{address:?} was not answered");
                thread::park_timeout(Duration::from_secs(1));
            };
            let found = answer.addresses.map(|addresses| addresses.len()).unwrap_or(0);
            assert_eq!(found > 0, known, "{address:?}");
        }
    }
}
