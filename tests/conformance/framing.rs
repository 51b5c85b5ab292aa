//! The stream of all vectors is framed the same, however it is cut and merged.

use std::ops::Range;
use std::sync::LazyLock;

use proptest::prelude::*;
use smppmux_engine::core::wire::{Frame, next_frame};

use crate::vector::valid_vectors;

const MAX_PDU_OCTETS: u32 = 81_920;

/// All vectors one behind the other, and where each stands.
static STREAM: LazyLock<(Vec<u8>, Vec<Range<usize>>)> = LazyLock::new(|| {
    let mut octets = Vec::new();
    let mut places = Vec::new();
    for vector in valid_vectors() {
        let from = octets.len();
        octets.extend(vector.pdu());
        places.push(from..octets.len());
    }
    (octets, places)
});

/// Goal: with the stream cut at any octet, the PDU that is cut waits, knows at most what is missing, and is found whole
/// once the rest came. Method: PDUs before the cut are found by the same call, so each cut needs only its own PDU.
#[test]
fn every_cut_waits_for_the_rest() {
    let (stream, places) = &*STREAM;
    for place in places {
        for cut in place.clone() {
            match next_frame(&stream[place.start..cut], MAX_PDU_OCTETS) {
                Frame::Incomplete { missing_octets } => {
                    assert!((1..=place.end - cut).contains(&missing_octets), "cut at {cut}");
                }
                other => panic!("cut at {cut}: {other:?}"),
            }
        }
        assert_eq!(
            next_frame(&stream[place.start..], MAX_PDU_OCTETS),
            Frame::Pdu(&stream[place.clone()])
        );
    }
}

/// Frames the stream as it arrives in chunks, keeping what is incomplete.
fn places_found(stream: &[u8], chunks: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut arrived = 0;
    let mut at = 0;
    for chunk in chunks {
        arrived = stream.len().min(arrived + chunk);
        while let Frame::Pdu(pdu) = next_frame(&stream[at..arrived], MAX_PDU_OCTETS) {
            places.push(at..at + pdu.len());
            at += pdu.len();
        }
        if arrived == stream.len() {
            break;
        }
    }
    places
}

/// Goal: one octet at a time, and all at once, give the same PDUs.
#[test]
fn single_octets_and_the_whole_give_the_same() {
    let (stream, places) = &*STREAM;
    assert_eq!(places_found(stream, std::iter::repeat(1)), *places);
    assert_eq!(places_found(stream, std::iter::once(stream.len())), *places);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Goal: any chunking gives the same PDUs.
    #[test]
    fn any_chunking_gives_the_same(chunks in proptest::collection::vec(1_usize..5_000, 1..200)) {
        let (stream, places) = &*STREAM;
        prop_assert_eq!(&places_found(stream, chunks.into_iter().cycle()), places);
    }
}
