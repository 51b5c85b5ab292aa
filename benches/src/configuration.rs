//! The settings of every bench: one vserver, one server, one client.

use smppmux_engine::core::range::AddressRange;
use smppmux_engine::core::receipts::{MessageIdMode, MessageIdSettings};
use smppmux_engine::core::settings::samples::{
    client_settings, engine_settings, server_settings, vserver_settings,
};
use smppmux_engine::core::settings::{ClientSettings, EngineSettings, Settings, VserverSettings};

/// The client may claim one range, and ids are tagged.
pub fn settings() -> Settings {
    settings_with_ranges(AddressRange::parse(b"888765").into_iter().collect())
}

/// The same with a client that may claim all these ranges.
pub fn settings_with_ranges(address_ranges: Vec<AddressRange>) -> Settings {
    with(vserver_settings(), address_ranges)
}

/// The same with message ids of this form.
pub(crate) fn settings_with_ids(mode: MessageIdMode) -> Settings {
    let vserver = VserverSettings {
        message_id: MessageIdSettings {
            mode,
            ..MessageIdSettings::default()
        },
        ..vserver_settings()
    };
    with(vserver, AddressRange::parse(b"888765").into_iter().collect())
}

fn with(vserver: VserverSettings, address_ranges: Vec<AddressRange>) -> Settings {
    let engine = EngineSettings {
        core_requests_max: 1_024,
        ..engine_settings()
    };
    let client = ClientSettings {
        address_ranges,
        window: 1_000,
        ..client_settings("esme1")
    };
    Settings::new(engine, vec![vserver], vec![server_settings()], vec![client], 1)
}
