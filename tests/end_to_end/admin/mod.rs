//! The admin interface and `ctl`, against a process that carries messages.

mod access;
mod accounts;
mod changes;
mod claims;
mod dead_letters;
mod ejection;
mod figures;
mod live;
mod metrics;
mod rebalancing;
mod reload;
mod reload_others;
mod routes;
mod slow_start;
mod top;
mod trace;
mod under_load;

use smppmux_tests::configuration::Configuration;
use smppmux_tests::http::{self, Answer};
use smppmux_tests::process::Smppmux;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

const TOKEN: &str = "0123456789abcdef-the-token";

/// A running smppmux with both doors open.
struct Administered {
    smppmux: Smppmux,
    address: SocketAddr,
    folder: TempDir,
    section: String,
}

impl Administered {
    /// Starts it; `configuration` lacks nothing but `[admin]`.
    fn start(configuration: &Configuration) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let (socket, token) = (folder.path().join("socket"), folder.path().join("token"));
        fs::write(&token, format!("{TOKEN}\n")).expect("a file");
        let section =
            format!("[admin]\nlisten = \"127.0.0.1:0\"\nsocket = {socket:?}\ntoken-file = {token:?}\n");
        let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration.clone().section(&section));
        let address = smppmux.admin_address();
        Self {
            smppmux,
            address,
            folder,
            section,
        }
    }

    /// Writes another configuration, which lacks nothing but the same `[admin]`.
    fn rewrite(&self, configuration: &Configuration) {
        self.smppmux
            .rewrite(&configuration.clone().section(&self.section));
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn get(&self, path: &str) -> Answer {
        http::call(self.address, "GET", path, &[])
    }

    /// Runs `ctl` on the control socket.
    fn ctl(&self, arguments: &[&str]) -> Output {
        let mut ctl = Command::new(crate::PROGRAM);
        ctl.arg("ctl").arg("--socket").arg(self.socket()).args(arguments);
        ctl.output().expect("the program was built")
    }

    /// What `ctl` writes when it succeeds.
    fn ctl_text(&self, arguments: &[&str]) -> String {
        let output = self.ctl(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), &*error),
            (Some(0), ""),
            "ctl {arguments:?}"
        );
        String::from_utf8(output.stdout).expect("text")
    }
}
