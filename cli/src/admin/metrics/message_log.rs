//! The message log: what was written, and what is missing in it.

use super::family::{Families, Labels, label};
use crate::message_log::LogFigures;
use std::fmt;

pub(super) fn write(families: &mut Families<'_>, log: &LogFigures) -> fmt::Result {
    let one = |value: u64| [(Labels::new(), value)];
    families.counter(
        "message_log_records",
        "Records of messages that were written to the message log",
        one(log.records),
    )?;
    families.octets(
        "message_log",
        "Octets written to the message log",
        one(log.octets),
    )?;
    let lost = [
        (label("where", "lane"), log.lost_on_lanes),
        (label("where", "disk"), log.lost_on_disk),
    ];
    families.counter(
        "message_log_lost",
        "Records of messages that are missing in the message log: its writer was behind (lane), or could not write (disk)",
        lost,
    )?;
    families.counter(
        "message_log_write_errors",
        "Writes to the message log that failed",
        one(log.write_errors),
    )
}
