//! What a client's request has been through on its way: kept with it in windows and holds, so that it is not changed, asked
//! about or sent again more often than it may be.

use super::time::Moment;

/// What a request of a client has been through: it goes with it into a hold and to other sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Journey {
    /// When the client's PDU arrived.
    pub(super) arrived_at: Moment,
    /// How often it was sent again after it may have reached a server, and what the routing rules said of it.
    pub(super) mark: Mark,
}

impl Journey {
    #[inline]
    pub(super) const fn starting(now: Moment) -> Self {
        Self {
            arrived_at: now,
            mark: Mark::START,
        }
    }

    /// The same with this mark.
    pub(super) const fn marked(self, mark: Mark) -> Self {
        Self { mark, ..self }
    }
}

/// The part of a journey that is not a time, in two octets: a slot has room for no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u16);

impl Mark {
    pub(super) const START: Self = Self(0);
    /// So often a request may be sent again.
    pub(super) const RESENDS_MAX: u8 = 3;
    /// The highest mark that routing may give.
    pub(super) const ROUTE_MAX: u16 = (1 << Self::ROUTE_BITS) - 1;
    const ROUTE_BITS: u32 = 14;

    #[inline]
    pub(super) const fn new(resends: u8, route: u16) -> Self {
        let resends = if resends > Self::RESENDS_MAX {
            Self::RESENDS_MAX
        } else {
            resends
        };
        Self((resends as u16) << Self::ROUTE_BITS | route & Self::ROUTE_MAX)
    }

    /// The same, sent again once more.
    pub(super) const fn sent_again(self) -> Self {
        Self::new(self.resends() + 1, self.route())
    }

    /// It was sent so often again.
    #[inline]
    pub(super) const fn resends(self) -> u8 {
        (self.0 >> Self::ROUTE_BITS) as u8
    }

    /// What the routing rules said of it (see `routing`); 0: it has not met them.
    #[inline]
    pub(super) const fn route(self) -> u16 {
        self.0 & Self::ROUTE_MAX
    }
}
