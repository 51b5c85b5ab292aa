//! The final figures as text for people.

use super::figures::{Figures, Flow};
use crate::simulator::{Percentiles, readable_us};
use crate::style::{Style, grouped, table};

/// All tables, the checks and the verdict.
pub(super) fn render(style: Style, figures: &Figures) -> String {
    let tables = [
        flows(style, figures),
        cores(style, figures),
        servers(style, figures),
        ranges(style, figures),
    ];
    tables.join("\n") + "\n" + &checks(style, figures)
}

fn flows(style: Style, figures: &Figures) -> String {
    let head = [
        "messages",
        "sent",
        "answered",
        "received",
        "per second",
        "p50",
        "p99",
        "max",
    ];
    let row = |name: &str, flow: &Flow| {
        let Percentiles {
            p50_us,
            p99_us,
            max_us,
            ..
        } = flow.latency;
        let mut row = vec![name.to_owned()];
        row.extend([flow.sent, flow.answered, flow.received].map(grouped));
        row.push(grouped(flow.per_second.round() as u64));
        row.extend([p50_us, p99_us, max_us].map(readable_us));
        row
    };
    let rows = [
        row("MT submit_sm", &figures.mobile_terminated),
        row("MO deliver_sm", &figures.mobile_originated),
    ];
    table(style, &head, &rows)
}

fn cores(style: Style, figures: &Figures) -> String {
    let head = [
        "core",
        "CPU",
        "sessions",
        "handed over",
        "MT",
        "MO",
        "C2C out",
        "C2C in",
    ];
    let rows: Vec<Vec<String>> = figures
        .cores
        .iter()
        .map(|core| {
            let mut row = vec![core.core.to_string(), core.cpu.to_string()];
            let numbers = [
                core.client_sessions,
                core.received_by_hand_over,
                core.mobile_terminated,
                core.mobile_originated,
                core.crossings_out,
                core.crossings_in,
            ];
            row.extend(numbers.map(grouped));
            row
        })
        .collect();
    let crossings = &figures.crossings;
    let note = format!(
        "C2C: {} MO messages ({:.1} %) crossed cores, {} found no room",
        grouped(crossings.messages),
        crossings.percent,
        grouped(crossings.refused),
    );
    table(style, &head, &rows) + &style.quiet(&note) + "\n"
}

fn servers(style: Style, figures: &Figures) -> String {
    let head = [
        "server", "uid", "sessions", "MT", "answers", "errors", "MO", "MO p50", "MO p99",
    ];
    let rows: Vec<Vec<String>> = figures
        .servers
        .iter()
        .map(|server| {
            let mut row = vec![server.name.to_owned(), server.uid.to_owned()];
            let numbers = [
                server.sessions,
                server.received,
                server.answers,
                server.errors,
                server.mobile_originated,
            ];
            row.extend(numbers.map(grouped));
            row.extend([server.mo_latency.p50_us, server.mo_latency.p99_us].map(readable_us));
            row
        })
        .collect();
    table(style, &head, &rows)
}

fn ranges(style: Style, figures: &Figures) -> String {
    let head = [
        "address range",
        "clients",
        "sessions",
        "MT",
        "MO",
        "misrouted",
        "MT p50",
        "MT p99",
    ];
    let rows: Vec<Vec<String>> = figures
        .ranges
        .iter()
        .map(|range| {
            let mut row = vec![
                range.range.to_owned(),
                range.clients.to_string(),
                range.connections.to_string(),
            ];
            row.extend([range.mobile_terminated, range.mobile_originated, range.misrouted].map(grouped));
            row.extend([range.mt_latency.p50_us, range.mt_latency.p99_us].map(readable_us));
            row
        })
        .collect();
    table(style, &head, &rows)
}

fn checks(style: Style, figures: &Figures) -> String {
    let mut text = String::new();
    for check in &figures.checks {
        let mark = if check.passed {
            style.good("ok  ")
        } else {
            style.bad("FAIL")
        };
        let found = if check.passed {
            style.quiet(&check.found)
        } else {
            style.bad(&check.found)
        };
        text += &format!("{mark}  {}: {found}\n", check.claim);
    }
    if !figures.passed {
        for notice in &figures.notices {
            text += &format!("      {notice}\n");
        }
    }
    let verdict = if figures.passed {
        style.good("PASSED")
    } else {
        style.bad("FAILED")
    };
    text + &format!("\n{} {verdict}\n", style.heading("verdict"))
}
