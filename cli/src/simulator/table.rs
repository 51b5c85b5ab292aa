//! Lines that both simulators' final tables have.

use std::fmt;

use super::counts::StatusTable;
use super::latency::{Percentiles, readable_us};

/// One line of statuses; none when there were none.
pub(super) fn write_statuses(formatter: &mut fmt::Formatter<'_>, statuses: &StatusTable) -> fmt::Result {
    let listed: Vec<String> = statuses
        .0
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if listed.is_empty() {
        Ok(())
    } else {
        writeln!(formatter, "statuses     {}", listed.join(" | "))
    }
}

/// One line of percentiles; none when nothing was measured.
pub(super) fn write_latency(
    formatter: &mut fmt::Formatter<'_>,
    label: &str,
    latency: &Percentiles,
) -> fmt::Result {
    if latency.count == 0 {
        return Ok(());
    }
    writeln!(
        formatter,
        "{label:<12} p50 {} | p90 {} | p99 {} | p99.9 {} | max {}",
        readable_us(latency.p50_us),
        readable_us(latency.p90_us),
        readable_us(latency.p99_us),
        readable_us(latency.p999_us),
        readable_us(latency.max_us),
    )
}
