//! The example configurations of `packaging/examples`, and those of docs/MIGRATION.md, are what they say.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_smppmux");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/examples");
const MIGRATION: &str = include_str!("../../docs/MIGRATION.md");
const OPERATIONS: &str = include_str!("../../docs/OPERATIONS.md");

/// The set-ups that there is an example for.
const NAMES: [&str; 5] = [
    "active-standby",
    "aggregator",
    "load-lab",
    "many-accounts",
    "tls-edge",
];

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// `check` of a text whose files below /etc/smppmux are in this folder. Gives its exit code and what it complains of.
fn check(text: &str, folder: &Path) -> (Option<i32>, String) {
    let text = text.replace("/etc/smppmux", &folder.display().to_string());
    let file = folder.join("smppmux.toml");
    fs::write(&file, text).expect("the folder is ours");
    let output = run(Command::new(PROGRAM).arg("check").arg("--config").arg(file));
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), complaints)
}

/// What an operator of the TLS edge has in /etc/smppmux.
fn make_certificates(folder: &Path) {
    let tls = folder.join("tls");
    fs::create_dir(&tls).expect("the folder is ours");
    let output = run(Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args([
            "-subj",
            "/CN=edge",
            "-addext",
            "subjectAltName=DNS:smpp.edge.example",
            "-days",
            "30",
        ])
        .args(["-keyout", "server.key", "-out", "server.pem"])
        .current_dir(&tls));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for authority in ["customers-ca.pem", "partner-ca.pem"] {
        fs::copy(tls.join("server.pem"), tls.join(authority)).expect("a copy");
    }
}

/// Goal: each example is a good configuration that nothing is to be said about, is explained in words, and is in the manual.
#[test]
fn every_example_is_right() {
    let folder = TempDir::new().expect("a temporary folder");
    make_certificates(folder.path());
    let files = fs::read_dir(EXAMPLES).expect("the folder is there");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("an entry").path()).collect();
    files.sort();
    let names: Vec<_> = files.iter().filter_map(|file| file.file_stem()).collect();
    assert_eq!(names, NAMES);
    for file in files {
        let text = fs::read_to_string(&file).expect("it is text");
        assert_eq!(check(&text, folder.path()), (Some(0), String::new()), "{file:?}");
        assert!(text.starts_with("# "), "{file:?} says what it is for");
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(OPERATIONS.contains(&format!("examples/{name}")), "{name}");
    }
}

/// The page's blocks of one kind.
fn blocks(kind: &str) -> Vec<&'static str> {
    let start = format!("\n```{kind}\n");
    let parts = MIGRATION.split(start.as_str()).skip(1);
    parts
        .map(|part| part.split("\n```").next().unwrap_or(part))
        .collect()
}

/// Goal: what the page on moving gives as a configuration of smppmux is a good one.
#[test]
fn what_one_moves_to_is_right() {
    let folder = TempDir::new().expect("a temporary folder");
    let blocks = blocks("toml");
    assert_eq!(
        blocks.len(),
        4,
        "one for each product, and one that forwards binds"
    );
    for block in blocks {
        assert_eq!(check(block, folder.path()), (Some(0), String::new()), "{block}");
    }
}

/// Goal: what it gives as a configuration of HAProxy is one. Where HAProxy is not installed that is not checked, and it is said.
#[test]
fn what_one_moves_from_is_right() {
    let folder = TempDir::new().expect("a temporary folder");
    let blocks = blocks("haproxy");
    assert_eq!(blocks.len(), 1);
    for block in blocks {
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, format!("{block}\n")).expect("the folder is ours");
        // It may be where root's path leads.
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        match Command::new("haproxy")
            .env("PATH", path)
            .args(["-c", "-f"])
            .arg(&file)
            .output()
        {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                eprintln!("not checked: HAProxy's configuration, because haproxy is not installed");
            }
            output => {
                let output = output.expect("it starts");
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success() && said.is_empty(), "{said}");
            }
        }
    }
}
