//! Malformed frames get the expected, or another acceptable, reaction: as far as the wire layer decides it.
//!
//! What a session's state decides (wrong state, second bind) is checked against a running engine elsewhere.

use serde::Deserialize;
use smppmux_engine::core::wire::{
    Acceptance, BindLimits, CommandId, Frame, Header, Status, Version, next_frame, validate,
};

use crate::vector::{malformed_vectors, octets_of};

const MAX_PDU_OCTETS: u32 = 81_920;

/// One frame and the reaction to it.
#[derive(Debug, Deserialize)]
struct Malformed {
    name: String,
    hex: String,
    expect: Expectation,
    also_acceptable: Vec<String>,
    basis: String,
}

#[derive(Debug, Deserialize)]
struct Expectation {
    kind: String,
    status_name: Option<String>,
}

/// What the wire layer does with the first PDU of a stream.
#[derive(Debug, PartialEq, Eq)]
enum Reaction {
    Wait,
    /// generic_nack or nothing, then close: framing is lost.
    Close,
    Accept,
    Ignore,
    Reply(CommandId, Status),
}

impl Malformed {
    /// The states of a session are not the wire layer's to know.
    fn is_about_session_state(&self) -> bool {
        matches!(
            self.expect.status_name.as_deref(),
            Some("ESME_RINVBNDSTS" | "ESME_RALYBND")
        )
    }

    /// The lines whose reaction depends on the version of the session say so in their names.
    fn acceptance(&self) -> Acceptance {
        let version = if self.name.ends_with("on_v34_session") {
            Version::V34
        } else if self.name.ends_with("on_v33_only_mc") {
            Version::V33
        } else {
            Version::V50
        };
        Acceptance {
            bind_limits: BindLimits::STRICT,
            ..Acceptance::of(version)
        }
    }

    fn reaction(&self) -> Reaction {
        let stream = octets_of(&self.hex);
        let pdu = match next_frame(&stream, MAX_PDU_OCTETS) {
            Frame::Incomplete { .. } => return Reaction::Wait,
            Frame::BadLength { .. } => return Reaction::Close,
            Frame::Pdu(pdu) => pdu,
        };
        let Err(fault) = validate(pdu, &self.acceptance()) else {
            return Reaction::Accept;
        };
        let header = Header::read(pdu).expect("a framed PDU");
        match fault.reply(&header) {
            Some(reply) => {
                assert_eq!(reply.sequence_number, header.sequence_number, "{}", self.name);
                Reaction::Reply(reply.command_id, reply.command_status)
            }
            None => Reaction::Ignore,
        }
    }

    fn request(&self) -> CommandId {
        Header::read(&octets_of(&self.hex)).expect("a header").command_id
    }

    fn is_expected(&self, reaction: &Reaction) -> bool {
        let status = self.expect.status_name.as_deref().and_then(Status::from_name);
        match self.expect.kind.as_str() {
            "wait" => *reaction == Reaction::Wait,
            "accept" | "response" | "two_replies" | "reply_then_generic_nack" => {
                *reaction == Reaction::Accept
            }
            "ignore" => *reaction == Reaction::Ignore,
            "generic_nack_or_close" => *reaction == Reaction::Close,
            "generic_nack" if *reaction == Reaction::Close => status == Some(Status::ESME_RINVCMDLEN),
            "generic_nack" => {
                status.is_some_and(|status| *reaction == Reaction::Reply(CommandId::GENERIC_NACK, status))
            }
            "error_response" => {
                status.is_some_and(|status| *reaction == Reaction::Reply(self.request().response(), status))
            }
            other => panic!("{}: unknown kind {other}", self.name),
        }
    }

    /// Reads the alternatives that the lines give in words: to accept and relay, or a status in the matching response
    /// or in a generic_nack.
    fn is_also_acceptable(&self, reaction: &Reaction) -> bool {
        self.also_acceptable.iter().any(|alternative| match reaction {
            Reaction::Accept => alternative.starts_with("accept") || alternative.starts_with("ignore the"),
            Reaction::Reply(command, status) => {
                let as_nack = alternative.starts_with("generic_nack");
                as_nack == (*command == CommandId::GENERIC_NACK)
                    && alternative
                        .split_whitespace()
                        .filter_map(Status::from_name)
                        .any(|named| named == *status)
            }
            Reaction::Wait | Reaction::Close | Reaction::Ignore => false,
        })
    }
}

/// Goal: every malformed frame that the specification judges gets a reaction that its line calls right.
#[test]
fn what_the_specification_judges_is_judged_so() {
    let mut checked = 0;
    for line in malformed_vectors::<Malformed>() {
        if !line.basis.starts_with("spec") || line.is_about_session_state() {
            continue;
        }
        let reaction = line.reaction();
        assert!(
            line.is_expected(&reaction) || line.is_also_acceptable(&reaction),
            "{}: {reaction:?}, but expected is {:?}, or {:?}",
            line.name,
            line.expect,
            line.also_acceptable
        );
        checked += 1;
    }
    assert_eq!(checked, 87, "of 94 lines seven are about the state of a session");
}

/// Goal: a frame that could be refused is let through only where a relay need not judge it.
#[test]
fn only_what_a_relay_need_not_judge_is_let_through() {
    let let_through: Vec<String> = malformed_vectors::<Malformed>()
        .into_iter()
        .filter(|line| line.basis.starts_with("spec") && !line.is_about_session_state())
        .filter(|line| line.reaction() == Reaction::Accept && !line.is_expected(&Reaction::Accept))
        .map(|line| line.name)
        .collect();
    assert!(!let_through.is_empty());
    for name in &let_through {
        let is_value = [
            "bad_value",
            "sm_length_255",
            "replace_flag_2",
            "priority_5",
            "reserved",
            "value_9",
        ];
        let is_tlv = name.starts_with("tlv_") && name.contains("_len_");
        let is_empty = name == "data_sm_without_payload";
        assert!(
            is_tlv || is_empty || is_value.iter().any(|part| name.contains(part)),
            "{name}"
        );
    }
}

/// Goal: frames that only practice judges, and that need no session, get their reaction too: nothing odd is refused that
/// a sound implementation takes.
#[test]
fn what_practice_takes_is_taken() {
    let mut checked = 0;
    for line in malformed_vectors::<Malformed>() {
        let is_accepted = matches!(line.expect.kind.as_str(), "accept" | "response");
        if line.basis == "practice" && is_accepted {
            assert_eq!(line.reaction(), Reaction::Accept, "{}", line.name);
            checked += 1;
        }
    }
    assert!(checked >= 10, "only {checked} lines");
}

/// Goal: credentials beyond the limits of the specification pass where the limits are widened, and only those.
#[test]
fn long_credentials_pass_lenient_limits() {
    for line in malformed_vectors::<Malformed>() {
        let is_long = line.name.contains("_system_id_16_chars") || line.name.contains("_password_9_chars");
        let is_other = line.name.contains("_system_type_13") || line.name.contains("_address_range_41");
        if is_long || is_other {
            let outcome = validate(&octets_of(&line.hex), &Acceptance::of(Version::V50));
            assert_eq!(outcome.is_ok(), is_long, "{}: {outcome:?}", line.name);
        }
    }
}
