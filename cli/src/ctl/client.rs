//! One HTTP call after the other, over a Unix socket or TCP.

use super::target::{Place, Target};
use crate::admin::api::problem::ProblemBody;
use crate::exit::{self, Failure};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// How long a call may take, connecting included; of what goes on after that, its beginning.
const CALL_LIMIT: Duration = Duration::from_secs(15);

/// Octets of an answer at most.
const ANSWER_OCTETS_MAX: usize = 256 << 20;

/// Octets of a refusal that are shown.
const REFUSAL_OCTETS_MAX: usize = 64 << 10;

/// A client of one smppmux.
#[derive(Debug)]
pub(crate) struct Client {
    runtime: Runtime,
    target: Target,
}

type AnyError = Box<dyn Error + Send + Sync>;

/// Whether more is wanted.
pub(crate) type Taken = Result<ControlFlow<()>, Failure>;

impl Client {
    /// A client that has not connected yet.
    pub(crate) fn new(target: Target) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(exit::UNAVAILABLE, error.to_string()))?;
        Ok(Self { runtime, target })
    }

    /// Where it connects, in words.
    pub(crate) fn place(&self) -> String {
        self.target.place.words()
    }

    /// Reads something. The answer's text comes back.
    pub(super) fn get(&self, path: &str) -> Result<String, Failure> {
        self.call(&Method::GET, path, "")
    }

    /// Has something changed; `body` is JSON, or empty.
    pub(super) fn post(&self, path: &str, body: &str) -> Result<String, Failure> {
        self.call(&Method::POST, path, body)
    }

    /// Has something begin, and hands what comes of it to `take` until it ends, or `take` wants no more. `take` gets an empty piece
    /// first, when it has begun. A far side of which nothing comes for as long as `silence` is taken for gone.
    pub(crate) fn follow(
        &self,
        method: &Method,
        path: &str,
        silence: Option<Duration>,
        take: &mut dyn FnMut(&[u8]) -> Taken,
    ) -> Result<(), Failure> {
        let request = self.request(method, path, "")?;
        self.runtime.block_on(async {
            let unreachable = |error: AnyError| self.unreachable(&*error);
            let mut answer = in_time(self.open(request)).await.map_err(unreachable)?;
            if !answer.status().is_success() {
                let read = in_time(answer.read(REFUSAL_OCTETS_MAX)).await;
                let (status, text) = read.map_err(unreachable)?;
                return Err(refusal(status, text));
            }
            let mut next = take(&[])?;
            while next.is_continue() {
                let frame = answer.response.body_mut().frame();
                let frame = match silence {
                    None => frame.await,
                    Some(silence) => tokio::time::timeout(silence, frame)
                        .await
                        .map_err(|_| unreachable("nothing has come for a while".into()))?,
                };
                let Some(frame) = frame else { break };
                let frame = frame.map_err(|error| unreachable(error.into()))?;
                if let Ok(data) = frame.into_data() {
                    next = take(&data)?;
                }
            }
            Ok(())
        })
    }

    fn call(&self, method: &Method, path: &str, body: &str) -> Result<String, Failure> {
        let request = self.request(method, path, body)?;
        let call = async { self.open(request).await?.read(ANSWER_OCTETS_MAX).await };
        let answer = self.runtime.block_on(in_time(call));
        let (status, text) = answer.map_err(|error| self.unreachable(&*error))?;
        if status.is_success() {
            return Ok(text);
        }
        Err(refusal(status, text))
    }

    fn unreachable(&self, error: &(dyn Error + 'static)) -> Failure {
        let place = self.target.place.words();
        Failure::new(exit::UNAVAILABLE, format!("{place}: {}", reason(error)))
    }

    fn request(&self, method: &Method, path: &str, body: &str) -> Result<Request<Full<Bytes>>, Failure> {
        let host = match &self.target.place {
            Place::Socket(_) => "localhost",
            Place::Tcp(host) => host,
        };
        let mut request = Request::builder().method(method).uri(path).header(HOST, host);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(file) = self
            .target
            .token_file
            .as_deref()
            .filter(|_| *method != Method::GET)
        {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token_of(file)?));
        }
        request
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .map_err(|error| Failure::new(exit::USAGE, error.to_string()))
    }

    /// Connects and asks; the head of the answer has come.
    async fn open(&self, request: Request<Full<Bytes>>) -> Result<Answer, AnyError> {
        match &self.target.place {
            Place::Socket(path) => Answer::to(request, UnixStream::connect(path).await?).await,
            Place::Tcp(address) => Answer::to(request, TcpStream::connect(address).await?).await,
        }
    }
}

impl Place {
    fn words(&self) -> String {
        match self {
            Self::Socket(path) => path.display().to_string(),
            Self::Tcp(address) => address.clone(),
        }
    }
}

/// An answer whose body is still to come. The connection ends with it.
struct Answer {
    response: Response<Incoming>,
    /// hyper takes its end for that of the connection.
    _sender: SendRequest<Full<Bytes>>,
    _connection: JoinSet<()>,
}

impl Answer {
    async fn to<S>(request: Request<Full<Bytes>>, stream: S) -> Result<Self, AnyError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut task = JoinSet::new();
        // What goes wrong is told to whoever reads the answer.
        task.spawn(async { drop(connection.await) });
        Ok(Self {
            response: sender.send_request(request).await?,
            _sender: sender,
            _connection: task,
        })
    }

    fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// All of it, as text.
    async fn read(self, octets_max: usize) -> Result<(StatusCode, String), AnyError> {
        let status = self.response.status();
        let body = Limited::new(self.response.into_body(), octets_max);
        let octets = body.collect().await?.to_bytes();
        Ok((status, String::from_utf8(octets.into())?))
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, AnyError>>) -> Result<T, AnyError> {
    match tokio::time::timeout(CALL_LIMIT, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err("no answer in time".into()),
    }
}

fn refusal(status: StatusCode, text: String) -> Failure {
    let words = serde_json::from_str::<ProblemBody>(&text).map_or(text, |problem| problem.error);
    let words = words.trim();
    let words = if words.is_empty() { status.as_str() } else { words };
    Failure::new(code_of(status), words)
}

/// Any text as one segment of a path (RFC 3986 section 2.3).
pub(super) fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            segment.push(char::from(octet));
        } else {
            segment += &format!("%{octet:02X}");
        }
    }
    segment
}

/// An answer as what it says.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        let reason = format!("the answer is not understood ({error}); is it of another version?");
        Failure::new(exit::SOFTWARE, reason)
    })
}

fn token_of(file: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::new(exit::NO_INPUT, format!("{}: {error}", file.display())))?;
    Ok(text.trim().to_owned())
}

/// The innermost reason, which is the one that helps.
fn reason(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn code_of(status: StatusCode) -> u8 {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => exit::NO_PERMISSION,
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => exit::DATA,
        StatusCode::CONFLICT => exit::UNFINISHED,
        StatusCode::SERVICE_UNAVAILABLE => exit::UNAVAILABLE,
        _ => exit::SOFTWARE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    /// Goal: a far side that begins, and then says no more while its connection stands, is taken for gone.
    #[test]
    fn silence_is_noticed() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let peer = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            // An answer that comes before its question is none.
            let mut question = Vec::new();
            while !question.ends_with(b"\r\n\r\n") {
                let mut octet = [0];
                stream.read_exact(&mut octet).expect("a question");
                question.extend_from_slice(&octet);
            }
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
                .expect("it is written");
            // Until the client gives up.
            stream.read_to_end(&mut Vec::new())
        });
        let client = Client::new(Target {
            place: Place::Tcp(address),
            token_file: None,
        });
        let mut heard = Vec::new();
        let silence = Some(Duration::from_millis(50));
        let outcome = client
            .expect("a client")
            .follow(&Method::GET, "/", silence, &mut |octets| {
                heard.extend_from_slice(octets);
                Ok(ControlFlow::Continue(()))
            });
        let failure = outcome.expect_err("it is silent");
        assert!(failure.reason().contains("nothing has come"), "{failure}");
        assert_eq!(heard, b"one");
        drop(peer.join());
    }
}
