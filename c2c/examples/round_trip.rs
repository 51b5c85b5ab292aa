//! Measures what a message between cores costs: `cargo run --release -p smppmux-c2c --example round_trip`.
//!
//! Three figures: a request and its answer on one thread (the work alone), a round trip between two threads that spin on
//! CPUs of their own, and one between two threads that sleep whenever they have nothing to do.

use std::error::Error;
use std::hint::spin_loop;
use std::thread;
use std::time::{Duration, Instant};

use smppmux_c2c::{CoreIndex, Endpoint, Lane, MeshCapacity, ThreadParker, mesh};

/// As large as a message with a handle, a reference and a buffer.
type Message = [u64; 8];

const CAPACITY: MeshCapacity = MeshCapacity {
    requests: 1024,
    control: 16,
};
const CLIENT: CoreIndex = CoreIndex(0);
const SERVER: CoreIndex = CoreIndex(1);
const ROUND_TRIPS: usize = 200_000;
const TURNS_PER_RUN: usize = 50;
const SLEEPING_ROUND_TRIPS: usize = 20_000;
const PARK_LIMIT: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    for batch in [1, 64] {
        let pair_ns = one_thread(batch)?;
        println!("one thread, batches of {batch:>2}: {pair_ns:.0} ns for a request and its answer");
    }
    print_round_trips("two spinning threads", &two_threads(ROUND_TRIPS, false)?);
    print_round_trips("two sleeping threads", &two_threads(SLEEPING_ROUND_TRIPS, true)?);
    Ok(())
}

fn pair() -> Result<(Endpoint<Message>, Endpoint<Message>), &'static str> {
    let mut endpoints = mesh(2, CAPACITY).into_iter();
    endpoints
        .next()
        .zip(endpoints.next())
        .ok_or("a mesh of two has two ends")
}

/// Nanoseconds for a request and its answer when both ends take turns on this thread, `batch` messages a turn: the best
/// of many short runs, so that other programs on this CPU do not count.
fn one_thread(batch: usize) -> Result<f64, Box<dyn Error>> {
    let (mut client, mut server) = pair()?;
    let mut best_ns = f64::INFINITY;
    for _ in 0..ROUND_TRIPS / (batch * TURNS_PER_RUN) {
        let started = Instant::now();
        for _ in 0..TURNS_PER_RUN {
            for _ in 0..batch {
                client.try_request(SERVER, Message::default())?;
            }
            client.ring_bells();
            serve(&mut server);
            client.drain(usize::MAX, |_, _, _| {});
        }
        best_ns = best_ns.min(started.elapsed().as_secs_f64() * 1e9 / (TURNS_PER_RUN * batch) as f64);
    }
    Ok(best_ns)
}

/// Round-trip times in nanoseconds, sorted, between two threads, one on each of the first two CPUs.
fn two_threads(round_trips: usize, sleep: bool) -> Result<Vec<u128>, Box<dyn Error>> {
    let (mut client, mut server) = pair()?;
    let cpus = core_affinity::get_core_ids().unwrap_or_default();
    let (client_cpu, server_cpu) = (cpus.first().copied(), cpus.get(1).copied());
    let other = thread::spawn(move || {
        server_cpu.map(core_affinity::set_for_current);
        let parker = ThreadParker::for_current_thread();
        while server.poll_departed().is_none() {
            if serve(&mut server) == 0 {
                idle(&parker, &mut server, sleep);
            }
        }
    });
    client_cpu.map(core_affinity::set_for_current);
    let parker = ThreadParker::for_current_thread();
    let mut times = Vec::with_capacity(round_trips);
    for _ in 0..round_trips {
        let started = Instant::now();
        client.try_request(SERVER, Message::default())?;
        client.ring_bells();
        while client.drain(usize::MAX, |_, _, _| {}) == 0 {
            idle(&parker, &mut client, sleep);
        }
        times.push(started.elapsed().as_nanos());
    }
    drop(client);
    other.join().map_err(|_| "the serving thread panicked")?;
    times.sort_unstable();
    Ok(times)
}

/// Answers everything in the inbox; returns how much that was.
fn serve(server: &mut Endpoint<Message>) -> usize {
    let mut requests = 0;
    server.drain(usize::MAX, |_, lane, _| {
        requests += usize::from(lane == Lane::Request);
    });
    for _ in 0..requests {
        server.answer(CLIENT, Message::default());
    }
    server.ring_bells();
    requests
}

fn idle(parker: &ThreadParker, endpoint: &mut Endpoint<Message>, sleep: bool) {
    if sleep {
        parker.park(endpoint, PARK_LIMIT);
    } else {
        spin_loop();
    }
}

fn print_round_trips(name: &str, sorted_ns: &[u128]) {
    let percentile = |percent: usize| {
        sorted_ns
            .get(sorted_ns.len() * percent / 100)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{name}: round trip {} ns at the median, {} ns at p99",
        percentile(50),
        percentile(99)
    );
}
