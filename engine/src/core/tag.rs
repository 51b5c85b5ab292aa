//! Tagged message ids: `<id>#<signature>-<uid>` tells which server an id belongs to.
//!
//! Owns writing and reading the tag, and copying PDUs with their id tagged or untagged. Invariants: an id is opaque, never
//! parsed, re-cased or shortened; a copy differs from its original in the id, command_length and sequence_number alone;
//! on an error nothing was appended. Must never allocate, but for the growth of the caller's buffer.

use super::wire::{CommandId, HEADER_OCTETS, Header, first_nul, patch_copy};
use bytes::BytesMut;
use std::fmt;
use std::ops::Range;

/// The longest message_id since SMPP v3.4, without its NUL (v3.4 section 5.2.23).
pub const MESSAGE_ID_OCTETS_MAX: usize = 64;

/// The longest message_id that a v3.3 peer takes, without its NUL.
pub const MESSAGE_ID_OCTETS_MAX_V33: usize = 8;

/// What a tag adds besides the signature: `#`, `-` and the uid.
const TAG_OCTETS_WITHOUT_SIGNATURE: usize = 4;

/// How a copy came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaggedCopy {
    /// With its id tagged.
    Tagged,
    /// As it was, or with an empty id where it had none: there is nothing to tag.
    Unchanged,
}

/// Why nothing was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagError {
    /// The PDU is shorter than its header, or the id does not lie inside it: the caller's mistake.
    NoSuchField,
    /// The tagged id would be longer than the receiver takes.
    TooLong {
        /// What the tagged id would take, in octets without its NUL.
        octets: usize,
    },
}

/// Octets of an id of `id_octets` once it is tagged.
pub const fn tagged_octets(id_octets: usize, signature: &[u8]) -> usize {
    id_octets + signature.len() + TAG_OCTETS_WITHOUT_SIGNATURE
}

/// Whether an id of `id_octets` still fits into `octets_max` once it is tagged.
pub const fn fits(id_octets: usize, signature: &[u8], octets_max: usize) -> bool {
    tagged_octets(id_octets, signature) <= octets_max
}

/// `#<signature>-<uid>`, ready to be put behind ids. The rest of its room is NUL.
#[derive(Clone, Debug)]
pub struct IdTag {
    text: [u8; Self::ROOM],
    octets: usize,
}

impl IdTag {
    /// A power of two, so that the text is copied by a few moves; there is always a NUL behind it.
    const ROOM: usize = 32;

    /// The tag of a server's ids; `None` where the signature is longer than any that may be configured.
    pub fn new(signature: &[u8], uid: [u8; 2]) -> Option<Self> {
        let octets = tagged_octets(0, signature);
        let mut text = [0; Self::ROOM];
        let (place, _) = text.split_at_mut_checked(octets)?;
        write_tag(place, signature, uid);
        (octets < Self::ROOM).then_some(Self { text, octets })
    }

    /// Appends the tag and a NUL.
    #[inline(always)]
    fn append_to(&self, out: &mut BytesMut) {
        let start = out.len();
        out.extend_from_slice(&self.text);
        out.truncate(start + self.octets + 1);
    }
}

/// Writes `#<signature>-<uid>` into `place`, which has exactly the octets for it.
pub(super) fn write_tag(place: &mut [u8], signature: &[u8], uid: [u8; 2]) {
    place[0] = b'#';
    place[1..=signature.len()].copy_from_slice(signature);
    place[1 + signature.len()] = b'-';
    place[2 + signature.len()..].copy_from_slice(&uid);
}

/// Takes a tag apart into the server's own id and its uid. The id may itself contain a `#`: the last one counts.
/// `None`: not tagged by us (no tag, another signature, no id, or a uid that is not two characters `[0-9A-Z]`).
pub fn untag<'a>(id: &'a [u8], signature: &[u8]) -> Option<(&'a [u8], [u8; 2])> {
    let (rest, uid) = id.split_last_chunk::<2>()?;
    let rest = rest.strip_suffix(b"-")?.strip_suffix(signature)?;
    let id = rest.strip_suffix(b"#").filter(|id| !id.is_empty())?;
    uid.iter()
        .all(|character| character.is_ascii_digit() || character.is_ascii_uppercase())
        .then_some((id, *uid))
}

/// Appends a copy of a positive response whose body starts with a message_id (submit_sm_resp, submit_multi_resp,
/// data_sm_resp, broadcast_sm_resp, query_sm_resp), with a new sequence number and the id tagged; what follows the id is kept.
/// A response whose id is missing, empty or without its NUL is copied as it is, but for the sequence number.
///
/// # Errors
///
/// [`TagError::TooLong`] when the tagged id exceeds `id_octets_max` octets without its NUL;
/// [`TagError::NoSuchField`] when `pdu` is shorter than a header.
#[inline(always)]
pub fn append_response_with_tagged_id(
    out: &mut BytesMut,
    pdu: &[u8],
    new_sequence_number: u32,
    tag: &IdTag,
    id_octets_max: usize,
) -> Result<TaggedCopy, TagError> {
    let body = pdu.get(HEADER_OCTETS..).ok_or(TagError::NoSuchField)?;
    let id_octets = match first_nul(body) {
        Some(octets) if octets > 0 => octets,
        _ => return Ok(append_response_without_id(out, pdu, new_sequence_number)),
    };
    let octets = id_octets + tag.octets;
    if octets > id_octets_max {
        return Err(TagError::TooLong { octets });
    }
    let start = out.len();
    let (head, behind_id) = pdu.split_at(HEADER_OCTETS + id_octets);
    out.extend_from_slice(head);
    tag.append_to(out);
    // The tag has brought the id's NUL; most answers end with it.
    if behind_id.len() > 1 {
        out.extend_from_slice(&behind_id[1..]);
    }
    patch_copy(&mut out[start..], new_sequence_number);
    Ok(TaggedCopy::Tagged)
}

/// Appends a copy of a response that has no id, or none that ends.
#[cold]
fn append_response_without_id(out: &mut BytesMut, pdu: &[u8], new_sequence_number: u32) -> TaggedCopy {
    let start = out.len();
    out.extend_from_slice(pdu);
    if pdu.len() == HEADER_OCTETS && is_an_id_alone(pdu) {
        // A server left the body out; the client gets the empty id that the specification asks for.
        out.extend_from_slice(&[0]);
    }
    patch_copy(&mut out[start..], new_sequence_number);
    TaggedCopy::Unchanged
}

/// Responses whose only mandatory field is the message_id.
pub(super) fn is_an_id_alone(pdu: &[u8]) -> bool {
    Header::read(pdu).is_some_and(|header| {
        matches!(
            header.command_id,
            CommandId::SUBMIT_SM_RESP | CommandId::DATA_SM_RESP | CommandId::BROADCAST_SM_RESP
        )
    })
}

/// Appends a copy of a response whose body starts with a message_id, with a new sequence number, another id, and `tail`
/// behind the id's NUL. A PDU that is shorter than its header is left out.
pub(super) fn append_response_with_id(
    out: &mut BytesMut,
    pdu: &[u8],
    new_sequence_number: u32,
    id: &[u8],
    tail: &[u8],
) {
    if pdu.len() >= HEADER_OCTETS {
        append_header(
            out,
            pdu,
            HEADER_OCTETS + id.len() + 1 + tail.len(),
            new_sequence_number,
        );
        out.extend_from_slice(id);
        out.extend_from_slice(&[0]);
        out.extend_from_slice(tail);
    }
}

/// Appends a copy of a request (query_sm, cancel_sm, replace_sm), with a new sequence number and its message_id, which
/// stands at `id_range` without its NUL, cut to its first `untagged_octets`.
///
/// # Errors
///
/// [`TagError::NoSuchField`] when the range does not lie in the body or is shorter than `untagged_octets`.
pub fn append_request_with_untagged_id(
    out: &mut BytesMut,
    pdu: &[u8],
    id_range: Range<usize>,
    untagged_octets: usize,
    new_sequence_number: u32,
) -> Result<(), TagError> {
    if id_range.start < HEADER_OCTETS || untagged_octets > id_range.len() {
        return Err(TagError::NoSuchField);
    }
    let kept = pdu.get(HEADER_OCTETS..id_range.start + untagged_octets);
    let behind_id = pdu.get(id_range.end..);
    let (Some(kept), Some(behind_id)) = (kept, behind_id) else {
        return Err(TagError::NoSuchField);
    };
    append_header(
        out,
        pdu,
        HEADER_OCTETS + kept.len() + behind_id.len(),
        new_sequence_number,
    );
    out.extend_from_slice(kept);
    out.extend_from_slice(behind_id);
    Ok(())
}

/// Appends the header of `pdu`, which has one, for a copy of `copy_octets` in all, and makes room for the rest.
pub(super) fn append_header(out: &mut BytesMut, pdu: &[u8], copy_octets: usize, new_sequence_number: u32) {
    let command_length = u32::try_from(copy_octets).unwrap_or(u32::MAX);
    out.reserve(copy_octets);
    out.extend_from_slice(&command_length.to_be_bytes());
    out.extend_from_slice(&pdu[4..12]);
    out.extend_from_slice(&new_sequence_number.to_be_bytes());
}

impl fmt::Display for TagError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchField => {
                formatter.write_str("the PDU does not hold the field that is to be rewritten")
            }
            Self::TooLong { octets } => write!(formatter, "the tagged message_id would take {octets} octets"),
        }
    }
}

impl std::error::Error for TagError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::Header;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const SEQUENCE_NUMBER: u32 = 0x7654_3210;

    fn tag() -> IdTag {
        IdTag::new(b"mx", *b"0A").expect("it fits")
    }

    fn pdu_with_body(body: &[u8]) -> Vec<u8> {
        let mut pdu = (16 + body.len() as u32).to_be_bytes().to_vec();
        pdu.extend_from_slice(&[0x80, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9]);
        pdu.extend_from_slice(body);
        pdu
    }

    /// Checks the header of a copy and gives its body.
    fn checked_body<'a>(copy: &'a [u8], original: &[u8]) -> &'a [u8] {
        let header = Header::read(copy).expect("a header");
        assert_eq!(header.command_length as usize, copy.len());
        assert_eq!(header.sequence_number, SEQUENCE_NUMBER);
        assert_eq!(copy[4..12], original[4..12]);
        &copy[16..]
    }

    prop_compose! {
        fn id_text()(id in vec(prop_oneof![3 => 1_u8..=255, 1 => Just(b'#'), 1 => Just(b'-')], 1..50)) -> Vec<u8> { id }
    }

    proptest! {
        /// Goal: untagging gives back the id and the uid, whatever the id holds.
        #[test]
        fn untag_undoes_the_tag(id in id_text(), signature in "[a-z0-9#-]{0,8}", uid in "[0-9A-Z]{2}") {
            let uid: [u8; 2] = uid.as_bytes().try_into().expect("two characters");
            let mut tagged = BytesMut::from(&id[..]);
            IdTag::new(signature.as_bytes(), uid).expect("it fits").append_to(&mut tagged);
            prop_assert_eq!(tagged.split_off(tagged.len() - 1), &b"\0"[..]);
            prop_assert_eq!(tagged.len(), tagged_octets(id.len(), signature.as_bytes()));
            prop_assert!(fits(id.len(), signature.as_bytes(), tagged.len()));
            prop_assert!(!fits(id.len(), signature.as_bytes(), tagged.len() - 1));
            prop_assert_eq!(untag(&tagged, signature.as_bytes()), Some((&id[..], uid)));
        }

        /// Goal: whatever untags was written by us: writing the parts again gives the same octets.
        #[test]
        fn only_our_own_tags_come_off(id in vec(prop_oneof![Just(b'#'), Just(b'm'), Just(b'x'), Just(b'-'), Just(b'0'), any::<u8>()], 0..12)) {
            if let Some((untagged, uid)) = untag(&id, b"mx") {
                let mut again = BytesMut::from(untagged);
                IdTag::new(b"mx", uid).expect("it fits").append_to(&mut again);
                prop_assert_eq!(&again[..again.len() - 1], &id[..]);
            }
        }

        /// Goal: a response's copy has the tagged id, and all behind the id and in the header octet for octet;
        /// taking the tag off again gives the original.
        #[test]
        fn responses_are_copied_with_their_id_tagged(id in id_text(), behind in vec(any::<u8>(), 0..40), earlier in vec(any::<u8>(), 0..5)) {
            let mut body = id.clone();
            body.push(0);
            body.extend_from_slice(&behind);
            let pdu = pdu_with_body(&body);
            let mut out = BytesMut::from(&earlier[..]);
            let copied = append_response_with_tagged_id(&mut out, &pdu, SEQUENCE_NUMBER, &tag(), 64);
            prop_assert_eq!(copied, Ok(TaggedCopy::Tagged));
            prop_assert_eq!(&out[..earlier.len()], &earlier[..]);
            let copy = &out[earlier.len()..];
            let copied_body = checked_body(copy, &pdu);
            let tagged_id = &copied_body[..copied_body.len() - behind.len() - 1];
            prop_assert_eq!(untag(tagged_id, b"mx"), Some((&id[..], *b"0A")));
            prop_assert_eq!(&copied_body[tagged_id.len() + 1..], &behind[..]);

            let mut back = BytesMut::new();
            let id_range = 16..16 + tagged_id.len();
            prop_assert_eq!(append_request_with_untagged_id(&mut back, copy, id_range, id.len(), 9), Ok(()));
            prop_assert_eq!(&back[..], &pdu[..]);
        }

        /// Goal: no octets and no ranges make the copies panic, and an error appends nothing.
        #[test]
        fn hostile_input_is_refused(pdu in vec(any::<u8>(), 0..40), start in 0_usize..60, end in 0_usize..60, untagged in 0_usize..60) {
            let mut out = BytesMut::new();
            if append_response_with_tagged_id(&mut out, &pdu, 1, &tag(), 10).is_err() {
                prop_assert!(out.is_empty());
            }
            out.clear();
            if append_request_with_untagged_id(&mut out, &pdu, start..end, untagged, 1).is_err() {
                prop_assert!(out.is_empty());
            }
        }
    }

    /// Goal: responses without a usable id pass unchanged, and an id that no longer fits is an error.
    #[test]
    fn responses_without_an_id_pass_unchanged() {
        for body in [&b"\0"[..], b"\0\x04\x28\0\x01\x50", b"no end"] {
            let pdu = pdu_with_body(body);
            let mut out = BytesMut::new();
            let copied = append_response_with_tagged_id(&mut out, &pdu, SEQUENCE_NUMBER, &tag(), 64);
            assert_eq!(copied, Ok(TaggedCopy::Unchanged));
            assert_eq!(checked_body(&out, &pdu), body);
        }
        let pdu = pdu_with_body(b"");
        let mut out = BytesMut::new();
        let copied = append_response_with_tagged_id(&mut out, &pdu, SEQUENCE_NUMBER, &tag(), 64);
        assert_eq!(copied, Ok(TaggedCopy::Unchanged));
        assert_eq!(checked_body(&out, &pdu), b"\0", "the id is mandatory, if empty");
        let pdu = pdu_with_body(b"123\0");
        let mut out = BytesMut::new();
        let copied = append_response_with_tagged_id(&mut out, &pdu, 1, &tag(), MESSAGE_ID_OCTETS_MAX_V33);
        assert_eq!(copied, Err(TagError::TooLong { octets: 9 }));
        assert!(out.is_empty());
    }

    /// Goal: tags of others are not taken for ours.
    #[test]
    fn foreign_tags_stay() {
        for id in [
            "12", "12#mx-", "12#my-0A", "12mx-0A", "#mx-0A", "12#mx-0a", "12#mx-0", "12#mx_0A", "#", "",
        ] {
            assert_eq!(untag(id.as_bytes(), b"mx"), None, "{id}");
        }
        assert_eq!(untag(b"1#my-0B#mx-0A", b"mx"), Some((&b"1#my-0B"[..], *b"0A")));
    }
}
