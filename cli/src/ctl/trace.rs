//! `ctl trace`.

use super::client::{Client, Taken};
use crate::arguments::{CtlSubject, TraceFormat};
use crate::exit::{self, Failure};
use hyper::Method;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

/// Writes what the interface says of the PDUs, as it comes.
pub(super) fn trace(
    client: &Client,
    subject: &CtlSubject,
    format: TraceFormat,
    output: Option<&Path>,
    duration: Duration,
) -> Result<(), Failure> {
    let format = match format {
        TraceFormat::Text => "text",
        TraceFormat::Pcapng => "pcapng",
    };
    // clap has seen to it that there is a subject.
    let path = subject.path("trace").unwrap_or_default();
    let seconds = duration.as_secs().max(1);
    let path = format!("{path}?format={format}&seconds={seconds}");
    let mut output = Output {
        path: output,
        to: None,
    };
    // Where nobody sends anything there is nothing to tell.
    client.follow(&Method::POST, &path, None, &mut |octets| output.write(octets))
}

/// Where the trace goes. A file is opened when the trace has begun, so that one that is refused leaves it as it was.
struct Output<'a> {
    path: Option<&'a Path>,
    to: Option<Box<dyn Write>>,
}

impl Output<'_> {
    fn write(&mut self, octets: &[u8]) -> Taken {
        match self.try_write(octets) {
            Ok(()) => Ok(ControlFlow::Continue(())),
            // The reader, such as `head`, has gone away and wants no more.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
            Err(error) => {
                let place = self.path.map(|path| path.display().to_string());
                let place = place.unwrap_or_else(|| "standard output".into());
                Err(Failure::new(exit::CANNOT_CREATE, format!("{place}: {error}")))
            }
        }
    }

    fn try_write(&mut self, octets: &[u8]) -> io::Result<()> {
        let to = match &mut self.to {
            Some(to) => to,
            None => self.to.insert(match self.path {
                Some(path) => Box::new(File::create(path)?),
                None => Box::new(io::stdout()),
            }),
        };
        to.write_all(octets)?;
        to.flush()
    }
}
