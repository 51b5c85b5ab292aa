//! `smppmux ctl`: the admin interface's client, for people (tables) and scripts (`--json`).
//!
//! `client` speaks HTTP, `target` finds out with whom, each other file shows one group of answers. It owns no figures: what it
//! shows is what the interface said.

mod client;
mod cores;
mod queue;
mod servers;
mod status;
mod target;
mod view;

use crate::admin::api;
use crate::arguments::{CtlArguments, CtlCommand};
use crate::exit::Failure;
use client::Client;
use view::show;

/// Shows or changes something in a running smppmux.
///
/// # Errors
///
/// Exit code 69 when it cannot be reached, and what the answer's status stands for.
pub(crate) fn ctl(arguments: &CtlArguments) -> Result<(), Failure> {
    let client = Client::new(target::find(&arguments.target)?)?;
    match &arguments.command {
        CtlCommand::Status => show::<api::status::Status>(&client, arguments, "/api/v1/status"),
        CtlCommand::Servers => show::<api::servers::Servers>(&client, arguments, "/api/v1/servers"),
        CtlCommand::Cores => show::<api::cores::Cores>(&client, arguments, "/api/v1/cores"),
        CtlCommand::Queue(command) => queue::queue(&client, arguments, command),
        CtlCommand::Drain => change(&client, arguments, "/api/v1/drain"),
    }
}

/// Has something changed, and says what has happened.
fn change(client: &Client, arguments: &CtlArguments, path: &str) -> Result<(), Failure> {
    let answer = client.post(path)?;
    let text = if arguments.json {
        answer
    } else {
        client::parse::<api::change::Changed>(&answer)?.done
    };
    crate::print(&format!("{}\n", text.trim_end()));
    Ok(())
}
