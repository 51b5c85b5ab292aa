//! What an engine costs that has nothing to do.

use super::fake_engine::order;
use super::harness::{Client, Harness, TestedDriver};
use std::path::Path;
use std::time::{Duration, Instant};

on_every_driver!(idle_engines_sleep,);

/// User and system time of a thread of this process.
fn cpu_time(thread: &Path) -> Duration {
    let stat = std::fs::read_to_string(Path::new("/proc").join(thread).join("schedstat")).expect("procfs");
    let nanoseconds = stat.split_whitespace().next().expect("a figure");
    Duration::from_nanos(nanoseconds.parse().expect("nanoseconds"))
}

/// Goal: two engines with 100 idle connections use less than 1 % of a core. The figure is printed.
fn idle_engines_sleep(driver: TestedDriver) {
    let harness = Harness::start(driver, 2);
    let mut clients: Vec<Client> = (0..100).map(|_| harness.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(order::ECHO, b"x"), b"x");
    }
    let threads = harness.observed.lock().expect("no panic").threads.clone();
    let used = || threads.iter().map(|thread| cpu_time(thread)).sum::<Duration>();
    let (before, began) = (used(), Instant::now());
    std::thread::sleep(Duration::from_secs(3));
    let share = (used() - before).as_secs_f64() / began.elapsed().as_secs_f64();
    println!(
        "two idle engines with 100 connections: {:.3} % of a core",
        share * 100.0
    );
    assert!(share < 0.01, "{:.3} % of a core", share * 100.0);
}
