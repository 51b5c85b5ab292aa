//! How often each kind of fault really struck, and each limit was really reached: a fault that is drawn and never strikes tests nothing.

/// Kinds by name, each with what 200 runs from seed 0 must have of it at least: a quarter of the least that any of fifty other spans of 200
/// runs had when this was written, because a change of the simulation may give these seeds other runs.
macro_rules! kinds {
    ($($name:ident: $floor:literal,)*) => {
        /// How often what happened in a run, or in many.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct Exercised {
            $(pub(crate) $name: u64,)*
        }

        impl Exercised {
            /// Each kind with how often it happened.
            pub fn describe(&self) -> String {
                [$(format!("{} {}", stringify!($name), self.$name)),*].join(", ")
            }

            /// Kinds that 200 runs from seed 0 must have more of: name, how often, the floor.
            pub fn too_rare(&self) -> Vec<(&'static str, u64, u64)> {
                let kinds = [$((stringify!($name), self.$name, $floor)),*];
                kinds.into_iter().filter(|(_, count, floor)| count < floor).collect()
            }
        }

        impl std::ops::AddAssign for Exercised {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

kinds! {
    resets: 210,
    torn_writes: 23,
    half_closes: 67,
    failed_connects: 130,
    vanished_clients: 120,
    deaf_peers: 140,
    stuck_servers: 9,
    lost_steps: 8,
    server_restarts: 26,
    server_calls: 80,
    unbinds: 390,
    wrong_passwords: 37,
    refused_binds: 51,
    lost_answers: 220,
    repeated_answers: 110,
    stray_answers: 80,
    near_stray_answers: 59,
    nacks: 70,
    error_answers: 410,
    server_throttles: 34,
    core_stalls: 71,
    cores_gone: 9,
    core_drains: 3,
    core_refusals: 78,
    mailbox_full_refusals: 10,
    process_kills: 7,
    failed_commits: 12,
    store_full_refusals: 27,
    orders: 120,
    throttled_requests: 4_400,
    full_client_windows: 1_600,
    full_server_windows: 8_200,
    full_accounts: 460,
    full_id_tables: 23,
    held_requests: 20_000,
    requests_sent_again: 27,
    several_destinations: 66,
    broadcasts: 15,
    alerts: 111,
}
