//! `smppmux top`: what the dashboard shows, in a terminal.
//!
//! A thread watches `/api/v1/events` over the connection code of `ctl` (`watch`), the model holds what came and what the keys have
//! chosen (`model`), and the screen is drawn from it (`screen`, `head`, with the columns of `tables`). It owns no figures and changes
//! nothing.
//!
//! Invariant: however it ends (a key, a signal, a fault, a panic), the terminal is as it was before.

mod columns;
mod head;
mod model;
mod paint;
mod screen;
mod tables;
mod watch;

use crate::arguments::CtlTarget;
use crate::ctl::{Client, find_target};
use crate::exit::{self, Failure};
use crate::style::Style;
use model::Model;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, IsTerminal as _};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};
use watch::News;

/// How long it waits for a key before it looks for news and signals.
const TURN: Duration = Duration::from_millis(100);

/// How old the screen may get: what it says of time must stay right.
const REDRAW: Duration = Duration::from_secs(1);

/// How long the end may take after a signal.
const GRACE: Duration = Duration::from_secs(1);

/// Shows a running smppmux until a key or a signal ends it.
///
/// # Errors
///
/// Exit code 64 where there is no terminal, 66 or 78 for the configuration file, 69 when the terminal fails.
pub(crate) fn top(arguments: &CtlTarget) -> Result<(), Failure> {
    show(arguments).map_err(|failure| failure.told_by("smppmux top"))
}

fn show(arguments: &CtlTarget) -> Result<(), Failure> {
    if !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
        let reason = "this needs a terminal; without one `smppmux ctl status --watch` shows the figures";
        return Err(Failure::new(exit::USAGE, reason));
    }
    let client = Client::new(find_target(arguments, None)?)?;
    let model = Model::new(client.place(), Style::of(&io::stdout()).is_coloured());
    let ending = Arc::new(AtomicBool::new(false));
    end_at_signals(Arc::clone(&ending)).map_err(|error| failure(&error))?;
    let news = watch::start(client).map_err(|error| failure(&error))?;
    // From here on a panic restores the terminal as well.
    let mut terminal = ratatui::try_init().map_err(|error| failure(&error))?;
    let outcome = run(&mut terminal, model, &news, &ending);
    ratatui::restore();
    outcome.map_err(|error| failure(&error))
}

fn run(
    terminal: &mut DefaultTerminal,
    mut model: Model,
    news: &Receiver<News>,
    ending: &AtomicBool,
) -> io::Result<()> {
    let mut drawn_at: Option<Instant> = None;
    while !ending.load(Ordering::Relaxed) {
        let mut has_changed = false;
        while let Ok(news) = news.try_recv() {
            model.learn(news, Instant::now());
            has_changed = true;
        }
        let now = Instant::now();
        if has_changed || drawn_at.is_none_or(|drawn_at| now.saturating_duration_since(drawn_at) >= REDRAW) {
            terminal.draw(|frame| screen::draw(frame, &mut model, now))?;
            drawn_at = Some(now);
        }
        if event::poll(TURN)? {
            if model.handle(&event::read()?).is_break() {
                return Ok(());
            }
            drawn_at = None;
        }
    }
    Ok(())
}

/// Has a signal end it in good order, and after a moment in any case: where the terminal has gone, crossterm 0.29 looks for keys in
/// a read that brings nothing and never comes back.
fn end_at_signals(ending: Arc<AtomicBool>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let wait = move || {
        if signals.forever().next().is_some() {
            ending.store(true, Ordering::Relaxed);
            thread::sleep(GRACE);
            ratatui::restore();
            process::exit(exit::OK.into());
        }
    };
    thread::Builder::new().name("signals".into()).spawn(wait)?;
    Ok(())
}

fn failure(error: &io::Error) -> Failure {
    Failure::new(exit::UNAVAILABLE, error.to_string())
}

#[cfg(test)]
mod tests;
