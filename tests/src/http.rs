//! A plain HTTP client for tests, which sends exactly what it is told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use crate::PATIENCE;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its head as it came.
    pub head: String,
    /// Its body as it came.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// One call over TCP. `headers` are whole lines without their ends.
///
/// # Panics
///
/// When there is no answer.
pub fn call(address: SocketAddr, method: &str, path: &str, headers: &[&str]) -> Answer {
    let stream = TcpStream::connect(address).expect("the interface listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    exchange(stream, method, path, headers)
}

/// One call over a Unix socket.
///
/// # Panics
///
/// When there is no answer.
pub fn call_socket(path_of_socket: &Path, method: &str, path: &str) -> Answer {
    let stream = UnixStream::connect(path_of_socket).expect("the socket listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    exchange(stream, method, path, &[])
}

fn exchange(mut stream: impl Read + Write, method: &str, path: &str, headers: &[&str]) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: smppmux\r\nConnection: close\r\n");
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).expect("it is read");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer, then the end");
    let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer {
        status: status.expect("a status"),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}
