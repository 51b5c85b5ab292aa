//! command_status: how a request went.
//!
//! Source: SMPP v3.4 section 5.1.3, v5.0 section 4.7.6. Any 32-bit value can be held; unknown ones pass through unchanged.

use std::fmt;

/// A command_status as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(pub u32);

macro_rules! statuses {
    ($($(#[$doc:meta])* $constant:ident = $value:literal;)*) => {
        impl Status {
            $($(#[$doc])* pub const $constant: Self = Self($value);)*

            /// Every status that SMPP v3.4 and v5.0 define.
            pub const ALL: &'static [Self] = &[$(Self::$constant),*];

            /// The name in the specification (v3.4 spelling); `None` for reserved and vendor values.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($constant)),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    /// Success.
    ESME_ROK = 0x0000_0000;
    /// Message length not acceptable.
    ESME_RINVMSGLEN = 0x0000_0001;
    /// Command_length wrong for this PDU.
    ESME_RINVCMDLEN = 0x0000_0002;
    /// Command_id unknown or unsupported.
    ESME_RINVCMDID = 0x0000_0003;
    /// PDU not allowed in this session state.
    ESME_RINVBNDSTS = 0x0000_0004;
    /// Already bound.
    ESME_RALYBND = 0x0000_0005;
    /// Priority_flag bad.
    ESME_RINVPRTFLG = 0x0000_0006;
    /// Registered_delivery bad or not allowed.
    ESME_RINVREGDLVFLG = 0x0000_0007;
    /// MC (partly) unavailable.
    ESME_RSYSERR = 0x0000_0008;
    /// Source address bad.
    ESME_RINVSRCADR = 0x0000_000A;
    /// Destination address bad.
    ESME_RINVDSTADR = 0x0000_000B;
    /// Message_id bad.
    ESME_RINVMSGID = 0x0000_000C;
    /// Bind refused (general, also wrong credentials).
    ESME_RBINDFAIL = 0x0000_000D;
    /// Password length bad.
    ESME_RINVPASWD = 0x0000_000E;
    /// System_id length bad.
    ESME_RINVSYSID = 0x0000_000F;
    /// Cancel failed.
    ESME_RCANCELFAIL = 0x0000_0011;
    /// Replace failed.
    ESME_RREPLACEFAIL = 0x0000_0013;
    /// Queue full.
    ESME_RMSGQFUL = 0x0000_0014;
    /// Service_type bad.
    ESME_RINVSERTYP = 0x0000_0015;
    /// Number_of_dests bad.
    ESME_RINVNUMDESTS = 0x0000_0033;
    /// Dl_name bad.
    ESME_RINVDLNAME = 0x0000_0034;
    /// Dest_flag bad.
    ESME_RINVDESTFLAG = 0x0000_0040;
    /// Replace-on-submit refused.
    ESME_RINVSUBREP = 0x0000_0042;
    /// Esm_class bad.
    ESME_RINVESMCLASS = 0x0000_0043;
    /// Distribution lists refused.
    ESME_RCNTSUBDL = 0x0000_0044;
    /// Submit failed (general).
    ESME_RSUBMITFAIL = 0x0000_0045;
    /// Source TON bad.
    ESME_RINVSRCTON = 0x0000_0048;
    /// Source NPI bad.
    ESME_RINVSRCNPI = 0x0000_0049;
    /// Destination TON bad.
    ESME_RINVDSTTON = 0x0000_0050;
    /// Destination NPI bad.
    ESME_RINVDSTNPI = 0x0000_0051;
    /// System_type bad.
    ESME_RINVSYSTYP = 0x0000_0053;
    /// Replace flag bad.
    ESME_RINVREPFLAG = 0x0000_0054;
    /// Number of messages bad.
    ESME_RINVNUMMSGS = 0x0000_0055;
    /// Rate limit exceeded.
    ESME_RTHROTTLED = 0x0000_0058;
    /// Schedule time bad.
    ESME_RINVSCHED = 0x0000_0061;
    /// Validity period bad.
    ESME_RINVEXPIRY = 0x0000_0062;
    /// Canned message bad.
    ESME_RINVDFTMSGID = 0x0000_0063;
    /// Receiver: retry later.
    ESME_RX_T_APPN = 0x0000_0064;
    /// Receiver: drop this and all queued to that address.
    ESME_RX_P_APPN = 0x0000_0065;
    /// Receiver: drop this message only.
    ESME_RX_R_APPN = 0x0000_0066;
    /// Query failed.
    ESME_RQUERYFAIL = 0x0000_0067;
    /// TLV area does not parse.
    ESME_RINVOPTPARSTREAM = 0x0000_00C0;
    /// TLV not allowed here.
    ESME_ROPTPARNOTALLWD = 0x0000_00C1;
    /// TLV or field length bad.
    ESME_RINVPARLEN = 0x0000_00C2;
    /// Required TLV missing.
    ESME_RMISSINGOPTPARAM = 0x0000_00C3;
    /// TLV value bad.
    ESME_RINVOPTPARAMVAL = 0x0000_00C4;
    /// Transaction-mode delivery failed.
    ESME_RDELIVERYFAILURE = 0x0000_00FE;
    /// Unknown error.
    ESME_RUNKNOWNERR = 0x0000_00FF;
    /// Service_type not authorised.
    ESME_RSERTYPUNAUTH = 0x0000_0100;
    /// Operation prohibited.
    ESME_RPROHIBITED = 0x0000_0101;
    /// Service_type unavailable.
    ESME_RSERTYPUNAVAIL = 0x0000_0102;
    /// Service_type denied for this content.
    ESME_RSERTYPDENIED = 0x0000_0103;
    /// Data_coding bad.
    ESME_RINVDCS = 0x0000_0104;
    /// Source subunit bad.
    ESME_RINVSRCADDRSUBUNIT = 0x0000_0105;
    /// Destination subunit bad.
    ESME_RINVDSTADDRSUBUNIT = 0x0000_0106;
    /// Broadcast interval bad.
    ESME_RINVBCASTFREQINT = 0x0000_0107;
    /// Broadcast alias bad.
    ESME_RINVBCASTALIAS_NAME = 0x0000_0108;
    /// Broadcast area format bad.
    ESME_RINVBCASTAREAFMT = 0x0000_0109;
    /// Number of broadcast areas bad.
    ESME_RINVNUMBCAST_AREAS = 0x0000_010A;
    /// Broadcast content type bad.
    ESME_RINVBCASTCNTTYPE = 0x0000_010B;
    /// Broadcast class bad.
    ESME_RINVBCASTMSGCLASS = 0x0000_010C;
    /// Broadcast failed.
    ESME_RBCASTFAIL = 0x0000_010D;
    /// Broadcast query failed.
    ESME_RBCASTQUERYFAIL = 0x0000_010E;
    /// Broadcast cancel failed.
    ESME_RBCASTCANCELFAIL = 0x0000_010F;
    /// Broadcast repeat count bad.
    ESME_RINVBCAST_REP = 0x0000_0110;
    /// Broadcast service group bad.
    ESME_RINVBCASTSRVGRP = 0x0000_0111;
    /// Broadcast channel bad.
    ESME_RINVBCASTCHANIND = 0x0000_0112;
}

impl Status {
    /// The status called `name`, in the spelling of v3.4 (`ESME_RTHROTTLED`).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|status| status.name() == Some(name))
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

    /// Goal: names and values are inverse for every status in the table.
    #[test]
    fn names_and_values_are_inverse() {
        for status in Status::ALL {
            assert_eq!(Status::from_name(&status.to_string()), Some(*status));
        }
        assert_eq!(Status(0x0000_0410).to_string(), "status 0x00000410");
    }
}
