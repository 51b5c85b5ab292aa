//! congestion_state (SMPP v5.0): a server that reports it is slowed down, and it is never passed on.

use std::time::Duration;

use smppmux_engine::core::wire::{CommandId, QueryResponse, Status, Tag, Version, response_tlvs};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{
    Pdu, cancel_sm, deliver_sm, header_only, query_sm, replace_sm, response_with_id, submit_multi, submit_sm,
    with_tlvs, written,
};
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;

const STATE: u16 = Tag::CONGESTION_STATE.0;
/// Another TLV that v5.0 allows in responses: additional_status_info_text.
const INFO: (u16, &[u8]) = (0x001D, b"why\0");
const CONGESTED: (u16, &[u8]) = (STATE, &[95]);
const IDLE: (u16, &[u8]) = (STATE, &[10]);

/// Nothing more comes from smppmux after so long.
const PAUSE: Duration = Duration::from_millis(150);

struct Stand {
    smppmux: Smppmux,
    first: Peer,
    second: Peer,
    client: Esme,
}

/// One engine, a first choice and a second one of v5.0, a client of v5.0; the first one's bind_resp has these TLVs.
fn start(bind_tlvs: &[(u16, &[u8])], interval: &str) -> Stand {
    let smscs = [Smsc::start(), Smsc::start()];
    let lines = format!("interface-version = \"5.0\"\nenquire-link-interval = \"{interval}\"");
    let configuration = Configuration::with_engines(1)
        .vserver("hold-time = \"2s\"")
        .server("first", "0A", smscs[0].address(), &lines)
        .server(
            "second",
            "0B",
            smscs[1].address(),
            &format!("{lines}\npriority = 1"),
        )
        .client("esme1", "address-ranges = [\".*\"]");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let mut bind_tlvs = bind_tlvs;
    let [first, second] = smscs.map(|smsc| {
        let mut peer = smsc.accept();
        let bind = peer.expect(CommandId::BIND_TRANSCEIVER);
        let answer = response_with_id(CommandId::BIND_TRANSCEIVER_RESP, bind.sequence_number(), "smsc");
        let version = (Tag::SC_INTERFACE_VERSION.0, &[0x50][..]);
        peer.send(&with_tlvs(answer, &[&[version], bind_tlvs].concat()));
        bind_tlvs = &[];
        peer
    });
    smppmux.wait_for_log("smppmux ready");
    let request = BindRequest::of("esme1")
        .with_version(Version::V50)
        .with_range("44");
    let client = Esme::bind_with(smppmux.address(), request);
    Stand {
        smppmux,
        first,
        second,
        client,
    }
}

impl Stand {
    /// Of many submits that come at once most go to the second choice: the first one is slowed down. Else all go to the first.
    fn first_is_relieved(&mut self) -> bool {
        const SUBMITS: usize = 50;
        let submits =
            (0..SUBMITS).map(|_| submit_sm(self.client.next_sequence_number(), "1000", "33", "whither"));
        let submits: Vec<u8> = submits.collect::<Vec<_>>().concat();
        self.client.send(&submits);
        let taken = [&mut self.first, &mut self.second].map(|server| {
            // Answered late: a pace starts from the time that answers take, and has to be slow beside a burst.
            let mut numbers = Vec::new();
            while let Received::Pdu(submit) = server.receive_within(PAUSE) {
                assert_eq!(submit.command(), CommandId::SUBMIT_SM);
                numbers.push(submit.sequence_number());
            }
            for number in &numbers {
                let answer = response_with_id(CommandId::SUBMIT_SM_RESP, *number, "id");
                server.send(&with_tlvs(answer, &[IDLE]));
            }
            numbers.len()
        });
        for _ in 0..SUBMITS {
            let answer = self.client.expect(CommandId::SUBMIT_SM_RESP);
            assert!(answer.status().is_ok());
            assert!(tags(&answer).is_empty());
        }
        println!("{taken:?} submits");
        assert!(taken[1] == 0 || taken[1] > SUBMITS / 2, "{taken:?}");
        taken[1] > 0
    }

    /// The client's request is answered by the first server with this response, written for a number, and these TLVs.
    fn answered(&mut self, request: &[u8], response: impl Fn(u32) -> Vec<u8>, tlvs: &[(u16, &[u8])]) -> Pdu {
        self.client.send(request);
        let request = self.first.receive();
        self.first
            .send(&with_tlvs(response(request.sequence_number()), tlvs));
        self.client.receive()
    }
}

fn tags(response: &Pdu) -> Vec<u16> {
    let tlvs = response_tlvs(response.command(), response.octets());
    tlvs.map(|tlv| tlv.expect("well-formed").tag.0).collect()
}

/// Goal: in the response to every request of a client congestion_state is read and left out, and what stands beside it is not.
/// Method: each response to one that is not congested, for what the client gets; then one that is, for what the server gets.
#[test]
fn every_response_is_read_and_cleaned() {
    const ID: &str = "id#mx-0A";
    type Response = fn(u32) -> Vec<u8>;
    let cases: [(&str, Vec<u8>, Response); 5] = [
        (
            "submit_multi",
            submit_multi(101, "1000", &["33", "34"], "text"),
            |number| {
                let mut response = response_with_id(CommandId::SUBMIT_MULTI_RESP, number, "id");
                response.push(0);
                with_tlvs(response, &[])
            },
        ),
        ("query_sm", query_sm(102, ID, "1000"), |number| {
            let body = QueryResponse {
                message_id: b"id",
                final_date: b"",
                message_state: 2,
                error_code: 0,
            };
            written(CommandId::QUERY_SM_RESP, Status::ESME_ROK, number, &body)
        }),
        ("replace_sm", replace_sm(103, ID, "1000", "new"), |number| {
            header_only(CommandId::REPLACE_SM_RESP, Status::ESME_ROK, number)
        }),
        ("cancel_sm", cancel_sm(104, ID, "1000", "33"), |number| {
            header_only(CommandId::CANCEL_SM_RESP, Status::ESME_ROK, number)
        }),
        ("generic_nack", query_sm(105, ID, "1000"), |number| {
            header_only(CommandId::GENERIC_NACK, Status::ESME_RINVCMDID, number)
        }),
    ];
    for (name, request, response) in cases {
        let mut stand = start(&[], "30s");
        assert!(!stand.first_is_relieved(), "{name}");
        let answer = stand.answered(&request, response, &[INFO, IDLE, INFO]);
        let expected = match name {
            "generic_nack" => vec![],
            _ => vec![INFO.0, INFO.0],
        };
        assert_eq!(tags(&answer), expected, "{name}");
        assert!(!stand.first_is_relieved(), "{name}");
        let answer = stand.answered(&request, response, &[CONGESTED]);
        assert!(tags(&answer).is_empty(), "{name}");
        assert!(stand.first_is_relieved(), "{name}");
    }
}

/// Goal: the answer to a submit_sm slows its server down, and the client does not see why.
#[test]
fn a_server_that_reports_congestion_is_relieved() {
    let mut stand = start(&[], "30s");
    assert!(!stand.first_is_relieved());
    let request = submit_sm(77, "1000", "33", "text");
    let answer = stand.answered(
        &request,
        |number| response_with_id(CommandId::SUBMIT_SM_RESP, number, "id"),
        &[CONGESTED, INFO],
    );
    assert_eq!(
        (answer.message_id().as_str(), tags(&answer)),
        ("id#mx-0A", vec![INFO.0])
    );
    assert!(stand.first_is_relieved());
    drop(stand.smppmux);
}

/// Goal: a server may say so in its bind_resp, and in the answer to an enquire_link.
#[test]
fn answers_to_our_own_requests_are_read() {
    let mut stand = start(&[CONGESTED], "30s");
    assert!(stand.first_is_relieved());
    let mut stand = start(&[], "1s");
    assert!(!stand.first_is_relieved());
    let enquiry = stand.first.receive_any_within(Duration::from_secs(5));
    let Received::Pdu(enquiry) = enquiry else {
        panic!("{enquiry:?}")
    };
    assert_eq!(enquiry.command(), CommandId::ENQUIRE_LINK);
    let answer = header_only(
        CommandId::ENQUIRE_LINK_RESP,
        Status::ESME_ROK,
        enquiry.sequence_number(),
    );
    stand.first.send(&with_tlvs(answer, &[CONGESTED]));
    std::thread::sleep(Duration::from_millis(50));
    assert!(stand.first_is_relieved());
}

/// Goal: a client's congestion_state does not reach a server, which would take it for all clients'; one of an older client,
/// to whom the tag means nothing, passes.
#[test]
fn a_clients_congestion_is_its_own() {
    let mut stand = start(&[], "30s");
    for tlvs in [&[IDLE][..], &[INFO, CONGESTED, INFO], &[INFO]] {
        stand.first.send(&deliver_sm(7, "1000", "4477", "text"));
        let delivery = stand.client.expect(CommandId::DELIVER_SM);
        let answer = response_with_id(CommandId::DELIVER_SM_RESP, delivery.sequence_number(), "");
        stand.client.send(&with_tlvs(answer, tlvs));
        let answer = stand.first.expect(CommandId::DELIVER_SM_RESP);
        let kept: Vec<u16> = tlvs.iter().map(|tlv| tlv.0).filter(|tag| *tag != STATE).collect();
        assert_eq!((answer.sequence_number(), tags(&answer)), (7, kept));
    }
    let old = BindRequest {
        address_range: "49",
        ..BindRequest::of("esme1")
    };
    let mut old = Esme::bind_with(stand.smppmux.address(), old);
    stand.first.send(&deliver_sm(8, "1000", "4977", "text"));
    let delivery = old.expect(CommandId::DELIVER_SM);
    let answer = response_with_id(CommandId::DELIVER_SM_RESP, delivery.sequence_number(), "");
    old.send(&with_tlvs(answer, &[CONGESTED]));
    let answer = stand.first.expect(CommandId::DELIVER_SM_RESP);
    assert_eq!(tags(&answer), [STATE]);
}
