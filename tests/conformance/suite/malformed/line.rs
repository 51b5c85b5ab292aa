//! What a malformed line expects of a running engine, and whether what came is that.

use serde::Deserialize;
use smppmux_engine::core::wire::{CommandId, Header, Status, Version};
use smppmux_tests::pdu::Pdu;

use crate::failure::{Failure, Outcome};

/// Lines that do not apply to smppmux, or where it differs on purpose.
const LEFT_OUT: [(&str, &str); 2] = [
    (
        "bind_transceiver_on_v33_only_mc",
        "smppmux is no MC of v3.3 alone: it takes transceivers",
    ),
    (
        "command_length_70001_over_64k_limit_example",
        "the ceiling is 80 KiB, so that the frame is only incomplete",
    ),
];

/// One frame and the reaction to it.
#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    hex: String,
    valid_in: Vec<String>,
    pub(crate) session_state: String,
    arrives_at: String,
    expect: Expectation,
    also_acceptable: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Expectation {
    kind: String,
    status_name: Option<String>,
    connection: String,
}

/// What came back on the connection that the line was sent on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reaction {
    /// Without the answer of the enquire_link that was sent behind the line.
    pub(crate) replies: Vec<Pdu>,
    pub(crate) is_closed: bool,
}

impl Line {
    /// All lines that apply.
    pub(crate) fn all() -> Vec<Self> {
        let lines = include_str!("../../vectors/malformed.jsonl").lines();
        let lines = lines.map(|line| serde_json::from_str(line).expect("the vectors are JSON"));
        lines
            .filter(|line: &Self| LEFT_OUT.iter().all(|(name, _)| *name != line.name))
            .collect()
    }

    pub(crate) fn octets(&self) -> Vec<u8> {
        let digits = |at: usize| u8::from_str_radix(&self.hex[at..at + 2], 16);
        (0..self.hex.len())
            .step_by(2)
            .map(|at| digits(at).expect("the vectors are hex"))
            .collect()
    }

    pub(crate) fn arrives_at_mc(&self) -> bool {
        matches!(self.arrives_at.as_str(), "mc" | "either")
    }

    pub(crate) fn arrives_at_esme(&self) -> bool {
        matches!(self.arrives_at.as_str(), "esme" | "either")
    }

    /// It comes on a session that the balancer bound as transmitter.
    pub(crate) fn is_for_transmitter(&self) -> bool {
        self.session_state == "BOUND_TX"
    }

    /// The version that the session is bound with.
    pub(crate) fn version(&self) -> Version {
        let is_valid_in = |version: &str| self.valid_in.iter().any(|valid| valid == version);
        if is_valid_in("3.4") {
            Version::V34
        } else if is_valid_in("5.0") {
            Version::V50
        } else {
            Version::V33
        }
    }

    /// Nothing can be said until more arrives.
    pub(crate) fn must_wait(&self) -> bool {
        self.expect.kind == "wait"
    }

    /// Framing is lost, so the connection must end.
    pub(crate) fn must_close(&self) -> bool {
        self.expect.connection == "close"
    }

    /// The session must go on. An unbind ends it in order.
    pub(crate) fn must_survive(&self) -> bool {
        let has_unbind = self.name == "two_pdus_in_one_read" || self.header().command_id == CommandId::UNBIND;
        self.expect.connection == "keep" && self.session_state != "UNBOUND" && !has_unbind
    }

    /// A reply to it is due in any case.
    pub(crate) fn must_be_answered(&self) -> bool {
        let command = self.header().command_id;
        !command.is_response() && !matches!(command, CommandId::ALERT_NOTIFICATION | CommandId::OUTBIND)
    }

    /// Its number stands for that of a request that waits for an answer.
    pub(crate) fn answers_a_pending_request(&self) -> bool {
        matches!(
            self.name.as_str(),
            "submit_sm_resp_success_without_body"
                | "submit_multi_resp_count_exceeds_body"
                | "submit_sm_resp_message_id_80_chars"
                | "submit_sm_resp_wrong_type_for_sequence"
                | "generic_nack_in_reply_to_request"
                | "generic_nack_with_body"
        )
    }

    /// Of the first PDU.
    pub(crate) fn header(&self) -> Header {
        Header::read(&self.octets()).unwrap_or(Header {
            command_length: 0,
            command_id: CommandId(0),
            command_status: Status::ESME_ROK,
            sequence_number: 0,
        })
    }

    /// Fails unless this reaction is the expected or another acceptable one.
    pub(crate) fn judge(&self, reaction: &Reaction) -> Outcome {
        let is_right = self.is_expected(reaction) || self.is_also_acceptable(reaction);
        if !is_right {
            return self.fail(format!(
                "{reaction:?}, but expected is {:?}, or {:?}",
                self.expect, self.also_acceptable
            ));
        }
        if self.must_survive() && reaction.is_closed {
            return self.fail(format!("the session must go on, but {reaction:?}"));
        }
        Ok(())
    }

    /// A failure that names the line and shows its octets.
    pub(crate) fn fail<T>(&self, what: impl std::fmt::Display) -> Outcome<T> {
        Err(Failure {
            what: format!("line {}: {what}", self.name),
            octets: self.octets(),
        })
    }

    fn is_expected(&self, reaction: &Reaction) -> bool {
        let status = self.expect.status_name.as_deref().and_then(Status::from_name);
        let request = self.header().command_id;
        match (self.expect.kind.as_str(), reaction.replies.as_slice()) {
            ("wait" | "ignore", replies) => replies.is_empty(),
            ("accept", []) => request.is_response(),
            ("accept", [reply]) => self.is_reply(reply, request.response(), Status::ESME_ROK),
            ("response", [reply]) => self.is_reply(reply, request.response(), status.expect("one is named")),
            ("generic_nack", [reply]) if self.must_close() => {
                reaction.is_closed && is_nack_of_length(reply, self.header().sequence_number)
            }
            ("generic_nack", [reply]) => {
                self.is_reply(reply, CommandId::GENERIC_NACK, status.expect("one is named"))
            }
            ("error_response", [reply]) => {
                self.is_reply(reply, request.response(), status.expect("one is named"))
            }
            ("generic_nack_or_close", replies) => {
                reaction.is_closed && replies.iter().all(|reply| is_nack_of_length(reply, 0))
            }
            ("two_replies", [first, second]) => {
                self.is_reply(first, CommandId::ENQUIRE_LINK_RESP, Status::ESME_ROK)
                    && second.command() == CommandId::UNBIND_RESP
                    && second.sequence_number() == 0x202
            }
            ("reply_then_generic_nack", [first, second]) => {
                self.is_reply(first, CommandId::ENQUIRE_LINK_RESP, Status::ESME_ROK)
                    && is_nack_of_length(second, 0)
                    && reaction.is_closed
            }
            _ => false,
        }
    }

    /// Reads the alternatives that the lines give in words.
    fn is_also_acceptable(&self, reaction: &Reaction) -> bool {
        self.also_acceptable
            .iter()
            .any(|alternative| match reaction.replies.as_slice() {
                [] => {
                    (alternative == "close without a reply" && reaction.is_closed) || alternative == "ignore"
                }
                [reply] => self.is_alternative(alternative, reply),
                _ => false,
            })
    }

    fn is_alternative(&self, alternative: &str, reply: &Pdu) -> bool {
        let response = self.header().command_id.response();
        if alternative.starts_with("accept") || alternative.starts_with("ignore the") {
            return self.is_reply(reply, response, Status::ESME_ROK);
        }
        let expected = self.expect.status_name.as_deref().and_then(Status::from_name);
        if alternative == "matching _resp with the same status" {
            return expected.is_some_and(|status| self.is_reply(reply, response, status));
        }
        if alternative == "field-specific status in submit_sm_resp" {
            return self.is_reply(reply, response, reply.status()) && !reply.status().is_ok();
        }
        let command = if alternative.starts_with("generic_nack") {
            CommandId::GENERIC_NACK
        } else {
            response
        };
        alternative
            .split_whitespace()
            .filter_map(Status::from_name)
            .any(|status| self.is_reply(reply, command, status))
    }

    fn is_reply(&self, reply: &Pdu, command: CommandId, status: Status) -> bool {
        reply.command() == command
            && reply.status() == status
            && reply.sequence_number() == self.header().sequence_number
    }
}

/// The number may be that of the frame, or 0 because nothing in it can be trusted.
fn is_nack_of_length(reply: &Pdu, sequence_number: u32) -> bool {
    reply.command() == CommandId::GENERIC_NACK
        && reply.status() == Status::ESME_RINVCMDLEN
        && (reply.sequence_number() == 0 || reply.sequence_number() == sequence_number)
}
