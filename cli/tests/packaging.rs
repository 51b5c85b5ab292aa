//! What `packaging/` installs.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_smppmux");
const PACKAGING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging");

fn install(root: &Path) {
    let mut install = Command::new(format!("{PACKAGING}/install"));
    install.arg(PROGRAM).env("DESTDIR", root).env_remove("PREFIX");
    let output = install.output().expect("bash is there");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
}

/// Goal: the program, a manual page for each command, completions, the unit, the examples and a configuration come to their places,
/// and a second installation keeps the configuration that is there.
#[test]
fn everything_is_installed() {
    let root = TempDir::new().expect("a temporary folder");
    install(root.path());
    let text = |path: &str| {
        let file = root.path().join(path);
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let mode = |path: &str| {
        let file = fs::metadata(root.path().join(path)).expect("it is there");
        file.permissions().mode() & 0o777
    };
    assert_eq!(mode("usr/bin/smppmux"), 0o755);
    for page in ["smppmux", "smppmux-serve", "smppmux-ctl", "smppmux-ctl-trace"] {
        assert!(
            text(&format!("usr/share/man/man1/{page}.1")).contains(".TH "),
            "{page}"
        );
    }
    for completions in [
        "usr/share/bash-completion/completions/smppmux",
        "usr/share/zsh/site-functions/_smppmux",
        "usr/share/fish/vendor_completions.d/smppmux.fish",
    ] {
        assert!(text(completions).contains("purge-dead-letters"), "{completions}");
    }
    assert!(text("usr/lib/systemd/system/smppmux.service").contains("\nExecStart=/usr/bin/smppmux serve"));
    assert!(text("usr/lib/sysusers.d/smppmux.conf").contains("u smppmux"));
    assert!(text("usr/share/doc/smppmux/examples/aggregator.toml").starts_with("# An aggregator"));
    let configuration = "etc/smppmux/smppmux.toml";
    assert_eq!(mode(configuration), 0o640, "it has passwords");
    fs::write(root.path().join(configuration), "# mine\n").expect("it can be written");
    install(root.path());
    assert_eq!(text(configuration), "# mine\n");
}

/// Goal: the configuration to start from is a good one.
#[test]
fn the_configuration_is_right() {
    let mut check = Command::new(PROGRAM);
    check
        .arg("check")
        .arg("--config")
        .arg(format!("{PACKAGING}/smppmux.toml"));
    let output = check.output().expect("it was built");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Goal: systemd finds nothing wrong with the unit. Where its tool is not installed that is not checked, and it is said.
#[test]
fn systemd_accepts_the_unit() {
    let folder = TempDir::new().expect("a temporary folder");
    let unit = fs::read_to_string(format!("{PACKAGING}/smppmux.service")).expect("it is there");
    let file = folder.path().join("smppmux.service");
    fs::write(&file, unit.replace("/usr/bin/smppmux", PROGRAM)).expect("a file");
    let mut analyze = Command::new("systemd-analyze");
    match analyze.args(["verify", "--man=no"]).arg(&file).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("not checked: the unit, because systemd-analyze is not installed");
        }
        output => {
            let output = output.expect("it starts");
            let complaints = String::from_utf8_lossy(&output.stderr);
            let about_it: Vec<&str> = complaints
                .lines()
                .filter(|line| line.contains("smppmux"))
                .collect();
            assert!(about_it.is_empty(), "{complaints}");
        }
    }
}

/// Goal: what the Debian package takes from the source tree is there, its scripts have the place where systemd's lines go, and the
/// unit and the user stand where cargo-deb looks for them.
#[test]
fn the_debian_package_finds_its_files() {
    let manifest: toml::Table = toml::from_str(include_str!("../Cargo.toml")).expect("it is TOML");
    let deb = &manifest["package"]["metadata"]["deb"];
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for asset in deb["assets"].as_array().expect("a list") {
        let source = asset[0].as_str().expect("a path");
        if source.starts_with("target/release/") {
            continue;
        }
        let (folder, name) = source.rsplit_once('/').expect("a folder");
        let mut files = fs::read_dir(crate_folder.join(folder)).expect("the folder is there");
        let is_there = files.any(|file| {
            let file = file.expect("an entry").file_name();
            match name.strip_prefix('*') {
                Some(ending) => file.to_string_lossy().ends_with(ending),
                None => file == name,
            }
        });
        assert!(is_there, "{source}");
    }
    for script in ["postinst", "postrm"] {
        let text = fs::read_to_string(format!("{PACKAGING}/debian/{script}")).expect("it is there");
        assert!(text.contains("\n#DEBHELPER#\n"), "{script}");
    }
    let systemd = &deb["systemd-units"];
    let (folder, name) = (&systemd["unit-scripts"], &systemd["unit-name"]);
    for ending in ["service", "sysusers"] {
        let folder = crate_folder.join(folder.as_str().expect("a path"));
        let file = folder.join(format!("{}.{ending}", name.as_str().expect("a name")));
        assert!(file.exists(), "{file:?}");
    }
}
