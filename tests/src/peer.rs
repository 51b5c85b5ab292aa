//! One end of an SMPP connection: writes octets, reads PDUs, each wait bounded.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use smppmux_engine::core::wire::{CommandId, Frame, Status, next_frame};

use crate::PATIENCE;
use crate::pdu::{Pdu, header_only};

/// Larger than any PDU that smppmux may send.
const MAX_PDU_OCTETS: u32 = 1 << 20;

/// One end of a connection.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// What came, or did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A PDU.
    Pdu(Pdu),
    /// The other side closed or reset the connection.
    Closed,
    /// Nothing in the given time.
    Nothing,
}

impl Peer {
    /// Connects to a listening address, where there is one.
    ///
    /// # Errors
    ///
    /// When nobody listens there, or does not accept in time.
    pub fn try_connect(address: SocketAddr) -> std::io::Result<Self> {
        TcpStream::connect_timeout(&address, PATIENCE).map(Self::new)
    }

    /// Connects to a listening address.
    ///
    /// # Panics
    ///
    /// When nobody listens there.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .unwrap_or_else(|error| panic!("no connection to {address}: {error}"));
        Self::new(stream)
    }

    /// Connects from a source address.
    ///
    /// # Panics
    ///
    /// When nobody listens there.
    pub fn connect_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a file descriptor");
        socket
            .bind(&SocketAddr::new(source, 0).into())
            .expect("an address of this host");
        socket
            .connect_timeout(&address.into(), PATIENCE)
            .unwrap_or_else(|error| panic!("no connection to {address}: {error}"));
        Self::new(socket.into())
    }

    /// Takes an accepted connection.
    ///
    /// # Panics
    ///
    /// When the stream takes no options.
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("an option of TCP");
        stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// A second handle on the same connection, to write while another thread reads.
    ///
    /// # Panics
    ///
    /// When the process is out of file descriptors.
    pub fn writer(&self) -> Self {
        Self::new(self.stream.try_clone().expect("a file descriptor"))
    }

    /// The address of this end.
    ///
    /// # Panics
    ///
    /// When the connection never was.
    pub fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().expect("it was connected")
    }

    /// Writes octets; whether the connection took them all.
    pub fn try_send(&mut self, octets: &[u8]) -> bool {
        self.stream.write_all(octets).is_ok()
    }

    /// Writes octets.
    ///
    /// # Panics
    ///
    /// When the connection is gone or takes nothing for too long.
    pub fn send(&mut self, octets: &[u8]) {
        self.stream
            .write_all(octets)
            .unwrap_or_else(|error| panic!("the connection takes no more: {error}"));
    }

    /// The next PDU; enquire_links are answered on the way.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn receive(&mut self) -> Pdu {
        match self.receive_within(PATIENCE) {
            Received::Pdu(pdu) => pdu,
            Received::Closed => panic!("the connection ended while a PDU was due"),
            Received::Nothing => panic!("no PDU came within {PATIENCE:?}"),
        }
    }

    /// The next PDU, which must be this command.
    ///
    /// # Panics
    ///
    /// When another one comes, or none.
    pub fn expect(&mut self, command: CommandId) -> Pdu {
        let pdu = self.receive();
        assert_eq!(pdu.command(), command, "{pdu:?}");
        pdu
    }

    /// Nothing comes, for a while.
    ///
    /// # Panics
    ///
    /// When something does, or the connection ends.
    pub fn expect_nothing(&mut self) {
        const NOTHING_TIME: Duration = Duration::from_millis(200);
        let received = self.receive_within(NOTHING_TIME);
        assert!(matches!(received, Received::Nothing), "{received:?}");
    }

    /// What comes next, enquire_links too.
    pub fn receive_any_within(&mut self, limit: Duration) -> Received {
        self.receive_raw(Instant::now() + limit)
    }

    /// What comes next; enquire_links are answered on the way.
    pub fn receive_within(&mut self, limit: Duration) -> Received {
        let deadline = Instant::now() + limit;
        loop {
            let received = self.receive_raw(deadline);
            match &received {
                Received::Pdu(pdu) if pdu.command() == CommandId::ENQUIRE_LINK => {
                    let number = pdu.sequence_number();
                    self.try_send(&header_only(
                        CommandId::ENQUIRE_LINK_RESP,
                        Status::ESME_ROK,
                        number,
                    ));
                }
                _ => return received,
            }
        }
    }

    /// Everything that comes until the other side closes.
    ///
    /// # Panics
    ///
    /// When it does not close.
    pub fn receive_until_closed(&mut self) -> Vec<Pdu> {
        let mut pdus = Vec::new();
        loop {
            match self.receive_within(PATIENCE) {
                Received::Pdu(pdu) => pdus.push(pdu),
                Received::Closed => return pdus,
                Received::Nothing => panic!("still open; so far came {pdus:?}"),
            }
        }
    }

    /// Agrees to the unbind that comes, and waits for the end; gives what came before.
    ///
    /// # Panics
    ///
    /// When the connection does not end so.
    pub fn receive_until_unbound(&mut self) -> Vec<Pdu> {
        let mut before = Vec::new();
        loop {
            let pdu = self.receive();
            if pdu.command() == CommandId::UNBIND {
                let number = pdu.sequence_number();
                self.send(&header_only(CommandId::UNBIND_RESP, Status::ESME_ROK, number));
                before.extend(self.receive_until_closed());
                return before;
            }
            before.push(pdu);
        }
    }

    /// Waits for the end of the connection, which must come before any other PDU.
    ///
    /// # Panics
    ///
    /// When something else comes.
    pub fn expect_closed(&mut self) {
        assert_eq!(self.receive_until_closed(), []);
    }

    /// Asks whether the other side lives; gives what it sent before its answer.
    ///
    /// # Panics
    ///
    /// When no answer comes.
    pub fn enquire(&mut self, sequence_number: u32) -> Vec<Pdu> {
        self.send(&header_only(
            CommandId::ENQUIRE_LINK,
            Status::ESME_ROK,
            sequence_number,
        ));
        let mut before = Vec::new();
        loop {
            let pdu = self.receive();
            let is_answer =
                pdu.command() == CommandId::ENQUIRE_LINK_RESP && pdu.sequence_number() == sequence_number;
            if is_answer {
                return before;
            }
            before.push(pdu);
        }
    }

    /// Says that no more will be written; reading goes on.
    pub fn finish_writing(&self) {
        // The other side may have closed first.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection, while others may hold handles on it.
    pub fn end(&self) {
        // The other side may have closed first.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Ends the connection as a process does that dies with unread data: by RST.
    ///
    /// # Panics
    ///
    /// When the stream takes no options.
    pub fn reset(self) {
        SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .expect("an option of TCP");
    }

    fn receive_raw(&mut self, deadline: Instant) -> Received {
        loop {
            match next_frame(&self.unread, MAX_PDU_OCTETS) {
                Frame::Pdu(pdu) => {
                    let pdu = pdu.to_vec();
                    self.unread.drain(..pdu.len());
                    return Received::Pdu(Pdu::new(pdu));
                }
                Frame::BadLength { command_length } => panic!("smppmux sent command_length {command_length}"),
                Frame::Incomplete { .. } => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Received::Nothing;
            }
            self.stream.set_read_timeout(Some(left)).expect("not zero");
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Received::Closed,
                Ok(octets) => self.unread.extend_from_slice(&chunk[..octets]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Received::Closed,
            }
        }
    }
}
