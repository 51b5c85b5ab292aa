//! Whole endpoints under the model checker: cores that go away while another one sends, receives or falls asleep.

use std::future::poll_fn;
use std::task::{Context, Poll};

use loom::future::block_on;
use loom::thread;

use super::{Endpoint, Park};
use crate::core_index::CoreIndex;
use crate::lane::Lane;
use crate::mesh::{MeshCapacity, mesh};
use crate::refusal::RefusalReason;

const CAPACITY: MeshCapacity = MeshCapacity {
    requests: 1,
    control: 1,
};

/// Runs `model` in every interleaving with at most `preemptions` forced switches.
fn check(preemptions: usize, model: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn cores<const CORES: usize>() -> [Endpoint<u32>; CORES] {
    let endpoints = mesh(CORES, CAPACITY);
    endpoints
        .try_into()
        .unwrap_or_else(|_| panic!("{CORES} endpoints"))
}

/// Receives, and sleeps between, until `departures` cores were reported gone; the answer is what came until then.
fn receive_until_departed(endpoint: &mut Endpoint<u32>, departures: usize) -> Vec<u32> {
    let mut received = Vec::new();
    let mut departed = 0;
    block_on(poll_fn(|context: &mut Context<'_>| {
        endpoint.unpark();
        loop {
            endpoint.drain(8, |_, _, message| received.push(message));
            while let Some(gone) = endpoint.poll_departed() {
                departed += 1;
                // What is gone is gone for every use.
                let refused = endpoint.try_request(gone, 0).map_err(|refused| refused.reason);
                assert_eq!(refused, Err(RefusalReason::PeerGone));
            }
            if departed == departures {
                return Poll::Ready(());
            }
            if endpoint.prepare_to_park(context.waker()) == Park::MayPark {
                return Poll::Pending;
            }
        }
    }));
    received
}

/// Goal: a sleeper hears of a core that goes without a word (else the model dead-locks).
#[test]
fn loom_a_departure_is_heard() {
    check(3, || {
        let [mut stays, goes] = cores();
        let other = thread::spawn(move || drop(goes));
        assert_eq!(receive_until_departed(&mut stays, 1), []);
        other.join().expect("it went");
    });
}

/// Goal: a core is reported gone only when all that it had sent was received, whether or not it rang before it went.
#[test]
fn loom_nothing_is_lost_of_a_core_that_goes() {
    for rings in [false, true] {
        let model = if rings { ringing_and_going } else { going };
        check(2, model);
    }
}

fn going() {
    send_and_go(false);
}

fn ringing_and_going() {
    send_and_go(true);
}

fn send_and_go(rings: bool) {
    let [mut stays, mut goes] = cores();
    let other = thread::spawn(move || {
        assert!(goes.try_request(CoreIndex(0), 1).is_ok());
        assert!(goes.try_control(CoreIndex(0), 2).is_ok());
        if rings {
            goes.ring_bells();
        }
    });
    let mut received = receive_until_departed(&mut stays, 1);
    received.sort_unstable();
    assert_eq!(received, [1, 2]);
    other.join().expect("it went");
}

/// Goal: two cores that go at the same time are both reported, each with what it had sent.
#[test]
fn loom_two_cores_go_at_once() {
    check(1, || {
        let [mut stays, mut first, mut second] = cores();
        let others = [
            thread::spawn(move || first.try_request(CoreIndex(0), 1).is_ok()),
            thread::spawn(move || second.try_control(CoreIndex(0), 2).is_ok()),
        ];
        let mut received = receive_until_departed(&mut stays, 2);
        received.sort_unstable();
        assert_eq!(received, [1, 2]);
        for other in others {
            assert!(other.join().expect("it went"), "its lane had room");
        }
    });
}

/// Goal: of two cores that send to each other and go, neither loses count: what is sent either arrives or is refused.
#[test]
fn loom_both_go_while_they_send() {
    check(3, || {
        let [mut one, mut other] = cores();
        let far = thread::spawn(move || {
            let sent = other.try_request(CoreIndex(0), 1);
            other.ring_bells();
            let mut received = 0;
            other.drain(8, |_, lane, _| received += usize::from(lane == Lane::Request));
            (sent.map_err(|refused| refused.reason), received)
        });
        let sent = one.try_request(CoreIndex(1), 2).map_err(|refused| refused.reason);
        one.ring_bells();
        let mut received = 0;
        one.drain(8, |_, _, _| received += 1);
        let unanswered = one.unanswered(CoreIndex(1));
        assert_eq!(unanswered, usize::from(sent.is_ok()));
        drop(one);
        let (far_sent, far_received) = far.join().expect("it went");
        for (sent, received) in [(sent, far_received), (far_sent, received)] {
            assert!(sent.is_ok() || received == 0);
            assert!(matches!(sent, Ok(()) | Err(RefusalReason::PeerGone)));
        }
    });
}
