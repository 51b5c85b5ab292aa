//! Times every way of the table: `cargo bench -p smppmux-benches --bench message_path [-- NAME]`.
//!
//! A figure is of one message. Times depend on the machine and on what else it does; what they are for is one way beside
//! another in one run. `benches/compare` counts instructions instead, of the same ways.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use smppmux_benches::{BATCH_MESSAGES, WAYS, Way, measured_part};
use std::time::{Duration, Instant};

fn message_path(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("message");
    group.throughput(Throughput::Elements(1));
    for named in WAYS {
        // Made when it is wanted: a name on the command line leaves the others out.
        let mut way: Option<Box<dyn Way>> = None;
        group.bench_function(BenchmarkId::from_parameter(named.name), |bencher| {
            let way = way.get_or_insert_with(named.start);
            bencher.iter_custom(|messages| time_of(&mut **way, messages));
        });
    }
    group.finish();
}

/// What so many messages take: of whole steps, scaled.
fn time_of(way: &mut dyn Way, messages: u64) -> Duration {
    let batch = u64::from(BATCH_MESSAGES);
    let steps = messages.div_ceil(batch);
    let mut taken = Duration::ZERO;
    for _ in 0..steps {
        way.prepare();
        let started_at = Instant::now();
        measured_part(way);
        taken += started_at.elapsed();
        way.finish();
    }
    taken.mul_f64(messages as f64 / (steps * batch) as f64)
}

criterion_group!(benches, message_path);
criterion_main!(benches);
