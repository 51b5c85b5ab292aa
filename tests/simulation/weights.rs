//! How often what goes wrong in one run.
//!
//! Each fault's weight is drawn per run and is often nothing at all ("swarm"), so that rare combinations come up undisturbed.

use crate::random::Random;

/// Faults by name, each with its highest weight (0: it is drawn elsewhere): how often it strikes, in a thousand of its occasions (or, where the name ends
/// in a unit, how long it lasts at most).
macro_rules! faults {
    ($($name:ident: $highest:literal,)*) => {
        /// How often what goes wrong.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct Faults {
            $(pub(crate) $name: u32,)*
        }

        impl Faults {
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            fn draw_weights(mut draw: impl FnMut(usize) -> u32) -> Self {
                Self {
                    $($name: draw($highest),)*
                }
            }

            /// The weight of one fault; `None` for a name that is no fault's.
            pub(crate) fn weight_mut(&mut self, name: &str) -> Option<&mut u32> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

faults! {
    network_delay_ms: 60,
    split: 900,
    small_kernel_buffer: 500,
    reset: 60,
    torn_write: 20,
    half_close: 30,
    connect_failure: 300,
    lost_answer: 150,
    late_answer: 150,
    repeated_answer: 100,
    stray_answer: 60,
    error_answer: 200,
    nack_answer: 60,
    refused_bind: 400,
    wrong_password: 200,
    server_restart: 25,
    server_unbind: 40,
    client_unbind: 80,
    client_vanishes: 60,
    slow_reader: 40,
    large_payload: 150,
    over_window: 100,
    operation: 300,
    core_stall: 40,
    core_refusal: 150,
    core_gone: 4,
    core_drain: 4,
    core_delay_us: 20_000,
    merged_turn: 400,
    store_delay_ms: 400,
    store_failure: 150,
    operator: 25,
    concatenation: 600,
    server_call: 0,
    server_stuck: 0,
    process_restart: 0,
}

impl Faults {
    pub(crate) fn draw(random: &mut Random) -> Self {
        if random.chance(150) {
            return Self {
                core_delay_us: 100,
                operation: 100,
                concatenation: 500,
                ..Self::default()
            };
        }
        Self::draw_weights(|highest| {
            if highest == 0 || random.chance(500) {
                0
            } else {
                random.between(1, highest) as u32
            }
        })
    }

    /// What is left when all is well again.
    pub(crate) fn none() -> Self {
        Self {
            core_delay_us: 100,
            network_delay_ms: 1,
            ..Self::default()
        }
    }
}
