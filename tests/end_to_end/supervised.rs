//! smppmux as a service: what it tells systemd.

use smppmux_tests::PATIENCE;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;
use std::os::unix::net::UnixDatagram;
use tempfile::TempDir;

/// The service manager's end.
struct Manager(UnixDatagram);

impl Manager {
    /// The next word that is no sign of life.
    fn hear(&self) -> String {
        loop {
            let word = self.hear_any();
            if word != "WATCHDOG=1" {
                return word;
            }
        }
    }

    fn hear_any(&self) -> String {
        let mut word = [0; 64];
        let length = self.0.recv(&mut word).expect("a word is due");
        String::from_utf8_lossy(&word[..length]).trim_end().to_owned()
    }
}

/// Goal: systemd hears that smppmux is ready when its servers are bound and not before, of each reload and its end, also where the
/// file is not taken, of the drain, and a sign of life several times within the limit that it has named.
#[test]
fn systemd_is_told() {
    let folder = TempDir::new().expect("a temporary folder");
    let socket = folder.path().join("notify");
    let manager = Manager(UnixDatagram::bind(&socket).expect("a socket"));
    manager.0.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(1)
        .server("smsc-a", "0A", smsc.address(), "")
        .client("esme1", "");
    let environment = [
        ("NOTIFY_SOCKET", socket.into_os_string()),
        ("WATCHDOG_USEC", "400000".into()),
    ];
    let smppmux = Smppmux::start_in(crate::PROGRAM, &configuration, &environment);
    assert_eq!(manager.hear_any(), "WATCHDOG=1", "it is not ready yet");
    let (_server, _) = smsc.accept_bound();
    assert_eq!(manager.hear(), "READY=1");
    smppmux.rewrite(&configuration.clone().client("esme2", ""));
    smppmux.signal(rustix::process::Signal::HUP);
    assert_eq!([manager.hear(), manager.hear()], ["RELOADING=1", "READY=1"]);
    smppmux.rewrite(&configuration.client("esme2", "wndow = 5"));
    smppmux.signal(rustix::process::Signal::HUP);
    assert_eq!([manager.hear(), manager.hear()], ["RELOADING=1", "READY=1"]);
    for _ in 0..3 {
        assert_eq!(manager.hear_any(), "WATCHDOG=1");
    }
    smppmux.signal(rustix::process::Signal::TERM);
    assert_eq!(manager.hear(), "STOPPING=1");
}
