//! What each table shows.

use super::columns::{Cell, Column};
use crate::admin::api::pools::PoolRow;
use crate::admin::api::queue::LineRow;
use crate::admin::live::{LiveClient, LiveCore, LiveServer};

const fn column<R>(head: &'static str, rank: u8, cell: Cell<R>) -> Column<R> {
    Column { head, rank, cell }
}

pub(super) const SERVERS: &[Column<LiveServer>] = &[
    column("server", 0, Cell::Text(|server| server.row.name.clone())),
    column("state", 0, Cell::Text(|server| server.row.state().to_owned())),
    column("uid", 5, Cell::Text(|server| server.row.uid.clone())),
    column("address", 8, Cell::Text(|server| server.row.addresses.join(" "))),
    column("sess", 3, Cell::Count(|server| server.row.sessions)),
    column("flight", 1, Cell::Count(|server| server.row.outstanding)),
    column("window", 7, Cell::Count(|server| server.row.window)),
    column("MT/s", 0, Cell::Rate(|server| server.requests_per_second)),
    column(
        "MO/s",
        0,
        Cell::Rate(|server| server.mobile_originated_per_second),
    ),
    column("err/s", 0, Cell::Rate(|server| server.errors_per_second)),
    column("median", 2, Cell::Seconds(|server| server.response_seconds_p50)),
    column("99 %", 1, Cell::Seconds(|server| server.response_seconds_p99)),
    column("weight", 6, Cell::Count(|server| server.row.weight.into())),
    column("lost", 4, Cell::Count(|server| server.row.losses)),
];

pub(super) const CLIENTS: &[Column<LiveClient>] = &[
    column("client", 0, Cell::Text(|client| client.row.name().to_owned())),
    column("state", 0, Cell::Text(|client| client.row.state().to_owned())),
    column("sess", 2, Cell::Count(|client| client.row.sessions)),
    column("recv", 4, Cell::Count(|client| client.row.receiving_sessions)),
    column("flight", 1, Cell::Count(|client| client.row.outstanding)),
    column("window", 5, Cell::Count(|client| client.row.window)),
    column("held", 1, Cell::Count(|client| client.row.held_requests)),
    column("MT/s", 0, Cell::Rate(|client| client.requests_per_second)),
    column("MO/s", 0, Cell::Rate(|client| client.deliveries_per_second)),
    column("err/s", 0, Cell::Rate(|client| client.errors_per_second)),
    column("requests", 3, Cell::Count(|client| client.row.requests)),
    column("deliveries", 6, Cell::Count(|client| client.row.deliveries)),
];

pub(super) const CORES: &[Column<LiveCore>] = &[
    column("core", 0, Cell::Count(|core| core.row.core.into())),
    column("load", 0, Cell::Part(|core| core.load)),
    column("MT/s", 0, Cell::Rate(|core| core.client_requests_per_second)),
    column("MO/s", 0, Cell::Rate(|core| core.mobile_originated_per_second)),
    column(
        "C2C out/s",
        0,
        Cell::Rate(|core| core.core_messages_sent_per_second),
    ),
    column(
        "C2C in/s",
        1,
        Cell::Rate(|core| core.core_messages_received_per_second),
    ),
    column("refused", 2, Cell::Count(|core| core.row.core_messages_refused)),
    column("mailbox", 3, Cell::Count(|core| core.mailbox_messages)),
    column("clients", 4, Cell::Count(|core| core.row.client_sessions)),
    column("servers", 5, Cell::Count(|core| core.row.server_sessions)),
    column("held", 3, Cell::Count(|core| core.row.held_requests)),
];

pub(super) const LINES: &[Column<LineRow>] = &[
    column("destination", 0, Cell::Text(|line| line.destination.clone())),
    column("vserver", 2, Cell::Text(|line| line.vserver.clone())),
    column(
        "kind",
        3,
        Cell::Text(|line| match (line.ton, line.npi) {
            (Some(ton), Some(npi)) => format!("TON {ton} NPI {npi}"),
            _ => "receipts".to_owned(),
        }),
    ),
    column("messages", 0, Cell::Count(|line| line.messages)),
    column("octets", 1, Cell::Count(|line| line.octets)),
    column("oldest", 0, Cell::Age(|line| line.oldest_age_seconds)),
];

pub(super) const POOLS: &[Column<PoolRow>] = &[
    column(
        "range",
        0,
        Cell::Text(|pool| match (pool.range.as_str(), pool.allowed.as_str()) {
            ("", "") => "(everything else)".to_owned(),
            ("", allowed) => format!("(all of {allowed})"),
            (range, _) => range.to_owned(),
        }),
    ),
    column("vserver", 2, Cell::Text(|pool| pool.vserver.clone())),
    column("sessions", 0, Cell::Count(|pool| pool.sessions)),
    column("with room", 0, Cell::Count(|pool| pool.available_sessions)),
    column(
        "cores",
        1,
        Cell::Text(|pool| {
            pool.cores
                .iter()
                .map(u16::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        }),
    ),
];
