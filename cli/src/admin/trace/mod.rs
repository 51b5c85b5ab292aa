//! Traced PDUs as text or pcapng, and the body of an answer that goes on while somebody reads it.

mod pcapng;
mod text;

use hyper::body::{Body, Bytes, Frame};
use pcapng::Pcapng;
use smppmux_engine::core::contract::{CoreIndex, TracedPdus};
use std::convert::Infallible;
use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Sleep, sleep};

/// PDUs as the control core hands them on.
#[derive(Debug)]
pub(crate) struct Traced {
    /// When it heard of them.
    pub(crate) at: SystemTime,
    /// From which engine.
    pub(crate) core: CoreIndex,
    /// The PDUs.
    pub(crate) pdus: TracedPdus,
    /// So many before these are missing because the reader was too slow.
    pub(crate) lost_before: u64,
}

/// How a trace is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TraceFormat {
    /// Field by field, for people.
    #[default]
    Text,
    /// For Wireshark and tshark.
    Pcapng,
}

impl TraceFormat {
    /// Its media type.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Pcapng => "application/x-pcapng",
        }
    }
}

enum Writer {
    Text,
    Pcapng(Box<Pcapng>),
}

/// A trace as it is written, until its time is over. Who stops reading ends it.
pub(crate) struct TraceBody {
    traced: Receiver<Traced>,
    ends: Pin<Box<Sleep>>,
    writer: Writer,
    head: Option<Bytes>,
}

impl fmt::Debug for TraceBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TraceBody")
    }
}

impl TraceBody {
    /// Writes what comes, for so long.
    pub(crate) fn new(traced: Receiver<Traced>, format: TraceFormat, limit: Duration) -> Self {
        let (writer, head) = match format {
            TraceFormat::Text => (Writer::Text, None),
            TraceFormat::Pcapng => (Writer::Pcapng(Box::default()), Some(Bytes::from(pcapng::head()))),
        };
        Self {
            traced,
            ends: Box::pin(sleep(limit)),
            writer,
            head,
        }
    }
}

impl Body for TraceBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        if self.ends.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        self.traced.poll_recv(context).map(|traced| {
            let traced = traced?;
            let written = match &mut self.writer {
                Writer::Text => text::write(&traced).into_bytes(),
                Writer::Pcapng(pcapng) => pcapng.write(&traced),
            };
            Some(Ok(Frame::data(written.into())))
        })
    }
}
