//! `/api/v1/pools`: which address ranges have receiving sessions.

use super::ApiState;
use super::problem::{NoParameters, Problem};
use crate::admin::control::Snapshot;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use smppmux_engine::core::report::Wanted;
use smppmux_engine::core::settings::{ClientIndex, Settings};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Rows that each core reports at most.
const ROWS_OF_CORE_MAX: u32 = 10_000;

/// Pools, by vserver and range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Pools {
    /// One for each, of at most 10,000 that each core tells of. A core that has sessions in more leaves out any of them, and its
    /// sessions there are not in these sums.
    pub(crate) pools: Vec<PoolRow>,
    /// Pools that there are.
    pub(crate) total: u64,
}

/// One pool, over all cores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct PoolRow {
    /// Where its clients are bound.
    pub(crate) vserver: String,
    /// address_range of their binds; empty for all that nobody claims more precisely, and where `allowed` names an account.
    pub(crate) range: String,
    /// The account whose plain `address-ranges` its sessions claim, all of those that nobody else may claim; empty for one range.
    pub(crate) allowed: String,
    /// addr_ton of the claim; 0 stands for every one.
    pub(crate) addr_ton: u8,
    /// addr_npi of the claim; 0 stands for every one.
    pub(crate) addr_npi: u8,
    /// Receiving sessions.
    pub(crate) sessions: u64,
    /// Receiving sessions with room for a message.
    pub(crate) available_sessions: u64,
    /// Cores with a session.
    pub(crate) cores: Vec<u16>,
}

/// Which address ranges have receiving sessions.
#[utoipa::path(
    get, path = "/api/v1/pools", tag = "figures",
    responses((status = OK, body = Pools))
)]
pub(super) async fn pools(State(state): State<ApiState>, _: NoParameters) -> Result<Json<Pools>, Problem> {
    let wanted = Wanted {
        pools_max: ROWS_OF_CORE_MAX,
        ..Wanted::default()
    };
    Ok(Json(Pools::of(&*state.control.snapshot(wanted).await?)))
}

impl Pools {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let mut rows: BTreeMap<_, PoolRow> = BTreeMap::new();
        for report in &snapshot.reports {
            for pool in &report.engine.pool_rows {
                let key = (
                    (pool.vserver, pool.range.as_str(), pool.allowed),
                    (pool.addr_ton, pool.addr_npi),
                );
                let row = rows.entry(key).or_insert_with(|| PoolRow {
                    vserver: snapshot
                        .settings
                        .vservers
                        .get(usize::from(pool.vserver.0))
                        .map_or(String::new(), |vserver| vserver.name.clone()),
                    range: pool.range.clone(),
                    allowed: name_of_account(&snapshot.settings, pool.allowed),
                    addr_ton: pool.addr_ton,
                    addr_npi: pool.addr_npi,
                    ..PoolRow::default()
                });
                row.sessions += pool.sessions;
                row.available_sessions += pool.available_sessions;
                row.cores.push(report.engine.core);
            }
        }
        // Every core knows all pools; one may be a moment behind.
        let total = snapshot
            .reports
            .iter()
            .map(|report| report.engine.range_pools)
            .max();
        Self {
            pools: rows.into_values().collect(),
            total: total.unwrap_or(0),
        }
    }
}

fn name_of_account(settings: &Settings, account: Option<ClientIndex>) -> String {
    let account = account.and_then(|index| settings.clients.get(index.0 as usize));
    account.map_or(String::new(), |account| account.system_id.clone())
}
