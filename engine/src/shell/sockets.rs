//! Makes the sockets that every driver uses: listening, accepted and connecting ones.
//!
//! All are non-blocking and close on exec; an owned descriptor closes itself when it is dropped. Nothing here waits.

use crate::core::contract::Unsent;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{SendFlags, SocketFlags};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Connections that may wait to be accepted on one listener of one core; the kernel may hold fewer.
const BACKLOG: i32 = 4096;

/// One listening socket for each of `cores`, all on `address`. Port 0 takes a free port, the same for all.
///
/// # Errors
/// What the kernel said; `AddrInUse` also when only another process listens there that would share the port.
pub(super) fn listen_on_every_core(
    address: SocketAddr,
    cores: usize,
) -> io::Result<(SocketAddr, Vec<OwnedFd>)> {
    refuse_shared_port(address)?;
    let mut bound = address;
    let mut sockets = Vec::with_capacity(cores);
    for _ in 0..cores {
        let socket = listener(bound)?;
        bound = local_address(&socket)?;
        sockets.push(socket.into());
    }
    Ok((bound, sockets))
}

/// With SO_REUSEPORT alone the kernel would let a second smppmux of the same user take half of our connections; without
/// it a bind fails when anybody listens there.
fn refuse_shared_port(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let socket = stream_socket(address)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&SockAddr::from(address))
}

fn listener(address: SocketAddr) -> io::Result<Socket> {
    let socket = stream_socket(address)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        // [::] and 0.0.0.0 are two listeners that may stand side by side.
        socket.set_only_v6(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn stream_socket(address: SocketAddr) -> io::Result<Socket> {
    // socket2 adds SOCK_CLOEXEC by itself.
    Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// The address that a connection came to.
pub(super) fn destination_of(socket: &OwnedFd) -> io::Result<SocketAddr> {
    SockRef::from(socket)
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// The next connection that waits at a listener; `None` when there is none.
///
/// # Errors
/// Those of accept4 that concern the listener or the host. A connection that was lost while it waited is passed over.
pub(super) fn accept(
    listener: impl AsFd,
    user_timeout: Option<Duration>,
) -> io::Result<Option<(OwnedFd, SocketAddr)>> {
    loop {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match rustix::net::acceptfrom_with(&listener, flags) {
            Ok((socket, Some(peer))) => match SocketAddr::try_from(peer) {
                // A connection that was reset meanwhile refuses its options; the first read will say so.
                Ok(peer) => {
                    drop(set_stream_options(&SockRef::from(&socket), user_timeout));
                    return Ok(Some((socket, peer)));
                }
                Err(_) => continue,
            },
            Ok((_, None)) => continue,
            Err(error) if error == rustix::io::Errno::AGAIN => return Ok(None),
            Err(error) if concerns_one_connection(error) => continue,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sets the options of a connection that was accepted, and gives its peer; `None` when it is lost already.
pub(super) fn prepare_accepted(socket: &OwnedFd, user_timeout: Option<Duration>) -> Option<SocketAddr> {
    let reference = SockRef::from(socket);
    let peer = reference.peer_addr().ok()?.as_socket()?;
    // A connection that was reset meanwhile refuses its options; the first read will say so.
    drop(set_stream_options(&reference, user_timeout));
    Some(peer)
}

/// Errors of accept4 that belong to the connection that was taken from the queue, not to the listener (accept(2)).
pub(super) fn concerns_one_connection(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    [
        Errno::INTR,
        Errno::CONNABORTED,
        Errno::PERM,
        Errno::PROTO,
        Errno::NETDOWN,
        Errno::NOPROTOOPT,
        Errno::HOSTDOWN,
        Errno::NONET,
        Errno::HOSTUNREACH,
        Errno::OPNOTSUPP,
        Errno::NETUNREACH,
        Errno::TIMEDOUT,
    ]
    .contains(&error)
}

/// A socket whose connect to `address` is under way (or done already, on loopback).
///
/// # Errors
/// What the kernel said at once: an unreachable network, a local address that is not ours, no descriptor left.
pub(super) fn start_connecting(
    address: SocketAddr,
    local_address: Option<IpAddr>,
    user_timeout: Option<Duration>,
) -> io::Result<OwnedFd> {
    let socket = stream_socket(address)?;
    set_stream_options(&SockRef::from(&socket), user_timeout)?;
    if let Some(local_address) = local_address {
        socket.bind(&SockAddr::from(SocketAddr::new(local_address, 0)))?;
    }
    match socket.connect(&SockAddr::from(address)) {
        Ok(()) => Ok(socket.into()),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
            Ok(socket.into())
        }
        Err(error) => Err(error),
    }
}

fn set_stream_options(socket: &SockRef<'_>, user_timeout: Option<Duration>) -> io::Result<()> {
    // Each turn writes a connection once, with all there is to say: waiting for more could only delay it.
    socket.set_tcp_nodelay(true)?;
    match user_timeout {
        Some(user_timeout) => socket.set_tcp_user_timeout(Some(user_timeout)),
        None => Ok(()),
    }
}

/// Writes what the kernel takes now. True: that was all there was.
///
/// # Errors
/// When the connection is lost.
pub(super) fn write_now(socket: impl AsFd, unsent: &mut Unsent) -> io::Result<bool> {
    let rest = unsent.octets.get(unsent.written_octets..).unwrap_or_default();
    match rustix::net::send(socket, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Ok(octets) => {
            unsent.written_octets += octets;
            Ok(unsent.written_octets >= unsent.octets.len())
        }
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether a connection that we have not closed is gone both ways, which its reader may see as an orderly end: an error is told
/// only once, and a send may have had it.
pub(super) fn is_reset(socket: impl AsFd) -> bool {
    let mut polled = [PollFd::new(&socket, PollFlags::empty())];
    // Without waiting. HUP and ERR are told unasked; a peer that only closed its side is neither.
    let count = rustix::event::poll(&mut polled, Some(&Timespec::default()));
    count.is_ok() && polled[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
}

/// How a connect ended whose socket has become writable.
///
/// # Errors
/// Why it failed.
pub(super) fn connect_result(socket: impl AsFd) -> io::Result<()> {
    rustix::net::sockopt::socket_error(socket)??;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

    const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    /// Goal: all cores get a socket on one port, and nobody else can take the port, by SO_REUSEPORT either.
    #[test]
    fn a_port_is_shared_by_the_cores_alone() {
        let (address, sockets) = listen_on_every_core(ANY_PORT, 3).expect("a free port");
        assert_eq!(sockets.len(), 3);
        let error = listen_on_every_core(address, 1).expect_err("it is taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    /// Goal: a reset is told from a peer that closed its side, also when the error has been told already.
    #[test]
    fn a_reset_is_no_orderly_end() {
        let listener = TcpListener::bind(ANY_PORT).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        for resets in [false, true] {
            let peer = TcpStream::connect(address).expect("it listens");
            let (mut ours, _) = listener.accept().expect("one waits");
            assert!(!is_reset(&ours));
            if resets {
                let socket = SockRef::from(&peer);
                socket.set_linger(Some(Duration::ZERO)).expect("an option");
            } else {
                peer.shutdown(Shutdown::Write).expect("it is open");
            }
            let kept = (!resets).then_some(peer);
            let told = ours.read(&mut [0; 1]).map_err(|error| error.kind());
            let expected = if resets {
                Err(io::ErrorKind::ConnectionReset)
            } else {
                Ok(0)
            };
            assert_eq!((told, is_reset(&ours)), (expected, resets));
            drop(kept);
        }
    }

    /// Goal: an accepted socket closes on exec, does not block and sends at once; no connection waiting is not an error.
    #[test]
    fn accepted_sockets_have_their_options() {
        let (address, sockets) = listen_on_every_core(ANY_PORT, 1).expect("a free port");
        assert!(accept(&sockets[0], None).expect("no error").is_none());
        let client = TcpStream::connect(address).expect("it listens");
        let timeout = Some(Duration::from_secs(50));
        let (socket, peer) = accept(&sockets[0], timeout)
            .expect("no error")
            .expect("one waits");
        assert_eq!(Some(peer), client.local_addr().ok());
        assert_eq!(destination_of(&socket).ok(), Some(address));
        let flags = rustix::io::fcntl_getfd(&socket).expect("an open descriptor");
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        let status = rustix::fs::fcntl_getfl(&socket).expect("an open descriptor");
        assert!(status.contains(rustix::fs::OFlags::NONBLOCK));
        let socket = SockRef::from(&socket);
        assert!(socket.tcp_nodelay().expect("an option of TCP"));
        assert_eq!(socket.tcp_user_timeout().expect("an option of TCP"), timeout);
    }
}
