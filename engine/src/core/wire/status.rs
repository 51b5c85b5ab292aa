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
    /// ESME_RADDCUSTFAIL.
    ESME_RADDCUSTFAIL = 0x0000_0019;
    /// ESME_RDELCUSTFAIL.
    ESME_RDELCUSTFAIL = 0x0000_001A;
    /// ESME_RMODCUSTFAIL.
    ESME_RMODCUSTFAIL = 0x0000_001B;
    /// ESME_RENQCUSTFAIL.
    ESME_RENQCUSTFAIL = 0x0000_001C;
    /// ESME_RINVCUSTID.
    ESME_RINVCUSTID = 0x0000_001D;
    /// ESME_RINVCUSTNAME.
    ESME_RINVCUSTNAME = 0x0000_001F;
    /// ESME_RINVCUSTADR.
    ESME_RINVCUSTADR = 0x0000_0021;
    /// ESME_RINVADR.
    ESME_RINVADR = 0x0000_0022;
    /// ESME_RCUSTEXIST.
    ESME_RCUSTEXIST = 0x0000_0023;
    /// ESME_RCUSTNOTEXIST.
    ESME_RCUSTNOTEXIST = 0x0000_0024;
    /// ESME_RADDDLFAIL.
    ESME_RADDDLFAIL = 0x0000_0026;
    /// ESME_RMODDLFAIL.
    ESME_RMODDLFAIL = 0x0000_0027;
    /// ESME_RDELDLFAIL.
    ESME_RDELDLFAIL = 0x0000_0028;
    /// ESME_RVIEWDLFAIL.
    ESME_RVIEWDLFAIL = 0x0000_0029;
    /// ESME_RLISTDLSFAIL.
    ESME_RLISTDLSFAIL = 0x0000_0030;
    /// ESME_RPARAMRETFAIL.
    ESME_RPARAMRETFAIL = 0x0000_0031;
    /// ESME_RINVPARAM.
    ESME_RINVPARAM = 0x0000_0032;
    /// ESME_RINVDLMEMBDESC.
    ESME_RINVDLMEMBDESC = 0x0000_0035;
    /// ESME_RINVDLMEMBTYP.
    ESME_RINVDLMEMBTYP = 0x0000_0038;
    /// ESME_RINVDLMODOPT.
    ESME_RINVDLMODOPT = 0x0000_0039;
    /// ESME_RPROVNOTALLWD.
    ESME_RPROVNOTALLWD = 0x0000_0059;
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
