//! What an SMSC does by itself.

use std::fmt;
use std::sync::Arc;

use smppmux_engine::core::wire::{CommandId, QueryView, Status};
use smppmux_tests::pdu::{self, Pdu};

/// What it does with a bind.
#[derive(Clone)]
pub(crate) enum OnBind {
    /// Accepts it.
    Accept,
    /// Accepts it with a header alone, without a system_id.
    AcceptBare,
    /// Refuses it.
    Refuse(Status),
    /// Closes the connection when it is accepted, before anything is read.
    HangUp,
    /// Accepts it with octets behind the bind_resp, all in pieces of so many octets. Asked with the session's number.
    AcceptThen {
        /// What follows.
        octets: Arc<dyn Fn(u32) -> Vec<u8> + Send + Sync>,
        /// Octets of one write.
        piece_octets: usize,
    },
}

/// Gives the octets that answer a request, if any.
pub(crate) type AnswerMaker = dyn Fn(&Pdu) -> Option<Vec<u8>> + Send + Sync;

/// What it does with another request.
#[derive(Clone)]
pub(crate) enum OnRequest {
    /// Leaves it to the script.
    ByHand,
    /// Accepts it with an id of its own.
    Accept,
    /// Answers with these octets, if any.
    Do(Arc<AnswerMaker>),
}

/// All of it.
#[derive(Clone, Debug)]
pub(crate) struct Conduct {
    pub(crate) on_bind: OnBind,
    pub(crate) on_request: OnRequest,
    pub(crate) answers_enquiries: bool,
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            on_bind: OnBind::Accept,
            on_request: OnRequest::ByHand,
            answers_enquiries: true,
        }
    }
}

impl fmt::Debug for OnBind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Accept => "Accept",
            Self::AcceptBare => "AcceptBare",
            Self::Refuse(_) => "Refuse",
            Self::HangUp => "HangUp",
            Self::AcceptThen { .. } => "AcceptThen",
        })
    }
}

impl fmt::Debug for OnRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ByHand => "ByHand",
            Self::Accept => "Accept",
            Self::Do(_) => "Do",
        })
    }
}

/// The positive answer to a request, with this id where it carries one.
pub(crate) fn acceptance(request: &Pdu, id: &str) -> Vec<u8> {
    let (command, number) = (request.command(), request.sequence_number());
    match command {
        CommandId::SUBMIT_SM | CommandId::DATA_SM | CommandId::BROADCAST_SM => {
            pdu::response_with_id(command.response(), number, id)
        }
        CommandId::SUBMIT_MULTI => {
            let mut answer = pdu::response_with_id(command.response(), number, id);
            // no_unsuccess
            answer.push(0);
            smppmux_engine::core::wire::patch_command_length(&mut answer);
            answer
        }
        CommandId::QUERY_SM => {
            let asked = QueryView::parse(request.octets());
            let asked = asked.map_or_else(
                |_| String::new(),
                |query| String::from_utf8_lossy(query.message_id()).into_owned(),
            );
            pdu::query_sm_resp(number, &asked)
        }
        _ => pdu::header_only(command.response(), Status::ESME_ROK, number),
    }
}
