//! `smppmux check`: is the configuration good, and what will the servers see?

use crate::arguments::CheckArguments;
use crate::config::problem::{Problem, Source};
use crate::config::{self, Configuration, Effective};
use crate::exit::{self, Failure};

/// Checks a file. The lines for standard output come back.
///
/// # Errors
///
/// Exit code 66 when the file cannot be read, 78 when it is wrong.
pub(crate) fn check(arguments: &CheckArguments) -> Result<String, Failure> {
    let source = config::read_source(&arguments.config)?;
    let (configuration, problems) = parsed_or_failure(&source)?;
    let (effective, warnings) = effective_or_failure(&source, &configuration, problems)?;
    for warning in warnings {
        eprintln!("{}", source.describe_warning(&warning));
    }
    let lines = effective.settings.servers.iter().map(|server| {
        let (binds, how) = effective.binds(server);
        let word = if binds == 1 { "bind" } else { "binds" };
        format!("{}: {binds} {word} ({how})\n", server.name)
    });
    Ok(lines.collect())
}

/// Reads a file's sections.
///
/// # Errors
///
/// Exit code 78 when the text is not TOML.
pub(crate) fn parsed_or_failure(source: &Source) -> Result<(Configuration, Vec<Problem>), Failure> {
    Configuration::parse(&source.text)
        .map_err(|problems| Failure::new(exit::CONFIGURATION, source.describe_all(&problems)))
}

/// Settles a configuration: what it comes to and its warnings; or all that is wrong with it.
///
/// # Errors
///
/// Exit code 78 with every problem.
pub(crate) fn effective_or_failure(
    source: &Source,
    configuration: &Configuration,
    problems: Vec<Problem>,
) -> Result<(Effective, Vec<Problem>), Failure> {
    let settled = config::settle(configuration, problems, &available_cpus());
    match settled.effective {
        Some(effective) => Ok((effective, settled.warnings)),
        None => Err(Failure::new(
            exit::CONFIGURATION,
            source.describe_all(&settled.problems),
        )),
    }
}

/// The CPUs that this process may use.
pub(crate) fn available_cpus() -> Vec<u16> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let cpus: Vec<u16> = cores
        .iter()
        .filter_map(|core| u16::try_from(core.id).ok())
        .collect();
    if cpus.is_empty() { vec![0] } else { cpus }
}
