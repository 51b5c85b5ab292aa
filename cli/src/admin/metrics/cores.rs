//! Each packet engine: load, octets, and the traffic with the others.

use super::family::{Families, Labels, label};
use crate::admin::control::{Balance, Snapshot};
use smppmux_engine::shell::CoreReport;
use std::fmt;

type Figure = fn(&CoreReport) -> u64;

/// What there is now: name, meaning, figure.
const GAUGES: [(&str, &str, Figure); 8] = [
    (
        "core_client_connections",
        "Connections from clients, bound or not",
        |core| core.engine.client_connections,
    ),
    ("core_client_sessions", "Bound sessions of clients", |core| {
        core.engine.client_sessions
    }),
    ("core_sockets", "Open sockets", |core| core.shell.links_open),
    ("core_waiting_requests", "Requests in a hold", |core| {
        core.engine.held_requests
    }),
    ("core_pools", "Pools that the core knows", |core| {
        core.engine.pools
    }),
    (
        "core_c2c_in_flight",
        "Requests to other cores and from them without an answer",
        |core| core.engine.core_requests_outstanding,
    ),
    (
        "core_mailbox_messages",
        "Messages of other cores that wait in the mailbox",
        |core| core.shell.mailbox_messages,
    ),
    (
        "core_spare_buffer_bytes",
        "Memory of buffers that are empty and kept for use again, at most 16 MiB",
        |core| core.engine.spare_buffer_octets,
    ),
];

/// What has happened since the start.
const COUNTERS: [(&str, &str, Figure); 15] = [
    ("core_turns", "Turns of the loop", |core| core.shell.turns),
    ("c2c_wakes", "Sleeping cores that were woken", |core| {
        core.shell.core_wakes
    }),
    (
        "core_accepted_connections",
        "Connections that the core's listeners accepted",
        |core| core.shell.accepted,
    ),
    (
        "core_handed_over_connections",
        "Accepted connections that went to another core",
        |core| core.shell.handed_over,
    ),
    (
        "core_moved_connections",
        "Connections that were sent to the core of their account when their bind had come; some may have come back",
        |core| core.shell.moved_to_account,
    ),
    (
        "core_connections_moved_in",
        "Connections that came because this is the core of their account",
        |core| core.shell.received_for_account,
    ),
    (
        "core_refused_moves",
        "Connections that stayed though their account may belong to another core",
        |core| core.shell.account_moves_refused,
    ),
    (
        "core_unwanted_connections",
        "Connections closed at once: the table is full, or a drain is on",
        |core| core.shell.not_admitted,
    ),
    (
        "core_connections_over_limit",
        "Connections closed at once: a limit of their vserver or address",
        |core| core.shell.refused_by_limit,
    ),
    (
        "core_connections_banned",
        "Connections closed at once: their address failed to bind too often",
        |core| core.shell.refused_by_ban,
    ),
    (
        "core_greetings_failed",
        "Connections whose PROXY protocol header was missing, wrong or late",
        |core| core.shell.greetings_failed,
    ),
    (
        "core_tls_handshakes",
        "TLS handshakes that came to their end, on both sides",
        |core| core.shell.handshakes,
    ),
    (
        "core_tls_failures",
        "TLS handshakes and connections that failed or took too long",
        |core| core.shell.handshakes_failed,
    ),
    (
        "core_accept_errors",
        "Accepts that failed for want of a resource of the host",
        |core| core.shell.accept_errors,
    ),
    (
        "core_dropped_notices",
        "Lines that the log lacks because it was too slow",
        |core| core.shell.events_dropped,
    ),
];

/// Which way messages between cores went.
const DIRECTIONS: [(&str, Figure); 2] = [
    ("sent", |core| core.shell.core_messages_sent),
    ("received", |core| core.shell.core_messages_received),
];

/// Why messages between cores came to nothing.
const DROPS: [(&str, Figure); 3] = [
    ("no_credit", |core| core.engine.counters.core_requests_refused),
    ("mailbox_full", |core| core.shell.core_messages_refused),
    ("stale_answer", |core| core.engine.counters.core_answers_stale),
];

fn write_balance(families: &mut Families<'_>, balance: &Balance) -> fmt::Result {
    let table = &balance.table;
    let cores = (0..table.cores()).map(|core| (label("core", &core), table.buckets_of(core) as u64));
    families.gauge(
        "core_buckets",
        "Buckets of new connections that lead to the core",
        cores,
    )?;
    families.counter(
        "rebalance_rewrites",
        "Rewrites of the table by which new connections find their core",
        [(Labels::new(), balance.rewrites)],
    )?;
    families.counter(
        "rebalance_moved_buckets",
        "Buckets that were moved to another core",
        [(Labels::new(), balance.moved_buckets)],
    )
}

pub(super) fn write(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let each = |figure: Figure| {
        let reports = snapshot.reports.iter();
        reports.map(move |report| (label("core", &report.engine.core), figure(report)))
    };
    for (name, help, figure) in GAUGES {
        families.gauge(name, help, each(figure))?;
    }
    for (name, help, figure) in COUNTERS {
        families.counter(name, help, each(figure))?;
    }
    if let Some(balance) = &snapshot.balance {
        write_balance(families, balance)?;
    }
    let turns = snapshot.reports.iter();
    families.times(
        "core_turn",
        "Turns that had something to do, from what the kernel brought to the next look for more; the sum is the core's load",
        turns.map(|report| (label("core", &report.engine.core), report.shell.turn_times)),
    )?;
    families.octets(
        "core_received",
        "Octets read from connections",
        each(|core| core.engine.counters.received_octets),
    )?;
    families.octets(
        "core_transmitted",
        "Octets handed out for writing",
        each(|core| core.engine.counters.transmitted_octets),
    )?;
    let by = |name: &'static str, values: &'static [(&str, Figure)]| {
        values.iter().flat_map(move |(value, figure)| {
            snapshot.reports.iter().map(move |report| {
                let labels: Labels = vec![
                    ("core", report.engine.core.to_string()),
                    (name, (*value).to_owned()),
                ];
                (labels, figure(report))
            })
        })
    };
    families.counter(
        "c2c_messages",
        "Messages between cores",
        by("direction", &DIRECTIONS),
    )?;
    families.counter(
        "c2c_drops",
        "Messages between cores that were refused or had nowhere to go",
        by("reason", &DROPS),
    )
}
