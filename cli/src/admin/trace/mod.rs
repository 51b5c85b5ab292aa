//! Traced PDUs as text or pcapng, and the body of an answer that goes on while somebody reads it.

mod lane;
mod pcapng;
mod text;

use hyper::body::{Body, Bytes, Frame};
pub(crate) use lane::{LaneIn, Traced, lane};
use pcapng::Pcapng;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc::Receiver;

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

/// A trace as it is written, until the control core ends it. Who goes away ends it too.
pub(crate) struct TraceBody {
    traced: Receiver<Traced>,
    writer: Writer,
    head: Option<Bytes>,
}

impl fmt::Debug for TraceBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TraceBody")
    }
}

impl TraceBody {
    /// Writes what comes.
    pub(crate) fn new(traced: Receiver<Traced>, format: TraceFormat) -> Self {
        let (writer, head) = match format {
            TraceFormat::Text => (Writer::Text, None),
            TraceFormat::Pcapng => (Writer::Pcapng(Box::default()), Some(Bytes::from(pcapng::head()))),
        };
        Self { traced, writer, head }
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
