//! What a PDU must be.

use std::fmt;

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::pdu::Pdu;

/// A predicate on the header of a PDU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    command: CommandId,
    status: Option<Status>,
    number: Option<u32>,
}

impl Want {
    /// Any PDU of this command.
    pub(crate) const fn a(command: CommandId) -> Self {
        Self {
            command,
            status: None,
            number: None,
        }
    }

    /// With this status.
    #[must_use]
    pub(crate) const fn with(self, status: Status) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    /// With ESME_ROK.
    #[must_use]
    pub(crate) const fn ok(self) -> Self {
        self.with(Status::ESME_ROK)
    }

    /// With this sequence number.
    #[must_use]
    pub(crate) const fn numbered(self, number: u32) -> Self {
        Self {
            number: Some(number),
            ..self
        }
    }

    /// Whether the PDU is that.
    pub(crate) fn is(&self, pdu: &Pdu) -> bool {
        pdu.command() == self.command
            && self.status.is_none_or(|status| status == pdu.status())
            && self.number.is_none_or(|number| number == pdu.sequence_number())
    }
}

impl fmt::Display for Want {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.command)?;
        if let Some(status) = self.status {
            write!(formatter, " {status}")?;
        }
        if let Some(number) = self.number {
            write!(formatter, " with number {number:#x}")?;
        }
        Ok(())
    }
}
