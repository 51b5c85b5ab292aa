//! Sends a number of messages through the pure core, for counting instructions:
//!
//! ```text
//! valgrind --tool=callgrind --toggle-collect='*RoundTrip*submit*' target/release/examples/instructions submit 10000
//! ```
//!
//! The difference between two counts, divided by the difference in messages, is the price of one message.

use smppmux_benches::{RoundTrip, TwoCores};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let way = arguments.next().unwrap_or_else(|| "submit".into());
    let messages: u32 = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000);
    let mut round_trip = RoundTrip::new();
    round_trip.submit_for_receipt(0);
    let mut logged = RoundTrip::logged();
    let mut two_cores = TwoCores::new();
    let mut sum = 0_u64;
    for _ in 0..messages {
        sum += u64::from(match way.as_str() {
            "submit" => round_trip.submit(),
            "submit-for-receipt" => {
                let number = round_trip.submit_for_receipt(sum);
                round_trip.engine().poll_receipt_log();
                number
            }
            "deliver" => round_trip.deliver(),
            "submit-logged" => {
                let number = logged.submit();
                assert_eq!(logged.take_records(), 2, "the submit and its answer");
                number
            }
            "deliver-logged" => {
                let number = logged.deliver();
                assert_eq!(logged.take_records(), 2, "the message and its answer");
                number
            }
            "receipt" => round_trip.receipt(),
            "deliver-across-cores" => two_cores.deliver(),
            _ => panic!(
                "submit, submit-for-receipt, submit-logged, deliver, deliver-logged, receipt or deliver-across-cores"
            ),
        });
    }
    println!("{messages} messages, sum of numbers {sum}");
}
