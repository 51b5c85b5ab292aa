//! One message and its answer through the pure core. Run with `cargo bench -p smppmux-benches`.
use criterion::{Criterion, criterion_group, criterion_main};
use smppmux_benches::RoundTrip;

fn message_path(criterion: &mut Criterion) {
    let mut round_trip = RoundTrip::new();
    criterion.bench_function("submit_sm and its answer", |bencher| {
        bencher.iter(|| round_trip.submit());
    });
    criterion.bench_function("deliver_sm and its answer", |bencher| {
        bencher.iter(|| round_trip.deliver());
    });
}

criterion_group!(benches, message_path);
criterion_main!(benches);
