//! Zero-copy views: where the fields of a PDU stand.
//!
//! Each view is made by one bounded walk that finds field offsets and checks lengths; values stay opaque, and the order
//! and repeats of TLVs are kept. A view borrows its PDU; what a proxy rewrites is also given as an octet range in the PDU.
//! Requests are read strictly (a fault names the status to answer with), responses leniently: nobody can refuse those.
//! Not checked here: the command_id (the caller chose the view by it) and command_length (framing did).

mod alert;
mod bind;
mod broadcast;
mod cancel;
mod data;
mod message;
mod query;
mod replace;
mod response;
mod response_tlvs;
mod submit_multi;
mod submit_multi_resp;

pub use alert::AlertView;
pub use bind::{BindLimits, BindRespView, BindView, OutbindView};
pub use broadcast::{BroadcastView, CancelBroadcastView};
pub use cancel::CancelView;
pub use data::DataView;
pub use message::MessageView;
pub use query::{QueryRespView, QueryView};
pub use replace::ReplaceView;
pub use response::MessageIdRespView;
pub use response_tlvs::response_tlvs;
pub use submit_multi::{DestAddress, DestAddresses, SubmitMultiView};
pub use submit_multi_resp::{SubmitMultiRespView, UnsuccessSme, UnsuccessSmes};

/// query_broadcast_sm has the body of query_sm.
pub type QueryBroadcastView<'a> = QueryView<'a>;

use super::walk::{Span, octet};

/// An SME address: type of number, numbering plan and the address itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Address<'a> {
    /// Type of number.
    pub ton: u8,
    /// Numbering plan indicator.
    pub npi: u8,
    /// The address without its NUL; usually digits, never assumed to be UTF-8.
    pub addr: &'a [u8],
}

impl<'a> Address<'a> {
    /// The address whose TON, NPI and text follow each other from octet `at` of `pdu`.
    #[inline]
    fn read(pdu: &[u8], at: usize, addr: &'a [u8]) -> Self {
        Self {
            ton: octet(pdu, at),
            npi: octet(pdu, at + 1),
            addr,
        }
    }

    /// The address whose text stands at `addr`, TON and NPI in the two octets before it.
    fn before(pdu: &'a [u8], addr: Span) -> Self {
        let at = addr.range().start.saturating_sub(2);
        Self::read(pdu, at, addr.of(pdu))
    }
}
