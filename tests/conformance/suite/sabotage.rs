//! Spoils a balancer's work on purpose, to prove that each scenario can fail: a relay between the balancer and its peers
//! that does one thing wrong.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use smppmux_engine::core::wire::{Frame, next_frame};
use smppmux_tests::pdu::Pdu;

use crate::failure::{Outcome, fail};
use crate::stage::A;

/// No less than the largest PDU of a script, and less than the lengths that scripts only claim.
const MAX_PDU_OCTETS: u32 = 81_920;

/// Connections that a storm makes beside each.
const STORM_CONNECTIONS: usize = 10;

/// One thing that a bad balancer does.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The row whose scenario must fail of it.
    pub(crate) row: u8,
    /// The part that must fail.
    pub(crate) part: &'static str,
    /// What the balancer does wrong.
    pub(crate) what: &'static str,
    /// Where the relay stands.
    pub(crate) place: Place,
    /// How it does that.
    pub(crate) meddle: Meddle,
}

/// Where a relay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Between ESMEs and the balancer.
    InFront,
    /// Between the balancer and both SMSCs.
    Behind,
}

/// Which way octets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// From a peer.
    ToBalancer,
    /// To a peer.
    ToPeer,
}

/// What a relay does with what passes.
#[derive(Clone, Copy)]
pub(crate) enum Meddle {
    /// Gives the octets that go on instead of a PDU.
    Pdu(fn(&mut Memory, Way, &Pdu) -> Vec<u8>),
    /// Gives the octets that go on instead of those of one read.
    Read(fn(&mut Memory, Way, &[u8]) -> Vec<u8>),
    /// Passes all on, but never the end of a connection towards the peer.
    NeverClose,
    /// Makes ten connections more for each reconnect, all of which begin as that one does.
    Storm,
}

impl std::fmt::Debug for Meddle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Pdu(_) => "Pdu",
            Self::Read(_) => "Read",
            Self::NeverClose => "NeverClose",
            Self::Storm => "Storm",
        })
    }
}

/// What a relay remembers between PDUs, over all its connections.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The connection that the PDU came on.
    pub(crate) connection: usize,
    /// 0 is SMSC A, 1 is B; 0 in front of the balancer.
    pub(crate) centre: usize,
    /// Whatever was counted.
    pub(crate) count: usize,
    /// Octets that were held back.
    pub(crate) held: Vec<u8>,
    /// Whatever belongs to a number.
    pub(crate) numbers: BTreeMap<u32, Vec<u8>>,
}

/// A fault at work.
#[derive(Clone, Debug)]
pub(crate) struct Sabotage {
    fault: &'static Fault,
    memory: Arc<Mutex<Memory>>,
}

impl Sabotage {
    /// Sets it up; one for each script.
    pub(crate) fn new(fault: &'static Fault) -> Self {
        Self {
            fault,
            memory: Arc::default(),
        }
    }

    /// Where ESMEs connect instead.
    pub(crate) fn in_front_of(&self, target: SocketAddr) -> Outcome<SocketAddr> {
        if self.fault.place == Place::InFront {
            self.relay(A, target, Way::ToBalancer)
        } else {
            Ok(target)
        }
    }

    /// Where the balancer finds an SMSC instead.
    pub(crate) fn behind(&self, centre: usize, smsc: SocketAddr) -> Outcome<SocketAddr> {
        if self.fault.place == Place::Behind {
            self.relay(centre, smsc, Way::ToPeer)
        } else {
            Ok(smsc)
        }
    }

    /// `outward` is the way from those who connect to those who listen.
    fn relay(&self, centre: usize, to: SocketAddr, outward: Way) -> Outcome<SocketAddr> {
        let Ok(listener) = TcpListener::bind("127.0.0.1:0") else {
            return fail("no port for the relay");
        };
        let Ok(address) = listener.local_addr() else {
            return fail("no port for the relay");
        };
        let sabotage = self.clone();
        // Ends with the process.
        thread::spawn(move || {
            for (connection, near) in listener.incoming().map_while(Result::ok).enumerate() {
                let sabotage = sabotage.clone();
                thread::spawn(move || sabotage.join(near, to, outward, (connection, centre)));
            }
        });
        Ok(address)
    }

    fn join(&self, near: TcpStream, to: SocketAddr, outward: Way, place: (usize, usize)) {
        let Ok(far) = TcpStream::connect(to) else {
            return;
        };
        let inward = match outward {
            Way::ToBalancer => Way::ToPeer,
            Way::ToPeer => Way::ToBalancer,
        };
        let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else {
            return;
        };
        let back = self.clone();
        let other = thread::spawn(move || back.pass(far_too, near_too, inward, place));
        self.pass(near, far, outward, place);
        // It ends when both ends have closed.
        let _ = other.join();
    }

    /// The connections that a storm makes beside a reconnect.
    fn storm(&self, to: &TcpStream, way: Way, connection: usize) -> Vec<TcpStream> {
        if !self.fault.makes_storms() || way != Way::ToPeer || connection == 0 {
            return Vec::new();
        }
        let again = |_| to.peer_addr().and_then(TcpStream::connect).ok();
        (0..STORM_CONNECTIONS).filter_map(again).collect()
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, way: Way, (connection, centre): (usize, usize)) {
        let _ = to.set_nodelay(true);
        let mut unread = Vec::new();
        let mut chunk = [0; 64 * 1024];
        let mut storm = self.storm(&to, way, connection);
        while let Ok(octets @ 1..) = from.read(&mut chunk) {
            for mut stream in storm.drain(..) {
                let _ = stream.write_all(&chunk[..octets]);
                // Open until the far side has enough of it.
                thread::spawn(move || stream.read(&mut [0; 1024]));
            }
            let spoiled = {
                let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
                memory.connection = connection;
                memory.centre = centre;
                match self.fault.meddle {
                    Meddle::Read(meddle) => meddle(&mut memory, way, &chunk[..octets]),
                    Meddle::NeverClose | Meddle::Storm => chunk[..octets].to_vec(),
                    Meddle::Pdu(meddle) => {
                        unread.extend_from_slice(&chunk[..octets]);
                        let mut spoiled = Vec::new();
                        take_pdus(&mut unread, &mut spoiled, |pdu| meddle(&mut memory, way, pdu));
                        spoiled
                    }
                }
            };
            if to.write_all(&spoiled).is_err() {
                if !self.fault.never_closes() {
                    let _ = from.shutdown(Shutdown::Both);
                }
                break;
            }
        }
        if self.fault.never_closes() && way == Way::ToPeer {
            // Held until the peer has enough of it.
            let _ = to.read(&mut chunk);
            return;
        }
        let _ = to.shutdown(Shutdown::Write);
    }
}

impl Fault {
    const fn makes_storms(&self) -> bool {
        matches!(self.meddle, Meddle::Storm)
    }

    const fn never_closes(&self) -> bool {
        matches!(self.meddle, Meddle::NeverClose)
    }
}

/// The octets of a PROXY protocol header at the beginning; `Some(None)` while it is not whole.
fn proxy_header(octets: &[u8]) -> Option<Option<usize>> {
    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    let begins =
        |start: &[u8]| !octets.is_empty() && octets.iter().zip(start).all(|(one, other)| one == other);
    if begins(b"PROXY ") {
        let end = octets.windows(2).position(|pair| pair == b"\r\n");
        return Some(end.map(|end| end + 2));
    }
    if begins(SIGNATURE) {
        let length = octets
            .get(14..16)
            .map(|length| 16 + usize::from(length[0]) * 256 + usize::from(length[1]));
        return Some(length.filter(|length| *length <= octets.len()));
    }
    None
}

/// Takes whole PDUs off the front; what cannot be framed goes on as it is.
fn take_pdus(unread: &mut Vec<u8>, spoiled: &mut Vec<u8>, mut meddle: impl FnMut(&Pdu) -> Vec<u8>) {
    loop {
        match proxy_header(unread) {
            Some(Some(octets)) => spoiled.extend(unread.drain(..octets)),
            Some(None) => return,
            None => {}
        }
        match next_frame(unread, MAX_PDU_OCTETS) {
            Frame::Pdu(pdu) => {
                let pdu = pdu.to_vec();
                unread.drain(..pdu.len());
                spoiled.extend(meddle(&Pdu::new(pdu)));
            }
            Frame::Incomplete { .. } => return,
            Frame::BadLength { .. } => {
                spoiled.append(unread);
                return;
            }
        }
    }
}
