//! The settings under which a balancer is tried: each is smppmux's configuration, and words for those who configure
//! another balancer.
//!
//! All have the same two SMSCs and the same accounts; a setting changes times and policies.

use std::net::SocketAddr;

use smppmux_tests::configuration::Configuration;

/// A named configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Setting {
    /// What most scripts need.
    Standard,
    /// Short times to wait for answers.
    Impatient,
    /// enquire_link after a second of silence.
    QuickLinks,
    /// No time is configured.
    Defaults,
    /// Messages wait while all servers are down.
    HoldWhileDown,
    /// Clients are unbound while all servers are down.
    UnbindWhileDown,
    /// One session for each SMSC, whatever the cores, and the smallest mailboxes between them.
    NarrowLanes,
    /// Credentials as long as the specification has them, and no longer.
    StrictLengths,
    /// The same, and towards SMSC B a transmitter and a receiver.
    SplitBinds,
    /// The balancer's wall clock can be stepped.
    SteppedClock,
    /// SMSC A gets 8-bit references of segments, B 16-bit ones.
    ReferenceWidths,
    /// Hops are counted.
    HopGuard,
    /// Another balancer stands in front and says who its clients are.
    BehindAnother,
}

/// An account of every setting.
pub(crate) struct Account {
    /// Its name; the password is the same for all but one.
    pub(crate) system_id: &'static str,
    /// What it may claim.
    ranges: &'static str,
    /// The SMSCs that its messages go to, where not both.
    servers: &'static str,
    /// In words.
    meaning: &'static str,
}

/// A name of 24 octets and a password of 20: more than the specification has room for.
pub(crate) const LONG_SYSTEM_ID: &str = "an-account-of-24-octets-";
pub(crate) const LONG_PASSWORD: &str = "a-password-of-20-oct";

/// The TLV in which gateways count hops.
pub(crate) const HOPS_TLV: u16 = 0x1501;

pub(crate) const ACCOUNTS: [Account; 6] = [
    Account {
        system_id: "east",
        ranges: "[\"8801\"]",
        servers: "",
        meaning: "may claim addresses that start with 8801; both SMSCs, in turn",
    },
    Account {
        system_id: "west",
        ranges: "[\"8802\"]",
        servers: "",
        meaning: "may claim addresses that start with 8802; both SMSCs, in turn",
    },
    Account {
        system_id: "alpha",
        ranges: "[\"8803\"]",
        servers: "[\"smsc-a\"]",
        meaning: "may claim addresses that start with 8803; SMSC A only",
    },
    Account {
        system_id: "beta",
        ranges: "[\"8804\"]",
        servers: "[\"smsc-b\"]",
        meaning: "may claim addresses that start with 8804; SMSC B only",
    },
    Account {
        system_id: "mute",
        ranges: "[]",
        servers: "",
        meaning: "may claim nothing, so it gets receipts only; both SMSCs, in turn",
    },
    Account {
        system_id: "wide",
        ranges: "[\"87.*\"]",
        servers: "",
        meaning: "may claim any expression over addresses that start with 87; both SMSCs, in turn",
    },
];

impl Setting {
    /// All of them.
    pub(crate) const ALL: [Self; 13] = [
        Self::Standard,
        Self::Impatient,
        Self::QuickLinks,
        Self::Defaults,
        Self::HoldWhileDown,
        Self::UnbindWhileDown,
        Self::NarrowLanes,
        Self::StrictLengths,
        Self::SplitBinds,
        Self::SteppedClock,
        Self::ReferenceWidths,
        Self::HopGuard,
        Self::BehindAnother,
    ];

    /// As the command line has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Impatient => "impatient",
            Self::QuickLinks => "quick-links",
            Self::Defaults => "defaults",
            Self::HoldWhileDown => "hold-while-down",
            Self::UnbindWhileDown => "unbind-while-down",
            Self::NarrowLanes => "narrow-lanes",
            Self::StrictLengths => "strict-lengths",
            Self::SplitBinds => "split-binds",
            Self::SteppedClock => "stepped-clock",
            Self::ReferenceWidths => "reference-widths",
            Self::HopGuard => "hop-guard",
            Self::BehindAnother => "behind-another",
        }
    }

    /// For those who configure another balancer.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Standard => {
                "messages to the SMSCs in turn; a window of 50 on each session; an answer may take 10 s; enquire_link \
                 after 10 s of silence, two misses close; a lost SMSC is tried again after 100 ms, doubling to 1 s, \
                 one that refused the password after 2 s; a receipt without its answer waits 3 s; MO that nobody can take is queued"
            }
            Self::Impatient => {
                "standard, but an answer may take 1 s only, and is recognised as late for 3 s more"
            }
            Self::QuickLinks => {
                "standard, but enquire_link after 1 s of silence, which may be answered for 2 s, as all else"
            }
            Self::Defaults => "accounts and SMSCs only; every time is the balancer's own",
            Self::HoldWhileDown => "standard, but messages wait (1 s) while all SMSCs are down",
            Self::UnbindWhileDown => "standard, but clients are unbound while all SMSCs are down",
            Self::NarrowLanes => {
                "standard, but one session for each SMSC, and as little room inside as can be had"
            }
            Self::StrictLengths => {
                "standard, but system_id up to 15 and password up to 8 octets, as specified"
            }
            Self::SplitBinds => "strict-lengths, and SMSC B is bound as transmitter and as receiver",
            Self::SteppedClock => {
                "impatient; needs --command, to start the balancer with a clock that can be stepped"
            }
            Self::ReferenceWidths => {
                "standard, but segments go to SMSC A with 8-bit references in their UDH, to B with 16-bit ones"
            }
            Self::HopGuard => {
                "standard, but a message may pass four gateways at most, counted in the TLV 0x1501"
            }
            Self::BehindAnother => {
                "standard, but every connection begins with a PROXY protocol header, version 1 or 2; the account east \
                 may come from 192.0.2.0/24 and 2001:db8::/32 only"
            }
        }
    }

    /// smppmux's configuration of this setting.
    pub(crate) fn configuration(self, cores: &str, smscs: [SocketAddr; 2]) -> Configuration {
        let mut configuration = Configuration::with_cores(cores);
        let mut server = "";
        if self != Self::Defaults {
            configuration = configuration
                .engine("first-sequence-number = 2147483632\nwindow = 50")
                .vserver(self.vserver())
                .section("[queue]\nstore = \"memory\"");
            server = self.server();
        }
        if self == Self::NarrowLanes {
            configuration = configuration.engine("c2c-capacity = 4");
        }
        if matches!(self, Self::StrictLengths | Self::SplitBinds) {
            configuration = configuration.engine("strict-lengths = true");
        }
        for (name, uid, address) in [("smsc-a", "0A", smscs[0]), ("smsc-b", "0B", smscs[1])] {
            let more = match (self, name) {
                (Self::SplitBinds, "smsc-b") => "\nbind = \"both\"",
                (Self::ReferenceWidths, "smsc-a") => "\nconcat-reference = \"udh8\"",
                (Self::ReferenceWidths, _) => "\nconcat-reference = \"udh16\"",
                _ => "",
            };
            configuration = configuration.server(name, uid, address, &format!("{server}{more}"));
        }
        for account in ACCOUNTS {
            let mut lines = format!("address-ranges = {}", account.ranges);
            if self == Self::BehindAnother && account.system_id == "east" {
                lines.push_str("\nallow = [\"192.0.2.0/24\", \"2001:db8::/32\"]");
            }
            if !account.servers.is_empty() {
                lines.push_str(&format!("\nservers = {}", account.servers));
            }
            configuration = configuration.client(account.system_id, &lines);
        }
        if !matches!(self, Self::StrictLengths | Self::SplitBinds) {
            configuration = configuration.client_with_password(LONG_SYSTEM_ID, LONG_PASSWORD, "");
        }
        configuration
    }

    const fn vserver(self) -> &'static str {
        match self {
            Self::Impatient | Self::SteppedClock => {
                "method = \"round-robin\"\nhold-time = \"400ms\"\nresponse-timeout = \"1s\"\nlate-answer-hold = \"3s\"\nreceipt-hold = \"2s\"\n\
                 enquire-link-interval = \"10s\""
            }
            Self::QuickLinks => {
                "method = \"round-robin\"\nhold-time = \"400ms\"\nresponse-timeout = \"2s\"\nenquire-link-interval = \"1s\""
            }
            Self::HoldWhileDown => {
                "method = \"round-robin\"\nhold-time = \"1s\"\nall-servers-down = \"hold\"\nenquire-link-interval = \"10s\""
            }
            Self::UnbindWhileDown => {
                "method = \"round-robin\"\nall-servers-down = \"unbind\"\nenquire-link-interval = \"10s\""
            }
            Self::BehindAnother => {
                "method = \"round-robin\"\nproxy-protocol = [\"127.0.0.0/8\"]\nreceipt-hold = \"3s\"\nenquire-link-interval = \"10s\""
            }
            Self::HopGuard => {
                "method = \"round-robin\"\nhop-guard-tag = 0x1501\nhop-guard-max = 4\nenquire-link-interval = \"10s\""
            }
            _ => "method = \"round-robin\"\nreceipt-hold = \"3s\"\nenquire-link-interval = \"10s\"",
        }
    }

    const fn server(self) -> &'static str {
        match self {
            Self::Impatient | Self::SteppedClock => {
                "reconnect-max = \"1s\"\nauth-retry = \"2s\"\nresponse-timeout = \"1s\"\nenquire-link-interval = \"10s\""
            }
            Self::QuickLinks => {
                "reconnect-max = \"1s\"\nauth-retry = \"2s\"\nresponse-timeout = \"2s\"\nenquire-link-interval = \"1s\""
            }
            Self::NarrowLanes => {
                "reconnect-max = \"1s\"\nauth-retry = \"2s\"\nconnections-total = 1\nenquire-link-interval = \"10s\""
            }
            _ => "reconnect-max = \"1s\"\nauth-retry = \"2s\"\nenquire-link-interval = \"10s\"",
        }
    }
}

impl Account {
    /// Name, and what it may do.
    pub(crate) const fn words(&self) -> (&'static str, &'static str) {
        (self.system_id, self.meaning)
    }
}
