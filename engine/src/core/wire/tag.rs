//! TLV tags: what an optional parameter is, and how long its value may be.
//!
//! Source: SMPP v3.4 section 5.3, v5.0 section 4.8. Any 16-bit value can be held; unknown tags pass through unchanged.

use std::fmt;

/// A TLV tag as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(pub u16);

/// How the value of a TLV is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlvType {
    /// A big-endian integer.
    Integer,
    /// A C-Octet String; its NUL is often left out on real networks.
    Text,
    /// Raw octets.
    Octets,
}

/// What the specification says of a known tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagDefinition {
    /// The name in the specification.
    pub name: &'static str,
    /// How to read the value.
    pub value_type: TlvType,
    /// The fewest octets of a value.
    pub octets_min: u16,
    /// The most octets of a value.
    pub octets_max: u16,
}

impl TagDefinition {
    /// Whether a value may have that many octets.
    pub const fn allows(&self, octets: usize) -> bool {
        self.octets_min as usize <= octets && octets <= self.octets_max as usize
    }
}

macro_rules! tags {
    ($($constant:ident = $value:literal, $name:literal, $value_type:ident, $octets_min:literal..=$octets_max:literal;)*) => {
        impl Tag {
            $(
                #[doc = concat!("`", $name, "`.")]
                pub const $constant: Self = Self($value);
            )*

            /// Every tag that SMPP v3.4 and v5.0 define.
            pub const ALL: &'static [Self] = &[$(Self::$constant),*];

            /// What the specification says of this tag; `None` for reserved and vendor tags.
            pub const fn definition(self) -> Option<TagDefinition> {
                match self.0 {
                    $($value => Some(TagDefinition {
                        name: $name,
                        value_type: TlvType::$value_type,
                        octets_min: $octets_min,
                        octets_max: $octets_max,
                    }),)*
                    _ => None,
                }
            }
        }
    };
}

tags! {
    DEST_ADDR_SUBUNIT = 0x0005, "dest_addr_subunit", Integer, 1..=1;
    DEST_NETWORK_TYPE = 0x0006, "dest_network_type", Integer, 1..=1;
    DEST_BEARER_TYPE = 0x0007, "dest_bearer_type", Integer, 1..=1;
    DEST_TELEMATICS_ID = 0x0008, "dest_telematics_id", Integer, 2..=2;
    SOURCE_ADDR_SUBUNIT = 0x000D, "source_addr_subunit", Integer, 1..=1;
    SOURCE_NETWORK_TYPE = 0x000E, "source_network_type", Integer, 1..=1;
    SOURCE_BEARER_TYPE = 0x000F, "source_bearer_type", Integer, 1..=1;
    SOURCE_TELEMATICS_ID = 0x0010, "source_telematics_id", Integer, 1..=1;
    QOS_TIME_TO_LIVE = 0x0017, "qos_time_to_live", Integer, 4..=4;
    PAYLOAD_TYPE = 0x0019, "payload_type", Integer, 1..=1;
    ADDITIONAL_STATUS_INFO_TEXT = 0x001D, "additional_status_info_text", Text, 1..=256;
    RECEIPTED_MESSAGE_ID = 0x001E, "receipted_message_id", Text, 1..=65;
    MS_MSG_WAIT_FACILITIES = 0x0030, "ms_msg_wait_facilities", Integer, 1..=1;
    PRIVACY_INDICATOR = 0x0201, "privacy_indicator", Integer, 1..=1;
    SOURCE_SUBADDRESS = 0x0202, "source_subaddress", Octets, 2..=23;
    DEST_SUBADDRESS = 0x0203, "dest_subaddress", Octets, 2..=23;
    USER_MESSAGE_REFERENCE = 0x0204, "user_message_reference", Integer, 2..=2;
    USER_RESPONSE_CODE = 0x0205, "user_response_code", Integer, 1..=1;
    SOURCE_PORT = 0x020A, "source_port", Integer, 2..=2;
    DESTINATION_PORT = 0x020B, "destination_port", Integer, 2..=2;
    SAR_MSG_REF_NUM = 0x020C, "sar_msg_ref_num", Integer, 2..=2;
    LANGUAGE_INDICATOR = 0x020D, "language_indicator", Integer, 1..=1;
    SAR_TOTAL_SEGMENTS = 0x020E, "sar_total_segments", Integer, 1..=1;
    SAR_SEGMENT_SEQNUM = 0x020F, "sar_segment_seqnum", Integer, 1..=1;
    SC_INTERFACE_VERSION = 0x0210, "sc_interface_version", Integer, 1..=1;
    CALLBACK_NUM_PRES_IND = 0x0302, "callback_num_pres_ind", Integer, 1..=1;
    CALLBACK_NUM_ATAG = 0x0303, "callback_num_atag", Octets, 1..=65;
    NUMBER_OF_MESSAGES = 0x0304, "number_of_messages", Integer, 1..=1;
    CALLBACK_NUM = 0x0381, "callback_num", Octets, 4..=19;
    DPF_RESULT = 0x0420, "dpf_result", Integer, 1..=1;
    SET_DPF = 0x0421, "set_dpf", Integer, 1..=1;
    MS_AVAILABILITY_STATUS = 0x0422, "ms_availability_status", Integer, 1..=1;
    NETWORK_ERROR_CODE = 0x0423, "network_error_code", Octets, 3..=3;
    MESSAGE_PAYLOAD = 0x0424, "message_payload", Octets, 0..=65535;
    DELIVERY_FAILURE_REASON = 0x0425, "delivery_failure_reason", Integer, 1..=1;
    MORE_MESSAGES_TO_SEND = 0x0426, "more_messages_to_send", Integer, 1..=1;
    MESSAGE_STATE = 0x0427, "message_state", Integer, 1..=1;
    CONGESTION_STATE = 0x0428, "congestion_state", Integer, 1..=1;
    USSD_SERVICE_OP = 0x0501, "ussd_service_op", Integer, 1..=1;
    BROADCAST_CHANNEL_INDICATOR = 0x0600, "broadcast_channel_indicator", Integer, 1..=1;
    BROADCAST_CONTENT_TYPE = 0x0601, "broadcast_content_type", Octets, 3..=3;
    BROADCAST_CONTENT_TYPE_INFO = 0x0602, "broadcast_content_type_info", Octets, 1..=255;
    BROADCAST_MESSAGE_CLASS = 0x0603, "broadcast_message_class", Integer, 1..=1;
    BROADCAST_REP_NUM = 0x0604, "broadcast_rep_num", Integer, 2..=2;
    BROADCAST_FREQUENCY_INTERVAL = 0x0605, "broadcast_frequency_interval", Octets, 3..=3;
    BROADCAST_AREA_IDENTIFIER = 0x0606, "broadcast_area_identifier", Octets, 1..=101;
    BROADCAST_ERROR_STATUS = 0x0607, "broadcast_error_status", Integer, 4..=4;
    BROADCAST_AREA_SUCCESS = 0x0608, "broadcast_area_success", Integer, 1..=1;
    BROADCAST_END_TIME = 0x0609, "broadcast_end_time", Octets, 16..=17;
    BROADCAST_SERVICE_GROUP = 0x060A, "broadcast_service_group", Octets, 1..=255;
    BILLING_IDENTIFICATION = 0x060B, "billing_identification", Octets, 1..=1024;
    SOURCE_NETWORK_ID = 0x060D, "source_network_id", Text, 7..=65;
    DEST_NETWORK_ID = 0x060E, "dest_network_id", Text, 7..=65;
    SOURCE_NODE_ID = 0x060F, "source_node_id", Octets, 6..=6;
    DEST_NODE_ID = 0x0610, "dest_node_id", Octets, 6..=6;
    DEST_ADDR_NP_RESOLUTION = 0x0611, "dest_addr_np_resolution", Integer, 1..=1;
    DEST_ADDR_NP_INFORMATION = 0x0612, "dest_addr_np_information", Octets, 10..=10;
    DEST_ADDR_NP_COUNTRY = 0x0613, "dest_addr_np_country", Octets, 1..=5;
    DISPLAY_TIME = 0x1201, "display_time", Integer, 1..=1;
    SMS_SIGNAL = 0x1203, "sms_signal", Integer, 2..=2;
    MS_VALIDITY = 0x1204, "ms_validity", Octets, 1..=4;
    ALERT_ON_MESSAGE_DELIVERY = 0x130C, "alert_on_message_delivery", Octets, 0..=1;
    ITS_REPLY_TYPE = 0x1380, "its_reply_type", Integer, 1..=1;
    ITS_SESSION_INFO = 0x1383, "its_session_info", Octets, 2..=2;
}

impl Tag {
    /// The name in the specification; `None` for reserved and vendor tags.
    pub fn name(self) -> Option<&'static str> {
        self.definition().map(|definition| definition.name)
    }

    /// The tag called `name` in the specification.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|tag| tag.name() == Some(name))
    }

    /// Reserved for message centre vendors: 0x1400-0x3FFF.
    pub const fn is_vendor(self) -> bool {
        matches!(self.0, 0x1400..=0x3FFF)
    }

    /// Whether v5.0 added this tag: a v3.4 peer ignores it.
    pub const fn is_since_v50(self) -> bool {
        matches!(self.0, 0x0428 | 0x0600..=0x0613)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "0x{:04X}", self.0),
        }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: names and values are inverse for every tag, and no definition is empty.
    #[test]
    fn names_and_values_are_inverse() {
        for tag in Tag::ALL {
            assert_eq!(Tag::from_name(&tag.to_string()), Some(*tag));
            let definition = tag.definition().expect("a defined tag");
            assert!(definition.octets_min <= definition.octets_max, "{tag}");
            assert!(!tag.is_vendor());
        }
        assert_eq!(Tag(0x1402).to_string(), "0x1402");
        assert!(Tag(0x1402).is_vendor());
    }
}
