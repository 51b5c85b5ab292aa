//! The faults, in the order of the rows. Each script has at least one.

use super::ways;
use crate::sabotage::Place::{Behind, InFront};
use crate::sabotage::{Fault, Meddle, Place};

/// Relays that change nothing: every script must pass through them.
pub(super) const HARMLESS: &[Fault] = &[
    Fault {
        row: 0,
        part: "",
        what: "is relayed to ESMEs",
        place: InFront,
        meddle: Meddle::Pdu(ways::nothing),
    },
    Fault {
        row: 0,
        part: "",
        what: "is relayed to SMSCs",
        place: Behind,
        meddle: Meddle::Pdu(ways::nothing),
    },
];

const fn fault(row: u8, part: &'static str, place: Place, meddle: Meddle, what: &'static str) -> Fault {
    Fault {
        row,
        part,
        what,
        place,
        meddle,
    }
}

macro_rules! faults {
    ($($row:literal $part:literal: $place:ident $kind:ident $($way:ident)? => $what:literal;)*) => {
        /// All of them.
        pub(super) const FAULTS: &[Fault] = &[
            $(fault($row, $part, $place, faults!(@ $kind $($way)?), $what),)*
        ];
    };
    (@ Pdu $way:ident) => { Meddle::Pdu(ways::$way) };
    (@ Read $way:ident) => { Meddle::Read(ways::$way) };
    (@ NeverClose) => { Meddle::NeverClose };
    (@ Storm) => { Meddle::Storm };
}

faults! {
    1 "an ESME's numbers are echoed": InFront Pdu cut_numbers => "cuts numbers to 31 bits";
    1 "an SMSC's numbers are echoed": Behind Pdu cut_numbers => "cuts numbers to 31 bits";
    1 "own numbers towards an SMSC are sound": Behind Pdu negative_numbers => "lets its numbers run negative";
    1 "own numbers towards an ESME are sound": InFront Pdu one_number => "numbers all its requests alike";
    2 "an ESME's session in pieces": InFront Read one_pdu_with_a_bind => "reads one PDU with a bind";
    2 "an SMSC's bind_resp and what follows it": Behind Read one_pdu_with_a_bind => "reads one PDU with a bind_resp";
    3 "strangers that speak no SMPP": InFront NeverClose => "never closes";
    3 "a bound session out of step": InFront Pdu without_nacks => "closes without a generic_nack";
    3 "claimed lengths cost nothing": InFront Read filled_claims => "keeps room for claimed lengths";
    4 "65,535 octets each way": InFront Pdu large_ones_cut => "spoils large messages";
    5 "from an ESME": InFront Pdu always_ok => "says ESME_ROK to everything";
    5 "from an SMSC": Behind Pdu always_ok => "says ESME_ROK to everything";
    5 "before a bind": InFront Pdu always_ok => "says ESME_ROK to everything";
    6 "a storm of quick answers": InFront Pdu bodies_of_others => "gives an answer another's id";
    6 "answers before their requests": InFront Pdu ghost_for_real => "takes an early answer for the real one";
    7 "on the same session": InFront Pdu wrong_for_early => "gives a receipt another id";
    7 "on another session": InFront Pdu wrong_for_early => "gives a receipt another id";
    7 "without an answer": Behind Pdu never_ok => "refuses a receipt that it cannot place";
    8 "every notation": InFront Pdu without_deliveries => "does not know an id in another notation";
    8 "an exact match comes first": InFront Pdu reading_for_exact => "prefers another reading of an id";
    8 "no reading for another subscriber": Behind Pdu never_ok => "refuses a receipt that it cannot place";
    9 "64 characters": InFront Pdu longer_ids => "makes ids longer than 64 characters";
    9 "8 characters for a v3.3 ESME": InFront Pdu longer_ids => "makes ids longer than 8 characters";
    10 "operations and receipts": Behind Pdu other_twin => "queries another message";
    11 "known layouts": InFront Pdu other_layout => "gives a receipt another id";
    11 "an unknown layout": InFront Pdu other_layout => "rewrites what it does not know";
    11 "text and TLV differ": InFront Pdu text_before_tlv => "believes the text before the TLV";
    12 "only the submitter, and all its sessions": InFront Pdu one_session_only => "serves one session of an account alone";
    12 "a backlog drains by itself": InFront Pdu out_of_order => "changes the order of a backlog";
    13 "alone and beside a receiver": InFront Pdu transmitters_receive => "takes a transmitter for a transceiver";
    14 "interleaved, over two sessions": InFront Pdu scattered_segments => "does not see that segments belong together";
    14 "the SMSC goes away between segments": InFront Pdu scattered_segments => "does not see that segments belong together";
    14 "towards ESMEs": Behind Pdu scattered_segments => "does not see that segments belong together";
    15 "every way": InFront Pdu scattered_segments => "does not see that segments belong together";
    16 "as each SMSC is configured": Behind Pdu scattered_on_the_way => "gives each segment a reference of its own";
    17 "submit_sm": InFront Pdu trailing_nul_cut => "cuts a trailing NUL";
    17 "deliver_sm": Behind Pdu trailing_nul_cut => "cuts a trailing NUL";
    18 "of an SMSC": InFront Pdu bodies_of_errors => "writes bodies into error answers";
    18 "a bare bind_resp": Behind Pdu bare_bind_refused => "does not take a bare bind_resp";
    18 "of an ESME": Behind Pdu always_ok => "says ESME_ROK to everything";
    19 "in messages": Behind Pdu last_tlv_lost => "loses a TLV";
    19 "in answers": InFront Pdu last_tlv_lost => "loses a TLV";
    20 "both ways": InFront Pdu short_statuses => "cuts statuses to 8 bits";
    21 "of an SMSC": InFront Pdu one_error => "knows one error only";
    21 "of an ESME": Behind Pdu one_error => "knows one error only";
    21 "with sequence_number 0": Behind Pdu deaf_to_nacks => "never minds a generic_nack";
    22 "windows become free again": InFront Pdu two_answers => "answers twice";
    23 "no answer": Behind Pdu two_submits => "sends a message twice";
    23 "the connection ends": Behind Pdu two_submits => "sends a message twice";
    23 "the receipt of a late answer": InFront Pdu other_late => "gives a receipt another id";
    24 "an ESME that does not answer": InFront Pdu without_enquiries => "never asks";
    24 "an SMSC that does not answer": Behind Pdu without_enquiries => "never asks";
    24 "peers that answer or are busy": InFront Pdu restless => "asks a busy link";
    24 "an enquiry before the bind": InFront Pdu no_enquiry_yet => "refuses an enquire_link before the bind";
    24 "jitter": InFront Pdu in_step => "asks all links at one moment";
    24 "default times": InFront Pdu without_enquiries => "never asks";
    25 "it hangs up": Behind Storm => "connects again and again";
    25 "it refuses the password": Behind Storm => "binds again and again";
    25 "it says that we are bound already": Behind Storm => "binds again and again";
    26 "claims inside and outside": InFront Pdu always_ok => "allows every claim";
    26 "an empty range": InFront Pdu without_deliveries => "gives an empty range nothing";
    26 "the most specific range": InFront Pdu narrower_ranges => "takes a range for another";
    26 "hostile expressions": InFront Pdu slow_expressions => "takes long over expressions";
    27 "ESME_RTHROTTLED": Behind Pdu deaf_to_throttling => "does not see that it is throttled";
    27 "ESME_RMSGQFUL": Behind Pdu deaf_to_throttling => "does not see that a queue is full";
    27 "segments keep their order": Behind Pdu submits_out_of_order => "changes the order of segments";
    27 "the receipt of a second try": InFront Pdu other_second => "gives a receipt another id";
    28 "its MO goes to the rest of the pool": Behind Pdu without_delivery_answers => "leaves deliver_sm unanswered";
    28 "it floods and does not read": InFront NeverClose => "never closes";
    29 "each message is answered": InFront Pdu always_ok => "says ESME_ROK to everything";
    29 "messages wait": InFront Pdu always_ok => "says ESME_ROK to everything";
    29 "ESMEs are unbound": InFront Pdu without_unbinds => "closes without an unbind";
    30 "half-closed": InFront Pdu without_submit_answers => "does not answer a half-closed ESME";
    30 "unbind with requests in flight": InFront Pdu unbound_too_early => "says unbind_resp too early";
    30 "reset with MO in flight": Behind Pdu always_ok => "says ESME_ROK to everything";
    30 "the SMSC unbinds": Behind Pdu without_unbind_answers => "does not answer an unbind";
    31 "SIGTERM and start": Behind Pdu without_unbinds => "leaves SMSCs without an unbind";
    32 "the header names the ESME": InFront Read nobody_for_somebody => "passes every ESME off as itself";
    33 "accepted whole, refused when cut": InFront Pdu short_passwords => "cuts passwords";
    34 "a day forward, two days back": InFront Pdu never_ok => "gives a request up too early";
    35 "answers": InFront Pdu two_answers => "answers twice";
    35 "news of binds": InFront Pdu other_round => "delivers another message";
    36 "off by default": Behind Pdu one_hop_more => "counts hops though nobody asked";
    36 "a loop ends": Behind Pdu without_hops => "forgets the hops";
    0 "from ESMEs": InFront Pdu always_ok => "says ESME_ROK to everything";
    0 "from an SMSC": Behind Pdu always_ok => "says ESME_ROK to everything";
    0 "from an SMSC to a transmitter": Behind Pdu always_ok => "says ESME_ROK to everything";
}
