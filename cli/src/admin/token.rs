//! The token that allows changes over the HTTP interface: read once, never shown.

use crate::exit::{self, Failure};
use smppmux_engine::core::secret::Secret;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use tracing::warn;

/// A shorter token could be guessed.
const TOKEN_OCTETS_MIN: usize = 16;
/// A larger file is not a token.
const TOKEN_OCTETS_MAX: u64 = 4096;
/// Permissions of others than the owner to read (chmod(2)).
const READABLE_BY_OTHERS: u32 = 0o044;

/// Reads the token: the file's text without the white space around it.
///
/// # Errors
///
/// Exit code 66 when the file cannot be read, 78 when it holds no token.
pub(super) fn read_token(path: &Path) -> Result<Secret, Failure> {
    let name = path.display();
    let unreadable = |error| Failure::new(exit::NO_INPUT, format!("smppmux: {name}: {error}"));
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode();
    if mode & READABLE_BY_OTHERS != 0 {
        warn!(file = %name, mode = format!("{:o}", mode & 0o777), "others than its owner can read the token");
    }
    let mut text = String::new();
    file.take(TOKEN_OCTETS_MAX)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    let token = text.trim();
    let is_token = token.len() >= TOKEN_OCTETS_MIN && token.bytes().all(|octet| octet.is_ascii_graphic());
    if is_token {
        Ok(Secret::new(token))
    } else {
        Err(Failure::new(
            exit::CONFIGURATION,
            format!(
                "smppmux: {name} holds no token: it must be {TOKEN_OCTETS_MIN} or more printable ASCII characters, \
                 such as those of `openssl rand -hex 32`"
            ),
        ))
    }
}
