//! What a script plays on: the balancer, an SMSC on either side of a choice, and as many ESMEs as it asks for.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use smppmux_engine::core::wire::Status;

use crate::balancer::{Balancer, Source};
use crate::clock::Clock;
use crate::failure::{Outcome, fail, wrong};
use crate::peers::{Arrival, BindAs, Centre, Client, OnBind, OnRequest, PATIENCE, QUIET_TIME};
use crate::sabotage::Sabotage;
use crate::setting::Setting;

/// The place of SMSC A among the two.
pub(crate) const A: usize = 0;
/// The place of SMSC B.
pub(crate) const B: usize = 1;

/// Both SMSCs, and what came in at them.
#[derive(Debug)]
pub(crate) struct Centres {
    pair: [Centre; 2],
    arrivals: Receiver<Arrival>,
}

impl Centres {
    /// Starts both at these addresses.
    pub(crate) fn start(addresses: [SocketAddr; 2]) -> Outcome<Self> {
        let (sender, arrivals) = channel();
        let [a, b] = addresses;
        let pair = [Centre::start(A, a, sender.clone())?, Centre::start(B, b, sender)?];
        Ok(Self { pair, arrivals })
    }

    fn reset(&mut self) {
        for centre in &mut self.pair {
            centre.on_bind(OnBind::Accept);
            centre.on_request(OnRequest::ByHand);
            centre.answers_enquiries(true);
            centre.other_responses();
        }
        self.arrivals.try_iter().for_each(drop);
    }
}

/// The stage of one script.
#[derive(Debug)]
pub(crate) struct Stage {
    balancer: Balancer,
    centres: Centres,
    target: SocketAddr,
    source: Source,
    setting: Setting,
    clock: Option<Clock>,
    sabotage: Option<Sabotage>,
    notes: Vec<String>,
}

impl Stage {
    /// Starts the balancer, where it is ours to start, and waits until both SMSCs are bound.
    pub(crate) fn start(
        source: &Source,
        setting: Setting,
        mut centres: Centres,
        sabotage: Option<Sabotage>,
    ) -> Outcome<Self> {
        centres.reset();
        let clock = if setting == Setting::SteppedClock {
            Some(Clock::build()?)
        } else {
            None
        };
        let (balancer, target) =
            start_balancer(source, setting, &centres, clock.as_ref(), sabotage.as_ref())?;
        for centre in &centres.pair {
            centre.await_sessions(1)?;
        }
        Ok(Self {
            balancer,
            centres,
            target,
            source: source.clone(),
            setting,
            clock,
            sabotage,
            notes: Vec::new(),
        })
    }

    /// The SMSCs, for the next script.
    pub(crate) fn into_centres(self) -> Centres {
        self.centres
    }

    /// An SMSC: [`A`] or [`B`].
    pub(crate) fn centre(&mut self, place: usize) -> &mut Centre {
        &mut self.centres.pair[place]
    }

    /// SMSC A.
    pub(crate) fn a(&mut self) -> &mut Centre {
        self.centre(A)
    }

    /// SMSC B.
    pub(crate) fn b(&mut self) -> &mut Centre {
        self.centre(B)
    }

    /// Both SMSCs treat requests so from now on.
    pub(crate) fn on_request(&self, on_request: &OnRequest) {
        for centre in &self.centres.pair {
            centre.on_request(on_request.clone());
        }
    }

    /// A connection that has not bound.
    pub(crate) fn connect(&self) -> Outcome<Client> {
        Client::connect(self.target)
    }

    /// A bound ESME.
    pub(crate) fn bind(&self, bind: BindAs<'_>) -> Outcome<Client> {
        Client::bind(self.target, bind)
    }

    /// A transceiver without a range.
    pub(crate) fn esme(&self, system_id: &str) -> Outcome<Client> {
        self.bind(BindAs::transceiver(system_id))
    }

    /// The next request that either SMSC gets.
    pub(crate) fn request(&self) -> Outcome<Arrival> {
        match self.centres.arrivals.recv_timeout(PATIENCE) {
            Ok(arrival) => Ok(arrival),
            Err(_) => fail(format!("no request reached an SMSC within {PATIENCE:?}")),
        }
    }

    /// The next request, if one comes in time.
    pub(crate) fn request_within(&self, limit: Duration) -> Option<Arrival> {
        self.centres.arrivals.recv_timeout(limit).ok()
    }

    /// Requests that came so far.
    pub(crate) fn requests_so_far(&self) -> Vec<Arrival> {
        self.centres.arrivals.try_iter().collect()
    }

    /// No request may come for a while.
    pub(crate) fn no_request(&self) -> Outcome {
        match self.request_within(QUIET_TIME) {
            None => Ok(()),
            Some(arrival) => wrong(
                &arrival.pdu,
                format!("nothing was due at an SMSC; {:?} came", arrival.pdu),
            ),
        }
    }

    /// A submit of the ESME goes through and is answered; shows that both are well.
    pub(crate) fn carries(&self, client: &mut Client, source: &str) -> Outcome {
        let number = client.submit(source, "447700900001", "all is well")?;
        self.request()?.accept("well");
        let answer = client.answer_to(number)?;
        if answer.status() == Status::ESME_ROK {
            Ok(())
        } else {
            wrong(&answer, "a plain message is no longer accepted")
        }
    }

    /// Whether the script may demand what only smppmux is configured for.
    pub(crate) const fn is_smppmux(&self) -> bool {
        self.source.is_smppmux()
    }

    /// Says what could not be measured.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// What was said.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The balancer's memory in KiB, where its process is known.
    pub(crate) fn memory_kib(&self) -> Option<u64> {
        let process = self.balancer.process_id()?;
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// The wall clock of the balancer, under the setting for that.
    pub(crate) fn clock(&self) -> Outcome<&Clock> {
        self.clock
            .as_ref()
            .map_or_else(|| fail("this setting has no clock to step"), Ok)
    }

    /// Asks the balancer to end.
    pub(crate) fn terminate(&self) -> Outcome {
        self.balancer.terminate()
    }

    /// Waits for its end.
    pub(crate) fn await_exit(&mut self) -> Outcome {
        self.balancer.await_exit()
    }

    /// Starts it again after its end.
    pub(crate) fn start_again(&mut self) -> Outcome {
        let (balancer, target) = start_balancer(
            &self.source,
            self.setting,
            &self.centres,
            self.clock.as_ref(),
            self.sabotage.as_ref(),
        )?;
        self.balancer = balancer;
        self.target = target;
        Ok(())
    }

    /// The end of its log.
    pub(crate) fn log(&mut self) -> Vec<String> {
        self.balancer.log()
    }
}

fn start_balancer(
    source: &Source,
    setting: Setting,
    centres: &Centres,
    clock: Option<&Clock>,
    sabotage: Option<&Sabotage>,
) -> Outcome<(Balancer, SocketAddr)> {
    let mut smscs = [centres.pair[A].address(), centres.pair[B].address()];
    if let Some(sabotage) = sabotage {
        smscs = [sabotage.behind(A, smscs[A])?, sabotage.behind(B, smscs[B])?];
    }
    let (balancer, mut target) = source.start(setting, smscs, clock)?;
    if let Some(sabotage) = sabotage {
        target = sabotage.in_front_of(target)?;
    }
    Ok((balancer, target))
}

/// Waits until something holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> Outcome {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() > deadline {
            return fail(format!("{what} is not so after {PATIENCE:?}"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
