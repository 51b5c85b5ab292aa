//! Whom a core leaves out, tries and takes back.

use super::*;
use crate::core::contract::CoreIndex;
use crate::core::core_message::{CoreAnswer, CoreMessage};
use crate::core::engine::tests::{bind_server, engine_of, settings_of};
use crate::core::random::Random;
use crate::core::sequence::{Origin, Via};
use crate::core::settings::samples::{server_settings, vserver_settings};
use crate::core::settings::{EjectionSettings, ServerSettings, Settings, VserverSettings};
use crate::core::wire::write_header_only;
use bytes::BytesMut;
use std::sync::Arc;

const SERVERS: u16 = 5;
const JUDGED: EjectionSettings = EjectionSettings::RECOMMENDED;
const FAR_CORE: Origin = Origin::Core {
    core: CoreIndex(1),
    reference: 7,
};

fn judged_servers(slow_start: Duration) -> Vec<ServerSettings> {
    let server = |place: u16| ServerSettings {
        uid: [b'0', b'A' + place as u8],
        slow_start,
        ejection: JUDGED,
        ..server_settings()
    };
    (0..SERVERS).map(server).collect()
}

/// All of them are bound by another core.
fn come_up(engine: &mut PacketEngine) {
    for place in 0..SERVERS {
        set_sessions(engine, Moment::START, ServerIndex(place), 1);
    }
}

fn set_sessions(engine: &mut PacketEngine, now: Moment, index: ServerIndex, sessions: u32) {
    engine.servers[usize::from(index.0)]
        .remote_mut(CoreIndex(1))
        .sessions = sessions;
    engine.presence_changed(now, index);
}

/// What became of a message that was sent just now.
fn judge(engine: &mut PacketEngine, now: Moment, index: ServerIndex, sign: Sign) {
    judge_request(engine, now, index, CommandId::SUBMIT_SM, sign);
}

fn judge_request(engine: &mut PacketEngine, now: Moment, index: ServerIndex, command: CommandId, sign: Sign) {
    engine.judge_server(now, index, &Pending::new(Origin::Own, command, now), sign);
}

/// Enough timeouts in a row, over long enough; the answer is when the last one is.
fn fall_ill(engine: &mut PacketEngine, from: Moment, index: ServerIndex) -> Moment {
    let mut now = from;
    for _ in 0..JUDGED.timeouts {
        now += Duration::from_millis(300);
        judge(engine, now, index, Sign::Timeout);
    }
    now
}

/// Servers of one vserver, all of which another core has bound.
fn farm(slow_start: Duration) -> PacketEngine {
    let mut engine = engine_of(2, judged_servers(slow_start));
    come_up(&mut engine);
    engine
}

fn states(engine: &PacketEngine) -> Vec<HealthState> {
    engine
        .servers
        .iter()
        .map(|server| server.health.state())
        .collect()
}

/// Goal: whatever signs come from whichever servers, however they come and go: whoever is ejected leaves at least half of those
/// that are not down in, and one that is well and up; a server is aside just while it is ejected or its trial has no room, and each
/// ejection ends on time. All of that happens: ejections, and trials that end in either way.
#[test]
fn some_are_always_left() {
    let mut changes = [0_u32; 3];
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut engine = farm(Duration::ZERO);
        let mut now = Moment::START;
        for _ in 0..2_000 {
            now += Duration::from_millis(random.next() % 2_000);
            engine.handle_timeout(now);
            let index = ServerIndex((random.next() % u64::from(SERVERS)) as u16);
            let before = states(&engine);
            match random.next() % 16 {
                0 => {
                    let is_up = engine.servers[usize::from(index.0)].is_bound_somewhere();
                    set_sessions(&mut engine, now, index, u32::from(!is_up));
                }
                1 => {
                    let drains = random.next().is_multiple_of(2);
                    engine.drain_server(now, index, drains);
                }
                2..6 => engine.trial_sent(now, index, CommandId::SUBMIT_SM),
                6..9 => judge(&mut engine, now, index, Sign::Good),
                // Some are much worse than others.
                _ if random.next() % u64::from(SERVERS) >= u64::from(index.0) => {
                    judge(&mut engine, now, index, Sign::Timeout);
                }
                _ => {}
            }
            let after = states(&engine);
            let place = usize::from(index.0);
            match (before[place], after[place]) {
                (HealthState::Well, HealthState::Ejected) => changes[0] += 1,
                (HealthState::Trial, HealthState::Ejected) => changes[1] += 1,
                (HealthState::Trial, HealthState::Well) => changes[2] += 1,
                _ => {}
            }
            if before[place] == HealthState::Well && after[place] == HealthState::Ejected {
                let is_out = |server: &&crate::core::server::Server| {
                    !server.health.is_well() && server.is_bound_somewhere()
                };
                let out = engine.servers.iter().filter(is_out).count();
                assert!(out <= usize::from(SERVERS) / 2, "seed {seed}: {after:?}");
                let is_left = |(other, server): (usize, &crate::core::server::Server)| {
                    other != place
                        && server.health.is_well()
                        && !server.is_draining
                        && server.is_bound_somewhere()
                };
                assert!(
                    engine.servers.iter().enumerate().any(is_left),
                    "seed {seed}: nobody is left"
                );
            }
            for server in &engine.servers {
                let is_aside = server.is_draining || server.health.is_aside(&JUDGED);
                assert_eq!(server.is_aside, is_aside, "seed {seed}");
                let until = server.health.next_look(Duration::ZERO);
                assert!(server.health.is_on_trial() || until.is_none_or(|until| until <= now + JUDGED.max));
            }
        }
        for place in 0..SERVERS {
            set_sessions(&mut engine, now, ServerIndex(place), 1);
        }
        now += JUDGED.max;
        engine.handle_timeout(now);
        assert!(
            !states(&engine).contains(&HealthState::Ejected),
            "seed {seed}: time heals"
        );
    }
    assert!(changes.iter().all(|count| *count > 200), "{changes:?}");
}

/// Goal: a server on trial is well after good answers to what it got in it, and then has its slow start; while it is on trial its
/// answers and requests are looked at, and not before and after. One that is bound anew is tried at once.
#[test]
fn a_trial_ends_in_a_slow_start() {
    let mut engine = farm(Duration::from_secs(60));
    let (mut now, index) = (Moment::START + Duration::from_secs(100), ServerIndex(2));
    let looked_at = |engine: &PacketEngine| (engine.servers[2].is_guarded, engine.servers[2].is_watched);
    assert_eq!(looked_at(&engine), (false, false));
    now = fall_ill(&mut engine, now, index);
    assert!(engine.servers[2].is_aside);
    assert_eq!(looked_at(&engine), (false, false));
    now += JUDGED.min;
    engine.handle_timeout(now);
    assert!(!engine.servers[2].is_aside);
    for _ in 0..JUDGED.rise {
        assert_eq!(looked_at(&engine), (true, true));
        engine.trial_sent(now, index, CommandId::SUBMIT_SM);
        judge(&mut engine, now, index, Sign::Good);
    }
    assert_eq!(looked_at(&engine), (false, false));
    assert!(engine.servers[2].health.is_well() && engine.servers[2].share_percent() < 20);

    now = fall_ill(&mut engine, now, index);
    for sessions in [0, 1] {
        assert_eq!(engine.servers[2].health.state(), HealthState::Ejected);
        set_sessions(&mut engine, now, index, sessions);
    }
    assert!(engine.servers[2].health.is_on_trial());
    // What a trial waits for and does not come is waited for no longer.
    (0..JUDGED.rise).for_each(|_| engine.trial_sent(now, index, CommandId::SUBMIT_SM));
    assert!(engine.servers[2].is_aside);
    now += server_settings().response_timeout + MARGIN;
    engine.handle_timeout(now);
    assert!(!engine.servers[2].is_aside && engine.servers[2].health.is_on_trial());
}

/// Goal: in a trial only messages count, whatever becomes of queries and cancellations.
#[test]
fn a_trial_is_about_messages() {
    let mut engine = farm(Duration::ZERO);
    let index = ServerIndex(2);
    let mut now = fall_ill(&mut engine, Moment::START, index) + JUDGED.min;
    engine.handle_timeout(now);
    for sign in [Sign::Good, Sign::Error, Sign::Timeout] {
        for command in [CommandId::QUERY_SM, CommandId::CANCEL_SM, CommandId::REPLACE_SM] {
            now += Duration::from_millis(10);
            engine.trial_sent(now, index, command);
            judge_request(&mut engine, now, index, command, sign);
            assert!(engine.servers[2].health.is_on_trial() && !engine.servers[2].is_aside);
        }
    }
}

/// Goal: a server that is left out and then lost keeps no other one in, is shown as one that is down, and has its trial when it is
/// there again.
#[test]
fn one_that_is_down_is_nobodys_loss() {
    let mut engine = farm(Duration::ZERO);
    let mut now = Moment::START;
    for place in 0..SERVERS / 2 {
        now = fall_ill(&mut engine, now, ServerIndex(place));
        set_sessions(&mut engine, now, ServerIndex(place), 0);
    }
    assert_eq!(states(&engine)[..2], [HealthState::Ejected; 2]);
    assert_eq!(engine.report().servers[0].health, HealthState::Well);
    now = fall_ill(&mut engine, now, ServerIndex(2));
    assert_eq!(states(&engine)[2], HealthState::Ejected);
    for _ in 0..10 {
        now += JUDGED.max;
        engine.handle_timeout(now);
    }
    assert_eq!(
        states(&engine)[..3],
        [HealthState::Ejected, HealthState::Ejected, HealthState::Trial]
    );
    set_sessions(&mut engine, now, ServerIndex(0), 1);
    assert_eq!(engine.report().servers[0].health, HealthState::Trial);
}

/// Goal: a vserver that forwards binds does not keep a server in.
#[test]
fn forwarded_identities_keep_nobody_in() {
    let local = VserverSettings {
        servers: (0..SERVERS).map(ServerIndex).collect(),
        ..vserver_settings()
    };
    let forward = VserverSettings {
        name: "forward".into(),
        auth: Auth::Forward,
        servers: vec![ServerIndex(0), ServerIndex(1)],
        eject_limit_percent: 0,
        ..vserver_settings()
    };
    let samples = settings_of(judged_servers(Duration::ZERO));
    let servers = judged_servers(Duration::ZERO);
    let settings = Settings::new(samples.engine, vec![local, forward], servers, Vec::new(), 1);
    let mut engine = PacketEngine::new(CoreIndex(0), 2, Arc::new(settings), 1, Moment::START);
    come_up(&mut engine);
    fall_ill(&mut engine, Moment::START, ServerIndex(0));
    assert_eq!(states(&engine)[0], HealthState::Ejected);
}

/// Goal: a reload after which a server may be another one leaves nothing of its past.
#[test]
fn another_server_has_no_past() {
    let mut engine = farm(Duration::ZERO);
    let (mut now, index) = (Moment::START, ServerIndex(2));
    now = fall_ill(&mut engine, now, index);
    for _ in 0..3 {
        now += JUDGED.max;
        engine.handle_timeout(now);
        judge(&mut engine, now, index, Sign::Error);
    }
    let mut servers = judged_servers(Duration::ZERO);
    servers[2].system_id = "another".into();
    engine.reconfigure(now, &Arc::new(settings_of(servers)));
    assert_eq!(states(&engine)[2], HealthState::Well);
    set_sessions(&mut engine, now, index, 1);
    now = fall_ill(&mut engine, now, index);
    assert_eq!(engine.servers[2].health.next_look(MARGIN), Some(now + JUDGED.min));
}

/// Goal: whoever waits is served by those that are left out, once nobody who is well is left: when he is drained that is looked at.
#[test]
fn a_drain_serves_those_who_wait() {
    let mut engine = farm(Duration::ZERO);
    let now = Moment::START + Duration::from_millis(1);
    engine.handle_timeout(now);
    engine.held_requests = 1;
    engine.drain_server(now, ServerIndex(0), true);
    engine.held_requests = 0;
    assert!(engine.next_timeout() <= now);
}

fn with_one_server() -> (PacketEngine, ConnectionId) {
    let mut engine = engine_of(2, judged_servers(Duration::ZERO).split_off(4));
    let connection = bind_server(&mut engine, Moment::START);
    (engine, connection)
}

/// What a server says to this request, which is on its session.
fn answer(engine: &mut PacketEngine, now: Moment, from: ConnectionId, pending: Pending, command: CommandId) {
    let session = engine.sessions.get_mut(from).expect("it is bound");
    let number = session.window.reserve(pending).expect("room");
    engine.servers[0].outstanding += 1;
    let mut pdu = BytesMut::new();
    write_header_only(&mut pdu, command, Status::ESME_RSYSERR, number);
    engine.handle_bytes(now, from, &pdu);
}

/// Goal: an answer that nobody waits for any more is none between two timeouts, wherever the session is.
#[test]
fn late_answers_are_none() {
    let (mut engine, connection) = with_one_server();
    let late = Pending {
        expired: true,
        ..Pending::new(Origin::Own, CommandId::SUBMIT_SM, Moment::START)
    };
    let of_core = Pending {
        origin: FAR_CORE,
        ..late
    };
    for command in [CommandId::SUBMIT_SM_RESP, CommandId::GENERIC_NACK] {
        answer(&mut engine, Moment::START, connection, of_core, command);
    }
    assert_eq!(engine.servers[0].figures.latency.count(), 2);
    let reference = engine.links[1]
        .window
        .reserve(Pending {
            via: Via::Server(ServerIndex(0)),
            ..late
        })
        .expect("room");
    let outcome = CoreOutcome::AnsweredBy(ServerIndex(0), BytesMut::new());
    engine.core_answer(Moment::START, CoreIndex(1), CoreAnswer { reference, outcome });
    assert_eq!(engine.servers[0].answers_in_time(), 0);
    let in_time = Pending {
        expired: false,
        ..of_core
    };
    answer(
        &mut engine,
        Moment::START,
        connection,
        in_time,
        CommandId::SUBMIT_SM_RESP,
    );
    assert_eq!(engine.servers[0].answers_in_time(), 1);
}

/// Goal: a server's generic_nack reaches the core that asked as the server's own word, by which it judges it.
#[test]
fn a_nack_is_the_servers_own_word() {
    let (mut engine, connection) = with_one_server();
    let pending = Pending::new(FAR_CORE, CommandId::SUBMIT_SM, Moment::START);
    answer(
        &mut engine,
        Moment::START,
        connection,
        pending,
        CommandId::GENERIC_NACK,
    );
    let told = std::iter::from_fn(|| engine.poll_core_message()).find_map(|(_, told)| match told {
        CoreMessage::Answer(answer) => Some(answer.outcome),
        _ => None,
    });
    let Some(CoreOutcome::AnsweredBy(ServerIndex(0), pdu)) = told else {
        panic!("{told:?}");
    };
    let header = Header::read(&pdu).expect("a whole header");
    assert_eq!(
        (header.command_id, header.command_status),
        (CommandId::SUBMIT_SM_RESP, Status::ESME_RSYSERR)
    );
}
