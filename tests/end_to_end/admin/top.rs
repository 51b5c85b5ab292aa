//! `smppmux top`: the events of every second in a terminal, which script(1) makes.

use super::Administered;
use rustix::process::{Pid, Signal, kill_process};
use smppmux_tests::PATIENCE;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::skip::not_checked_unless_ci;
use smppmux_tests::smsc::AnsweringSmsc;
use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// `smppmux top` in a terminal of 24 lines of 80.
struct Top {
    script: Child,
    shown: Receiver<Vec<u8>>,
    so_far: String,
}

impl Top {
    fn start(administered: &Administered) -> Self {
        let number = administered.folder.path().join("number");
        let command = format!(
            "stty rows 24 cols 80; echo $$ >{}; exec {} top --url http://{}",
            number.display(),
            crate::PROGRAM,
            administered.address
        );
        let mut script = Command::new("script");
        script.args([
            "--quiet",
            "--return",
            "--flush",
            "--command",
            &command,
            "/dev/null",
        ]);
        script
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut script = script.spawn().expect("script(1) is there");
        let (sender, shown) = channel();
        let mut output = script.stdout.take().expect("piped");
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut piece) {
                let _ = sender.send(piece[..count].to_vec());
            }
        });
        Self {
            script,
            shown,
            so_far: String::new(),
        }
    }

    /// Waits until the words were written, one after the other.
    fn wait_for(&mut self, words: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.so_far.contains(words) {
            let wait = end.saturating_duration_since(Instant::now());
            match self.shown.recv_timeout(wait) {
                Ok(piece) => self.so_far += &String::from_utf8_lossy(&piece),
                Err(_) => panic!("{words:?} is not among {:?}", self.so_far),
            }
        }
        let behind = self.so_far.split_once(words).map(|(_, behind)| behind.to_owned());
        self.so_far = behind.unwrap_or_default();
    }

    fn press(&mut self, keys: &[u8]) {
        let input = self.script.stdin.as_mut().expect("piped");
        input.write_all(keys).expect("it is read");
    }

    /// It leaves the terminal as it was, and ends well.
    fn wait_for_end(mut self) {
        self.wait_for("\x1b[?1049l");
        assert!(self.script.wait().expect("it ends").success());
    }
}

/// The process's number, which is written before it starts.
fn number_of(administered: &Administered) -> Pid {
    let text = fs::read_to_string(administered.folder.path().join("number")).expect("it was written");
    let number = text.trim().parse().ok().and_then(Pid::from_raw);
    number.expect("a number")
}

/// What has ended may still wait for a parent that asks (proc_pid_stat(5): Z).
fn is_running(number: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", number.as_raw_nonzero()));
    stat.is_ok_and(|stat| !stat.contains(") Z"))
}

/// Goal: `top` shows the figures in a terminal, says when smppmux has gone, shows them again when it is back, follows keys, and
/// gives the terminal back at a key and at a signal; it ends when its terminal goes.
#[test]
fn top_shows_it_in_a_terminal() {
    if Command::new("script").arg("--version").output().is_err() {
        not_checked_unless_ci("smppmux top in a terminal", "script is not installed");
        return;
    }
    let smsc = AnsweringSmsc::start("smsc-a");
    let mut administered = Administered::start(
        &Configuration::with_engines(2)
            .server("smsc-a", "0A", smsc.address(), "")
            .client("esme1", ""),
    );
    administered.smppmux.wait_for_log("smppmux ready");
    let mut top = Top::start(&administered);
    top.wait_for("\x1b[?1049h");
    top.wait_for("serving, ready");
    top.wait_for("smsc-a");
    top.press(b"3");
    top.wait_for("C2C");
    top.press(b"q");
    top.wait_for_end();

    let mut top = Top::start(&administered);
    top.wait_for("smsc-a");
    administered.smppmux.signal(Signal::KILL);
    top.wait_for("trying again");
    let number = number_of(&administered);
    kill_process(number, Signal::TERM).expect("it runs");
    top.wait_for_end();

    let mut top = Top::start(&administered);
    top.wait_for("trying again");
    let number = number_of(&administered);
    top.script.kill().expect("it runs");
    top.script.wait().expect("it ends");
    let end = Instant::now() + PATIENCE;
    while is_running(number) {
        assert!(Instant::now() < end, "it goes on without a terminal");
        thread::sleep(Duration::from_millis(50));
    }
}
