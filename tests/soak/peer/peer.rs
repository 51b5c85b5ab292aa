//! The turns of a peer: read everything, note it, then send; a pace for its own messages.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::pdu::{self, BIND_TRANSCEIVER, DELIVER_SM, SUBMIT_SM, UNBIND};
use super::records::{Cause, Kind, Records, Wrong};
use super::session::Session;
use super::settings::{Role, Settings};

const TURN: Duration = Duration::from_millis(4);
/// What the pace may be behind; more than that was time in which nothing could be sent.
const DEBT_MAX_S: f64 = 0.1;
/// Messages that one session sends before the next one's turn.
const BURST: usize = 16;
const READ_OCTETS: usize = 1 << 18;
/// A session sends no messages while so much waits to be written.
const OUTPUT_MAX: usize = 1 << 18;
/// An answer that has not come by then on a session that lives is missing: longer than any timeout and any fault.
const ANSWER_MAX: Duration = Duration::from_secs(40);
const RECONNECT: Duration = Duration::from_millis(300);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const SABOTAGE_EVERY: u32 = 5_000;

pub(crate) struct Peer {
    pub(crate) settings: Settings,
    pub(crate) records: Records,
    pub(crate) sessions: Vec<Session>,
    listener: Option<TcpListener>,
    /// Connections to be opened: when, and by which account.
    again: Vec<(Instant, u8)>,
    /// The command of the messages that it sends, and of those that it gets.
    pub(crate) request: u32,
    pub(crate) expected: u32,
    ordinal: u16,
    number: u64,
    turn: usize,
    next_account: usize,
    sabotaged: u32,
    cuts: usize,
    pub(crate) scratch: Vec<u8>,
    is_sending: bool,
    end_by: Option<Instant>,
}

impl Peer {
    pub(crate) fn new(settings: Settings) -> io::Result<Self> {
        let records = Records::create(&settings.log)?;
        let is_esme = settings.role == Role::Esme;
        let listener = if is_esme {
            None
        } else {
            let listener = TcpListener::bind(settings.address)?;
            listener.set_nonblocking(true)?;
            Some(listener)
        };
        let now = Instant::now();
        let again = settings
            .accounts
            .iter()
            .filter(|_| is_esme)
            .flat_map(|account| std::iter::repeat_n((now, *account), settings.connections))
            .collect();
        let (request, expected) = if is_esme {
            (SUBMIT_SM, DELIVER_SM)
        } else {
            (DELIVER_SM, SUBMIT_SM)
        };
        Ok(Self {
            settings,
            records,
            sessions: Vec::new(),
            listener,
            again,
            request,
            expected,
            ordinal: 0,
            number: 0,
            turn: 0,
            next_account: 0,
            sabotaged: 0,
            cuts: 0,
            scratch: Vec::new(),
            is_sending: true,
            end_by: None,
        })
    }

    pub(crate) fn run(&mut self, inbox: &Receiver<String>) -> io::Result<()> {
        let mut buffer = vec![0; READ_OCTETS];
        let (mut before, mut second, mut due) = (Instant::now(), Instant::now(), 0.0);
        loop {
            let now = Instant::now();
            while let Ok(command) = inbox.try_recv() {
                match command.as_str() {
                    "cut" => self.cut(),
                    "quiet" => self.is_sending = false,
                    _ => self.end_by = self.end_by.or(Some(now + ANSWER_MAX)),
                }
            }
            self.read(&mut buffer);
            due = (now - before).as_secs_f64().mul_add(self.settings.rate, due);
            due = due.min(DEBT_MAX_S * self.settings.rate);
            before = now;
            if let Some(end_by) = self.end_by {
                self.end(now, end_by);
            } else {
                if self.is_sending {
                    due -= self.send_messages(due as usize, now) as f64;
                }
                self.connect(now);
            }
            if now - second > Duration::from_secs(1) {
                second = now;
                self.look_for_missing(now);
            }
            // The records first, then what others may hear.
            self.records.write()?;
            for session in &mut self.sessions {
                session.write();
            }
            self.remove_ended(now);
            self.records.write()?;
            if self.end_by.is_some() && self.sessions.is_empty() {
                return Ok(());
            }
            std::thread::sleep(TURN.saturating_sub(now.elapsed()));
        }
    }

    fn read(&mut self, buffer: &mut [u8]) {
        while let Some(Ok((stream, _))) = self.listener.as_ref().map(TcpListener::accept) {
            self.add(stream, 0);
        }
        for at in 0..self.sessions.len() {
            if self.sessions[at].ended.is_none() && self.sessions[at].read(buffer) {
                self.take_input(at);
            }
        }
    }

    /// Sends up to so many, in bursts, the sessions in turn; gives how many.
    fn send_messages(&mut self, count: usize, now: Instant) -> usize {
        let (mut left, mut skipped) = (count, 0);
        while left > 0 && skipped < self.sessions.len() {
            self.turn = (self.turn + 1) % self.sessions.len();
            let session = &mut self.sessions[self.turn];
            let may_send = session.is_bound
                && session.leaving.is_none()
                && session.ended.is_none()
                && session.output.len() < OUTPUT_MAX;
            let room = self.settings.window.saturating_sub(session.waiting.len());
            let room = if may_send { left.min(BURST).min(room) } else { 0 };
            if room == 0 {
                skipped += 1;
                continue;
            }
            skipped = 0;
            left -= room;
            let route = if self.settings.role == Role::Esme {
                session.account
            } else {
                self.next_account = (self.next_account + 1) % self.settings.accounts.len();
                self.settings.accounts[self.next_account]
            };
            for _ in 0..room {
                let token = pdu::token(self.settings.life, route, self.number);
                self.number += 1;
                let sequence = session.next_sequence();
                session.waiting.insert(sequence, (token, now));
                self.scratch.clear();
                pdu::body(&mut self.scratch, self.request, token);
                pdu::write(&mut session.output, self.request, 0, sequence, &self.scratch);
            }
        }
        if left < count {
            self.records.note(Kind::Sent, self.number, 0, 0);
        }
        count - left
    }

    fn look_for_missing(&mut self, now: Instant) {
        for at in 0..self.sessions.len() {
            let session = &mut self.sessions[at];
            if session.leaving.is_some() {
                continue;
            }
            let before = session.waiting.len();
            session.waiting.retain(|_, (_, since)| now - *since < ANSWER_MAX);
            for _ in session.waiting.len()..before {
                self.wrong(at, Wrong::Unanswered, "");
            }
        }
    }

    /// Unbinds each session when all is answered, or has had its time.
    fn end(&mut self, now: Instant, end_by: Instant) {
        for at in 0..self.sessions.len() {
            let session = &mut self.sessions[at];
            if !session.is_bound {
                session.end(Cause::Ended);
            } else if session.leaving.is_none()
                && (session.waiting.is_empty() || now + ANSWER_MAX / 4 > end_by)
            {
                session.leaving = Some(Cause::Ended);
                let sequence = session.next_sequence();
                pdu::write(&mut session.output, UNBIND, 0, sequence, b"");
                for _ in 0..self.sessions[at].waiting.len() {
                    self.wrong(at, Wrong::Unanswered, "");
                }
            } else if now > end_by {
                session.end(Cause::Ended);
                self.wrong(at, Wrong::Unclean, "");
            }
        }
    }

    fn add(&mut self, stream: TcpStream, account: u8) -> Option<&mut Session> {
        self.ordinal += 1;
        let key = u32::from(self.settings.life) << 16 | u32::from(self.ordinal);
        self.sessions.push(Session::new(stream, key, account).ok()?);
        self.sessions.last_mut()
    }

    fn connect(&mut self, now: Instant) {
        let (due, later) = self.again.iter().partition(|(at, _)| *at <= now);
        self.again = later;
        let due: Vec<(Instant, u8)> = due;
        for (_, account) in due {
            let Ok(stream) = TcpStream::connect_timeout(&self.settings.address, CONNECT_TIMEOUT) else {
                self.again.push((now + RECONNECT, account));
                continue;
            };
            let range = if account == self.settings.guest {
                String::new()
            } else {
                format!("888{account:02}")
            };
            let body = format!("esme{account}\0secret\0\0\x34\0\0{range}\0");
            if let Some(session) = self.add(stream, account) {
                let sequence = session.next_sequence();
                pdu::write(
                    &mut session.output,
                    BIND_TRANSCEIVER,
                    0,
                    sequence,
                    body.as_bytes(),
                );
            }
        }
    }

    /// Ends one session without a word: a reset where octets are unread, else a plain end.
    fn cut(&mut self) {
        self.cuts += 1;
        let bound = self.sessions.iter_mut().filter(|session| session.is_bound);
        let count = bound.count();
        let pick = self.cuts * 7 % count.max(1);
        let mut bound = self.sessions.iter_mut().filter(|session| session.is_bound);
        if let Some(session) = bound.nth(pick) {
            session.end(Cause::Cut);
        }
    }

    fn remove_ended(&mut self, now: Instant) {
        let mut at = 0;
        while at < self.sessions.len() {
            let Some(cause) = self.sessions[at].ended else {
                at += 1;
                continue;
            };
            let session = self.sessions.swap_remove(at);
            if session.is_bound {
                let stamp = (session.waiting.len() as u64) << 44 | milliseconds();
                self.records.note(Kind::Closed, stamp, session.key, cause as u32);
            }
            if self.settings.role == Role::Esme && self.end_by.is_none() {
                self.again.push((now + RECONNECT, session.account));
            }
        }
    }

    /// Whether this is one of the cases in which what `what` says shall go wrong.
    pub(crate) fn is_sabotaged(&mut self, what: &str) -> bool {
        if self.settings.sabotage != what {
            return false;
        }
        self.sabotaged += 1;
        self.sabotaged.is_multiple_of(SABOTAGE_EVERY)
    }

    pub(crate) fn wrong(&mut self, at: usize, what: Wrong, text: &str) {
        let key = self.sessions[at].key;
        self.records.note(Kind::Wrong, what as u64, key, 0);
        eprintln!("{} session {key:#x}: {what:?} {text}", milliseconds());
    }
}

fn milliseconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_millis() as u64
}
