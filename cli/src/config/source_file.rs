//! Reading the configuration file's text, bounded, with its name kept for messages.

use super::problem::Source;
use crate::exit::{self, Failure};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// A larger file is no configuration.
const FILE_OCTETS_MAX: u64 = 256 << 20;

/// Reads a configuration file's text.
///
/// # Errors
///
/// Exit code 66 when the file cannot be read, 78 when it is too large or not UTF-8.
pub fn read_source(path: &Path) -> Result<Source, Failure> {
    let name = path.display().to_string();
    let unreadable = |error: std::io::Error| Failure::new(exit::NO_INPUT, format!("{name}: {error}"));
    let mut octets = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_OCTETS_MAX + 1)
        .read_to_end(&mut octets)
        .map_err(unreadable)?;
    if octets.len() as u64 > FILE_OCTETS_MAX {
        let reason = format!("{name}:1:1: the file is larger than {FILE_OCTETS_MAX} octets");
        return Err(Failure::new(exit::CONFIGURATION, reason));
    }
    String::from_utf8(octets)
        .map(|text| Source {
            name: name.clone(),
            text,
        })
        .map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
            let (line, column) = Source {
                name: name.clone(),
                text,
            }
            .line_and_column(valid);
            let reason = format!("{name}:{line}:{column}: from here on the file is not UTF-8");
            Failure::new(exit::CONFIGURATION, reason)
        })
}
