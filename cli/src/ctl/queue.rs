//! `ctl queue`.

use super::client::{Client, segment};
use super::view::{Earlier, NONE, View, show};
use crate::admin::api::queue::{DeadLetterRow, DeadLetters, LineRow, Queue};
use crate::arguments::{CtlArguments, QueueCommand};
use crate::exit::Failure;
use crate::style::{Style, grouped, table};

const LINES_HEAD: [&str; 6] = [
    "vserver",
    "destination",
    "TON/NPI",
    "messages",
    "octets",
    "oldest",
];
const LETTERS_HEAD: [&str; 6] = ["number", "vserver", "destination", "status", "octets", "age"];

/// Shows or changes the queue.
pub(super) fn queue(
    client: &Client,
    arguments: &CtlArguments,
    command: &QueueCommand,
) -> Result<(), Failure> {
    let numbered = |path: &str, number: &Option<u64>| match number {
        Some(number) => format!("{path}?number={number}"),
        None => path.to_owned(),
    };
    match command {
        QueueCommand::List => show::<Queue>(client, arguments, "/api/v1/queue"),
        QueueCommand::DeadLetters => show::<DeadLetters>(client, arguments, "/api/v1/queue/dead-letters"),
        QueueCommand::Redrive { number } => {
            super::change(client, arguments, &numbered("/api/v1/queue/redrive", number), "")
        }
        QueueCommand::PurgeDeadLetters { number } => super::change(
            client,
            arguments,
            &numbered("/api/v1/queue/purge-dead-letters", number),
            "",
        ),
        QueueCommand::Purge { destination, all: _ } => {
            let path = match destination {
                Some(destination) => format!("/api/v1/queue/purge?destination={}", segment(destination)),
                None => "/api/v1/queue/purge?all=true".to_owned(),
            };
            super::change(client, arguments, &path, "")
        }
    }
}

impl View for Queue {
    fn render(&self, style: Style, _before: Option<&Earlier<Self>>) -> String {
        let mut text = format!(
            "{} messages ({} octets) wait for {} destinations, the oldest for {} s; {} dead letters\n",
            grouped(self.messages),
            grouped(self.octets),
            grouped(self.destinations),
            grouped(self.oldest_age_seconds),
            grouped(self.dead_letters),
        );
        if self.is_broken {
            text.push_str("NOTHING CAN BE QUEUED: the file has failed and is not open again\n");
        }
        if !self.lines.is_empty() {
            text.push_str(&table(
                style,
                &LINES_HEAD,
                &self.lines.iter().map(line_row).collect::<Vec<_>>(),
            ));
        }
        text
    }
}

impl View for DeadLetters {
    fn render(&self, style: Style, _before: Option<&Earlier<Self>>) -> String {
        let rows: Vec<_> = self.dead_letters.iter().map(letter_row).collect();
        table(style, &LETTERS_HEAD, &rows)
    }
}

fn line_row(line: &LineRow) -> Vec<String> {
    let numbering = match (line.ton, line.npi) {
        (Some(ton), Some(npi)) => format!("{ton}/{npi}"),
        _ => NONE.to_owned(),
    };
    vec![
        line.vserver.clone(),
        line.destination.clone(),
        numbering,
        grouped(line.messages),
        grouped(line.octets),
        format!("{} s", grouped(line.oldest_age_seconds)),
    ]
}

fn letter_row(letter: &DeadLetterRow) -> Vec<String> {
    vec![
        letter.number.to_string(),
        letter.vserver.clone(),
        letter.destination.clone(),
        letter.status.clone(),
        grouped(letter.octets),
        format!("{} s", grouped(letter.age_seconds)),
    ]
}
