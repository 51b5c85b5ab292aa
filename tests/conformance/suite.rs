//! The conformance suite against smppmux, as the program of the suite runs it.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

const SUITE: &str = env!("CARGO_BIN_EXE_smppmux-conformance");

/// Two runs at once would take each other's time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn page_of_results() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/CONFORMANCE.md")
}

fn suite(arguments: &[&str]) -> Output {
    Command::new(SUITE)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("cargo built it")
}

fn told(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    texts.concat()
}

/// Goal: smppmux passes every scenario that it claims, on one engine and on four, and the page of results says so.
/// `SMPPMUX_WRITE_CONFORMANCE=1` writes the page instead.
#[test]
fn smppmux_passes_and_the_page_of_results_says_so() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let option = if std::env::var_os("SMPPMUX_WRITE_CONFORMANCE").is_some() {
        "--write-document"
    } else {
        "--check-document"
    };
    let page = page_of_results();
    let page = page.to_str().expect("a path of UTF-8");
    let output = suite(&["--engines", "1,4", option, page]);
    assert!(output.status.success(), "{}", told(&output));
}

/// Goal: every script can fail. Method: smppmux's work is spoiled in a way that the script must notice; and a relay that
/// spoils nothing makes none fail.
#[test]
fn every_script_notices_a_bad_balancer() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let output = suite(&["--sabotage"]);
    let told = told(&output);
    let unexpected: Vec<&str> = told.lines().filter(|line| !line.starts_with("well ")).collect();
    assert!(output.status.success(), "{}", unexpected.join("\n"));
}

/// Goal: a wrong word on the command line is told, and exits 64 or clap's 2.
#[test]
fn wrong_arguments_are_told() {
    for arguments in [&["--only", "99"][..], &["--print-setting", "none"], &["--colour"]] {
        let output = suite(arguments);
        let code = output.status.code();
        assert!(matches!(code, Some(2 | 64)), "{code:?}: {}", told(&output));
    }
}

/// Goal: every setting that is printed as a pattern is a configuration that smppmux accepts.
#[test]
fn printed_settings_are_good_configurations() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    for setting in [
        "standard",
        "impatient",
        "quick-links",
        "defaults",
        "narrow-lanes",
        "split-binds",
    ] {
        let printed = suite(&["--print-setting", setting]);
        let file = folder.path().join(format!("{setting}.toml"));
        std::fs::write(&file, &printed.stdout).expect("the folder is ours");
        let check = Command::new(env!("CARGO_BIN_EXE_smppmux-under-test"))
            .args(["check", "--config"])
            .arg(&file)
            .output()
            .expect("cargo built it");
        assert!(check.status.success(), "{setting}: {}", told(&check));
    }
}
