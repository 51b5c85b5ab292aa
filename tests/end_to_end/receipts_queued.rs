//! Delivery receipts whose account is away: they wait in the queue for that account, and for nobody else.

use std::path::Path;

use rustix::process::Signal;
use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{receipt, response_with_id};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;
use tempfile::TempDir;

/// Receipts of one submitter, enough to fill a window more than once.
const RECEIPTS: u32 = 30;

struct Stand {
    smppmux: Smppmux,
    server: Peer,
    /// Accepts no more, but its port stays taken.
    _smsc: Smsc,
}

/// smppmux on two engines, with one session at an SMSC that a test drives by hand, and this `[[client]]` for alice.
fn start(queue: &str, vserver: &str, alice: &str, rest: &str) -> Stand {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(2)
        .vserver(&format!("receipt-hold = \"50ms\"\n{vserver}"))
        .server("smsc", "0A", smsc.address(), "connections-total = 1")
        .client("alice", &format!("window = 10\n{alice}"))
        .queue(queue)
        .section(rest);
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    Stand {
        smppmux,
        server,
        _smsc: smsc,
    }
}

const CATCH_ALL: &str =
    "[[client]]\nsystem-id = \"catch-all\"\npassword = \"secret\"\naddress-ranges = [\".*\"]";

fn bind(stand: &Stand, request: BindRequest<'_>) -> Esme {
    Esme::bind_with(stand.smppmux.address(), request)
}

/// alice submits for receipts as a transmitter and goes; these are the ids that it was given.
fn submit_and_leave(stand: &mut Stand) -> Vec<String> {
    let request = BindRequest {
        command: CommandId::BIND_TRANSMITTER,
        ..BindRequest::of("alice").at_engine(0)
    };
    let mut alice = bind(stand, request);
    let ids = (0..RECEIPTS).map(|message| {
        alice.submit_for_receipt("4477", "text");
        let submit = stand.server.expect(CommandId::SUBMIT_SM);
        let id = format!("m-{message}");
        stand.server.send(&response_with_id(
            CommandId::SUBMIT_SM_RESP,
            submit.sequence_number(),
            &id,
        ));
        alice.expect(CommandId::SUBMIT_SM_RESP).message_id()
    });
    let ids = ids.collect();
    alice.unbind();
    ids
}

/// The server reports on each, in order, and this is what it is told.
fn report(stand: &mut Stand, status: Status) {
    for number in 0..RECEIPTS {
        let pdu = receipt(number + 1, "4477", "1000", &format!("m-{number}"), "DELIVRD");
        stand.server.send(&pdu);
        let answer = stand.server.expect(CommandId::DELIVER_SM_RESP);
        assert_eq!((answer.sequence_number(), answer.status()), (number + 1, status));
    }
}

fn take_all(client: &mut Esme, ids: &[String]) {
    for id in ids {
        assert_eq!(client.take_delivery().receipted_id(), *id);
    }
}

/// Goal: receipts of an account that is away are acknowledged and wait for it, in order and with the ids that it knows, on
/// whichever engine it binds; an account that may have their address gets none, nor does alice's transmitter; afterwards
/// receipts pass directly.
#[test]
fn receipts_wait_for_their_account() {
    for (store, engine) in [("memory", 0), ("memory", 1), ("durable", 1)] {
        let mut stand = start(&format!("store = \"{store}\""), "", "", CATCH_ALL);
        let mut catch_all = bind(&stand, BindRequest::of("catch-all").at_engine(0));
        let ids = submit_and_leave(&mut stand);
        report(&mut stand, Status::ESME_ROK);
        let transmitter = BindRequest {
            command: CommandId::BIND_TRANSMITTER,
            ..BindRequest::of("alice").at_engine(1 - engine)
        };
        let mut transmitter = bind(&stand, transmitter);
        catch_all.expect_nothing();
        transmitter.expect_nothing();
        let mut alice = bind(&stand, BindRequest::of("alice").at_engine(engine));
        take_all(&mut alice, &ids);
        stand.server.send(&receipt(100, "4477", "1000", "m-0", "DELIVRD"));
        assert_eq!(alice.take_delivery().receipted_id(), ids[0]);
        let answer = stand.server.expect(CommandId::DELIVER_SM_RESP);
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (100, Status::ESME_ROK)
        );
        catch_all.expect_nothing();
    }
}

fn durable_in(folder: &Path) -> String {
    format!("path = \"{}\"", folder.join("queue.redb").display())
}

/// Goal: receipts that were acknowledged are there after SIGKILL, for their account alone.
#[test]
fn queued_receipts_survive_a_kill() {
    let folder = TempDir::new().expect("a temporary folder");
    let queue = durable_in(folder.path());
    let mut stand = start(&queue, "", "", CATCH_ALL);
    let ids = submit_and_leave(&mut stand);
    report(&mut stand, Status::ESME_ROK);
    stand.smppmux.signal(Signal::KILL);
    drop(stand);
    let stand = start(&queue, "", "", CATCH_ALL);
    let mut catch_all = bind(&stand, BindRequest::of("catch-all").at_engine(1));
    let mut alice = bind(&stand, BindRequest::of("alice").at_engine(1));
    take_all(&mut alice, &ids);
    catch_all.expect_nothing();
}

/// Goal: nothing is queued for an account that may never bind to receive, nor without a queue.
#[test]
fn receipts_that_nobody_may_get_are_not_queued() {
    for (queue, alice) in [
        ("store = \"memory\"", "bind = [\"transmitter\"]"),
        ("store = \"off\"", ""),
    ] {
        let mut stand = start(queue, "", alice, CATCH_ALL);
        let _catch_all = bind(&stand, BindRequest::of("catch-all").at_engine(0));
        submit_and_leave(&mut stand);
        report(&mut stand, Status::ESME_RX_T_APPN);
    }
}

/// Goal: with `receipt-unknown = "queue"` a receipt of an unknown id whose address nobody may claim waits all the same, until the
/// configuration names somebody; by default it is refused.
#[test]
fn unknown_receipts_can_wait() {
    let mut stand = start("store = \"memory\"", "", "", "");
    report(&mut stand, Status::ESME_RINVDSTADR);
    drop(stand);

    let folder = TempDir::new().expect("a temporary folder");
    let queue = durable_in(folder.path());
    let mut stand = start(&queue, "receipt-unknown = \"queue\"", "", "");
    report(&mut stand, Status::ESME_ROK);
    stand.smppmux.signal(Signal::KILL);
    drop(stand);
    let stand = start(&queue, "receipt-unknown = \"queue\"", "", CATCH_ALL);
    let mut catch_all = bind(&stand, BindRequest::of("catch-all").at_engine(1));
    let tagged: Vec<String> = (0..RECEIPTS).map(|number| format!("m-{number}#mx-0A")).collect();
    take_all(&mut catch_all, &tagged);
}
