//! Protocol versions: what a session may say.
//!
//! Source: SMPP v3.4 section 5.2.4, v5.0 sections 2.6 and 4.7.13.

use std::fmt;

use super::CommandId;

/// A version of SMPP, in the order of age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// v3.3 and everything older.
    V33,
    /// v3.4.
    V34,
    /// v5.0.
    V50,
}

impl Version {
    /// Reads `interface_version`: 0x00-0x33 are v3.3, reserved values are the highest known version below them.
    pub const fn from_interface_version(octet: u8) -> Self {
        match octet {
            0x00..=0x33 => Self::V33,
            0x34..=0x4F => Self::V34,
            0x50..=0xFF => Self::V50,
        }
    }

    /// The octet that stands for this version in interface_version and sc_interface_version.
    pub const fn interface_version(self) -> u8 {
        match self {
            Self::V33 => 0x33,
            Self::V34 => 0x34,
            Self::V50 => 0x50,
        }
    }

    /// TLVs exist: never send one to an older peer.
    pub const fn has_tlvs(self) -> bool {
        !matches!(self, Self::V33)
    }

    /// The most characters of a message_id that a peer of this version can hold (without the NUL).
    pub const fn message_id_characters_max(self) -> usize {
        match self {
            Self::V33 => 8,
            Self::V34 | Self::V50 => 64,
        }
    }

    /// Whether this version defines `command`.
    #[inline]
    pub const fn knows(self, command: CommandId) -> bool {
        self as u8 >= Self::that_introduced(command) as u8
    }

    /// The first version that defines `command`.
    #[inline]
    pub const fn that_introduced(command: CommandId) -> Self {
        match command.request() {
            // Nearly all that ever comes.
            CommandId::SUBMIT_SM | CommandId::DELIVER_SM => Self::V33,
            CommandId::BROADCAST_SM | CommandId::QUERY_BROADCAST_SM | CommandId::CANCEL_BROADCAST_SM => {
                Self::V50
            }
            CommandId::BIND_TRANSCEIVER
            | CommandId::OUTBIND
            | CommandId::ALERT_NOTIFICATION
            | CommandId::DATA_SM => Self::V34,
            _ => Self::V33,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::V33 => "3.3",
            Self::V34 => "3.4",
            Self::V50 => "5.0",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each version's own octet reads back as that version, and the gaps belong to the version below.
    #[test]
    fn interface_version_octets_are_read_by_the_book() {
        for version in [Version::V33, Version::V34, Version::V50] {
            assert_eq!(
                Version::from_interface_version(version.interface_version()),
                version
            );
        }
        assert_eq!(Version::from_interface_version(0), Version::V33);
        assert_eq!(Version::from_interface_version(0x4F), Version::V34);
        assert_eq!(Version::from_interface_version(0xFF), Version::V50);
    }

    /// Goal: commands appear with the version that introduced them.
    #[test]
    fn commands_appear_with_their_version() {
        assert!(!Version::V33.knows(CommandId::BIND_TRANSCEIVER));
        assert!(Version::V34.knows(CommandId::DATA_SM_RESP));
        assert!(!Version::V34.knows(CommandId::BROADCAST_SM));
        assert!(Version::V50.knows(CommandId::CANCEL_BROADCAST_SM_RESP));
    }
}
