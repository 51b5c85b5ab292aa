//! A running `smppmux serve`: started with a configuration, listened to by its log, killed when dropped.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::PATIENCE;
use crate::configuration::Configuration;

/// Lines of the log that a failure shows at most.
const SHOWN_LINES_MAX: usize = 40;

/// How often a process is asked whether it has ended.
const EXIT_POLL: Duration = Duration::from_millis(5);

/// Where the environment names the I/O driver of every smppmux that the tests start: `auto`, `glommio`, `ring`, `epoll`.
const IO_DRIVER_VARIABLE: &str = "SMPPMUX_TEST_IO";

/// A running smppmux.
#[derive(Debug)]
pub struct Smppmux {
    child: Child,
    log: Receiver<Value>,
    read_lines: VecDeque<String>,
    address: SocketAddr,
    folder: TempDir,
}

impl Smppmux {
    /// Starts it and waits until it listens; its servers may not be bound yet.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(program: impl AsRef<Path>, configuration: &Configuration) -> Self {
        Self::start_prepared(program, configuration, name_driver)
    }

    /// The same with more variables in its environment.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start_in(
        program: impl AsRef<Path>,
        configuration: &Configuration,
        environment: &[(&str, OsString)],
    ) -> Self {
        Self::start_prepared(program, configuration, |command| {
            name_driver(command);
            command.envs(environment.iter().map(|(name, value)| (name, value)));
        })
    }

    /// Like [`start`](Self::start), but it is `prepare` that changes the command to its liking.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start_prepared(
        program: impl AsRef<Path>,
        configuration: &Configuration,
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let file = write_configuration(&folder, configuration);
        let mut command = serve(program.as_ref(), &file);
        prepare(&mut command);
        let mut child = command
            .args(["--log-format", "json"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (sender, log) = channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                // Reads on when nobody listens, so that smppmux never waits for its log.
                let _ = sender.send(line);
            }
        });
        let mut smppmux = Self {
            child,
            log,
            read_lines: VecDeque::new(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            folder,
        };
        let listening = smppmux.wait_for_log("listening");
        smppmux.address = address_in(&listening);
        smppmux
    }

    /// Starts it and waits until it says that it is ready, which it does when its servers are bound.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start_ready(program: impl AsRef<Path>, configuration: &Configuration) -> Self {
        let mut smppmux = Self::start(program, configuration);
        smppmux.wait_for_log("smppmux ready");
        smppmux
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients of the vserver connect whose address the log names next: those behind the first, in the order of the
    /// file.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn next_address(&mut self) -> SocketAddr {
        let listening = self.wait_for_log("listening");
        address_in(&listening)
    }

    /// Where its admin interface listens, which the log says before it is ready.
    ///
    /// # Panics
    ///
    /// When it does not say so.
    pub fn admin_address(&mut self) -> SocketAddr {
        let listening = self.wait_for_log("admin interface listening");
        address_in(&listening)
    }

    /// The folder of its configuration file.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Writes another configuration in the place of the one that it was started with; it is read when smppmux is told to.
    ///
    /// # Panics
    ///
    /// When the file cannot be written.
    pub fn rewrite(&self, configuration: &Configuration) {
        write_configuration(&self.folder, configuration);
    }

    /// Waits for a line of the log with this message; lines before it are passed over.
    ///
    /// # Panics
    ///
    /// When it does not come.
    pub fn wait_for_log(&mut self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.log.recv_timeout(left) else {
                panic!(
                    "no log line {message:?}; the last ones are {:#?}",
                    self.read_lines
                );
            };
            self.remember(&line);
            if line["message"] == message {
                return line;
            }
        }
    }

    /// The lines of the log that were read while something was waited for, as JSON; the last ones, where there were many.
    pub fn lines_so_far(&self) -> impl Iterator<Item = &str> {
        self.read_lines.iter().map(String::as_str)
    }

    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), signal).expect("it runs");
    }

    /// Waits for its end; gives the exit code.
    ///
    /// # Panics
    ///
    /// When it does not end, or a signal ended it.
    pub fn wait_for_exit(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code().expect("it ends by itself");
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(EXIT_POLL);
        }
    }

    /// Whether it still runs.
    ///
    /// # Panics
    ///
    /// When the process cannot be asked.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// The last lines of its log.
    pub fn recent_log(&mut self) -> Vec<String> {
        for line in self.log.try_iter().collect::<Vec<_>>() {
            self.remember(&line);
        }
        self.read_lines.iter().cloned().collect()
    }

    fn remember(&mut self, line: &Value) {
        if self.read_lines.len() == SHOWN_LINES_MAX {
            self.read_lines.pop_front();
        }
        self.read_lines.push_back(line.to_string());
    }
}

fn address_in(listening: &Value) -> SocketAddr {
    listening["address"]
        .as_str()
        .and_then(|address| address.parse().ok())
        .unwrap_or_else(|| panic!("no address in {listening}"))
}

impl Drop for Smppmux {
    fn drop(&mut self) {
        // A failed test shows the end of the log, where the reason usually stands.
        if thread::panicking() {
            eprintln!("the log of smppmux ends with {:#?}", self.recent_log());
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs smppmux with a configuration that it cannot serve; gives the exit code and what it wrote to standard error.
///
/// # Panics
///
/// When it does not end by itself.
pub fn run_to_exit(program: impl AsRef<Path>, configuration: &Configuration) -> (i32, String) {
    run_prepared_to_exit(program, configuration, name_driver)
}

/// Like [`run_to_exit`], after `prepare` has changed the command to its liking.
///
/// # Panics
///
/// When it does not end by itself.
pub fn run_prepared_to_exit(
    program: impl AsRef<Path>,
    configuration: &Configuration,
    prepare: impl FnOnce(&mut Command),
) -> (i32, String) {
    let folder = TempDir::new().expect("a temporary folder");
    let file = write_configuration(&folder, configuration);
    let mut command = serve(program.as_ref(), &file);
    prepare(&mut command);
    let output = command.output().expect("the program was built");
    let code = output.status.code().expect("it ends by itself");
    (code, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// In the folder of its configuration, where its queue's file is to be.
fn serve(program: &Path, file: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(file.parent().unwrap_or(Path::new(".")))
        .arg("serve")
        .arg("--config")
        .arg(file)
        .stdin(Stdio::null());
    command
}

/// Chooses the I/O driver that the environment names.
fn name_driver(command: &mut Command) {
    if let Some(driver) = env::var_os(IO_DRIVER_VARIABLE) {
        command.arg("--io").arg(driver);
    }
}

fn write_configuration(folder: &TempDir, configuration: &Configuration) -> PathBuf {
    let file = folder.path().join("smppmux.toml");
    fs::write(&file, configuration.to_toml()).expect("the folder is ours");
    file
}
