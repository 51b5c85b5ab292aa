//! One HTTP call after the other, over a Unix socket or TCP.

use super::target::{Place, Target};
use crate::admin::api::problem::ProblemBody;
use crate::exit::{self, Failure};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;

/// How long a call may take, connecting included.
const CALL_LIMIT: Duration = Duration::from_secs(15);

/// Octets of an answer at most.
const ANSWER_OCTETS_MAX: usize = 256 << 20;

/// Octets of a refusal that are shown.
const REFUSAL_OCTETS_MAX: usize = 64 << 10;

/// A client of one smppmux.
#[derive(Debug)]
pub(super) struct Client {
    runtime: Runtime,
    target: Target,
}

type AnyError = Box<dyn Error + Send + Sync>;

impl Client {
    /// A client that has not connected yet.
    pub(super) fn new(target: Target) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(exit::UNAVAILABLE, format!("smppmux ctl: {error}")))?;
        Ok(Self { runtime, target })
    }

    /// Reads something. The answer's text comes back.
    pub(super) fn get(&self, path: &str) -> Result<String, Failure> {
        self.call(&Method::GET, path, "")
    }

    /// Has something changed; `body` is JSON, or empty.
    pub(super) fn post(&self, path: &str, body: &str) -> Result<String, Failure> {
        self.call(&Method::POST, path, body)
    }

    /// Has something begin, and takes what comes of it until it ends.
    pub(super) fn follow(
        &self,
        path: &str,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let request = self.request(&Method::POST, path, "")?;
        let outcome = self.runtime.block_on(async {
            match &self.target.place {
                Place::Socket(path) => follow(UnixStream::connect(path).await?, request, take).await,
                Place::Tcp(address) => follow(TcpStream::connect(address).await?, request, take).await,
            }
        });
        let refused = outcome.map_err(|error| {
            let place = self.target.place.words();
            Failure::new(
                exit::UNAVAILABLE,
                format!("smppmux ctl: {place}: {}", reason(&*error)),
            )
        })?;
        refused.map_or(Ok(()), |(status, text)| Err(refusal(status, text)))
    }

    fn call(&self, method: &Method, path: &str, body: &str) -> Result<String, Failure> {
        let request = self.request(method, path, body)?;
        let answer = self.runtime.block_on(async {
            match tokio::time::timeout(CALL_LIMIT, self.send(request)).await {
                Ok(answer) => answer,
                Err(_) => Err("no answer in time".into()),
            }
        });
        let (status, text) = answer.map_err(|error| {
            let place = self.target.place.words();
            Failure::new(
                exit::UNAVAILABLE,
                format!("smppmux ctl: {place}: {}", reason(&*error)),
            )
        })?;
        if status.is_success() {
            return Ok(text);
        }
        Err(refusal(status, text))
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
            .map_err(|error| Failure::new(exit::USAGE, format!("smppmux ctl: {error}")))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, String), AnyError> {
        match &self.target.place {
            Place::Socket(path) => exchange(UnixStream::connect(path).await?, request).await,
            Place::Tcp(address) => exchange(TcpStream::connect(address).await?, request).await,
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

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(StatusCode, String), AnyError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_OCTETS_MAX);
    let octets = body.collect().await?.to_bytes();
    drop(sender);
    connection.abort();
    Ok((status, String::from_utf8(octets.into())?))
}

/// The answer's body, piece by piece; or, when it is a refusal, that.
async fn follow<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<Option<(StatusCode, String)>, AnyError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let mut body = response.into_body();
    let mut refused = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if status.is_success() {
            take(&data)?;
        } else if refused.len() + data.len() <= REFUSAL_OCTETS_MAX {
            refused.extend_from_slice(&data);
        }
    }
    drop(sender);
    connection.abort();
    Ok((!status.is_success()).then(|| (status, String::from_utf8_lossy(&refused).into_owned())))
}

fn refusal(status: StatusCode, text: String) -> Failure {
    let words = serde_json::from_str::<ProblemBody>(&text).map_or(text, |problem| problem.error);
    let words = words.trim();
    let words = if words.is_empty() { status.as_str() } else { words };
    Failure::new(code_of(status), format!("smppmux ctl: {words}"))
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
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        let reason =
            format!("smppmux ctl: the answer is not understood ({error}); is it of another version?");
        Failure::new(exit::SOFTWARE, reason)
    })
}

fn token_of(file: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(file).map_err(|error| {
        Failure::new(
            exit::NO_INPUT,
            format!("smppmux ctl: {}: {error}", file.display()),
        )
    })?;
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
