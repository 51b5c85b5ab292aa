//! Row 36: messages that run in a circle.

use smppmux_engine::core::wire::{CommandId, MessageView};
use smppmux_tests::pdu::Pdu;

use crate::failure::{Outcome, require_of, wrong};
use crate::scenario::{Part, Scenario};
use crate::setting::{HOPS_TLV, Setting};
use crate::sms::Sms;
use crate::stage::Stage;
use crate::want::Want;

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    row: 36,
    name: "messages that loop between gateways",
    goal: "Where it is configured, a message that comes round and round is stopped; where it is not, nothing is added to messages.",
    method: "An ESME submits, the suite submits what the SMSC got, with all its TLVs, as another gateway would; up to 40 times. The TLV that counts hops is \
             0x1501, as the setting has it, or one that a peer has set by itself.",
    expected: "Without the guard each submit_sm as it was sent. With it, an error answer to one of the first 20, and ESME_ROK to the first.",
    parts: &[
        Part::standard("off by default", no_guard_by_default),
        Part::under(Setting::HopGuard, "a loop ends", a_loop_ends),
    ],
}];

fn no_guard_by_default(stage: &mut Stage) -> Outcome {
    let mut client = stage.esme("east")?;
    let messages = [
        Sms::submit("88010001", "447700900001", "round"),
        Sms::submit("88010001", "447700900001", "round").tlv(HOPS_TLV, &[200]),
    ];
    for sms in messages {
        for _ in 0..40 {
            let number = client.send_sms(&sms)?;
            let mut arrival = stage.request()?;
            sms.is_relayed_as(&arrival.pdu)?;
            arrival.accept("round");
            client.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok().numbered(number))?;
        }
    }
    Ok(())
}

fn a_loop_ends(stage: &mut Stage) -> Outcome {
    const ROUNDS_MAX: usize = 20;
    let mut client = stage.esme("east")?;
    let mut sms = Sms::submit("88010001", "447700900001", "round");
    for round in 0..ROUNDS_MAX {
        let number = client.send_sms(&sms)?;
        let arrival = stage.request_within(std::time::Duration::from_secs(2));
        let Some(mut arrival) = arrival else {
            let answer = client.answer_to(number)?;
            require_of!(
                &answer,
                round > 0 && !answer.status().is_ok(),
                "in round {round} the message reached nobody; {answer:?} came"
            );
            return Ok(());
        };
        sms.tail = tail_of(&arrival.pdu)?;
        arrival.accept("round");
        client.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok().numbered(number))?;
    }
    crate::failure::fail(format!("a message went round {ROUNDS_MAX} times"))
}

fn tail_of(pdu: &Pdu) -> Outcome<Vec<u8>> {
    match MessageView::parse(pdu.octets()) {
        Ok(view) => Ok(pdu.octets()[view.tlvs().range()].to_vec()),
        Err(_) => wrong(pdu, "a message that cannot be read"),
    }
}
