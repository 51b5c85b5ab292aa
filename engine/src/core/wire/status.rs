//! command_status: how a request went.
//!
//! Source: SMPP v3.4 section 5.1.3, v5.0 section 4.7.6. Any 32-bit value can be held; unknown ones pass through unchanged.

use std::fmt;

/// A command_status as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(pub u32);

macro_rules! statuses {
    ($($constant:ident = $value:literal, $meaning:literal;)*) => {
        impl Status {
            $(
                #[doc = concat!($meaning, ".")]
                pub const $constant: Self = Self($value);
            )*

            /// Every status that SMPP v3.4 and v5.0 define, and the older ones that libraries still send.
            pub const ALL: &'static [Self] = &[$(Self::$constant),*];

            /// The name in the specification (v3.4 spelling); `None` for reserved and vendor values.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($constant)),)*
                    _ => None,
                }
            }

            /// What the status says, in a few words; `None` for reserved and vendor values.
            pub const fn meaning(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($meaning),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    ESME_ROK = 0x0000_0000, "Success";
    ESME_RINVMSGLEN = 0x0000_0001, "Message length not acceptable";
    ESME_RINVCMDLEN = 0x0000_0002, "Command_length wrong for this PDU";
    ESME_RINVCMDID = 0x0000_0003, "Command_id unknown or unsupported";
    ESME_RINVBNDSTS = 0x0000_0004, "PDU not allowed in this session state";
    ESME_RALYBND = 0x0000_0005, "Already bound";
    ESME_RINVPRTFLG = 0x0000_0006, "Priority_flag bad";
    ESME_RINVREGDLVFLG = 0x0000_0007, "Registered_delivery bad or not allowed";
    ESME_RSYSERR = 0x0000_0008, "MC (partly) unavailable";
    ESME_RINVSRCADR = 0x0000_000A, "Source address bad";
    ESME_RINVDSTADR = 0x0000_000B, "Destination address bad";
    ESME_RINVMSGID = 0x0000_000C, "Message_id bad";
    ESME_RBINDFAIL = 0x0000_000D, "Bind refused (general, also wrong credentials)";
    ESME_RINVPASWD = 0x0000_000E, "Password length bad";
    ESME_RINVSYSID = 0x0000_000F, "System_id length bad";
    ESME_RCANCELFAIL = 0x0000_0011, "Cancel failed";
    ESME_RREPLACEFAIL = 0x0000_0013, "Replace failed";
    ESME_RMSGQFUL = 0x0000_0014, "Queue full";
    ESME_RINVSERTYP = 0x0000_0015, "Service_type bad";
    ESME_RINVNUMDESTS = 0x0000_0033, "Number_of_dests bad";
    ESME_RINVDLNAME = 0x0000_0034, "Dl_name bad";
    ESME_RINVDESTFLAG = 0x0000_0040, "Dest_flag bad";
    ESME_RINVSUBREP = 0x0000_0042, "Replace-on-submit refused";
    ESME_RINVESMCLASS = 0x0000_0043, "Esm_class bad";
    ESME_RCNTSUBDL = 0x0000_0044, "Distribution lists refused";
    ESME_RSUBMITFAIL = 0x0000_0045, "Submit failed (general)";
    ESME_RINVSRCTON = 0x0000_0048, "Source TON bad";
    ESME_RINVSRCNPI = 0x0000_0049, "Source NPI bad";
    ESME_RINVDSTTON = 0x0000_0050, "Destination TON bad";
    ESME_RINVDSTNPI = 0x0000_0051, "Destination NPI bad";
    ESME_RINVSYSTYP = 0x0000_0053, "System_type bad";
    ESME_RINVREPFLAG = 0x0000_0054, "Replace flag bad";
    ESME_RINVNUMMSGS = 0x0000_0055, "Number of messages bad";
    ESME_RTHROTTLED = 0x0000_0058, "Rate limit exceeded";
    ESME_RINVSCHED = 0x0000_0061, "Schedule time bad";
    ESME_RINVEXPIRY = 0x0000_0062, "Validity period bad";
    ESME_RINVDFTMSGID = 0x0000_0063, "Canned message bad";
    ESME_RX_T_APPN = 0x0000_0064, "Receiver: retry later";
    ESME_RX_P_APPN = 0x0000_0065, "Receiver: drop this and all queued to that address";
    ESME_RX_R_APPN = 0x0000_0066, "Receiver: drop this message only";
    ESME_RQUERYFAIL = 0x0000_0067, "Query failed";
    ESME_RINVOPTPARSTREAM = 0x0000_00C0, "TLV area does not parse";
    ESME_ROPTPARNOTALLWD = 0x0000_00C1, "TLV not allowed here";
    ESME_RINVPARLEN = 0x0000_00C2, "TLV or field length bad";
    ESME_RMISSINGOPTPARAM = 0x0000_00C3, "Required TLV missing";
    ESME_RINVOPTPARAMVAL = 0x0000_00C4, "TLV value bad";
    ESME_RDELIVERYFAILURE = 0x0000_00FE, "Transaction-mode delivery failed";
    ESME_RUNKNOWNERR = 0x0000_00FF, "Unknown error";
    ESME_RSERTYPUNAUTH = 0x0000_0100, "Service_type not authorised";
    ESME_RPROHIBITED = 0x0000_0101, "Operation prohibited";
    ESME_RSERTYPUNAVAIL = 0x0000_0102, "Service_type unavailable";
    ESME_RSERTYPDENIED = 0x0000_0103, "Service_type denied for this content";
    ESME_RINVDCS = 0x0000_0104, "Data_coding bad";
    ESME_RINVSRCADDRSUBUNIT = 0x0000_0105, "Source subunit bad";
    ESME_RINVDSTADDRSUBUNIT = 0x0000_0106, "Destination subunit bad";
    ESME_RINVBCASTFREQINT = 0x0000_0107, "Broadcast interval bad";
    ESME_RINVBCASTALIAS_NAME = 0x0000_0108, "Broadcast alias bad";
    ESME_RINVBCASTAREAFMT = 0x0000_0109, "Broadcast area format bad";
    ESME_RINVNUMBCAST_AREAS = 0x0000_010A, "Number of broadcast areas bad";
    ESME_RINVBCASTCNTTYPE = 0x0000_010B, "Broadcast content type bad";
    ESME_RINVBCASTMSGCLASS = 0x0000_010C, "Broadcast class bad";
    ESME_RBCASTFAIL = 0x0000_010D, "Broadcast failed";
    ESME_RBCASTQUERYFAIL = 0x0000_010E, "Broadcast query failed";
    ESME_RBCASTCANCELFAIL = 0x0000_010F, "Broadcast cancel failed";
    ESME_RINVBCAST_REP = 0x0000_0110, "Broadcast repeat count bad";
    ESME_RINVBCASTSRVGRP = 0x0000_0111, "Broadcast service group bad";
    ESME_RINVBCASTCHANIND = 0x0000_0112, "Broadcast channel bad";
    ESME_RADDCUSTFAIL = 0x0000_0019, "Of the v3.3 era, seen in libraries";
    ESME_RDELCUSTFAIL = 0x0000_001A, "Of the v3.3 era, seen in libraries";
    ESME_RMODCUSTFAIL = 0x0000_001B, "Of the v3.3 era, seen in libraries";
    ESME_RENQCUSTFAIL = 0x0000_001C, "Of the v3.3 era, seen in libraries";
    ESME_RINVCUSTID = 0x0000_001D, "Of the v3.3 era, seen in libraries";
    ESME_RINVCUSTNAME = 0x0000_001F, "Of the v3.3 era, seen in libraries";
    ESME_RINVCUSTADR = 0x0000_0021, "Of the v3.3 era, seen in libraries";
    ESME_RINVADR = 0x0000_0022, "Of the v3.3 era, seen in libraries";
    ESME_RCUSTEXIST = 0x0000_0023, "Of the v3.3 era, seen in libraries";
    ESME_RCUSTNOTEXIST = 0x0000_0024, "Of the v3.3 era, seen in libraries";
    ESME_RADDDLFAIL = 0x0000_0026, "Of the v3.3 era, seen in libraries";
    ESME_RMODDLFAIL = 0x0000_0027, "Of the v3.3 era, seen in libraries";
    ESME_RDELDLFAIL = 0x0000_0028, "Of the v3.3 era, seen in libraries";
    ESME_RVIEWDLFAIL = 0x0000_0029, "Of the v3.3 era, seen in libraries";
    ESME_RLISTDLSFAIL = 0x0000_0030, "Of the v3.3 era, seen in libraries";
    ESME_RPARAMRETFAIL = 0x0000_0031, "Of the v3.3 era, seen in libraries";
    ESME_RINVPARAM = 0x0000_0032, "Of the v3.3 era, seen in libraries";
    ESME_RINVDLMEMBDESC = 0x0000_0035, "Of the v3.3 era, seen in libraries";
    ESME_RINVDLMEMBTYP = 0x0000_0038, "Of the v3.3 era, seen in libraries";
    ESME_RINVDLMODOPT = 0x0000_0039, "Of the v3.3 era, seen in libraries";
    ESME_RPROVNOTALLWD = 0x0000_0059, "Of the v3.3 era, seen in libraries";
}

/// Names that v5.0 spells in another way: its spelling, and the status.
const SPELLINGS_OF_V50: [(&str, Status); 5] = [
    ("ESME_RINVTLVSTREAM", Status::ESME_RINVOPTPARSTREAM),
    ("ESME_RTLVNOTALLWD", Status::ESME_ROPTPARNOTALLWD),
    ("ESME_RINVTLVLEN", Status::ESME_RINVPARLEN),
    ("ESME_RMISSINGTLV", Status::ESME_RMISSINGOPTPARAM),
    ("ESME_RINVTLVVAL", Status::ESME_RINVOPTPARAMVAL),
];

impl Status {
    /// The status called `name`, in the spelling of v3.4 (`ESME_RINVOPTPARSTREAM`) or v5.0 (`ESME_RINVTLVSTREAM`).
    pub fn from_name(name: &str) -> Option<Self> {
        let respelt = SPELLINGS_OF_V50.iter().find(|(spelling, _)| *spelling == name);
        let defined = || {
            Self::ALL
                .iter()
                .copied()
                .find(|status| status.name() == Some(name))
        };
        respelt.map(|(_, status)| *status).or_else(defined)
    }

    /// ESME_ROK.
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "status 0x{:08X}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: names and values are inverse for every status in the table, in both spellings.
    #[test]
    fn names_and_values_are_inverse() {
        for status in Status::ALL {
            assert_eq!(Status::from_name(&status.to_string()), Some(*status));
            assert!(status.meaning().is_some());
        }
        assert_eq!(
            Status::from_name("ESME_RINVTLVSTREAM"),
            Some(Status::ESME_RINVOPTPARSTREAM)
        );
        assert_eq!(Status::from_name("ESME_ROKAY"), None);
        assert_eq!(Status(0x0000_0410).to_string(), "status 0x00000410");
    }
}
