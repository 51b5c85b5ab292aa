//! Rows 24 and 25: links that are idle, lost, or refused.

use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::pdu::header_only;
use smppmux_tests::peer::Received;

use crate::failure::{Outcome, require, wrong};
use crate::peers::{BindAs, Client, HappeningKind, OnBind, OnRequest, PATIENCE};
use crate::scenario::{Part, Scenario};
use crate::setting::Setting;
use crate::stage::{Stage, eventually};
use crate::want::Want;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        row: 24,
        name: "enquire_link",
        goal: "A link is asked after silence, and only then; what does not answer is given up; enquiries are answered in every state.",
        method: "Peers that are silent and do not answer, one that is silent and answers, one that sends something every 200 ms; an enquire_link before \
                 the bind; sixteen ESMEs that bind at the same time; default times.",
        expected: "enquire_link after the interval, again when it is not answered, then the end of the connection. None to the busy peer. enquire_link_resp \
                   before the bind. Not all sixteen at one moment. With default times an enquire_link within 30 s, on both sides.",
        parts: &[
            Part::under(Setting::QuickLinks, "an ESME that does not answer", a_silent_esme),
            Part::under(Setting::QuickLinks, "an SMSC that does not answer", a_silent_smsc),
            Part::under(
                Setting::QuickLinks,
                "peers that answer or are busy",
                peers_that_live,
            ),
            Part::standard("an enquiry before the bind", an_enquiry_before_the_bind),
            Part::under(Setting::QuickLinks, "jitter", jitter),
            Part::under(Setting::Defaults, "default times", default_times),
        ],
    },
    Scenario {
        row: 25,
        name: "reconnects",
        goal: "An SMSC that is down, or refuses, is tried ever more slowly, and found again when it is back.",
        method: "An SMSC hangs up on every connection for 5 s; refuses the password for 5 s; answers ESME_RALYBND for 3 s; then accepts.",
        expected: "Pauses that grow; at most one try a session each half second in the end. After ESME_RINVPASWD no more than one try each 2 s in all. \
                   A bind that is accepted, and messages, soon after the SMSC is back.",
        parts: &[
            Part::standard("it hangs up", an_smsc_that_hangs_up),
            Part::standard("it refuses the password", an_smsc_that_refuses_the_password),
            Part::standard(
                "it says that we are bound already",
                an_smsc_that_says_already_bound,
            ),
        ],
    },
];

/// The next PDU, enquire_links too, which are not answered.
fn unanswered(client: &mut Client, limit: Duration) -> Received {
    client.peer().receive_any_within(limit)
}

fn a_silent_esme(stage: &mut Stage) -> Outcome {
    let mut client = stage.esme("east")?;
    let start = Instant::now();
    let mut enquiries = Vec::new();
    loop {
        match unanswered(&mut client, PATIENCE) {
            Received::Pdu(pdu) if pdu.command() == CommandId::ENQUIRE_LINK => enquiries.push(start.elapsed()),
            Received::Pdu(pdu) if pdu.command() == CommandId::UNBIND => {}
            Received::Pdu(pdu) => return wrong(&pdu, format!("enquire_link was due; {pdu:?} came")),
            Received::Closed => break,
            Received::Nothing => return crate::failure::fail("a dead link is never given up"),
        }
    }
    require!(
        enquiries.len() >= 2,
        "the link was given up after {} enquiries, at {enquiries:?}",
        enquiries.len()
    );
    let is_timely = enquiries[0] > Duration::from_millis(400) && enquiries[0] < Duration::from_secs(4);
    require!(
        is_timely,
        "the first enquiry was due after a second of silence; it came after {:?}",
        enquiries[0]
    );
    Ok(())
}

fn a_silent_smsc(stage: &mut Stage) -> Outcome {
    let old = stage.a().sessions();
    let start = Instant::now();
    stage.a().answers_enquiries(false);
    eventually("the end of a link that does not answer", || {
        stage.a().sessions().iter().all(|session| !old.contains(session))
    })?;
    let enquiries = stage.a().times_of(HappeningKind::EnquiryCame, start);
    require!(
        !enquiries.is_empty(),
        "the SMSC's link was given up without an enquiry"
    );
    stage.a().answers_enquiries(true);
    // The far side counts ghosts unless the old session is gone before the next bind.
    let happenings = stage.a().happenings();
    for session in old {
        let ended = happenings
            .iter()
            .find(|happening| happening.session == session && happening.kind == HappeningKind::Ended);
        require!(
            ended.is_some(),
            "the old connection of session {session} is still open"
        );
    }
    stage.a().await_sessions(1)
}

fn peers_that_live(stage: &mut Stage) -> Outcome {
    const WATCHED: Duration = Duration::from_secs(5);
    stage.on_request(&OnRequest::Accept);
    let mut idle = stage.esme("east")?;
    let mut busy = stage.esme("east")?;
    let start = Instant::now();
    let sessions = stage.a().sessions();
    let (mut idle_enquiries, mut busy_enquiries) = (0, 0);
    while start.elapsed() < WATCHED {
        busy.submit("88010001", "447700900001", "busy")?;
        for (client, enquiries) in [(&mut idle, &mut idle_enquiries), (&mut busy, &mut busy_enquiries)] {
            let until = Instant::now() + Duration::from_millis(100);
            while let Received::Pdu(pdu) = unanswered(client, until.saturating_duration_since(Instant::now()))
            {
                if pdu.command() == CommandId::ENQUIRE_LINK {
                    *enquiries += 1;
                    let number = pdu.sequence_number();
                    client.send(&header_only(
                        CommandId::ENQUIRE_LINK_RESP,
                        Status::ESME_ROK,
                        number,
                    ))?;
                }
            }
        }
    }
    require!(
        idle_enquiries >= 2,
        "an idle link was asked {idle_enquiries} times in {WATCHED:?}"
    );
    require!(
        busy_enquiries == 0,
        "a busy link was asked {busy_enquiries} times in {WATCHED:?}"
    );
    require!(
        stage.a().sessions() == sessions,
        "an SMSC that answers enquire_link lost its sessions"
    );
    idle.is_quiet()
}

fn an_enquiry_before_the_bind(stage: &mut Stage) -> Outcome {
    let mut client = stage.connect()?;
    client.is_quiet()?;
    let answer = client.try_bind(BindAs::transceiver("east"))?;
    if !answer.status().is_ok() {
        return wrong(&answer, "the bind after an enquire_link is refused");
    }
    client.is_quiet()
}

fn jitter(stage: &mut Stage) -> Outcome {
    const ESMES: usize = 16;
    const SPREAD_MIN: Duration = Duration::from_millis(60);
    let mut clients = Vec::new();
    for _ in 0..ESMES {
        let mut client = stage.connect()?;
        client.try_bind(BindAs::transceiver("east"))?;
        clients.push((client, Instant::now()));
    }
    let threads: Vec<_> = clients
        .into_iter()
        .map(|(mut client, bound)| {
            std::thread::spawn(move || match unanswered(&mut client, PATIENCE) {
                Received::Pdu(_) => Some((bound, Instant::now())),
                _ => None,
            })
        })
        .collect();
    let asked: Vec<(Instant, Instant)> = threads
        .into_iter()
        .filter_map(|thread| thread.join().ok().flatten())
        .collect();
    require!(
        asked.len() == ESMES,
        "{} of {ESMES} idle ESMEs were asked",
        asked.len()
    );
    // All at one moment is as bad as each a fixed time after its bind.
    let start = asked[0].0;
    let moments = asked.iter().map(|(_, at)| at.duration_since(start));
    let waits = asked.iter().map(|(bound, at)| at.duration_since(*bound));
    for (spread, since) in [
        (spread_of(moments), "the first bind"),
        (spread_of(waits), "their binds"),
    ] {
        require!(
            spread >= SPREAD_MIN,
            "{ESMES} ESMEs that bound together were asked within {spread:?}, counted from {since}"
        );
    }
    Ok(())
}

/// Between the shortest and the longest.
fn spread_of(times: impl Iterator<Item = Duration> + Clone) -> Duration {
    let longest = times.clone().max().unwrap_or_default();
    longest - times.min().unwrap_or_default()
}

fn default_times(stage: &mut Stage) -> Outcome {
    const LONGEST: Duration = Duration::from_secs(30);
    let start = Instant::now();
    let mut client = stage.esme("east")?;
    match unanswered(&mut client, LONGEST) {
        Received::Pdu(pdu) if pdu.command() == CommandId::ENQUIRE_LINK => {
            client.send(&header_only(
                CommandId::ENQUIRE_LINK_RESP,
                Status::ESME_ROK,
                pdu.sequence_number(),
            ))?;
        }
        other => {
            return crate::failure::fail(format!("enquire_link was due within {LONGEST:?}; {other:?} came"));
        }
    }
    while stage.a().times_of(HappeningKind::EnquiryCame, start).is_empty() {
        require!(
            start.elapsed() < LONGEST,
            "an idle SMSC was not asked within {LONGEST:?}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The SMSC is used again soon.
fn is_found_again(stage: &mut Stage) -> Outcome {
    stage.a().on_bind(OnBind::Accept);
    stage.a().await_sessions(1)?;
    stage.a().on_request(OnRequest::Accept);
    let mut client = stage.esme("alpha")?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let number = client.submit("88030001", "447700900001", "is it back")?;
        let answer = client.expect(Want::a(CommandId::SUBMIT_SM_RESP).numbered(number))?;
        if answer.status().is_ok() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return wrong(&answer, "the SMSC is not used again");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn an_smsc_that_hangs_up(stage: &mut Stage) -> Outcome {
    let sessions = stage.a().sessions().len();
    let start = Instant::now();
    stage.a().on_bind(OnBind::HangUp);
    stage.a().drop_sessions();
    std::thread::sleep(Duration::from_secs(5));
    let tries = stage.a().times_of(HappeningKind::Connected, start);
    require!(
        tries.len() >= 3,
        "in 5 s the SMSC was tried {} times only",
        tries.len()
    );
    let late = tries
        .iter()
        .filter(|at| **at > start + Duration::from_secs(3))
        .count();
    // The longest pause is a second; half of that with jitter.
    let most = sessions * 5;
    require!(
        late <= most && tries.len() <= sessions * 16,
        "{} tries in 5 s, {late} of them in the last 2 s, for {sessions} sessions: a storm",
        tries.len()
    );
    if sessions == 1 {
        let gaps: Vec<Duration> = tries.windows(2).map(|two| two[1] - two[0]).collect();
        require!(gaps[gaps.len() - 1] > gaps[0], "the pauses do not grow: {gaps:?}");
    }
    is_found_again(stage)
}

fn an_smsc_that_refuses_the_password(stage: &mut Stage) -> Outcome {
    let sessions = stage.a().sessions().len();
    let start = Instant::now();
    stage.a().on_bind(OnBind::Refuse(Status::ESME_RINVPASWD));
    stage.a().drop_sessions();
    std::thread::sleep(Duration::from_secs(5));
    let tries = stage.a().times_of(HappeningKind::BindCame, start);
    require!(!tries.is_empty(), "the SMSC was never tried again");
    // Each session may have been on its way when the first was refused; then it is one try each 2 s, whatever the cores.
    let most = sessions + 3;
    require!(
        tries.len() <= most,
        "{} binds in 5 s with a password that is refused; {most} are slow enough",
        tries.len()
    );
    is_found_again(stage)
}

fn an_smsc_that_says_already_bound(stage: &mut Stage) -> Outcome {
    let sessions = stage.a().sessions().len();
    let start = Instant::now();
    stage.a().on_bind(OnBind::Refuse(Status::ESME_RALYBND));
    stage.a().drop_sessions();
    std::thread::sleep(Duration::from_secs(3));
    let tries = stage.a().times_of(HappeningKind::BindCame, start);
    require!(
        !tries.is_empty() && tries.len() <= sessions * 10,
        "{} binds in 3 s, each answered ESME_RALYBND, for {sessions} sessions",
        tries.len()
    );
    is_found_again(stage)
}
