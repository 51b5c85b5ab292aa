//! The configuration: a TOML file or flags, read, checked and turned into what the engines take.
//!
//! Three steps: [`Configuration::parse`] reads the text into sections, [`flags`] lays the command line over
//! them, [`settle()`] checks everything and makes the engines' immutable settings. Every step collects its
//! problems; none stops at the first. Nothing here touches a socket or starts a thread.

pub mod addresses;
pub mod admin;
pub mod choices;
pub mod client;
pub mod engine;
pub mod flags;
mod hint;
pub mod key;
pub mod message_log;
pub mod problem;
pub mod reload;
pub mod route;
pub mod section;
pub mod server;
mod settle;
mod source_file;
pub mod storage;
#[cfg(test)]
mod tests;
pub mod texts;
pub mod tls;
pub mod value;
pub mod vserver;

pub use settle::{AdminSettings, Effective, ProcessSettings, Settled, WEIGHT_MAX, settle, settle_continuing};
pub use source_file::read_source;

use admin::AdminSection;
use client::ClientSection;
use engine::EngineSection;
use key::Origin;
use message_log::MessageLogSection;
use problem::Problem;
use route::RouteSection;
use section::{Item, Section};
use server::ServerSection;
use storage::{QueueSection, ReceiptsSection};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use vserver::VserverSection;

/// Syntax errors after which the rest is not worth reading.
const SYNTAX_ERRORS_MAX: usize = 10;

/// The sections of the file as they were read, with every value's place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configuration {
    /// `[engine]`.
    pub engine: Item<EngineSection>,
    /// Each `[[vserver]]`.
    pub vservers: Vec<Item<VserverSection>>,
    /// Each `[[server]]`.
    pub servers: Vec<Item<ServerSection>>,
    /// Each `[[client]]`.
    pub clients: Vec<Item<ClientSection>>,
    /// Each `[[route]]`.
    pub routes: Vec<Item<RouteSection>>,
    /// `[queue]`.
    pub queue: Item<QueueSection>,
    /// `[receipts]`.
    pub receipts: Item<ReceiptsSection>,
    /// `[message-log]`.
    pub message_log: Item<MessageLogSection>,
    /// `[admin]`.
    pub admin: Item<AdminSection>,
}

const SECTION_NAMES: [&str; 9] = [
    "engine",
    "vserver",
    "server",
    "client",
    "route",
    "queue",
    "receipts",
    "message-log",
    "admin",
];

impl Configuration {
    /// Reads the sections, with the problems of single keys.
    ///
    /// # Errors
    ///
    /// The places where the text is not TOML; nothing else can be said of it then.
    pub fn parse(text: &str) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(errors
                .iter()
                .take(SYNTAX_ERRORS_MAX)
                .map(syntax_problem)
                .collect());
        }
        let mut configuration = Self::default();
        let mut problems = Vec::new();
        for (name, value) in document.get_ref() {
            let at = Origin::File(name.span());
            configuration.read_section(name.get_ref(), &at, value, &mut problems);
        }
        Ok((configuration, problems))
    }

    fn read_section(
        &mut self,
        name: &str,
        at: &Origin,
        value: &Spanned<DeValue<'_>>,
        problems: &mut Vec<Problem>,
    ) {
        match name {
            "engine" => self.engine = Item::read(value, problems),
            "queue" => self.queue = Item::read(value, problems),
            "receipts" => self.receipts = Item::read(value, problems),
            "message-log" => self.message_log = Item::read(value, problems),
            "admin" => self.admin = Item::read(value, problems),
            "vserver" => self.vservers = read_each(value, problems),
            "server" => self.servers = read_each(value, problems),
            "client" => self.clients = read_each(value, problems),
            "route" => self.routes = read_each(value, problems),
            unknown => {
                let is_section = matches!(value.get_ref(), DeValue::Table(_) | DeValue::Array(_));
                let what = if is_section {
                    "section"
                } else {
                    "key outside of a section"
                };
                let hint = match hint::nearest(unknown, SECTION_NAMES.into_iter()) {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => format!("the sections are {}", SECTION_NAMES.join(", ")),
                };
                problems.push(Problem::new(at, format!("unknown {what} `{unknown}`")).hint(hint));
            }
        }
    }
}

/// Reads every table of an array of tables.
fn read_each<S: Section>(value: &Spanned<DeValue<'_>>, problems: &mut Vec<Problem>) -> Vec<Item<S>> {
    if let DeValue::Array(array) = value.get_ref() {
        return array
            .iter()
            .map(|element| Item::read(element, problems))
            .collect();
    }
    let message = "there may be several of these, so it is written in double brackets";
    let at = Origin::File(value.span());
    problems.push(Problem::new(&at, message).hint(format!("write {}", S::NAME)));
    vec![Item::read(value, problems)]
}

fn syntax_problem(error: &toml::de::Error) -> Problem {
    let at = error.span().map_or(Origin::Default, Origin::File);
    let mut lines = error.message().lines();
    let problem = Problem::new(&at, lines.next().unwrap_or("this is not TOML"));
    let rest: Vec<&str> = lines.collect();
    if rest.is_empty() {
        problem
    } else {
        problem.hint(rest.join("; "))
    }
}
