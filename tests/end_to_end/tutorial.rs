//! docs/TUTORIAL.md, command by command.

use rustix::process::{Pid, Signal, kill_process_group};
use smppmux_tests::PATIENCE;
use smppmux_tests::skip::not_checked_unless_ci;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const TUTORIAL: &str = include_str!("../../docs/TUTORIAL.md");

/// The ports of the page; a test takes free ones in their place.
const PORTS: [u16; 4] = [2775, 2776, 2777, 9775];

/// Stands on the page for what differs from run to run.
const ANYTHING: char = '…';

/// Comes after each command's output, with its exit code.
const MARK: &str = "the command has ended with";

/// What only looks, and may be asked again until it shows what is on the page: a reader is not as fast as a test.
const LOOKS: [&str; 5] = [
    "curl ",
    "smppmux ctl status",
    "smppmux ctl queue list",
    "smppmux ctl servers",
    "tail ",
];

/// A shell that stays for all commands.
struct Shell {
    bash: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Shell {
    fn start(folder: &Path) -> Self {
        let programs = folder.join("bin");
        fs::create_dir(&programs).expect("a folder");
        symlink(crate::PROGRAM, programs.join("smppmux")).expect("a link");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut bash = Command::new("bash");
        bash.arg("--norc").current_dir(folder).process_group(0);
        bash.env("PATH", format!("{}:{path}", programs.display()));
        let mut bash = bash
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash is there");
        let mut input = bash.stdin.take().expect("piped");
        input.write_all(b"exec 2>&1\n").expect("it reads");
        let output = BufReader::new(bash.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { bash, input, lines }
    }

    /// What a command shows, and its exit code.
    fn run(&mut self, command: &str) -> (Vec<String>, String) {
        let script = format!("{command}\nprintf '\\n%s %s\\n' '{MARK}' $?\n");
        self.input.write_all(script.as_bytes()).expect("it reads");
        let mut shown = Vec::new();
        let end = Instant::now() + 2 * PATIENCE;
        loop {
            let wait = end.saturating_duration_since(Instant::now());
            let line = self
                .lines
                .recv_timeout(wait)
                .unwrap_or_else(|_| panic!("{command} does not end: {shown:#?}"));
            match line.strip_prefix(MARK) {
                Some(code) => return (shown, code.trim().to_owned()),
                None => shown.push(line),
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // With all that it has started.
        if let Some(group) = Pid::from_raw(self.bash.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.bash.wait();
    }
}

/// A command of the page and the lines that it shows there.
#[derive(Debug)]
struct Step {
    command: String,
    expected: Vec<String>,
}

/// The contents of the page's blocks of one kind.
fn blocks<'t>(page: &'t str, kind: &str) -> Vec<&'t str> {
    let start = format!("\n```{kind}\n");
    let parts = page.split(start.as_str()).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap_or(part))
        .collect()
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in blocks(page, "console").into_iter().flat_map(str::lines) {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                command: command.to_owned(),
                expected: Vec::new(),
            });
            continue;
        }
        let step = steps.last_mut().expect("a block begins with a command");
        match line.strip_prefix("> ") {
            Some(more) => step.command += &format!("\n{more}"),
            None => step.expected.push(line.to_owned()),
        }
    }
    steps
}

/// Whether the expected lines are among the shown ones, in their order.
fn is_shown(expected: &[String], shown: &[String]) -> bool {
    let mut shown = shown.iter();
    expected
        .iter()
        .all(|expected| shown.any(|shown| matches(expected, shown)))
}

/// Whether a line is what the page says, however wide its columns are.
fn matches(expected: &str, shown: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (expected, shown) = (words(expected), words(shown));
    let pieces: Vec<&str> = expected.split(ANYTHING).map(str::trim).collect();
    let [first, between @ .., last] = &pieces[..] else {
        return expected == shown;
    };
    let Some(mut rest) = shown.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else {
        return false;
    };
    between.iter().all(|piece| match rest.split_once(piece) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

/// The page with ports that are free just now.
fn with_free_ports(page: &str) -> String {
    let listeners = PORTS.map(|port| (port, TcpListener::bind("127.0.0.1:0").expect("a port")));
    let mut page = page.to_owned();
    for (port, listener) in listeners {
        let free = listener.local_addr().expect("an address").port();
        page = page.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{free}"));
    }
    page
}

/// Goal: who follows the tutorial sees what it shows. Everything is run but the build, whose product stands in its place.
#[test]
fn the_tutorial_is_true() {
    let page = with_free_ports(TUTORIAL);
    let folder = TempDir::new().expect("a temporary folder");
    let [configuration] = blocks(&page, "toml")[..] else {
        panic!("there is one file")
    };
    fs::write(folder.path().join("smppmux.toml"), configuration).expect("a file");
    let mut shell = Shell::start(folder.path());
    let steps = steps(&page);
    assert!(steps.len() > 20, "{steps:#?}");
    for Step { command, expected } in steps {
        if command.starts_with("curl ") && shell.run("command -v curl").1 != "0" {
            not_checked_unless_ci("a command of the tutorial", "curl is not installed");
            continue;
        }
        let end = Instant::now() + PATIENCE;
        loop {
            let (shown, code) = shell.run(&command);
            if code == "0" && is_shown(&expected, &shown) {
                break;
            }
            let may_be_asked_again = LOOKS.iter().any(|look| command.starts_with(look));
            let log = fs::read_to_string(folder.path().join("smppmux.log")).unwrap_or_default();
            assert!(
                may_be_asked_again && Instant::now() < end,
                "$ {command}\nexit code {code}, shows {shown:#?} in place of {expected:#?}\n{log}"
            );
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Goal: the comparison with the page finds what is different.
#[test]
fn lines_are_compared() {
    for (expected, shown, is_match) in [
        ("ok  5", "ok 5", true),
        ("a … c …", "a  b  c d", true),
        ("…b…", "abc", true),
        ("a …", "b a", false),
        ("… c", "a c d", false),
        ("a … b … c", "a b", false),
    ] {
        assert_eq!(matches(expected, shown), is_match, "{expected} {shown}");
    }
}
