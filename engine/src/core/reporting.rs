//! Puts the figures of an engine together, on request. It may look at every session, so it is asked for rarely.

use super::engine::PacketEngine;
use super::figures::Exchanges;
use super::health::HealthState;
use super::pool::Pool;
use super::range::Claim;
use super::report::{ClientReport, PoolReport, Report, ServerReport, VserverReport, Wanted};
use super::session::{ClientSide, Session, Side};
use super::settings::{ClientIndex, ServerIndex};
use std::collections::BTreeMap;

type ClientRows = BTreeMap<Option<ClientIndex>, ClientReport>;

impl PacketEngine {
    pub(super) fn make_report(&self, wanted: Wanted) -> Report {
        let mut report = Report {
            core: self.core.0,
            counters: self.counters,
            violations: self.violations,
            pools: self.pools.len() as u64,
            range_pools: self.pools.ranges_len() as u64,
            receipts: self.receipts.report(),
            queue_lines: self.queue.lines.len() as u64,
            queue_appending: u64::from(self.queue.appends.outstanding()),
            entries_waiting: self.entries.waiting() as u64,
            spare_buffer_octets: self.buffers.kept_octets() as u64,
            vservers: self.vserver_rows(),
            ..Report::default()
        };
        let mut clients = self.past_client_rows(wanted);
        let mut bound_sessions = vec![0_u64; self.servers.len()];
        let mut exchanges: Vec<Exchanges> = self
            .servers
            .iter()
            .map(|server| server.figures.past.clone())
            .collect();
        for (_, session) in self.sessions.iter() {
            match &session.side {
                Side::Client(client) => {
                    self.add_client(&mut report, client, session);
                    // Who has not bound yet is nobody's.
                    if wanted.clients && session.bound().is_some() {
                        add_client_session(&mut clients, client, session);
                    }
                }
                Side::Server(side) => {
                    let server = usize::from(side.server.0);
                    bound_sessions[server] += u64::from(session.bound().is_some());
                    exchanges[server].add(&session.exchanges);
                }
                Side::Gone => {}
            }
        }
        // Counted by each session; one number more on the way of each message would be for nothing.
        let of_all = |figure: fn(&Exchanges, bool) -> u64| {
            let rows = report.vservers.iter();
            rows.map(|vserver| figure(&vserver.exchanges, false)).sum()
        };
        (report.counters.client_requests, report.counters.client_answers) =
            (of_all(Exchanges::requests), of_all(Exchanges::answers));
        report.held_requests = report.vservers.iter().map(|vserver| vserver.held_requests).sum();
        self.report_pins(&mut report);
        report.core_requests_outstanding = self
            .links
            .iter()
            .map(|link| u64::from(link.window.outstanding()))
            .sum();
        report.servers = self.server_rows(&bound_sessions, exchanges);
        report.clients = clients.into_values().collect();
        for client in &mut report.clients {
            client.is_draining = client
                .client
                .is_some_and(|index| self.operator.is_client_draining(index));
        }
        report.pool_rows = self
            .pools
            .iter()
            .filter(|pool| !matches!(pool.key.claim, Claim::Receipts(_)) && !pool.local.is_empty())
            .take(wanted.pools_max as usize)
            .map(|pool| self.pool_row(pool))
            .collect();
        report
    }

    fn vserver_rows(&self) -> Vec<VserverReport> {
        let rows = self.vservers.iter().zip(&self.past.vservers);
        rows.map(|(vserver, past)| VserverReport {
            held_requests: vserver.hold.requests() as u64,
            exchanges: past.clone(),
            ..VserverReport::default()
        })
        .collect()
    }

    fn past_client_rows(&self, wanted: Wanted) -> ClientRows {
        let row = |(client, exchanges): (&Option<ClientIndex>, &Exchanges)| {
            let row = ClientReport {
                client: *client,
                exchanges: exchanges.clone(),
                ..ClientReport::default()
            };
            (*client, row)
        };
        if wanted.clients {
            self.past.clients.iter().map(row).collect()
        } else {
            ClientRows::new()
        }
    }

    fn add_client(&self, report: &mut Report, client: &ClientSide, session: &Session) {
        let is_bound = u64::from(session.bound().is_some());
        report.client_connections += 1;
        report.client_sessions += is_bound;
        if let Some(vserver) = report.vservers.get_mut(usize::from(client.vserver.0)) {
            vserver.connections += 1;
            vserver.sessions += is_bound;
            vserver.exchanges.add(&session.exchanges);
        }
    }

    fn server_rows(&self, bound_sessions: &[u64], exchanges: Vec<Exchanges>) -> Vec<ServerReport> {
        (0_u16..)
            .zip(self.servers.iter().zip(bound_sessions).zip(exchanges))
            .map(|(index, ((server, bound_sessions), exchanges))| ServerReport {
                server: ServerIndex(index),
                bound_sessions: *bound_sessions,
                outstanding: u64::from(server.load()),
                requests: exchanges.requests(false),
                answers: exchanges.answers(false),
                errors: exchanges.failed(false),
                mobile_originated: exchanges.requests(true),
                window: u64::from(server.capacity),
                weight: server.weight,
                is_draining: server.is_draining,
                share_percent: server.share_percent(),
                // Of one that is down nothing shows how it answers.
                health: if server.is_bound_somewhere() {
                    server.health.state()
                } else {
                    HealthState::Well
                },
                ejections: server.health.counts,
                binds: server.figures.binds,
                losses: server.figures.losses,
                refused_binds: server.figures.refused_binds,
                outbinds: server.calls.bound,
                refused_outbinds: server.calls.refused,
                exchanges,
                latency: server.figures.latency,
            })
            .collect()
    }

    fn pool_row(&self, pool: &Pool) -> PoolReport {
        let has_room = |session: &Session| !session.window.is_full();
        let with_room = pool
            .local
            .iter()
            .filter_map(|id| self.sessions.get(*id))
            .filter(|session| has_room(session));
        let (range, allowed) = match &pool.key.claim {
            Claim::Range(range) => (range.text().to_owned(), None),
            Claim::Allowed(account) => (String::new(), Some(*account)),
            Claim::Receipts(_) => (String::new(), None),
        };
        PoolReport {
            vserver: pool.key.vserver,
            addr_ton: pool.key.addr_ton,
            addr_npi: pool.key.addr_npi,
            range,
            allowed,
            sessions: pool.local.len() as u64,
            available_sessions: with_room.count() as u64,
        }
    }
}

fn add_client_session(rows: &mut ClientRows, client: &ClientSide, session: &Session) {
    let row = rows.entry(client.client).or_insert_with(|| ClientReport {
        client: client.client,
        ..ClientReport::default()
    });
    row.sessions += 1;
    row.receiving_sessions += u64::from(session.bound().is_some_and(super::session::BindKind::receives));
    row.outstanding += u64::from(client.unanswered);
    row.window += u64::from(client.window);
    row.deliveries_outstanding += u64::from(session.window.outstanding());
    row.held_requests += u64::from(client.held_requests);
    row.exchanges.add(&session.exchanges);
}
