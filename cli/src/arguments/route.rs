//! The arguments of `smppmux route` and `ctl route`; the latter travel as a query of the same names.

use clap::Args;
use serde::Deserialize;
use std::path::PathBuf;
use utoipa::IntoParams;

/// A dry run of the rules of a file.
#[derive(Debug, Args)]
pub struct RouteArguments {
    /// Tell which rule matches and what it does, without sending anything.
    #[arg(long, required = true)]
    pub explain: bool,
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The message.
    #[command(flatten)]
    pub message: MessageArguments,
}

/// A message as rules see it.
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub struct MessageArguments {
    /// The account that sends the message.
    #[arg(long, value_name = "SYSTEM-ID", conflicts_with = "server")]
    pub client: Option<String>,
    /// The server that sends the message (MO).
    #[arg(long, value_name = "NAME")]
    pub server: Option<String>,
    /// The vserver; else the first that the client may bind at, or the server's own.
    #[arg(long, value_name = "NAME")]
    pub vserver: Option<String>,
    /// source_addr.
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    pub source: String,
    /// TON of the source.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub source_ton: u8,
    /// NPI of the source.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub source_npi: u8,
    /// destination_addr; none for a broadcast_sm. Each destination of a submit_multi meets the rules alone.
    #[arg(long, value_name = "ADDRESS")]
    pub destination: Option<String>,
    /// TON of the destination.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub destination_ton: u8,
    /// NPI of the destination.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub destination_npi: u8,
    /// service_type.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub service_type: String,
    /// data_coding.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub data_coding: u8,
    /// esm_class.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub esm_class: u8,
    /// A vendor command instead of a message.
    #[arg(long)]
    pub vendor_command: bool,
}
