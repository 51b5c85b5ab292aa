//! Who may bind at the simulated message centre.

use bytes::BytesMut;
use smppmux_engine::core::wire::{BindLimits, BindResponse, BindView, Header, Status, write_pdu};

use super::session::{Phase, SmscSession};
use crate::simulator::connection::Flow;
use crate::simulator::control::bump;
use crate::simulator::range::RangeCheck;

impl SmscSession {
    pub(super) fn handle_bind(
        &mut self,
        now_us: u64,
        header: Header,
        pdu: &[u8],
        output: &mut BytesMut,
    ) -> Flow {
        if self.phase != Phase::Open {
            self.answer_plainly(header, Status::ESME_RALYBND, output);
            return Flow::Continue;
        }
        let verdict = match BindView::parse(pdu, BindLimits::LENIENT) {
            Ok(bind) => self.judge_bind(&bind).map(|()| bind),
            Err(fault) => Err(fault.status),
        };
        match verdict {
            Ok(bind) => {
                self.accept_bind(now_us, header, &bind, output);
                Flow::Continue
            }
            Err(status) => {
                self.counts.binds_refused += 1;
                self.answer_plainly(header, status, output);
                Flow::Close
            }
        }
    }

    fn judge_bind(&mut self, bind: &BindView<'_>) -> Result<(), Status> {
        let number = self.centre.next_bind();
        let arguments = &self.centre.arguments;
        if number < arguments.refuse_first {
            return Err(Status::ESME_RBINDFAIL);
        }
        let random = &mut self.random;
        if let Some(refusal) = arguments
            .refuse_bind
            .iter()
            .find(|refusal| refusal.chance.happens(random))
        {
            return Err(refusal.status);
        }
        if arguments.account.is_empty() {
            return Ok(());
        }
        let mut known = arguments
            .account
            .iter()
            .filter(|account| account.system_id.as_bytes() == bind.system_id());
        match known.next() {
            None => Err(Status::ESME_RINVSYSID),
            Some(account) if account.password.as_bytes() != bind.password() => Err(Status::ESME_RINVPASWD),
            Some(_) => Ok(()),
        }
    }

    /// Takes the MO streams whose destinations lie in the range; what is no regular expression holds nothing.
    fn take_streams(&mut self, address_range: &[u8]) {
        let range = RangeCheck::parse(&String::from_utf8_lossy(address_range));
        let ignores_ranges = self.centre.arguments.ignore_ranges;
        for (stream, share) in self.centre.mo.iter().zip(&mut self.shares) {
            share.takes = ignores_ranges || range.as_ref().is_ok_and(|range| stream.fits(range));
            if share.takes {
                stream.enter();
            }
        }
    }

    fn accept_bind(&mut self, now_us: u64, header: Header, bind: &BindView<'_>, output: &mut BytesMut) {
        self.version = bind.version();
        self.system_id = bind.system_id().to_vec();
        self.bind = Some(header.command_id);
        self.counts.bound += 1;
        bump(&self.centre.shared.live.bound);
        self.enter(Phase::Bound, now_us);
        let body = BindResponse {
            system_id: self.centre.arguments.system_id.as_bytes(),
            sc_interface_version: self
                .version
                .has_tlvs()
                .then(|| self.centre.arguments.interface_version.version()),
        };
        self.sequence_numbers.handle_answer(header.sequence_number);
        let response = header.command_id.response();
        if let Err(fault) = write_pdu(output, response, Status::ESME_ROK, header.sequence_number, &body) {
            tracing::error!("bind response: {fault}");
        }
        if self.receives() {
            self.take_streams(bind.address_range());
            self.centre.accounts.enter(&self.system_id, &self.inbox);
            self.centre.handle_receiving(now_us);
        }
    }
}
