//! The two sides of the suite: ESMEs and SMSCs on real sockets, which write octets of any kind.

mod centre;
mod client;
mod conduct;

pub(crate) use centre::{Arrival, Centre, HappeningKind};
pub(crate) use client::{BindAs, Client, id_of};
pub(crate) use conduct::{OnBind, OnRequest};

use std::time::Duration;

/// How long a PDU that must come is waited for. Long, because test machines are busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How long a PDU that must not come is waited for where nothing else tells that it will not.
pub(crate) const QUIET_TIME: Duration = Duration::from_millis(300);
