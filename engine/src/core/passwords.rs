//! Passwords that are known by their hash only: who is asked about one, and what is remembered of the answers.
//!
//! To verify such a password takes milliseconds of CPU on purpose, which no turn of an engine has: the shell asks a thread of
//! its own ([`Action::VerifyPassword`]) and the bind waits. What came of it is remembered under a keyed hash, so a client that
//! comes again, or guesses the same again, is answered at once.
//!
//! Invariants: a bind that waits is answered exactly once (by the verdict, by its time-out, or not at all when its connection is
//! gone); the same credentials are asked about once at a time; a question counts for the address that put it until its verdict
//! is there, whatever became of the bind; what waits and what is remembered is bounded, and a storm of wrong passwords cannot
//! push out the right ones. No password is kept longer than its bind waits.

use super::contract::{Action, ConnectionId, PasswordVerdict};
use super::engine::PacketEngine;
use super::secret::Secret;
use super::session::SessionState;
use super::settings::ClientIndex;
use super::time::Moment;
use super::timer::TimerKey;
use super::wire::{BindLimits, BindView, Status};
use bytes::BytesMut;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::collections::BTreeMap;
use std::hash::Hasher as _;
use std::net::IpAddr;
use std::time::Duration;

/// Binds of one core that may wait for a verdict.
const WAITING_MAX: usize = 256;
/// With so many of one address no other password of it is asked about.
const WAITING_OF_AN_ADDRESS_MAX: usize = 8;
/// With so many of one address none of it waits, also for a question that has been put: the others have their share.
const WAITING_FOR_THE_SAME_MAX: usize = WAITING_MAX / 4;
/// Wrong passwords that one core remembers.
const WRONG_MAX: usize = 1024;
/// How long a verdict is remembered.
const REMEMBERED_FOR: Duration = Duration::from_secs(3600);

/// A keyed hash of account, stored hash and password: 128 bits, so that nobody finds another password with the same.
type Key = [u64; 2];

/// What a core knows of such passwords.
#[derive(Debug)]
pub(super) struct Passwords {
    secret_keys: (u64, u64),
    /// The right password of each account that has shown it.
    right: BTreeMap<ClientIndex, (Key, Moment)>,
    /// Wrong passwords, each at the place that its key names. Empty until there is one.
    wrong: Vec<(Key, Moment)>,
    waiting: Vec<Waiting>,
    last_question: u32,
}

/// A bind that waits, or a question whose bind does so no more.
#[derive(Debug)]
struct Waiting {
    /// `None`: the connection has gone, or the time of its bind.
    bind: Option<WaitingBind>,
    peer: IpAddr,
    account: ClientIndex,
    key: Key,
    question: u32,
    /// This bind was the first to ask. Such an entry stays until the verdict comes: the verifying thread has the question until
    /// then.
    has_asked: bool,
}

#[derive(Debug)]
struct WaitingBind {
    connection: ConnectionId,
    pdu: BytesMut,
}

/// What can be said of a password without waiting.
pub(super) enum PasswordCheck {
    Right,
    Wrong,
    /// The bind waits, or has been answered.
    Later,
}

impl Passwords {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            secret_keys: (seed ^ 0x7061_7373_776F_7264, seed.rotate_left(29)),
            right: BTreeMap::new(),
            wrong: Vec::new(),
            waiting: Vec::new(),
            last_question: 0,
        }
    }

    fn key(&self, account: ClientIndex, stored: &Secret, password: &[u8]) -> Key {
        let mut hasher = SipHasher24::new_with_keys(self.secret_keys.0, self.secret_keys.1);
        hasher.write_u32(account.0);
        hasher.write(stored.reveal());
        // The stored hash is text, so this ends it.
        hasher.write_u8(0);
        hasher.write(password);
        let hash = hasher.finish128();
        [hash.h1, hash.h2]
    }

    fn remembered(&self, now: Moment, account: ClientIndex, key: Key) -> Option<PasswordCheck> {
        let is_it = |(known, at): &(Key, Moment)| is_same(*known, key) && now.since(*at) < REMEMBERED_FOR;
        if self.right.get(&account).is_some_and(is_it) {
            return Some(PasswordCheck::Right);
        }
        let wrong = self.wrong.get(place_of(key));
        wrong.is_some_and(is_it).then_some(PasswordCheck::Wrong)
    }

    fn remember(&mut self, now: Moment, account: ClientIndex, key: Key, is_right: bool) {
        if is_right {
            self.right.insert(account, (key, now));
            return;
        }
        if self.wrong.is_empty() {
            // Once for each engine, and only where somebody is refused: no message passes here.
            self.wrong.resize(WRONG_MAX, ([0, 0], Moment::START));
        }
        self.wrong[place_of(key)] = (key, now);
    }
}

fn place_of(key: Key) -> usize {
    usize::try_from(key[0] % (WRONG_MAX as u64)).unwrap_or_default()
}

/// Compares without a branch on the difference.
fn is_same(one: Key, other: Key) -> bool {
    std::hint::black_box((one[0] ^ other[0]) | (one[1] ^ other[1])) == 0
}

impl PacketEngine {
    /// Looks at the password of a bind. Where a hash has to be verified first, the bind is kept and goes on with
    /// [`password_verified`](Self::password_verified).
    pub(super) fn check_password(
        &mut self,
        now: Moment,
        id: ConnectionId,
        account: ClientIndex,
        view: &BindView<'_>,
        pdu: &[u8],
    ) -> PasswordCheck {
        let settings = &self.settings.clients[account.0 as usize];
        let Some(stored) = &settings.password_hash else {
            return if settings.password.matches(view.password()) {
                PasswordCheck::Right
            } else {
                PasswordCheck::Wrong
            };
        };
        let key = self.passwords.key(account, stored, view.password());
        if let Some(known) = self.passwords.remembered(now, account, key) {
            return known;
        }
        let Some(session) = self.sessions.get_mut(id) else {
            return PasswordCheck::Later;
        };
        let Some(client) = session.client() else {
            return PasswordCheck::Later;
        };
        let (peer, vserver) = (client.peer, client.vserver);
        let waiting = &mut self.passwords.waiting;
        let asked = waiting.iter().find(|other| is_same(other.key, key));
        let of_this_address = waiting.iter().filter(|waiting| waiting.peer == peer).count();
        // The sessions of one client come together, with one password: they are one question.
        let max = match asked {
            Some(_) => WAITING_FOR_THE_SAME_MAX,
            None => WAITING_OF_AN_ADDRESS_MAX,
        };
        if waiting.len() >= WAITING_MAX || of_this_address >= max {
            self.refuse_bind(now, id, Status::ESME_RTHROTTLED);
            return PasswordCheck::Later;
        }
        let has_asked = asked.is_none();
        let question = match asked {
            Some(other) => other.question,
            None => {
                self.passwords.last_question = self.passwords.last_question.wrapping_add(1);
                let question = self.passwords.last_question;
                self.outbox.actions.push_back(Action::VerifyPassword {
                    question,
                    password: Secret::new(view.password()),
                    hash: stored.clone(),
                });
                question
            }
        };
        let mut kept = self.buffers.take();
        kept.extend_from_slice(pdu);
        waiting.push(Waiting {
            bind: Some(WaitingBind {
                connection: id,
                pdu: kept,
            }),
            peer,
            account,
            key,
            question,
            has_asked,
        });
        session.state = SessionState::Binding;
        session.state_deadline = now + self.settings.vservers[usize::from(vserver.0)].bind_timeout;
        self.timers.arm(
            &mut session.armed_at,
            session.state_deadline,
            TimerKey::Session(id),
        );
        PasswordCheck::Later
    }

    /// The shell knows whether a password is right: every bind that waits for that goes on.
    pub(super) fn password_verified(&mut self, now: Moment, question: u32, verdict: PasswordVerdict) {
        let mut is_remembered = verdict == PasswordVerdict::Busy;
        while let Some(place) = self
            .passwords
            .waiting
            .iter()
            .position(|waiting| waiting.question == question)
        {
            let waiting = self.passwords.waiting.swap_remove(place);
            if !std::mem::replace(&mut is_remembered, true) {
                let is_right = verdict == PasswordVerdict::Right;
                self.passwords
                    .remember(now, waiting.account, waiting.key, is_right);
            }
            if let Some(bind) = &waiting.bind {
                self.go_on_with_bind(now, &waiting, bind, verdict);
            }
            self.wipe_waiting(waiting.bind);
        }
    }

    fn go_on_with_bind(
        &mut self,
        now: Moment,
        waiting: &Waiting,
        bind: &WaitingBind,
        verdict: PasswordVerdict,
    ) {
        let id = bind.connection;
        let Some(client) = self.sessions.get(id).and_then(|session| session.client()) else {
            return;
        };
        let (vserver, peer, kind) = (client.vserver, client.peer, client.bind);
        // It was read before, with the limits that are the same or narrower.
        let Ok(view) = BindView::parse(&bind.pdu, BindLimits::LENIENT) else {
            return;
        };
        let status = match verdict {
            PasswordVerdict::Busy => Some(Status::ESME_RTHROTTLED),
            _ if self.settings.account(view.system_id()) != Some(waiting.account) => {
                Some(Status::ESME_RINVSYSID)
            }
            // The verdict is about a hash that a reload has replaced meanwhile: the client may try again.
            _ if !self.is_still_asked(waiting, view.password()) => Some(Status::ESME_RTHROTTLED),
            PasswordVerdict::Wrong => Some(Status::ESME_RINVPASWD),
            PasswordVerdict::Right => None,
        };
        if let Some(status) = status {
            return self.refuse_bind(now, id, status);
        }
        if let Err(status) = self.may_bind_now(vserver) {
            return self.refuse_bind(now, id, status);
        }
        match self.authorise(id, vserver, peer, kind, waiting.account, &view) {
            Ok(grant) => self.accept_bind(now, id, &view, grant),
            Err(status) => self.refuse_bind(now, id, status),
        }
    }

    /// Whether the account's hash is still the one that was asked about.
    fn is_still_asked(&self, waiting: &Waiting, password: &[u8]) -> bool {
        let stored = &self.settings.clients[waiting.account.0 as usize].password_hash;
        stored
            .as_ref()
            .is_some_and(|stored| is_same(self.passwords.key(waiting.account, stored, password), waiting.key))
    }

    /// A bind that waited is over without a verdict: its connection ended, or its time.
    pub(super) fn forget_waiting_bind(&mut self, id: ConnectionId) {
        let all = &mut self.passwords.waiting;
        let is_of = |waiting: &Waiting| waiting.bind.as_ref().is_some_and(|bind| bind.connection == id);
        if let Some(place) = all.iter().position(is_of) {
            let bind = if all[place].has_asked {
                all[place].bind.take()
            } else {
                all.swap_remove(place).bind
            };
            self.wipe_waiting(bind);
        }
    }

    fn wipe_waiting(&mut self, bind: Option<WaitingBind>) {
        if let Some(bind) = bind {
            self.wipe(bind.pdu);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::contract::{ClosedBy, CoreIndex};
    use crate::core::engine;
    use crate::core::settings::Settings;
    use crate::core::settings::samples::{client_settings, vserver_settings};
    use crate::core::wire::Header;
    use std::sync::Arc;

    /// Goal: a verdict is remembered for its account, stored hash and password alone, and for an hour; wrong ones never push
    /// out a right one.
    #[test]
    fn verdicts_are_remembered_for_what_they_were_about() {
        let mut passwords = Passwords::new(7);
        let now = Moment::START + Duration::from_secs(1);
        let (account, stored) = (ClientIndex(3), Secret::new("$argon2id$1"));
        let right = passwords.key(account, &stored, b"secret");
        passwords.remember(now, account, right, true);
        for number in 0..10_000_u32 {
            let wrong = passwords.key(account, &stored, &number.to_be_bytes());
            passwords.remember(now, account, wrong, false);
            assert!(matches!(
                passwords.remembered(now, account, wrong),
                Some(PasswordCheck::Wrong)
            ));
        }
        let known = |passwords: &Passwords, now, account, key| {
            matches!(
                passwords.remembered(now, account, key),
                Some(PasswordCheck::Right)
            )
        };
        assert!(known(&passwords, now, account, right));
        let others = [
            passwords.key(account, &stored, b"Secret"),
            passwords.key(account, &Secret::new("$argon2id$2"), b"secret"),
            passwords.key(ClientIndex(4), &stored, b"secret"),
            Passwords::new(8).key(account, &stored, b"secret"),
        ];
        for other in others {
            assert!(!known(&passwords, now, account, other));
        }
        assert!(!known(&passwords, now + REMEMBERED_FOR, account, right));
        assert_eq!(passwords.wrong.len(), WRONG_MAX);
    }

    fn engine() -> PacketEngine {
        let base = engine::tests::settings(vserver_settings());
        let mut client = client_settings("esme");
        client.password_hash = Some(Secret::new("$argon2id$1"));
        let settings = Settings::new(base.engine, base.vservers, base.servers, vec![client], 1);
        PacketEngine::new(CoreIndex(0), 1, Arc::new(settings), 1, Moment::START)
    }

    /// A client that binds from this address; what it is answered at once.
    fn bind(engine: &mut PacketEngine, peer: &str, password: &[u8]) -> (ConnectionId, Option<Status>) {
        let client = engine::tests::binding_client_from(engine, Moment::START, peer, password);
        (client, answer(engine))
    }

    /// The status that somebody was answered.
    fn answer(engine: &mut PacketEngine) -> Option<Status> {
        let transmit = engine.poll_transmit()?;
        let header = Header::read(&transmit.octets).expect("a header");
        engine.handle_transmitted(Moment::START, transmit.connection, transmit.octets);
        Some(header.command_status)
    }

    fn questions(engine: &mut PacketEngine) -> Vec<u32> {
        std::iter::from_fn(|| engine.poll_action())
            .filter_map(|action| match action {
                Action::VerifyPassword { question, .. } => Some(question),
                _ => None,
            })
            .collect()
    }

    fn hang_up(engine: &mut PacketEngine, client: ConnectionId) {
        let by = ClosedBy::Error(std::io::ErrorKind::ConnectionReset);
        engine.handle_closed(Moment::START, client, by, None);
    }

    /// Goal: an address does not have more questions under way by hanging up, and one that hung up gets its places back with the
    /// verdicts, which are remembered.
    #[test]
    fn who_hangs_up_has_asked_all_the_same() {
        let (mut engine, now, peer) = (engine(), Moment::START, "192.0.2.1");
        let mut asked = Vec::new();
        for number in 0..20_u8 {
            let (client, answered) = bind(&mut engine, peer, &[b'a' + number]);
            let is_too_much = usize::from(number) >= WAITING_OF_AN_ADDRESS_MAX;
            assert_eq!(
                answered,
                is_too_much.then_some(Status::ESME_RTHROTTLED),
                "{number}"
            );
            hang_up(&mut engine, client);
            asked.extend(questions(&mut engine));
        }
        assert_eq!(asked.len(), WAITING_OF_AN_ADDRESS_MAX);
        for question in asked {
            engine.handle_password(now, question, PasswordVerdict::Wrong);
        }
        assert!(engine.passwords.waiting.is_empty());
        assert_eq!(bind(&mut engine, peer, b"a").1, Some(Status::ESME_RINVPASWD));
        assert_eq!(bind(&mut engine, peer, b"z").1, None);
        assert_eq!(questions(&mut engine).len(), 1, "the first is remembered");
    }

    /// Goal: one address does not take all places, not even with one password; another one still has its own.
    #[test]
    fn one_password_does_not_take_all_places() {
        let (mut engine, peer) = (engine(), "192.0.2.1");
        let answered = (0..WAITING_MAX).map(|_| bind(&mut engine, peer, b"secret").1);
        let waiting = answered.filter(Option::is_none).count();
        assert_eq!(waiting, WAITING_FOR_THE_SAME_MAX);
        assert_eq!(bind(&mut engine, "192.0.2.2", b"secret").1, None);
        assert_eq!(bind(&mut engine, "192.0.2.2", b"other").1, None);
        assert_eq!(questions(&mut engine).len(), 2);
    }

    /// Goal: a verdict that comes when the bind's time is up is remembered, and who asks again meanwhile gets it, at the price of
    /// one question.
    #[test]
    fn a_late_verdict_is_remembered() {
        let (mut engine, mut now, peer) = (engine(), Moment::START, "192.0.2.1");
        bind(&mut engine, peer, b"secret");
        let asked = questions(&mut engine);
        now += vserver_settings().bind_timeout;
        engine.handle_timeout(now);
        assert_eq!(answer(&mut engine), Some(Status::ESME_RSYSERR));
        assert_eq!(bind(&mut engine, peer, b"secret").1, None);
        engine.handle_password(now, asked[0], PasswordVerdict::Right);
        assert_eq!(answer(&mut engine), Some(Status::ESME_ROK));
        assert_eq!(bind(&mut engine, peer, b"secret").1, Some(Status::ESME_ROK));
        assert_eq!((asked.len(), questions(&mut engine).len()), (1, 0));
    }
}
