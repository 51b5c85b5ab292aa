//! command_id: what a PDU is.
//!
//! Source: SMPP v3.4 section 5.1.2.1, v5.0 section 4.7.5. Any 32-bit value can be held, since peers may send any.

use std::fmt;

/// A command_id as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u32);

const RESPONSE_BIT: u32 = 0x8000_0000;

macro_rules! commands {
    ($($(#[$doc:meta])* $constant:ident = $value:literal, $name:literal;)*) => {
        impl CommandId {
            $($(#[$doc])* pub const $constant: Self = Self($value);)*

            /// Every command_id that SMPP v3.4 and v5.0 define.
            pub const ALL: &'static [Self] = &[$(Self::$constant),*];

            /// The name in the specification; `None` for reserved and vendor values.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

commands! {
    /// `generic_nack`.
    GENERIC_NACK = 0x8000_0000, "generic_nack";
    /// `bind_receiver`.
    BIND_RECEIVER = 0x0000_0001, "bind_receiver";
    /// `bind_receiver_resp`.
    BIND_RECEIVER_RESP = 0x8000_0001, "bind_receiver_resp";
    /// `bind_transmitter`.
    BIND_TRANSMITTER = 0x0000_0002, "bind_transmitter";
    /// `bind_transmitter_resp`.
    BIND_TRANSMITTER_RESP = 0x8000_0002, "bind_transmitter_resp";
    /// `query_sm`.
    QUERY_SM = 0x0000_0003, "query_sm";
    /// `query_sm_resp`.
    QUERY_SM_RESP = 0x8000_0003, "query_sm_resp";
    /// `submit_sm`.
    SUBMIT_SM = 0x0000_0004, "submit_sm";
    /// `submit_sm_resp`.
    SUBMIT_SM_RESP = 0x8000_0004, "submit_sm_resp";
    /// `deliver_sm`.
    DELIVER_SM = 0x0000_0005, "deliver_sm";
    /// `deliver_sm_resp`.
    DELIVER_SM_RESP = 0x8000_0005, "deliver_sm_resp";
    /// `unbind`.
    UNBIND = 0x0000_0006, "unbind";
    /// `unbind_resp`.
    UNBIND_RESP = 0x8000_0006, "unbind_resp";
    /// `replace_sm`.
    REPLACE_SM = 0x0000_0007, "replace_sm";
    /// `replace_sm_resp`.
    REPLACE_SM_RESP = 0x8000_0007, "replace_sm_resp";
    /// `cancel_sm`.
    CANCEL_SM = 0x0000_0008, "cancel_sm";
    /// `cancel_sm_resp`.
    CANCEL_SM_RESP = 0x8000_0008, "cancel_sm_resp";
    /// `bind_transceiver`.
    BIND_TRANSCEIVER = 0x0000_0009, "bind_transceiver";
    /// `bind_transceiver_resp`.
    BIND_TRANSCEIVER_RESP = 0x8000_0009, "bind_transceiver_resp";
    /// `outbind`.
    OUTBIND = 0x0000_000B, "outbind";
    /// `enquire_link`.
    ENQUIRE_LINK = 0x0000_0015, "enquire_link";
    /// `enquire_link_resp`.
    ENQUIRE_LINK_RESP = 0x8000_0015, "enquire_link_resp";
    /// `submit_multi`.
    SUBMIT_MULTI = 0x0000_0021, "submit_multi";
    /// `submit_multi_resp`.
    SUBMIT_MULTI_RESP = 0x8000_0021, "submit_multi_resp";
    /// `alert_notification`.
    ALERT_NOTIFICATION = 0x0000_0102, "alert_notification";
    /// `data_sm`.
    DATA_SM = 0x0000_0103, "data_sm";
    /// `data_sm_resp`.
    DATA_SM_RESP = 0x8000_0103, "data_sm_resp";
    /// `broadcast_sm`.
    BROADCAST_SM = 0x0000_0111, "broadcast_sm";
    /// `broadcast_sm_resp`.
    BROADCAST_SM_RESP = 0x8000_0111, "broadcast_sm_resp";
    /// `query_broadcast_sm`.
    QUERY_BROADCAST_SM = 0x0000_0112, "query_broadcast_sm";
    /// `query_broadcast_sm_resp`.
    QUERY_BROADCAST_SM_RESP = 0x8000_0112, "query_broadcast_sm_resp";
    /// `cancel_broadcast_sm`.
    CANCEL_BROADCAST_SM = 0x0000_0113, "cancel_broadcast_sm";
    /// `cancel_broadcast_sm_resp`.
    CANCEL_BROADCAST_SM_RESP = 0x8000_0113, "cancel_broadcast_sm_resp";
}

impl CommandId {
    /// Bit 31 set: an answer (generic_nack included), never to be answered itself.
    pub const fn is_response(self) -> bool {
        self.0 & RESPONSE_BIT != 0
    }

    /// The command_id of the answer to this request.
    pub const fn response(self) -> Self {
        Self(self.0 | RESPONSE_BIT)
    }

    /// The command_id of the request that this answers.
    pub const fn request(self) -> Self {
        Self(self.0 & !RESPONSE_BIT)
    }

    /// Whether the specification defines an answer to this request: all but outbind and alert_notification have one.
    pub const fn has_response(self) -> bool {
        !self.is_response() && !matches!(self, Self::OUTBIND | Self::ALERT_NOTIFICATION)
    }

    /// Reserved for message centre vendors: 0x00010200-0x000102FF and their responses.
    pub const fn is_vendor(self) -> bool {
        matches!(self.request().0, 0x0001_0200..=0x0001_02FF)
    }

    /// One of the three bind requests.
    pub const fn is_bind(self) -> bool {
        matches!(
            self,
            Self::BIND_RECEIVER | Self::BIND_TRANSMITTER | Self::BIND_TRANSCEIVER
        )
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "command 0x{:08X}", self.0),
        }
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: request and response ids map to each other for every pair that the specification defines.
    #[test]
    fn requests_and_responses_pair_up() {
        for command in CommandId::ALL.iter().filter(|command| !command.is_response()) {
            assert_eq!(
                command.response().name().is_some(),
                command.has_response(),
                "{command}"
            );
            assert_eq!(command.response().request(), *command);
        }
        assert!(CommandId(0x8001_0207).is_vendor());
        assert!(!CommandId(0x0001_0300).is_vendor());
    }
}
