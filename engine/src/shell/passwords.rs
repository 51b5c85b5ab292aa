//! Argon2: makes the hashes of passwords that stand in configuration files, and verifies passwords against them.
//!
//! A verification takes tens of milliseconds and 19 MiB on purpose, so it never runs on an engine's thread: one thread of the
//! process does them one after the other, at the lowest priority, so that a storm of binds takes what the engines leave of the
//! CPUs. It is started beside the engines, not by one of them, whose CPU it would be pinned to. The queue is bounded: what
//! finds no room is told so at once.

use crate::core::contract::PasswordVerdict;
use crate::core::secret::Secret;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use std::fmt;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::task::Waker;
use std::thread;

/// Passwords that may wait, over all cores. At 20 ms each the last one is answered within the usual bind-timeout.
const QUEUE: usize = 200;
/// The most that a hash in the configuration may ask for.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
const PASSES_MAX: u32 = 20;
const LANES_MAX: u32 = 16;
/// The lowest priority.
const NICE: i32 = 19;

/// Why a text is not a hash that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongHash(String);

impl fmt::Display for WrongHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for WrongHash {}

/// What a new hash costs whoever verifies or guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    /// Memory of one verification, in KiB; at least 8.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub passes: u32,
}

impl Default for HashCost {
    /// What OWASP recommends for argon2id.
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            passes: 2,
        }
    }
}

/// The hash of a password by argon2id with a random salt, in the PHC form `$argon2id$v=19$…`.
///
/// # Errors
/// When the cost is out of bounds or the system has no random numbers.
pub fn hash_password(password: &Secret, cost: HashCost) -> Result<String, WrongHash> {
    let params = Params::new(cost.memory_kib, cost.passes, 1, None)
        .map_err(|error| WrongHash(format!("the cost is out of bounds: {error}")))?;
    let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.reveal())
        .map_err(|error| WrongHash(format!("no hash could be made: {error}")))?
        .to_string();
    check_hash(&hash)?;
    Ok(hash)
}

/// Whether a text is a hash that smppmux can verify and that costs no more than it should.
///
/// # Errors
/// What is wrong with it.
pub fn check_hash(text: &str) -> Result<(), WrongHash> {
    let wrong = |words: &str| Err(WrongHash(words.to_owned()));
    let Ok(hash) = PasswordHash::new(text) else {
        return wrong("it does not have the form $argon2id$v=19$m=…,t=…,p=…$salt$hash");
    };
    if Algorithm::try_from(hash.algorithm.as_str()).is_err() {
        return wrong("only argon2 hashes are known");
    }
    let Ok(params) = Params::try_from(&hash) else {
        return wrong("its parameters are not those of argon2");
    };
    if hash.salt.is_none() || hash.hash.is_none() {
        return wrong("salt or hash are missing");
    }
    if params.m_cost() > MEMORY_KIB_MAX || params.t_cost() > PASSES_MAX || params.p_cost() > LANES_MAX {
        return Err(WrongHash(format!(
            "it asks for more than {MEMORY_KIB_MAX} KiB, {PASSES_MAX} passes or {LANES_MAX} lanes"
        )));
    }
    Ok(())
}

/// Whether the password is the one that was hashed.
fn verify(password: &Secret, hash: &Secret) -> bool {
    let text = std::str::from_utf8(hash.reveal()).unwrap_or_default();
    PasswordHash::new(text).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.reveal(), &hash)
            .is_ok()
    })
}

/// The verifying thread of the process.
#[derive(Clone, Debug)]
pub(super) struct PasswordVerifier {
    questions: SyncSender<Question>,
}

/// One core's access to it.
#[derive(Debug)]
pub(super) struct PasswordClient {
    verifier: PasswordVerifier,
    waker: Waker,
    answers: Receiver<(u32, PasswordVerdict)>,
    answer_to: Sender<(u32, PasswordVerdict)>,
}

struct Question {
    number: u32,
    password: Secret,
    hash: Secret,
    answer_to: Sender<(u32, PasswordVerdict)>,
    waker: Waker,
}

impl PasswordVerifier {
    /// Starts the thread. It ends when the last core has gone. Where it cannot be started every question finds it busy.
    pub(super) fn start() -> Self {
        let (questions, receiver) = sync_channel(QUEUE);
        let started = thread::Builder::new()
            .name("passwords".to_owned())
            .spawn(move || answer_questions(&receiver));
        if let Err(error) = started {
            tracing::error!(%error, "cannot start the thread that verifies passwords");
        }
        Self { questions }
    }

    /// Access for one core; `waker` is called when an answer is there.
    pub(super) fn client(&self, waker: Waker) -> PasswordClient {
        // Bounded by the questions, and so by the binds that wait.
        let (answer_to, answers) = channel();
        PasswordClient {
            verifier: self.clone(),
            waker,
            answers,
            answer_to,
        }
    }
}

impl PasswordClient {
    /// Asks; the answer comes by [`poll`](Self::poll), and the waker is called. `Some`: the thread has too much to do, and this is
    /// the answer.
    pub(super) fn ask(&self, number: u32, password: Secret, hash: Secret) -> Option<PasswordVerdict> {
        let question = Question {
            number,
            password,
            hash,
            answer_to: self.answer_to.clone(),
            waker: self.waker.clone(),
        };
        let asked = self.verifier.questions.try_send(question);
        asked.is_err().then_some(PasswordVerdict::Busy)
    }

    /// The next answer, with the number of its question.
    pub(super) fn poll(&self) -> Option<(u32, PasswordVerdict)> {
        self.answers.try_recv().ok()
    }
}

/// Ends when the last core has gone.
fn answer_questions(questions: &Receiver<Question>) {
    // For this thread alone, as Linux has it. Without it a storm of binds would slow the engines down, but nothing is wrong.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(%error, "passwords are verified at the engines' own priority");
    }
    for question in questions {
        let verdict = if verify(&question.password, &question.hash) {
            PasswordVerdict::Right
        } else {
            PasswordVerdict::Wrong
        };
        // A core that has stopped needs no answer.
        if question.answer_to.send((question.number, verdict)).is_ok() {
            question.waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cheap, for tests.
    const CHEAP: HashCost = HashCost {
        memory_kib: 8,
        passes: 1,
    };

    /// Goal: a hash that was made is accepted, verifies its password and no other, and is another one each time.
    #[test]
    fn what_is_made_is_verified() {
        let password = Secret::new("secret");
        let hashes = [(); 2].map(|()| hash_password(&password, CHEAP).expect("a hash"));
        assert_ne!(hashes[0], hashes[1]);
        for hash in hashes {
            assert_eq!(check_hash(&hash), Ok(()));
            assert!(verify(&password, &Secret::new(&hash)));
            for wrong in ["", "Secret", "secrets"] {
                assert!(!verify(&Secret::new(wrong), &Secret::new(&hash)), "{wrong}");
            }
        }
    }

    /// Goal: a question that finds no room, or no thread, is answered where it is asked, since nobody would wake the core for it.
    #[test]
    fn a_busy_thread_says_so_at_once() {
        let (questions, waiting) = sync_channel(1);
        let client = PasswordVerifier { questions }.client(Waker::noop().clone());
        let ask = |number| client.ask(number, Secret::new("secret"), Secret::new("secret"));
        assert_eq!((ask(1), ask(2)), (None, Some(PasswordVerdict::Busy)));
        drop(waiting);
        assert_eq!(ask(3), Some(PasswordVerdict::Busy));
        assert_eq!(client.poll(), None);
    }

    /// Goal: what is no argon2 hash, lacks a part, or would cost too much is told and never verifies anything.
    #[test]
    fn wrong_hashes_are_told() {
        let good = hash_password(&Secret::new("secret"), CHEAP).expect("a hash");
        let wrong = [
            String::new(),
            "secret".to_owned(),
            good.replace("argon2id", "scrypt"),
            good.replace("m=8", "m=4000000000"),
            good.replace("m=8", "m=1000000"),
            good.replace("t=1", "t=1000"),
            good[..good.rfind('$').unwrap_or_default()].to_owned(),
            "$2b$12$EXRkfkdmXn2gzds2SSitu.MW9.gAVqa9eLS1//RYtYCmB1eLHg.9q".to_owned(),
        ];
        for hash in wrong {
            assert!(check_hash(&hash).is_err(), "{hash}");
        }
        assert!(!verify(&Secret::new("secret"), &Secret::new("secret")));
    }
}
