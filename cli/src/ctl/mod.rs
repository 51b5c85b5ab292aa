//! `smppmux ctl`: the admin interface's client, for people (tables) and scripts (`--json`).
//!
//! `client` speaks HTTP, `target` finds out with whom, each other file shows one group of answers. It owns no figures: what it
//! shows is what the interface said.

mod client;
mod clients;
mod cores;
mod pools;
mod queue;
mod route;
mod servers;
mod status;
mod target;
mod trace;
mod view;

use crate::admin::api;
use crate::arguments::{CtlArguments, CtlCommand, CtlSubject};
use crate::exit::Failure;
use crate::route::Explanation;
pub(crate) use client::{Client, parse};
use std::time::Duration;
pub(crate) use target::find as find_target;
pub(crate) use view::NONE;
use view::show;

/// Shows or changes something in a running smppmux.
///
/// # Errors
///
/// Exit code 69 when it cannot be reached, and what the answer's status stands for.
pub(crate) fn ctl(arguments: &CtlArguments) -> Result<(), Failure> {
    execute(arguments).map_err(|failure| failure.told_by("smppmux ctl"))
}

fn execute(arguments: &CtlArguments) -> Result<(), Failure> {
    let target = target::find(&arguments.target, arguments.token_file.clone())?;
    let client = Client::new(target)?;
    match &arguments.command {
        CtlCommand::Status => show::<api::status::Status>(&client, arguments, "/api/v1/status"),
        CtlCommand::Servers => show::<api::servers::Servers>(&client, arguments, "/api/v1/servers"),
        CtlCommand::Cores => show::<api::cores::Cores>(&client, arguments, "/api/v1/cores"),
        CtlCommand::Clients { prefix, idle, limit } => {
            let path = format!(
                "/api/v1/clients?prefix={}&idle={idle}&limit={limit}",
                client::segment(prefix.as_deref().unwrap_or_default())
            );
            show::<api::clients::Clients>(&client, arguments, &path)
        }
        CtlCommand::Queue(command) => queue::queue(&client, arguments, command),
        CtlCommand::Route { explain: _, message } => {
            show::<Explanation>(&client, arguments, &route::path(message))
        }
        CtlCommand::Pools => show::<api::pools::Pools>(&client, arguments, "/api/v1/pools"),
        CtlCommand::Drain(subject) => {
            let path = subject.path("drain").unwrap_or_else(|| "/api/v1/drain".into());
            change(&client, arguments, &path, "")
        }
        CtlCommand::Undrain(subject) => {
            // clap has seen to it that there is one.
            let path = subject.path("undrain").unwrap_or_default();
            change(&client, arguments, &path, "")
        }
        CtlCommand::Trace {
            subject,
            format,
            output,
            duration,
        } => trace::trace(&client, subject, *format, output.as_deref(), *duration),
        CtlCommand::Reload => change(&client, arguments, "/api/v1/reload", ""),
        CtlCommand::Weight { server, weight } => {
            let path = format!("/api/v1/servers/{}/weight", client::segment(server));
            change(&client, arguments, &path, &format!("{{\"weight\":{weight}}}"))
        }
    }
}

/// The two largest units of so many seconds.
pub(crate) fn readable(seconds: f64) -> String {
    status::readable(Duration::from_secs(seconds as u64))
}

/// Has something changed, and says what has happened.
fn change(client: &Client, arguments: &CtlArguments, path: &str, body: &str) -> Result<(), Failure> {
    let answer = client.post(path, body)?;
    let text = if arguments.json {
        answer
    } else {
        parse::<api::change::Changed>(&answer)?.done
    };
    crate::print(&format!("{}\n", text.trim_end()));
    Ok(())
}

impl CtlSubject {
    /// Where an order for it goes; none when nothing was named.
    fn path(&self, order: &str) -> Option<String> {
        match (&self.server, &self.client) {
            (Some(server), _) => Some(format!("/api/v1/servers/{}/{order}", client::segment(server))),
            (None, Some(system_id)) => {
                Some(format!("/api/v1/clients/{}/{order}", client::segment(system_id)))
            }
            (None, None) => None,
        }
    }
}
