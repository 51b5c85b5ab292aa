//! The rules of the lanes, on one thread: what is refused, what never is, what comes back, in which order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use smppmux_c2c::{CoreIndex, Endpoint, Lane, MeshCapacity, Park, RefusalReason, mesh};

const CAPACITY: MeshCapacity = MeshCapacity {
    requests: 4,
    control: 2,
};
const FIRST: CoreIndex = CoreIndex(0);
const SECOND: CoreIndex = CoreIndex(1);
const THIRD: CoreIndex = CoreIndex(2);

fn pair() -> (Endpoint<u32>, Endpoint<u32>) {
    let [first, second] = cores();
    (first, second)
}

fn cores<const CORES: usize>() -> [Endpoint<u32>; CORES] {
    mesh(CORES, CAPACITY)
        .try_into()
        .unwrap_or_else(|_| panic!("a mesh of another size"))
}

fn receive_all(endpoint: &mut Endpoint<u32>) -> Vec<(CoreIndex, Lane, u32)> {
    let mut received = Vec::new();
    endpoint.drain(usize::MAX, |from, lane, message| {
        received.push((from, lane, message));
    });
    received
}

/// Goal: requests are bounded by credits, and the refused message comes back whole.
#[test]
fn a_request_without_credit_is_refused_and_comes_back() {
    let (mut first, mut second) = pair();
    for message in 0..4 {
        first.try_request(SECOND, message).expect("a credit is left");
    }
    assert_eq!(first.credits(SECOND), 0);
    let refused = first.try_request(SECOND, 99).expect_err("no credit is left");
    assert_eq!((refused.reason, refused.message), (RefusalReason::NoCredit, 99));
    assert_eq!(
        first.counters().refused(Lane::Request, RefusalReason::NoCredit),
        1
    );
    // Received but unanswered requests still hold their credit: the answer's room is theirs.
    assert_eq!(receive_all(&mut second).len(), 4);
    assert!(first.try_request(SECOND, 99).is_err());
}

/// Goal: a credit returns when the answer is received, not when it is sent, and the answers always have room.
#[test]
fn the_credit_returns_with_the_answer() {
    let (mut first, mut second) = pair();
    for message in 0..4 {
        first.try_request(SECOND, message).expect("a credit is left");
    }
    for (from, lane, message) in receive_all(&mut second) {
        assert_eq!((from, lane), (FIRST, Lane::Request));
        second.answer(FIRST, message + 100);
    }
    assert_eq!((first.credits(SECOND), first.unanswered(SECOND)), (0, 4));
    let answers: Vec<u32> = receive_all(&mut first)
        .into_iter()
        .map(|(_, _, message)| message)
        .collect();
    assert_eq!(answers, [100, 101, 102, 103]);
    assert_eq!((first.credits(SECOND), first.unanswered(SECOND)), (4, 0));
    assert_eq!(second.counters().sent(Lane::Answer), 4);
    assert_eq!(first.counters().received(Lane::Answer), 4);
}

/// Goal: both cores with every lane full still make progress, since neither ever waits for the other.
#[test]
fn two_full_cores_do_not_dead_lock() {
    let (mut first, mut second) = pair();
    for message in 0..4 {
        first.try_request(SECOND, message).expect("a credit is left");
        second.try_request(FIRST, message).expect("a credit is left");
    }
    assert!(first.try_request(SECOND, 4).is_err() && second.try_request(FIRST, 4).is_err());
    for (endpoint, peer) in [(&mut first, SECOND), (&mut second, FIRST)] {
        let requests = receive_all(endpoint)
            .into_iter()
            .filter(|(_, lane, _)| *lane == Lane::Request);
        for (_, _, message) in requests {
            endpoint.answer(peer, message);
        }
    }
    assert_eq!(receive_all(&mut first).len(), 4);
    assert_eq!((first.credits(SECOND), second.credits(FIRST)), (4, 4));
}

/// Goal: the control lane holds the changes and, beside them, the acknowledgements of the other side's changes.
#[test]
fn control_has_room_for_changes_and_acknowledgements() {
    let (mut first, mut second) = pair();
    for change in 0..2 {
        first
            .try_control(SECOND, change)
            .expect("a change within the protocol");
        second
            .try_control(FIRST, change)
            .expect("a change within the protocol");
    }
    for _ in receive_all(&mut second) {
        second
            .try_control(FIRST, 50)
            .expect("an acknowledgement always has room");
    }
    assert_eq!(first.depth(Lane::Control), 4);
    let refused = second
        .try_control(FIRST, 51)
        .expect_err("more than the protocol allows");
    assert_eq!((refused.reason, refused.message), (RefusalReason::LaneFull, 51));
}

/// Goal: a core cannot write to itself or to a core that does not exist, and says so.
#[test]
fn nobody_else_can_be_addressed() {
    let (mut first, _second) = pair();
    for nobody in [FIRST, CoreIndex(2), CoreIndex(u16::MAX)] {
        for refused in [first.try_request(nobody, 1), first.try_control(nobody, 1)] {
            assert_eq!(
                refused.expect_err("nobody there").reason,
                RefusalReason::NoSuchPeer
            );
        }
        first.answer(nobody, 1);
        assert_eq!(first.credits(nobody), 0);
    }
    assert_eq!(
        first.counters().refused(Lane::Answer, RefusalReason::NoSuchPeer),
        3
    );
}

/// Goal: an answer that nobody asked for takes no room that is reserved for others.
#[test]
fn an_unasked_answer_is_dropped_and_counted() {
    let (mut first, mut second) = pair();
    second.answer(FIRST, 1);
    assert_eq!(second.counters().unasked_answers(), 1);
    assert_eq!(receive_all(&mut first), []);
    assert_eq!(first.credits(SECOND), 4);
}

/// Goal: when a core stops, each way to reach it says so, its last messages still arrive, and it is named once, after
/// them.
#[test]
fn a_dropped_core_is_noticed() {
    let (mut first, mut second) = pair();
    first.try_request(SECOND, 1).expect("a credit is left");
    second.try_request(FIRST, 2).expect("a credit is left");
    second
        .try_control(FIRST, 3)
        .expect("a change within the protocol");
    assert_eq!(first.poll_departed(), None);
    drop(second);

    assert_eq!(first.poll_departed(), None, "its messages come first");
    assert_eq!(
        receive_all(&mut first),
        [(SECOND, Lane::Control, 3), (SECOND, Lane::Request, 2)]
    );
    first.answer(SECOND, 4);
    assert_eq!(first.counters().refused(Lane::Answer, RefusalReason::PeerGone), 1);
    assert_eq!(
        first.try_control(SECOND, 5).expect_err("gone").reason,
        RefusalReason::PeerGone
    );
    assert_eq!(
        first.try_request(SECOND, 6).expect_err("gone").reason,
        RefusalReason::PeerGone
    );
    assert_eq!(
        (first.poll_departed(), first.poll_departed()),
        (Some(SECOND), None)
    );
    assert_eq!(first.unanswered(SECOND), 1);
}

/// Goal: a request for which no credit is left says "gone", not "try again", once the peer has stopped.
#[test]
fn a_dropped_core_is_no_back_pressure() {
    let (mut first, second) = pair();
    for message in 0..4 {
        first.try_request(SECOND, message).expect("a credit is left");
    }
    drop(second);
    assert_eq!(
        first.try_request(SECOND, 5).expect_err("gone").reason,
        RefusalReason::PeerGone
    );
}

/// Goal: the budget holds, answers and control come first, and requests are not starved by them.
#[test]
fn a_drain_keeps_its_budget_and_its_order_of_lanes() {
    let capacity = MeshCapacity {
        requests: 64,
        control: 64,
    };
    let mut endpoints = mesh(2, capacity).into_iter();
    let (mut first, mut second) = (
        endpoints.next().expect("two cores"),
        endpoints.next().expect("two cores"),
    );
    for message in 0..64 {
        second.try_request(FIRST, message).expect("a credit is left");
        second
            .try_control(FIRST, message)
            .expect("a change within the protocol");
    }
    let mut lanes = Vec::new();
    assert_eq!(first.drain(0, |_, _, _: u32| unreachable!("no budget")), 0);
    assert_eq!(first.drain(32, |_, lane, _| lanes.push(lane)), 32);
    let controls = lanes.iter().take_while(|lane| **lane == Lane::Control).count();
    assert_eq!((controls, lanes.len()), (24, 32));
    assert!(lanes[24..].iter().all(|lane| *lane == Lane::Request));
    assert_eq!((first.depth(Lane::Control), first.depth(Lane::Request)), (40, 56));
}

/// Goal: with two busy peers and a budget that one alone could use up, both are served alike.
#[test]
fn busy_peers_take_turns() {
    // Under Miri, which is some hundred times slower, fewer.
    let (requests, drains) = if cfg!(miri) { (64, 9) } else { (4096, 300) };
    let capacity = MeshCapacity { requests, control: 1 };
    let mut endpoints = mesh::<u32>(3, capacity);
    let mut receiver = endpoints.remove(0);
    for sender in &mut endpoints {
        for message in 0..requests as u32 {
            sender.try_request(FIRST, message).expect("a credit is left");
        }
    }
    let mut served = [0; 3];
    for _ in 0..drains {
        receiver.drain(10, |from, _, _| served[from.as_usize()] += 1);
    }
    assert_eq!(served.iter().sum::<usize>(), drains * 10);
    // The start rotates over three places, one of which is the receiver's own: one peer inherits its turns.
    let third = drains * 10 / 3;
    assert!(served[1] >= third && served[2] >= third, "{served:?}");
}

/// Goal: order within a pair and lane survives small budgets.
#[test]
fn order_survives_small_budgets() {
    let capacity = MeshCapacity {
        requests: 100,
        control: 1,
    };
    let mut endpoints = mesh::<u32>(2, capacity);
    let mut second = endpoints.pop().expect("two cores");
    let mut first = endpoints.pop().expect("two cores");
    for message in 0..100 {
        first.try_request(SECOND, message).expect("a credit is left");
    }
    let mut received = Vec::new();
    for budget in 1.. {
        if second.drain(budget % 7 + 1, |_, _, message| received.push(message)) == 0 {
            break;
        }
    }
    assert!(received.iter().copied().eq(0..100));
}

struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Goal: a batch wakes a sleeping core once, an awake core never, and each core of the batch gets its own.
#[test]
fn one_wake_for_each_batch() {
    let [mut first, mut second, mut third] = cores();
    let wakes = Arc::new(CountWakes(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&wakes));
    let count = || wakes.0.load(Ordering::SeqCst);

    first.try_request(SECOND, 1).expect("a credit is left");
    first.ring_bells();
    assert_eq!(count(), 0, "it is awake");
    assert_eq!(second.prepare_to_park(&waker), Park::MessagesWaiting);
    receive_all(&mut second);

    assert_eq!(second.prepare_to_park(&waker), Park::MayPark);
    assert_eq!(third.prepare_to_park(&waker), Park::MayPark);
    first.ring_bells();
    assert_eq!(count(), 0, "nothing was posted since");
    for message in 0..3 {
        first.try_request(SECOND, message).expect("a credit is left");
        first
            .try_control(THIRD, message)
            .expect("a change within the protocol");
    }
    assert_eq!(count(), 0, "the bells ring at the batch's end");
    first.ring_bells();
    first.try_request(SECOND, 4).expect_err("no credit is left");
    first.ring_bells();
    assert_eq!((count(), first.counters().wakes()), (2, 2));

    second.unpark();
    receive_all(&mut second);
    second.answer(FIRST, 1);
    second.ring_bells();
    assert_eq!(
        (count(), second.counters().wakes()),
        (2, 0),
        "the first core never slept"
    );
}

/// Goal: a core that sleeps is woken by a peer that stops.
#[test]
fn a_departure_wakes() {
    let (mut first, second) = pair();
    let wakes = Arc::new(CountWakes(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&wakes));
    assert_eq!(first.prepare_to_park(&waker), Park::MayPark);
    drop(second);
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    first.unpark();
    assert_eq!(first.prepare_to_park(&waker), Park::MessagesWaiting);
    assert_eq!(first.poll_departed(), Some(SECOND));
    assert_eq!(first.prepare_to_park(&waker), Park::MayPark);
}
