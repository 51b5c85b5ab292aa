//! `ctl route --explain`.

use super::client::segment;
use super::view::{Earlier, View};
use crate::arguments::MessageArguments;
use crate::route::Explanation;
use crate::style::Style;

impl View for Explanation {
    fn render(&self, _style: Style, _before: Option<&Earlier<Self>>) -> String {
        self.lines()
    }
}

/// Where to ask about a message.
pub(super) fn path(message: &MessageArguments) -> String {
    let MessageArguments {
        client,
        server,
        vserver,
        source,
        source_ton,
        source_npi,
        destination,
        destination_ton,
        destination_npi,
        service_type,
        data_coding,
        esm_class,
        vendor_command,
    } = message;
    let mut path = format!(
        "/api/v1/route?source={}&source_ton={source_ton}&source_npi={source_npi}\
         &destination_ton={destination_ton}&destination_npi={destination_npi}\
         &service_type={}&data_coding={data_coding}&esm_class={esm_class}&vendor_command={vendor_command}",
        segment(source),
        segment(service_type),
    );
    for (name, value) in [
        ("client", client),
        ("server", server),
        ("vserver", vserver),
        ("destination", destination),
    ] {
        if let Some(value) = value {
            path += &format!("&{name}={}", segment(value));
        }
    }
    path
}
