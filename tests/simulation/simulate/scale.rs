//! `simulate scale`: the same load on 1 to 256 engines, as a table and as a picture.

use crate::arguments::Scale;
use smppmux_simulation::scale::{Measured, Size, Work, measure};
use std::fmt::Write as _;

const HEADING: [&str; 9] = [
    "engines",
    "bind: directory messages/client",
    "bind: us/client",
    "submit_sm: core messages",
    "submit_sm: us",
    "deliver_sm: core messages",
    "deliver_sm: us",
    "pools/engine",
    "MiB/engine",
];

/// A column that is drawn: its place in the table, and its colour.
const DRAWN: [(usize, &str); 5] = [
    (1, "#b35806"),
    (3, "#1b7837"),
    (4, "#542788"),
    (5, "#2166ac"),
    (6, "#b2182b"),
];

pub(crate) fn scale(arguments: &Scale) -> bool {
    println!("| {} |", HEADING.join(" | "));
    println!("|{}", "---:|".repeat(HEADING.len()));
    let mut all = Vec::new();
    let mut engines = 1;
    while engines <= arguments.engines {
        let measured = measure(Size {
            engines,
            clients: arguments.clients,
            servers: arguments.servers,
            messages: arguments.messages,
        });
        let cells: Vec<String> = values(&measured).iter().map(|value| shown(*value)).collect();
        println!("| {} |", cells.join(" | "));
        all.push(measured);
        engines *= 2;
    }
    let Some(path) = &arguments.svg else {
        return true;
    };
    if let Err(error) = std::fs::write(path, picture(&all)) {
        eprintln!("{}: {error}", path.display());
        return false;
    }
    true
}

/// The row of the table, in the order of [`HEADING`].
fn values(measured: &Measured) -> [f64; 9] {
    let Size {
        engines,
        clients,
        messages,
        ..
    } = measured.size;
    let each = |work: &Work, count: usize| work.time.as_secs_f64() * 1e6 / count as f64;
    [
        engines as f64,
        measured.binding.directory_messages as f64 / clients as f64,
        each(&measured.binding, clients),
        measured.submits.core_messages as f64 / messages as f64,
        each(&measured.submits, messages),
        measured.delivers.core_messages as f64 / messages as f64,
        each(&measured.delivers, messages),
        measured.pools_per_engine as f64,
        measured.memory_per_engine as f64 / (1 << 20) as f64,
    ]
}

fn shown(value: f64) -> String {
    if value.fract() == 0.0 || value >= 1_000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

/// Where things stand in the picture.
const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 620.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 390.0;
/// Powers of ten that the upward axis spans.
const LOWEST: i32 = -1;
const HIGHEST: i32 = 5;

/// Both axes are logarithmic, so that growth with the number of engines is a slope.
fn picture(all: &[Measured]) -> String {
    let doublings = all.len().saturating_sub(1).max(1) as f64;
    let across = |engines: f64| LEFT + (RIGHT - LEFT) * engines.log2() / doublings;
    let up = |value: f64| {
        let power = value.max(10_f64.powi(LOWEST)).log10().min(f64::from(HIGHEST));
        BOTTOM - (BOTTOM - TOP) * (power - f64::from(LOWEST)) / f64::from(HIGHEST - LOWEST)
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for power in LOWEST..=HIGHEST {
        let y = up(10_f64.powi(power));
        let label = 10_f64.powi(power);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"end\">{label}</text>",
            LEFT - 6.0,
            y + 4.0
        );
    }
    for measured in all {
        let engines = measured.size.engines as f64;
        let x = across(engines);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {TOP}V{BOTTOM}\" stroke=\"#eee\"/><text x=\"{x:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">{engines}</text>",
            BOTTOM + 18.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">engines</text>",
        f64::midpoint(LEFT, RIGHT),
        BOTTOM + 38.0
    );
    for (line, (column, colour)) in DRAWN.into_iter().enumerate() {
        let points: Vec<String> = all
            .iter()
            .map(|measured| {
                let row = values(measured);
                format!("{:.1},{:.1}", across(row[0]), up(row[column]))
            })
            .collect();
        let y = TOP + 16.0 + 20.0 * line as f64;
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <path d=\"M{:.1} {y:.1}h18\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            points.join(" "),
            RIGHT + 16.0,
            RIGHT + 40.0,
            y + 4.0,
            HEADING[column]
        );
    }
    svg + "</svg>\n"
}
