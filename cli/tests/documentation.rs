//! docs/CONFIGURATION.md against the code: every key, every default, every flag.

use clap::CommandFactory as _;
use smppmux::arguments::Arguments;
use smppmux::config::Configuration;
use smppmux::config::admin::AdminSection;
use smppmux::config::client::ClientSection;
use smppmux::config::engine::EngineSection;
use smppmux::config::message_log::MessageLogSection;
use smppmux::config::route::RouteSection;
use smppmux::config::section::Section;
use smppmux::config::server::ServerSection;
use smppmux::config::storage::{QueueSection, ReceiptsSection};
use smppmux::config::vserver::VserverSection;
use std::fmt::Debug;

const DOCUMENT: &str = include_str!("../../docs/CONFIGURATION.md");

/// The cells of each table row below a heading, without the table's head.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let below = DOCUMENT
        .split_once(&format!("\n## {heading}\n"))
        .expect("the heading is there")
        .1;
    let chapter = below.split("\n## ").next().unwrap_or(below);
    let lines = chapter.lines().filter(|line| line.starts_with('|')).skip(2);
    lines
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// Text in backticks, alone in its cell.
fn code(cell: &str) -> Option<&str> {
    let inner = cell.strip_prefix('`')?.strip_suffix('`')?;
    (!inner.contains('`')).then_some(inner)
}

/// Compares a chapter with a section: the same keys in the same order, and defaults that are what the code
/// has.
fn compare<S: Section + PartialEq + Debug>() {
    let rows = rows(&format!("`{}`", S::NAME));
    let documented: Vec<&str> = rows.iter().filter_map(|row| code(row[0])).collect();
    assert_eq!(documented, S::keys(), "the keys of {}", S::NAME);
    for row in rows {
        assert_eq!(row.len(), 4, "{row:?}");
        let is_literal =
            |text: &&str| text.starts_with(['"', '[']) || text.parse::<u64>().is_ok() || *text == "false";
        let Some(default) = code(row[1]).filter(is_literal) else {
            continue;
        };
        let section: S = toml::from_str(&format!("{} = {default}", row[0].trim_matches('`')))
            .unwrap_or_else(|error| panic!("{}: {row:?}: {error}", S::NAME));
        assert_eq!(section, S::default(), "the default of {} in {}", row[0], S::NAME);
    }
}

/// Goal: the manual has every key with its default, and none that does not exist.
#[test]
fn every_key_is_documented() {
    compare::<EngineSection>();
    compare::<VserverSection>();
    compare::<ServerSection>();
    compare::<ClientSection>();
    compare::<RouteSection>();
    compare::<QueueSection>();
    compare::<ReceiptsSection>();
    compare::<MessageLogSection>();
    compare::<AdminSection>();
}

/// Goal: the manual has every flag of `serve`, in the order of its help, and none that does not exist.
#[test]
fn every_flag_is_documented() {
    let documented: Vec<&str> = rows("Flags of `serve`")
        .iter()
        .filter_map(|row| code(row[0]))
        .collect();
    let arguments = Arguments::command();
    let serve = arguments.find_subcommand("serve").expect("it is there");
    let flags: Vec<String> = serve
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .filter(|name| *name != "help")
        .map(|name| format!("--{name}"))
        .collect();
    assert_eq!(documented, flags);
}

/// Goal: the committed description of the admin interface is what the program serves. `UPDATE_DOCUMENTS=1` writes it anew.
#[test]
fn the_openapi_description_is_current() {
    let served = smppmux::admin::openapi_json();
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        std::fs::write(path, &served).expect("the document can be written");
    }
    let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json"));
    assert!(
        committed.is_ok_and(|committed| committed == served),
        "docs/openapi.json is out of date: run this test with UPDATE_DOCUMENTS=1, then again"
    );
}

/// Goal: the whole file in the manual is a good one.
#[test]
fn the_example_is_right() {
    let example = DOCUMENT
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("there is one");
    let (configuration, problems) = Configuration::parse(example).expect("it is TOML");
    let settled = smppmux::config::settle(&configuration, problems, &[0, 1]);
    assert_eq!((settled.problems, settled.warnings), (vec![], vec![]));
}
