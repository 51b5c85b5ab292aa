//! The conformance suite: an ESME side and an SMSC side on sockets, and between them the balancer under test.
//!
//! `rows` has the scenarios, one file for each group of rows. A script speaks to a `stage`; what goes wrong is a
//! `failure` with the offending octets. `sabotage` and `faults` prove that each scenario can fail.

mod arguments;
mod balancer;
mod clock;
mod failure;
mod faults;
mod malformed;
mod peers;
mod report;
mod rows;
mod runner;
mod sabotage;
mod scenario;
mod setting;
mod sms;
mod stage;
mod want;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::Parser as _;

use arguments::Arguments;
use balancer::Source;
use report::{RowResult, RowVerdict};
use runner::Run;
use scenario::Scenario;
use setting::Setting;

const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    // The program is its own smppmux, so that one build step is enough.
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return smppmux::run();
    }
    let arguments = Arguments::parse();
    match execute(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_FAILED),
        Err(words) => {
            eprintln!("{words}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// Whether all is well.
fn execute(arguments: &Arguments) -> Result<bool, String> {
    let scenarios = chosen(&arguments.only)?;
    if let Some(name) = &arguments.print_setting {
        let smscs = [2776, 2777].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        print!("{}", report::setting(setting_of(name)?, "0", smscs));
        return Ok(true);
    }
    if arguments.list {
        print!("{}", report::list(&scenarios));
        return Ok(true);
    }
    runner::keep_panics_quiet();
    if arguments.sabotage {
        return faults::check_all(&scenarios, |engines| run_of_smppmux(arguments, engines));
    }
    let results = results(arguments, &scenarios)?;
    if arguments.json {
        print!("{}", report::json(&results));
    } else {
        print!("{}", report::table(&results));
    }
    let is_well = results.iter().all(|result| result.verdict != RowVerdict::Fail);
    Ok(is_well && is_document_right(arguments, &scenarios, &results)?)
}

fn results(arguments: &Arguments, scenarios: &[&'static Scenario]) -> Result<Vec<RowResult>, String> {
    let mut results = Vec::new();
    if let (Some(target), Some(a), Some(b)) = (arguments.target, arguments.smsc_a, arguments.smsc_b) {
        let run = Run {
            source: Source::Other {
                target,
                smscs: [a, b],
                command: arguments.command.clone(),
            },
            setting: Some(setting_of(&arguments.setting)?),
            jobs: 1,
            sabotage: None,
            runs_unclaimed: true,
        };
        let parts = runner::run(&run, scenarios);
        results.extend(rows_of(scenarios, None, parts));
        return Ok(results);
    }
    for engines in &arguments.engines {
        let run = run_of_smppmux(arguments, *engines)?;
        let parts = runner::run(&run, scenarios);
        results.extend(rows_of(scenarios, Some(*engines), parts));
    }
    Ok(results)
}

fn rows_of(
    scenarios: &[&'static Scenario],
    engines: Option<usize>,
    parts: Vec<Vec<runner::PartResult>>,
) -> impl Iterator<Item = RowResult> {
    let pairs = scenarios.iter().zip(parts);
    pairs.map(move |(scenario, parts)| RowResult::new(scenario, engines, parts))
}

fn run_of_smppmux(arguments: &Arguments, engines: usize) -> Result<Run, String> {
    let cpus = available_parallelism().map_or(1, usize::from);
    let cores: Vec<String> = (0..engines).map(|engine| (engine % cpus).to_string()).collect();
    let program = match &arguments.smppmux {
        Some(program) => program.clone(),
        None => std::env::current_exe().map_err(|error| error.to_string())?,
    };
    Ok(Run {
        source: Source::Smppmux {
            program,
            cores: cores.join(","),
        },
        setting: None,
        jobs: arguments.jobs.max(1),
        sabotage: None,
        runs_unclaimed: arguments.unclaimed,
    })
}

fn is_document_right(
    arguments: &Arguments,
    scenarios: &[&'static Scenario],
    results: &[RowResult],
) -> Result<bool, String> {
    let document = report::document(scenarios, results, &arguments.engines);
    if let Some(path) = &arguments.write_document {
        std::fs::write(path, &document).map_err(|error| told(path, &error))?;
    }
    let Some(path) = &arguments.check_document else {
        return Ok(true);
    };
    let found = std::fs::read_to_string(path).map_err(|error| told(path, &error))?;
    if found != document {
        println!(
            "{} does not say what the suite finds; write it anew with --write-document",
            path.display()
        );
    }
    Ok(found == document)
}

fn told(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn chosen(only: &[String]) -> Result<Vec<&'static Scenario>, String> {
    let all: Vec<&'static Scenario> = rows::all().collect();
    if only.is_empty() {
        return Ok(all);
    }
    let find = |label: &String| {
        let found = all.iter().find(|scenario| scenario.label() == *label);
        found.copied().ok_or_else(|| format!("there is no row {label}"))
    };
    only.iter().map(find).collect()
}

fn setting_of(name: &str) -> Result<Setting, String> {
    let found = Setting::ALL.into_iter().find(|setting| setting.name() == name);
    found.ok_or_else(|| {
        let names = Setting::ALL.map(Setting::name).join(", ");
        format!("there is no setting {name:?}; there are {names}")
    })
}
