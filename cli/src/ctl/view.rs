//! Showing one kind of answer: once or again and again, as a table or as JSON.

use super::client::{Client, parse};
use crate::arguments::CtlArguments;
use crate::exit::Failure;
use crate::style::{Style, grouped};
use serde::de::DeserializeOwned;
use std::io::{self, IsTerminal as _, Write as _};
use std::thread;
use std::time::Instant;

/// Clears the screen and goes to its first place (ECMA-48 sections 8.3.21 and 8.3.39).
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Stands where there is no figure.
pub(super) const NONE: &str = "-";

/// An answer that can be shown as text.
pub(super) trait View: DeserializeOwned {
    /// The text. With the answer before this one there can be rates.
    fn render(&self, style: Style, before: Option<&Earlier<Self>>) -> String;
}

/// The answer before this one.
#[derive(Debug)]
pub(super) struct Earlier<T> {
    pub(super) answer: T,
    /// The time between the two.
    pub(super) seconds: f64,
}

/// A counter's growth per second; a dash where there is nothing to compare.
pub(super) fn rate<T>(before: Option<&Earlier<T>>, now: u64, then: impl Fn(&T) -> Option<u64>) -> String {
    before
        .filter(|earlier| earlier.seconds > 0.0)
        .and_then(|earlier| Some((then(&earlier.answer)?, earlier.seconds)))
        .map_or(NONE.to_owned(), |(then, seconds)| {
            grouped((now.saturating_sub(then) as f64 / seconds).round() as u64)
        })
}

/// Shows what is at a path.
pub(super) fn show<V: View>(client: &Client, arguments: &CtlArguments, path: &str) -> Result<(), Failure> {
    let style = Style::of(&io::stdout());
    let clears = arguments.watch.is_some() && io::stdout().is_terminal();
    let mut earlier: Option<(V, Instant)> = None;
    loop {
        let text = client.get(path)?;
        let now = Instant::now();
        let mut shown = String::new();
        if clears {
            shown.push_str(CLEAR);
        }
        if arguments.json {
            shown.push_str(text.trim_end());
            shown.push('\n');
        } else {
            let answer: V = parse(&text)?;
            let before = earlier.take().map(|(answer, at)| Earlier {
                answer,
                seconds: now.saturating_duration_since(at).as_secs_f64(),
            });
            shown.push_str(&answer.render(style, before.as_ref()));
            earlier = Some((answer, now));
        }
        let mut output = io::stdout().lock();
        if output
            .write_all(shown.as_bytes())
            .and_then(|()| output.flush())
            .is_err()
        {
            // The reader has gone away and wants no more.
            return Ok(());
        }
        drop(output);
        let Some(interval) = arguments.watch else {
            return Ok(());
        };
        thread::sleep(interval);
        if !arguments.json && !clears {
            crate::print("\n");
        }
    }
}
