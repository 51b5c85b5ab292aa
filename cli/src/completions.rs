//! Completions for shells and manual pages, both made of the command line's description.

use crate::arguments::Arguments;
use crate::exit::{self, Failure};
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::fs;
use std::path::Path;

/// The completion script of a shell.
pub(crate) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "smppmux", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Writes `smppmux.1` and a page for each command into a folder.
///
/// # Errors
///
/// Exit code 69 when the folder or a page cannot be written.
pub(crate) fn write_manual(folder: &Path) -> Result<(), Failure> {
    let written =
        fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Arguments::command(), folder));
    written.map_err(|error| {
        Failure::new(
            exit::UNAVAILABLE,
            format!("smppmux man: {}: {error}", folder.display()),
        )
    })
}
