//! The bundled simulator of an SMSC, which accepts everything, as a process of its own: one that can be stopped and killed.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A running `smppmux smsc`, killed when dropped.
#[derive(Debug)]
pub struct Simulator {
    child: Child,
    address: SocketAddr,
}

impl Simulator {
    /// Starts one at an address that another one can have after it. It may not listen yet.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(program: impl AsRef<Path>) -> Self {
        Self::start_at(program, address_to_come_back_to())
    }

    /// The same at this address.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start_at(program: impl AsRef<Path>, address: SocketAddr) -> Self {
        Self::start_with(program, address, &[])
    }

    /// The same with more arguments of `smppmux smsc`.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start_with(program: impl AsRef<Path>, address: SocketAddr, arguments: &[&str]) -> Self {
        let child = Command::new(program.as_ref())
            .args(["smsc", "--json", "--listen", &address.to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let child = child.expect("the program was built");
        Self { child, address }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) {
        let process = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(process.expect("a process"), signal).expect("it runs");
    }

    /// Ends it by SIGKILL; gives where it listened.
    ///
    /// # Panics
    ///
    /// When it has ended already.
    pub fn kill(mut self) -> SocketAddr {
        let ended = self.child.try_wait().expect("a child");
        assert_eq!(ended, None, "it runs");
        self.child.kill().expect("it runs");
        self.child.wait().expect("a child");
        self.address
    }

    /// Ends it in order; gives how many messages it got.
    ///
    /// # Panics
    ///
    /// When it does not write its figures.
    pub fn finish(mut self) -> u64 {
        self.signal(Signal::TERM);
        let mut text = String::new();
        let mut output = self.child.stdout.take().expect("piped");
        output.read_to_string(&mut text).expect("it writes its figures");
        self.child.wait().expect("a child");
        let json = text
            .find('{')
            .map(|at| serde_json::from_str::<Value>(&text[at..]));
        json.expect("figures").expect("JSON")["total"]["messages"]
            .as_u64()
            .expect("a number")
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that a listener can come back to. No connection of a test has it as its own, as one from 127.0.0.1 may have
/// a free port there while the listener is away.
///
/// # Panics
///
/// When no port is free.
pub fn address_to_come_back_to() -> SocketAddr {
    let free = TcpListener::bind("127.0.29.1:0").and_then(|listener| listener.local_addr());
    free.expect("a free port")
}
