//! The loop: one epoll for listeners, SMSC sessions and ESMEs; each readable connection is read once and written once.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::mpsc::{self, TryRecvError};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::arguments::{Arguments, Kind};
use crate::esme::{Batch, Esme};
use crate::figures::{Meter, Report};
use crate::pdu;
use crate::processes::Watched;
use crate::smsc::Session;
use crate::socket::Socket;

/// How long a load may get no answer at all.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long binds may take: a hundred thousand take their time.
const BIND_PATIENCE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(10);
const EVENTS: usize = 256;
const READ_OCTETS: usize = 256 * 1024;
const BACKLOG: i32 = 4096;
/// Connections that are opened before the SMSCs and the proxy get their turn.
const CONNECTS_AT_ONCE: usize = 20;
/// The upper half of an event's number says what it is of.
const KIND_BITS: u32 = 32;
const LISTENER: u64 = 0;
const SESSION: u64 = 1;
const ESME: u64 = 2;

/// The load and its SMSCs.
pub(crate) struct Load {
    arguments: Arguments,
    start: Instant,
    epoll: OwnedFd,
    listeners: Vec<TcpListener>,
    sessions: Vec<Option<Session>>,
    esmes: Vec<Esme>,
    bound: usize,
    batch: Batch,
    mobile_originated: [Vec<u8>; 3],
    meter: Meter,
    input: Vec<u8>,
    output: Vec<u8>,
    schedule: Option<Schedule>,
    /// The windows are to be filled again after each answer.
    refills: bool,
}

/// When which message of the open loop is due.
#[derive(Clone, Copy)]
struct Schedule {
    start_ns: u64,
    rate_per_second: u64,
    sent: u64,
}

impl Schedule {
    fn next_due_ns(&self) -> u64 {
        let since_start = u128::from(self.sent) * 1_000_000_000 / u128::from(self.rate_per_second);
        self.start_ns + since_start as u64
    }
}

impl Load {
    /// Opens the SMSCs.
    pub(crate) fn listen(arguments: Arguments) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut listeners = Vec::with_capacity(arguments.smscs.len());
        for (index, address) in arguments.smscs.iter().enumerate() {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            // The standard library's backlog is too short for a thousand clients of a TCP proxy.
            rustix::net::listen(&listener, BACKLOG)?;
            epoll::add(&epoll, &listener, number(LISTENER, index), EventFlags::IN)?;
            listeners.push(listener);
        }
        let batch = Batch::new(arguments.kind, arguments.window);
        Ok(Self {
            start: Instant::now(),
            epoll,
            listeners,
            sessions: Vec::new(),
            esmes: Vec::with_capacity(arguments.connections),
            bound: 0,
            batch,
            mobile_originated: pdu::RANGE_PREFIXES.map(|prefix| pdu::message(pdu::DELIVER_SM, prefix, 0, 0)),
            meter: Meter::new(),
            input: vec![0; READ_OCTETS],
            output: Vec::with_capacity(READ_OCTETS),
            schedule: None,
            refills: false,
            arguments,
        })
    }

    /// Is an SMSC until the word to begin comes: who is between must be up by then.
    pub(crate) fn serve_until_go(&mut self) -> io::Result<Watched> {
        let (sender, receiver) = mpsc::channel();
        // Nobody may be there any more to be told: then the program ends anyway.
        std::thread::spawn(move || io::stdin().lines().next().map(|line| sender.send(line)));
        loop {
            self.turn(TICK)?;
            match receiver.try_recv() {
                Ok(line) => {
                    return Watched::parse(&line?).ok_or_else(|| io::Error::other("that is not `go`"));
                }
                Err(TryRecvError::Disconnected) => return Err(io::Error::other("there was no `go`")),
                Err(TryRecvError::Empty) => {}
            }
        }
    }

    /// Opens and binds the ESMEs.
    pub(crate) fn connect(&mut self) -> io::Result<()> {
        for index in 0..self.arguments.connections {
            let target = self.arguments.targets[index % self.arguments.targets.len()];
            let socket = Socket::with_tls(connect(target)?, self.arguments.tls.clone())?;
            let esme = Esme::new(socket, index, &self.arguments)?;
            epoll::add(&self.epoll, esme.socket.fd(), number(ESME, index), EventFlags::IN)?;
            self.esmes.push(esme);
            if index % CONNECTS_AT_ONCE == 0 {
                self.turn(Duration::ZERO)?;
            }
        }
        let end = Instant::now() + BIND_PATIENCE;
        while self.bound < self.arguments.connections {
            if Instant::now() > end {
                let bound = self.bound;
                return Err(io::Error::other(format!("only {bound} ESMEs are bound")));
            }
            self.turn(TICK)?;
        }
        Ok(())
    }

    /// Loads, and counts after the warm-up.
    pub(crate) fn measure(mut self, watched: &Watched) -> io::Result<Report> {
        self.begin()?;
        self.run(self.arguments.warm_up)?;
        self.meter.restart();
        let arrived_before = self.arrived();
        let (start, before) = (Instant::now(), watched.used());
        self.run(self.arguments.measured)?;
        let (elapsed, after) = (start.elapsed(), watched.used());
        let sessions = self.sessions.iter().flatten();
        Ok(Report {
            is_idle: self.arguments.kind == Kind::Idle,
            elapsed,
            before,
            after,
            arrived: self.arrived() - arrived_before,
            resident_kib: watched.resident_kib(),
            server_sessions: sessions.filter(|session| session.is_bound).count(),
            meter: self.meter,
        })
    }

    /// submit_sm that reached the SMSCs.
    fn arrived(&self) -> u64 {
        self.sessions
            .iter()
            .flatten()
            .map(|session| session.messages)
            .sum()
    }

    fn begin(&mut self) -> io::Result<()> {
        let now_ns = self.now_ns();
        if let Some(rate_per_second) = self.arguments.rate_per_second {
            self.schedule = Some(Schedule {
                start_ns: now_ns,
                rate_per_second,
                sent: 0,
            });
            return Ok(());
        }
        if self.arguments.kind == Kind::Idle {
            return Ok(());
        }
        self.refills = true;
        if self.arguments.kind == Kind::MobileOriginated {
            return self.begin_mobile_originated(now_ns);
        }
        for index in 0..self.esmes.len() {
            let all_went_out = self.esmes[index].send_all(now_ns, &mut self.batch)?;
            self.watch(ESME, index, all_went_out)?;
        }
        Ok(())
    }

    /// As many messages are under way as with MT, however many sessions the proxy has with the SMSCs.
    fn begin_mobile_originated(&mut self, now_ns: u64) -> io::Result<()> {
        let receiving = self
            .sessions
            .iter()
            .flatten()
            .filter(|session| session.receives)
            .count();
        let under_way = self.arguments.connections * self.arguments.window;
        for index in 0..self.sessions.len() {
            let Some(session) = self.sessions[index].as_mut().filter(|session| session.receives) else {
                continue;
            };
            session.start_mobile_originated((under_way / receiving.max(1)).max(1));
            self.output.clear();
            session.fill(now_ns, &self.mobile_originated, &mut self.output);
            let all_went_out = session.send(&self.output)?;
            self.watch(SESSION, index, all_went_out)?;
        }
        Ok(())
    }

    fn run(&mut self, duration: Duration) -> io::Result<()> {
        let end = Instant::now() + duration;
        let mut answered = self.meter.answered;
        let mut last_answer = Instant::now();
        loop {
            let now = Instant::now();
            if now >= end {
                return Ok(());
            }
            if self.meter.answered != answered {
                (answered, last_answer) = (self.meter.answered, now);
            } else if now - last_answer > PATIENCE && self.arguments.kind != Kind::Idle {
                return Err(io::Error::other("no answer for too long"));
            }
            if self.schedule.is_some() {
                self.turn_of_schedule()?;
            } else {
                self.turn(TICK)?;
            }
        }
    }

    /// Sends what is due, and waits until something happens or the next message is due.
    fn turn_of_schedule(&mut self) -> io::Result<()> {
        let Some(mut schedule) = self.schedule else {
            return Ok(());
        };
        while schedule.next_due_ns() <= self.now_ns() {
            let index = schedule.sent as usize % self.esmes.len();
            let all_went_out = self.esmes[index].send_due(schedule.next_due_ns(), &mut self.batch)?;
            self.watch(ESME, index, all_went_out)?;
            schedule.sent += 1;
        }
        self.schedule = Some(schedule);
        let wait = Duration::from_nanos(schedule.next_due_ns().saturating_sub(self.now_ns()));
        // epoll's own time-out has milliseconds only.
        poll(
            &mut [PollFd::new(&self.epoll, PollFlags::IN)],
            Some(&timespec(wait)),
        )?;
        self.turn(Duration::ZERO)
    }

    /// Waits for events and handles them.
    fn turn(&mut self, wait: Duration) -> io::Result<()> {
        let wait = if self.arguments.is_awake {
            Duration::ZERO
        } else {
            wait
        };
        let mut events = [const { std::mem::MaybeUninit::uninit() }; EVENTS];
        let (events, _) = match epoll::wait(&self.epoll, &mut events, Some(&timespec(wait))) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            events => events?,
        };
        for event in events {
            let (kind, index) = (event.data.u64() >> KIND_BITS, event.data.u64() as u32 as usize);
            let flags = event.flags;
            match kind {
                LISTENER => self.accept(index)?,
                SESSION => self.handle_session(index, flags)?,
                _ => self.handle_esme(index, flags)?,
            }
        }
        Ok(())
    }

    fn accept(&mut self, smsc: usize) -> io::Result<()> {
        loop {
            let stream = match self.listeners[smsc].accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let session = Session::new(Socket::new(stream)?, smsc, self.arguments.kind);
            let index = self.sessions.len();
            epoll::add(
                &self.epoll,
                session.socket.fd(),
                number(SESSION, index),
                EventFlags::IN,
            )?;
            self.sessions.push(Some(session));
        }
    }

    fn handle_session(&mut self, index: usize, flags: EventFlags) -> io::Result<()> {
        let Some(session) = self.sessions[index].as_mut() else {
            return Ok(());
        };
        if flags.contains(EventFlags::OUT) && session.socket.flush()? {
            self.watch(SESSION, index, true)?;
        }
        let Some(session) = self.sessions[index].as_mut() else {
            return Ok(());
        };
        let octets = match session.socket.read(&mut self.input) {
            Ok(Some(octets)) => octets,
            Ok(None) => return Ok(()),
            // A proxy may look whether the SMSC is there.
            Err(_) if !session.is_bound => {
                self.sessions[index] = None;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let now_ns = self.start.elapsed().as_nanos() as u64;
        self.output.clear();
        let input = &self.input[..octets];
        let taken = session.take(input, now_ns, &mut self.meter, &mut self.output);
        session.socket.keep(&input[taken..]);
        if self.refills && self.arguments.kind == Kind::MobileOriginated && session.receives {
            session.fill(now_ns, &self.mobile_originated, &mut self.output);
        }
        let all_went_out = session.send(&self.output)?;
        self.watch(SESSION, index, all_went_out)
    }

    fn handle_esme(&mut self, index: usize, flags: EventFlags) -> io::Result<()> {
        if flags.contains(EventFlags::OUT) && self.esmes[index].socket.flush()? {
            self.watch(ESME, index, true)?;
        }
        let esme = &mut self.esmes[index];
        let Some(octets) = esme.socket.read(&mut self.input)? else {
            return Ok(());
        };
        let now_ns = self.start.elapsed().as_nanos() as u64;
        let was_bound = esme.is_bound;
        self.output.clear();
        let input = &self.input[..octets];
        let taken = esme.take(input, now_ns, &mut self.meter, &mut self.output);
        esme.socket.keep(&input[taken..]);
        self.bound += usize::from(esme.is_bound && !was_bound);
        let mut all_went_out = esme.socket.send(&self.output)?;
        if self.schedule.is_some() {
            all_went_out &= esme.send_overdue(&mut self.batch)?;
        } else if self.refills && self.arguments.kind != Kind::MobileOriginated {
            all_went_out &= esme.send_all(now_ns, &mut self.batch)?;
        }
        self.watch(ESME, index, all_went_out)
    }

    /// Asks to be told when there is room, where not everything went out.
    fn watch(&mut self, kind: u64, index: usize, all_went_out: bool) -> io::Result<()> {
        // As good as always there is nothing to change: no system call.
        let (fd, waits): (BorrowedFd<'_>, &mut bool) = match kind {
            SESSION => match self.sessions[index].as_mut() {
                Some(session) => session.socket.waiting(),
                None => return Ok(()),
            },
            _ => self.esmes[index].socket.waiting(),
        };
        if *waits != all_went_out {
            return Ok(());
        }
        *waits = !all_went_out;
        let flags = if all_went_out {
            EventFlags::IN
        } else {
            EventFlags::IN | EventFlags::OUT
        };
        epoll::modify(&self.epoll, fd, number(kind, index), flags)?;
        Ok(())
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
}

fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(&target, PATIENCE)
}

fn number(kind: u64, index: usize) -> EventData {
    EventData::new_u64(kind << KIND_BITS | index as u64)
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs() as i64,
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
