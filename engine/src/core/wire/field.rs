//! The text fields of all PDUs: their names, their longest form, and the status that answers a wrong length.
//!
//! One place for these limits: views check against them, writers obey them, the layout table prints them.
//! Source: SMPP v3.4 sections 4 and 5.2, v5.0 sections 4 and 4.7.

use super::Status;

/// A C-Octet String field of a PDU's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextField {
    /// The name in the specification.
    pub name: &'static str,
    /// The most octets it may take, its NUL included.
    pub octets_max: usize,
    /// The command_status that answers a length outside the definition.
    pub status: Status,
}

const fn text(name: &'static str, octets_max: usize, status: Status) -> TextField {
    TextField {
        name,
        octets_max,
        status,
    }
}

/// Octets of a time that is not NULL: 16 characters and their NUL.
pub const TIME_OCTETS: usize = 17;

/// `system_id` of binds and outbind.
pub const SYSTEM_ID: TextField = text("system_id", 16, Status::ESME_RINVSYSID);
/// `password` of binds and outbind.
pub const PASSWORD: TextField = text("password", 9, Status::ESME_RINVPASWD);
/// `system_type` of binds.
pub const SYSTEM_TYPE: TextField = text("system_type", 13, Status::ESME_RINVSYSTYP);
/// `address_range` of binds; no status of its own exists.
pub const ADDRESS_RANGE: TextField = text("address_range", 41, Status::ESME_RBINDFAIL);
/// `service_type` of messages.
pub const SERVICE_TYPE: TextField = text("service_type", 6, Status::ESME_RINVSERTYP);
/// `source_addr` everywhere but in data_sm and alert_notification.
pub const SOURCE_ADDR: TextField = text("source_addr", 21, Status::ESME_RINVSRCADR);
/// `destination_addr` everywhere but in data_sm.
pub const DESTINATION_ADDR: TextField = text("destination_addr", 21, Status::ESME_RINVDSTADR);
/// `source_addr` of data_sm and alert_notification.
pub const LONG_SOURCE_ADDR: TextField = text("source_addr", 65, Status::ESME_RINVSRCADR);
/// `destination_addr` of data_sm.
pub const LONG_DESTINATION_ADDR: TextField = text("destination_addr", 65, Status::ESME_RINVDSTADR);
/// `esme_addr` of alert_notification.
pub const ESME_ADDR: TextField = text("esme_addr", 65, Status::ESME_RINVDSTADR);
/// `dl_name` of submit_multi.
pub const DL_NAME: TextField = text("dl_name", 21, Status::ESME_RINVDLNAME);
/// `message_id` of requests and responses (v3.4 and later; 9 octets in v3.3).
pub const MESSAGE_ID: TextField = text("message_id", 65, Status::ESME_RINVMSGID);
/// `schedule_delivery_time`: empty or 16 characters.
pub const SCHEDULE_DELIVERY_TIME: TextField =
    text("schedule_delivery_time", TIME_OCTETS, Status::ESME_RINVSCHED);
/// `validity_period`: empty or 16 characters.
pub const VALIDITY_PERIOD: TextField = text("validity_period", TIME_OCTETS, Status::ESME_RINVEXPIRY);
/// `final_date` of query_sm_resp: empty, 12 or 16 characters.
pub const FINAL_DATE: TextField = text("final_date", TIME_OCTETS, Status::ESME_RQUERYFAIL);
