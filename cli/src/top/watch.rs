//! The thread that watches the events, and connects again when they end.

use crate::admin::live::{History, Live};
use crate::ctl::Client;
use crate::exit::{self, Failure};
use hyper::Method;
use serde::de::DeserializeOwned;
use std::io;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// What may wait for the screen.
const NEWS_MAX: usize = 16;

/// The pause before the next try.
const REST: Duration = Duration::from_secs(1);

/// There is an event every second: who says nothing for so long is gone, though the connection stands.
const SILENCE: Duration = Duration::from_secs(15);

/// Octets of one event at most: more is not what we asked for.
const EVENT_OCTETS_MAX: usize = 16 << 20;

/// What there is to tell.
#[derive(Debug)]
pub(super) enum News {
    /// The minutes before.
    History(History),
    /// The figures of a second.
    Live(Box<Live>),
    /// There are none, and why.
    Trouble(String),
}

/// Watches from now on, as long as somebody takes the news.
pub(super) fn start(client: Client) -> io::Result<Receiver<News>> {
    let (sender, receiver) = sync_channel(NEWS_MAX);
    thread::Builder::new()
        .name("watch".into())
        .spawn(move || watch(&client, &sender))?;
    Ok(receiver)
}

fn watch(client: &Client, news: &SyncSender<News>) {
    loop {
        let mut reader = Reader::default();
        let mut take = |octets: &[u8]| {
            reader.take(octets)?;
            while let Some(event) = reader.next_event() {
                if let Some(told) = understood(&event)?
                    && news.send(told).is_err()
                {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        };
        let words = match client.follow(&Method::GET, "/api/v1/events", Some(SILENCE), &mut take) {
            Ok(()) => "the connection has ended".to_owned(),
            Err(failure) => failure.reason().to_owned(),
        };
        if news.send(News::Trouble(words)).is_err() {
            return;
        }
        thread::sleep(REST);
    }
}

fn understood(event: &Event) -> Result<Option<News>, Failure> {
    Ok(match event.name.as_str() {
        "history" => Some(News::History(parse(&event.data)?)),
        "live" => Some(News::Live(parse(&event.data)?)),
        "problem" => {
            let body: crate::admin::api::problem::ProblemBody = parse(&event.data)?;
            Some(News::Trouble(body.error))
        }
        // Another version may tell more.
        _ => None,
    })
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    crate::ctl::parse(text)
}

/// An event: what it is, and its data.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    name: String,
    data: String,
}

/// Finds the events in what comes, however it was cut (HTML, section 9.2.6).
#[derive(Debug, Default)]
struct Reader {
    pending: Vec<u8>,
}

impl Reader {
    fn take(&mut self, octets: &[u8]) -> Result<(), Failure> {
        if self.pending.len() + octets.len() > EVENT_OCTETS_MAX {
            return Err(Failure::new(
                exit::SOFTWARE,
                "an event has no end; is this smppmux?",
            ));
        }
        self.pending.extend_from_slice(octets);
        Ok(())
    }

    fn next_event(&mut self) -> Option<Event> {
        let end = self.pending.windows(2).position(|pair| pair == b"\n\n")?;
        let rest = self.pending.split_off(end + 2);
        let text = std::mem::replace(&mut self.pending, rest);
        let mut event = Event::default();
        for line in String::from_utf8_lossy(&text).lines() {
            if let Some(name) = line.strip_prefix("event: ") {
                name.clone_into(&mut event.name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                event.data.push_str(data);
            }
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: events are the same however the stream was cut. Method: every cut in two, and octet by octet.
    #[test]
    fn events_survive_every_cut() {
        let stream = b"event: history\ndata: {\"points\":[]}\n\n: comment\n\nevent: problem\ndata: {\"error\":\"caf\xc3\xa9\"}\n\n";
        let read = |pieces: &[&[u8]]| {
            let mut reader = Reader::default();
            let mut events = Vec::new();
            for piece in pieces {
                reader.take(piece).expect("there is room");
                events.extend(std::iter::from_fn(|| reader.next_event()));
            }
            events
        };
        let whole = read(&[stream]);
        assert_eq!(whole.len(), 3);
        assert_eq!(
            (whole[2].name.as_str(), whole[2].data.as_str()),
            ("problem", "{\"error\":\"café\"}")
        );
        for cut in 0..stream.len() {
            assert_eq!(read(&[&stream[..cut], &stream[cut..]]), whole);
        }
        assert_eq!(read(&stream.chunks(1).collect::<Vec<_>>()), whole);
    }
}
