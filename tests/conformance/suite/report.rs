//! Tells the results: as a table for people, as JSON for programs, and as the document of the repository.

use std::fmt::Write as _;

use serde::Serialize;

use crate::runner::{PartResult, Verdict};
use crate::scenario::Scenario;
use crate::setting::{ACCOUNTS, Setting};

/// What came of one row, on so many engines.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RowResult {
    pub(crate) row: u8,
    pub(crate) name: &'static str,
    pub(crate) engines: Option<usize>,
    pub(crate) verdict: RowVerdict,
    pub(crate) parts: Vec<PartResult>,
}

/// The verdict on a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RowVerdict {
    /// All its scripts passed.
    Pass,
    /// All that ran passed; the others need another setting, or are not claimed yet.
    PassInPart,
    /// One failed at least.
    Fail,
    /// None could run: all need another setting.
    OtherSetting,
    /// smppmux does not claim to pass any of its scripts yet.
    NotClaimed,
}

impl RowVerdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::PassInPart => "pass in part",
            Self::Fail => "FAIL",
            Self::OtherSetting => "other setting",
            Self::NotClaimed => "not yet claimed",
        }
    }
}

impl RowResult {
    pub(crate) fn new(scenario: &Scenario, engines: Option<usize>, parts: Vec<PartResult>) -> Self {
        let count = |verdict| parts.iter().filter(|part| part.verdict == verdict).count();
        let verdict = if count(Verdict::NotClaimed) == parts.len() {
            RowVerdict::NotClaimed
        } else if count(Verdict::Fail) > 0 {
            RowVerdict::Fail
        } else if count(Verdict::Pass) == 0 {
            RowVerdict::OtherSetting
        } else if count(Verdict::Pass) < parts.len() {
            RowVerdict::PassInPart
        } else {
            RowVerdict::Pass
        };
        Self {
            row: scenario.row,
            name: scenario.name,
            engines,
            verdict,
            parts,
        }
    }

    fn seconds(&self) -> f64 {
        self.parts.iter().fold(0.0, |sum, part| sum + part.seconds)
    }
}

/// The table, and what was wrong below it.
pub(crate) fn table(results: &[RowResult]) -> String {
    let mut text = String::from("      row  scenario                                     engines  result\n");
    let mut details = String::new();
    for result in results {
        let label = if result.row == 0 {
            "malformed".into()
        } else {
            result.row.to_string()
        };
        let engines = result
            .engines
            .map_or_else(String::new, |engines| engines.to_string());
        let _ = writeln!(
            text,
            "{label:>9}  {:<44} {engines:>7}  {:<15} {:>5.1} s",
            result.name,
            result.verdict.word(),
            result.seconds()
        );
        for part in &result.parts {
            if part.verdict == Verdict::NotClaimed {
                let _ = writeln!(details, "row {label}, {}: not yet claimed, not run", part.name);
            }
            for note in &part.notes {
                let _ = writeln!(details, "row {label}, {}: note: {note}", part.name);
            }
            if let Some(what) = &part.what {
                let _ = writeln!(
                    details,
                    "\nrow {label}, {engines} engines, {}:\n    {what}",
                    part.name
                );
                if !part.octets.is_empty() {
                    let _ = writeln!(details, "    octets: {}", part.octets);
                }
                for line in &part.log {
                    let _ = writeln!(details, "    log: {line}");
                }
            }
        }
    }
    let count = |verdict| results.iter().filter(|result| result.verdict == verdict).count();
    let _ = writeln!(
        details,
        "\n{} rows pass, {} pass in part, {} FAIL, {} need another setting, {} are not yet claimed",
        count(RowVerdict::Pass),
        count(RowVerdict::PassInPart),
        count(RowVerdict::Fail),
        count(RowVerdict::OtherSetting),
        count(RowVerdict::NotClaimed)
    );
    text + &details
}

/// One JSON document.
pub(crate) fn json(results: &[RowResult]) -> String {
    serde_json::to_string_pretty(results).unwrap_or_default() + "\n"
}

/// The scenarios in words, without results.
pub(crate) fn list(scenarios: &[&'static Scenario]) -> String {
    let mut text = String::new();
    for scenario in scenarios {
        let _ = writeln!(text, "{:>9}  {}", scenario.label(), scenario.name);
        let _ = writeln!(text, "           goal: {}", scenario.goal);
        for part in scenario.parts {
            let _ = writeln!(text, "           - {} ({})", part.name, part.setting.name());
        }
    }
    text
}

/// What must be configured for a setting, in words and as smppmux's configuration.
pub(crate) fn setting(setting: Setting, cores: &str, smscs: [std::net::SocketAddr; 2]) -> String {
    let mut text = format!(
        "# Setting {}: {}.\n#\n# Accounts:\n",
        setting.name(),
        setting.meaning()
    );
    for account in ACCOUNTS {
        let (name, meaning) = account.words();
        let _ = writeln!(text, "#   {name}: {meaning}");
    }
    text + &setting.configuration(cores, smscs).to_toml()
}

const PREFACE: &str = "# Conformance

What smppmux makes of every scenario of the conformance suite, on one packet engine and on four. The suite runs against any balancer:
[tests/conformance/README.md](../tests/conformance/README.md) says how. A row is a way in which SMPP deployments break; its scripts
are ESMEs and SMSCs on real sockets, and all of them must pass.

This page is written by the suite, and `cargo test` checks that it says what the suite finds:

    cargo run -p smppmux-tests --bin smppmux-conformance -- --write-document docs/CONFORMANCE.md

";

/// The page of the repository. Results are ordered by engines, then by row.
pub(crate) fn document(scenarios: &[&'static Scenario], results: &[RowResult], engines: &[usize]) -> String {
    let mut text = String::from(PREFACE);
    let heads: Vec<String> = engines
        .iter()
        .map(|engines| format!("{engines} engine{}", if *engines == 1 { "" } else { "s" }))
        .collect();
    let _ = writeln!(text, "| row | scenario | {} |", heads.join(" | "));
    let _ = writeln!(text, "|---|---|{}", "---|".repeat(engines.len()));
    for scenario in scenarios {
        let verdicts: Vec<&str> = results
            .iter()
            .filter(|result| result.row == scenario.row)
            .map(|result| result.verdict.word())
            .collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            scenario.label(),
            scenario.name,
            verdicts.join(" | ")
        );
    }
    for scenario in scenarios {
        let label = scenario.label();
        let _ = writeln!(text, "\n## {label}: {}\n", scenario.name);
        let _ = writeln!(text, "**Goal.** {}\n", scenario.goal);
        let _ = writeln!(text, "**Method.** {}\n", scenario.method);
        let _ = writeln!(text, "**Expected.** {}", scenario.expected);
        if !scenario.parts.is_empty() {
            let _ = writeln!(text, "\n| script | setting | smppmux |\n|---|---|---|");
        }
        for part in scenario.parts {
            let verdicts = results
                .iter()
                .filter(|result| result.row == scenario.row)
                .flat_map(|result| &result.parts)
                .filter(|result| result.name == part.name)
                .map(|result| result.verdict.word());
            let verdicts: Vec<&str> = verdicts.collect();
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                part.name,
                part.setting.name(),
                verdicts.join(", ")
            );
        }
    }
    text
}
