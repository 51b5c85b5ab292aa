//! How often each kind of fault really struck, and each limit was really reached: a fault that is drawn and never strikes tests nothing.

/// Kinds by name, each with what 200 runs from seed 0 must have of it at least: about a third of what they had when this was written, so
/// that a change of the simulation may shift what falls on these seeds.
macro_rules! kinds {
    ($($name:ident: $floor:literal,)*) => {
        /// How often what happened in a run, or in many.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct Exercised {
            $(pub(crate) $name: u64,)*
        }

        impl Exercised {
            /// Each kind with how often it happened.
            pub fn counts(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),*]
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
    resets: 300,
    torn_writes: 50,
    half_closes: 100,
    failed_connects: 200,
    vanished_clients: 200,
    deaf_peers: 300,
    stuck_servers: 30,
    lost_steps: 25,
    server_restarts: 58,
    server_calls: 100,
    unbinds: 500,
    wrong_passwords: 88,
    refused_binds: 100,
    lost_answers: 500,
    repeated_answers: 200,
    stray_answers: 100,
    near_stray_answers: 100,
    nacks: 100,
    error_answers: 600,
    server_throttles: 69,
    core_stalls: 100,
    cores_gone: 17,
    core_drains: 7,
    core_refusals: 100,
    mailbox_full_refusals: 100,
    process_kills: 18,
    failed_commits: 32,
    store_full_refusals: 600,
    orders: 200,
    throttled_requests: 8_000,
    full_client_windows: 2_000,
    full_server_windows: 10_000,
    full_accounts: 1_000,
    full_id_tables: 100,
    held_requests: 60_000,
    requests_sent_again: 68,
}
