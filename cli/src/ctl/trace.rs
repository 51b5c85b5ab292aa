//! `ctl trace`.

use super::client::Client;
use crate::arguments::{CtlSubject, TraceFormat};
use crate::exit::{self, Failure};
use std::fs::File;
use std::io::{self, Write};
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
    let mut to: Box<dyn Write> = match output {
        Some(path) => Box::new(File::create(path).map_err(|error| {
            let words = format!("smppmux ctl: {}: {error}", path.display());
            Failure::new(exit::CANNOT_CREATE, words)
        })?),
        None => Box::new(io::stdout()),
    };
    let format = match format {
        TraceFormat::Text => "text",
        TraceFormat::Pcapng => "pcapng",
    };
    // clap has seen to it that there is a subject.
    let path = subject.path("trace").unwrap_or_default();
    let seconds = duration.as_secs().max(1);
    let path = format!("{path}?format={format}&seconds={seconds}");
    client.follow(&path, &mut |octets| {
        to.write_all(octets)?;
        to.flush()
    })
}
