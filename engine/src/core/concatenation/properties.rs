//! What must hold for pins whatever segments come.

use super::pin::Mark;
use super::pins::Pins;
use super::segment::{Owner, Segment};
use crate::core::random::Random;
use crate::core::settings::{ClientIndex, VserverIndex};
use crate::core::time::Moment;
use crate::core::wire::{CommandId, Concatenation, ConcatenationKind};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);
const START: Moment = Moment::START;
const ADDRESSES: u64 = 0xADD2;
const KIND: ConcatenationKind = ConcatenationKind::Udh8;

fn pins(pins_max: usize) -> Pins {
    Pins::with_timeouts([TIMEOUT, TIMEOUT].into_iter(), 1, pins_max)
}

fn owner(account: u32) -> Owner {
    Owner::Account(VserverIndex(0), Some(ClientIndex(account)))
}

/// Segment `sequence` of `total` of an account's message with `reference`, whose text is told by `text`.
fn segment(account: u32, reference: u16, total: u8, sequence: u8, text: u32) -> Segment {
    let mut pdu = vec![0; 16];
    pdu.extend_from_slice(b"\0\x01\x011\0\x01\x012\0\x40\0\0\0\0\0\0\0\0\x06\x05\x00\x03\x01\x01\x01");
    let mut place = Concatenation::of_pdu(CommandId::SUBMIT_SM, &pdu).expect("a segment");
    (place.reference, place.total, place.sequence) = (reference, total, sequence);
    Segment {
        place,
        addresses: ADDRESSES,
        message: u64::from(account) << 32 | u64::from(reference) << 16 | u64::from(total),
        content: text ^ u32::from(sequence) << 16,
    }
}

/// Goal: a message that is over gives its reference back; one that is not keeps it, from everyone.
#[test]
fn a_reference_is_given_back_at_the_end() {
    let (mut pins, mut random) = (pins(10), Random::new(7));
    let first = pins.enter(START, owner(1), &segment(1, 5, 2, 1, 0), 1);
    assert_eq!(
        pins.mark(first, KIND, &mut random),
        Some(Mark {
            kind: KIND,
            reference: 5
        })
    );
    let other = pins.enter(START, owner(2), &segment(2, 5, 2, 1, 0), 2);
    let mark = pins.mark(other, KIND, &mut random).unwrap();
    assert_ne!(mark.reference, 5);
    assert_eq!(
        pins.mark(other, KIND, &mut random),
        Some(mark),
        "the same for all segments"
    );
    let notes = [1, 2].map(|sequence| {
        assert_eq!(
            pins.enter(START, owner(1), &segment(1, 5, 2, sequence, 0), 1),
            first
        );
        pins.note(first, sequence).unwrap()
    });
    pins.settled(notes[0], true);
    assert!(pins.get(first).is_some(), "one segment is still out");
    pins.settled(notes[1], false);
    assert!(pins.get(first).is_some(), "one was refused and may come again");
    let again = pins.note(first, 2).unwrap();
    pins.settled(again, true);
    assert!(pins.get(first).is_none(), "all were answered ESME_ROK");
    let third = pins.enter(START, owner(3), &segment(3, 5, 2, 1, 0), 3);
    assert_eq!(pins.mark(third, KIND, &mut random).unwrap().reference, 5);
    pins.check_invariants(0);
}

/// Goal: a number that comes again with the same text is the same segment, with another text another message; which
/// of two alike a further segment belongs to is told by who sent it.
#[test]
fn a_repeat_with_another_text_is_another_message() {
    let mut pins = pins(10);
    let enter = |pins: &mut Pins, sequence, text, sender| {
        pins.enter(START, owner(1), &segment(1, 5, 3, sequence, text), sender)
    };
    let first = enter(&mut pins, 1, 0, 11);
    assert_eq!(enter(&mut pins, 1, 0, 11), first, "sent again");
    let second = enter(&mut pins, 1, 99, 22);
    assert_ne!(second, first);
    assert_eq!(enter(&mut pins, 2, 0, 11), first);
    assert_eq!(enter(&mut pins, 2, 99, 22), second);
    assert_eq!(
        enter(&mut pins, 3, 0, 33),
        second,
        "from a third session: the newest that lacks it"
    );
    pins.check_invariants(0);
}

/// Goal: a segment that found no room goes before the later ones, but not for ever.
#[test]
fn order_is_kept_for_a_while() {
    let mut pins = pins(10);
    // They come as 3, 1, 2.
    let id = pins.enter(START, owner(1), &segment(1, 5, 3, 3, 0), 1);
    for sequence in [1, 2] {
        pins.enter(START, owner(1), &segment(1, 5, 3, sequence, 0), 1);
    }
    let until = START + Duration::from_secs(2);
    let third = pins.note(id, 3).unwrap();
    pins.refused(id, 2, until);
    pins.refused(id, 1, until);
    assert!(pins.may_go(id, 1, START) && !pins.may_go(id, 2, START));
    pins.unsent(third);
    pins.refused(id, 3, until);
    assert!(pins.may_go(id, 3, START), "it came back, and came first");
    assert!(!pins.may_go(id, 1, START) && !pins.may_go(id, 2, START));
    assert!(pins.may_go(id, 2, until), "its sender may have given up");
    pins.note(id, 3).unwrap();
    assert!(pins.may_go(id, 1, START));
}

/// Goal: what waits behind a first one stays before the later ones when that first one has left.
#[test]
fn order_is_kept_behind_the_first() {
    let mut pins = pins(10);
    let id = pins.enter(START, owner(1), &segment(1, 5, 3, 1, 0), 1);
    for sequence in [2, 3] {
        pins.enter(START, owner(1), &segment(1, 5, 3, sequence, 0), 1);
    }
    let until = START + Duration::from_secs(2);
    pins.refused(id, 1, until);
    pins.refused(id, 2, until);
    pins.note(id, 1).unwrap();
    assert!(pins.may_go(id, 2, START) && !pins.may_go(id, 3, START));
    pins.note(id, 2).unwrap();
    assert!(pins.may_go(id, 3, START));
}

/// Goal: when one that waits has been given up, those behind it that still wait keep their place before the later ones.
#[test]
fn each_is_waited_for_by_itself() {
    let mut pins = pins(10);
    let id = pins.enter(START, owner(1), &segment(1, 5, 3, 1, 0), 1);
    for sequence in [2, 3] {
        pins.enter(START, owner(1), &segment(1, 5, 3, sequence, 0), 1);
    }
    let given_up = START + Duration::from_secs(2);
    pins.refused(id, 1, given_up);
    pins.refused(id, 2, given_up + Duration::from_secs(1));
    assert!(!pins.may_go(id, 2, START));
    assert!(pins.may_go(id, 2, given_up) && !pins.may_go(id, 3, given_up));
    assert!(pins.may_go(id, 3, given_up + Duration::from_secs(1)));
}

/// Goal: a segment from the queue, which has the reference that its message leaves under, finds its message by that; one that
/// the message has not had, or whose message is over, is another's.
#[test]
fn a_queued_segment_finds_its_message() {
    let (mut pins, mut random) = (pins(10), Random::new(7));
    pins.enter(START, owner(1), &segment(1, 5, 2, 1, 0), 1);
    let (queue, server) = (Owner::Server(VserverIndex(0), None), owner(2));
    let first = pins.enter(START, owner(1), &segment(1, 5, 2, 1, 0), 1);
    pins.mark(first, KIND, &mut random).unwrap();
    let second = pins.enter(START, server, &segment(2, 5, 2, 1, 7), 2);
    let fresh = pins.mark(second, KIND, &mut random).unwrap().reference;
    assert_eq!(
        pins.enter_queued(START, queue, &segment(9, fresh, 2, 1, 7)),
        second
    );
    let stranger = pins.enter_queued(START, queue, &segment(9, fresh, 2, 1, 8));
    assert!(stranger != first && stranger != second);
    let note = [1, 2].map(|sequence| {
        pins.enter(START, server, &segment(2, 5, 2, sequence, 7), 2);
        pins.note(second, sequence).unwrap()
    });
    note.into_iter().for_each(|note| pins.settled(note, true));
    assert_ne!(
        pins.enter_queued(START, queue, &segment(9, fresh, 2, 2, 7)),
        second
    );
    pins.check_invariants(0);
}

/// Goal: what is too old, and what is too much, goes, the oldest first, and nothing of it is left.
#[test]
fn pins_are_bounded_in_time_and_number() {
    let (mut pins, mut random) = (pins(3), Random::new(7));
    let ids: Vec<_> = (0..4_u32)
        .map(|account| {
            let now = START + Duration::from_secs(account.into());
            let id = pins.enter(now, owner(account), &segment(account, 5, 2, 1, 0), account);
            pins.mark(id, KIND, &mut random).unwrap();
            pins.check_invariants(0);
            id
        })
        .collect();
    assert!(pins.get(ids[0]).is_none() && pins.len() == 3);
    assert_eq!(pins.next_deadline(), START + TIMEOUT + Duration::from_secs(1));
    pins.expire(START + TIMEOUT + Duration::from_secs(2));
    assert!(pins.get(ids[2]).is_none() && pins.get(ids[3]).is_some());
    pins.expire(START + TIMEOUT * 2);
    assert_eq!((pins.len(), pins.next_deadline()), (0, Moment::NEVER));
    pins.check_invariants(0);
}

proptest! {
    /// Goal: whatever comes in whatever order from whomever, all segments of a message get one mark, no two messages
    /// that are not over have the same, and the books agree. Method: accounts with few references between the same
    /// addresses, each account one message at a time for each reference; random answers.
    #[test]
    fn no_two_messages_share_a_reference(
        steps in proptest::collection::vec((0_u32..6, 0_u16..3, 1_u8..4, 0_u8..4), 1..400), seed: u64,
    ) {
        let (mut pins, mut random) = (pins(1_000), Random::new(seed));
        let mut marks: HashMap<(u32, u16), u16> = HashMap::new();
        let mut sent = Vec::new();
        let mut answered: HashMap<(u32, u16), HashSet<u8>> = HashMap::new();
        for (account, reference, sequence, answer) in steps {
            let key = (account, reference);
            let id = pins.enter(START, owner(account), &segment(account, reference, 3, sequence, account), account);
            let mark = pins.mark(id, KIND, &mut random).unwrap();
            prop_assert_eq!(*marks.entry(key).or_insert(mark.reference), mark.reference, "one mark for a message");
            let distinct: HashSet<_> = marks.values().collect();
            prop_assert_eq!(distinct.len(), marks.len(), "one message for a mark");
            sent.push((key, sequence, pins.note(id, sequence).unwrap()));
            if answer > 0 {
                let (key, sequence, note) = sent.swap_remove(usize::from(answer) % sent.len());
                let is_ok = answer > 1;
                pins.settled(note, is_ok);
                if is_ok && marks.contains_key(&key) {
                    let numbers = answered.entry(key).or_default();
                    numbers.insert(sequence);
                    if numbers.len() == 3 {
                        marks.remove(&key);
                        answered.remove(&key);
                        sent.retain(|(other, _, note)| *other != key || { pins.settled(*note, false); false });
                    }
                }
            }
            pins.check_invariants(sent.len());
            prop_assert_eq!(pins.len(), marks.len());
        }
    }
}
