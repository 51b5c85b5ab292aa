//! The I/O drivers on a host without io_uring.

use std::net::SocketAddr;
use std::process::Command;

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::no_io_uring::forbid_io_uring;
use smppmux_tests::pdu::response_with_id;
use smppmux_tests::process::{Smppmux, run_prepared_to_exit};
use smppmux_tests::smsc::Smsc;

/// Where io_uring is hidden, `--io driver`.
fn without_io_uring(driver: &str) -> impl FnOnce(&mut Command) {
    move |command| {
        command.args(["--io", driver]);
        forbid_io_uring(command);
    }
}

/// Goal: `auto` serves without io_uring, and the log says by what.
#[test]
fn auto_serves_without_io_uring() {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(2)
        .server("smsc", "0A", smsc.address(), "connections-total = 1")
        .client("esme1", "");
    let mut smppmux = Smppmux::start_prepared(crate::PROGRAM, &configuration, without_io_uring("auto"));
    assert!(
        smppmux
            .lines_so_far()
            .any(|line| line.contains("engine runs on epoll"))
    );
    let (mut server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    let mut client = Esme::bind(smppmux.address(), "esme1");
    let number = client.submit("4477", "without io_uring");
    let submit = server.expect(CommandId::SUBMIT_SM);
    server.send(&response_with_id(
        CommandId::SUBMIT_SM_RESP,
        submit.sequence_number(),
        "id",
    ));
    let answer = client.expect(CommandId::SUBMIT_SM_RESP);
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (number, Status::ESME_ROK)
    );
}

/// Goal: a driver that needs io_uring, named where there is none, ends with 69 and the reason.
#[test]
fn a_named_driver_without_io_uring_exits_69() {
    let configuration = Configuration::with_engines(1)
        .server("smsc", "0A", SocketAddr::from(([127, 0, 0, 1], 1)), "")
        .client("esme1", "");
    for driver in ["glommio", "ring"] {
        let (code, log) = run_prepared_to_exit(crate::PROGRAM, &configuration, without_io_uring(driver));
        assert_eq!(code, 69, "{driver}: {log}");
        assert!(
            log.contains("io_uring is not available: the kernel forbids it"),
            "{driver}: {log}"
        );
    }
}
