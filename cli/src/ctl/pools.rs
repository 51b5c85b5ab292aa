//! `ctl pools`.

use super::view::{Earlier, View};
use crate::admin::api::pools::{PoolRow, Pools};
use crate::style::{Style, grouped, table};

const HEAD: [&str; 7] = ["range", "vserver", "ton", "npi", "sessions", "with room", "cores"];

impl View for Pools {
    fn render(&self, style: Style, _before: Option<&Earlier<Self>>) -> String {
        let any = |number: u8| {
            if number == 0 {
                "any".to_owned()
            } else {
                number.to_string()
            }
        };
        let row = |pool: &PoolRow| {
            let range = match (pool.range.as_str(), pool.allowed.as_str()) {
                ("", "") => "(everything else)".to_owned(),
                ("", account) => format!("(ranges of {account})"),
                (range, _) => range.to_owned(),
            };
            let cores: Vec<String> = pool.cores.iter().map(u16::to_string).collect();
            vec![
                range,
                pool.vserver.clone(),
                any(pool.addr_ton),
                any(pool.addr_npi),
                grouped(pool.sessions),
                grouped(pool.available_sessions),
                cores.join(" "),
            ]
        };
        let mut text = table(style, &HEAD, &self.pools.iter().map(row).collect::<Vec<_>>());
        let shown = self.pools.len() as u64;
        if self.total > shown {
            text += &style.quiet(&format!("{} of {} pools\n", grouped(shown), grouped(self.total)));
        }
        text
    }
}
