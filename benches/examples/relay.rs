//! The floor of a TCP proxy: `relay LISTEN SMSC…` passes octets on between each client and a connection of its own to an SMSC, in
//! turn. One receive for a readable socket and one send of what it brought, in one thread; no limits, no timers, no checks. What
//! any proxy costs beyond this is its own.

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

const LISTENER: u64 = u64::MAX;
const EVENTS: usize = 512;
const BUFFER_OCTETS: usize = 64 * 1024;

struct Relay {
    epoll: OwnedFd,
    listener: TcpListener,
    smscs: Vec<SocketAddr>,
    /// Each pair at an even place and the one behind it.
    sockets: Vec<Option<TcpStream>>,
}

fn main() -> io::Result<()> {
    let mut addresses = std::env::args().skip(1).map(|word| {
        word.parse::<SocketAddr>()
            .unwrap_or_else(|error| panic!("{word} is no address: {error}"))
    });
    let listen = addresses.next().expect("LISTEN SMSC…");
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let listener = TcpListener::bind(listen)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let smscs = addresses.collect();
    let sockets = Vec::new();
    let mut relay = Relay {
        epoll,
        listener,
        smscs,
        sockets,
    };
    let mut buffer = vec![0; BUFFER_OCTETS];
    loop {
        relay.turn(&mut buffer)?;
    }
}

impl Relay {
    fn turn(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut events = [const { MaybeUninit::uninit() }; EVENTS];
        let (events, _) = epoll::wait(&self.epoll, &mut events, None)?;
        for event in events {
            match event.data.u64() {
                LISTENER => self.accept()?,
                place => self.pass_on(usize::try_from(place).unwrap_or_default(), buffer),
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        let (client, _) = self.listener.accept()?;
        let smsc = TcpStream::connect(self.smscs[self.sockets.len() / 2 % self.smscs.len()])?;
        for socket in [client, smsc] {
            socket.set_nodelay(true)?;
            let place = EventData::new_u64(self.sockets.len() as u64);
            epoll::add(&self.epoll, &socket, place, EventFlags::IN)?;
            self.sockets.push(Some(socket));
        }
        Ok(())
    }

    fn pass_on(&mut self, place: usize, buffer: &mut [u8]) {
        let pair = place & !1;
        let (Some(from), Some(to)) = (&self.sockets[place], &self.sockets[place ^ 1]) else {
            return;
        };
        if relay_once(from, to, buffer).is_err() {
            // Both are closed, as the peer's end would have them.
            self.sockets[pair] = None;
            self.sockets[pair + 1] = None;
        }
    }
}

fn relay_once(from: impl AsFd, to: impl AsFd, buffer: &mut [u8]) -> io::Result<()> {
    let (octets, _) = match recv(from, &mut *buffer, RecvFlags::DONTWAIT) {
        Err(rustix::io::Errno::AGAIN) => return Ok(()),
        received => received?,
    };
    if octets == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let mut rest = &buffer[..octets];
    while !rest.is_empty() {
        // It waits for a peer that does not read.
        let sent = send(&to, rest, SendFlags::NOSIGNAL)?;
        rest = &rest[sent..];
    }
    Ok(())
}
