//! What a seed stands for: how many of everything, how it is configured, and how often what goes wrong.

use crate::calls;
use crate::limits;
use crate::pdu::command;
use crate::random::Random;
use crate::ranges::RANGES;
use crate::rare;
use crate::restart;
use crate::rules::Rules;
use crate::stuck;
use crate::versions::{self, V34};
use crate::weights::Faults;
use smppmux_engine::core::range::AddressRange;
use smppmux_engine::core::rate::RateLimit;
use smppmux_engine::core::receipts::CheckKey;
use smppmux_engine::core::secret::Secret;
use smppmux_engine::core::settings::*;
use smppmux_engine::core::wire::Status;
use std::sync::Arc;
use std::time::Duration;

/// A run before it starts.
pub(crate) struct Scenario {
    pub(crate) engines: usize,
    pub(crate) settings: Arc<Settings>,
    /// The routing rules that the settings have.
    pub(crate) rules: Rules,
    pub(crate) faults: Faults,
    pub(crate) esmes: Vec<EsmePlan>,
    /// How long faults happen.
    pub(crate) chaos: Duration,
    pub(crate) is_forward: bool,
    /// Clients go to the core of their account.
    pub(crate) is_by_account: bool,
    /// Some peers send what others hardly ever do.
    pub(crate) has_rare_commands: bool,
    pub(crate) response_timeout: Duration,
    /// How long the store keeps a message.
    pub(crate) message_lifetime: Duration,
    /// Messages that it takes.
    pub(crate) stored_max: usize,
    /// Requests that the mailbox of a core takes from another one.
    pub(crate) mailbox_requests_max: usize,
}

/// An ESME: one connection at a time, again and again.
#[derive(Clone, Debug)]
pub(crate) struct EsmePlan {
    pub(crate) system_id: String,
    pub(crate) kind: u32,
    /// Places in [`RANGES`] that its bind gets.
    pub(crate) ranges: Vec<usize>,
    /// address_range of its bind.
    pub(crate) claim: &'static str,
    /// Its claim lies outside what its account may have.
    pub(crate) overreaches: bool,
    pub(crate) window: u32,
    /// interface_version of its bind.
    pub(crate) version: u8,
    /// It sends large messages most of the time.
    pub(crate) is_heavy: bool,
    /// Pause between two of its acts at most.
    pub(crate) pause_ms: usize,
}

pub(crate) const PASSWORD: &str = "secret";

/// Before a password it stands for the hash of that.
pub(crate) const HASH_OF: &[u8] = b"hash of ";
pub(crate) const LATE_ANSWER_HOLD: Duration = Duration::from_millis(1_500);
/// Longer than a client takes to send all segments of a message, whatever happens.
pub(crate) const CONCAT_TIMEOUT: Duration = Duration::from_secs(20);
pub(crate) const AUTH_RETRY: Duration = Duration::from_secs(3);
pub(crate) const RECONNECT_MAX: Duration = Duration::from_secs(1);
pub(crate) const FORWARD_CACHE: Duration = Duration::from_secs(2);
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
pub(crate) const TIMEOUT_STATUS: u32 = 0xFE;
/// How long requests are held where much is.
pub(crate) const LONG_HOLD_TIME: Duration = Duration::from_millis(900);
/// Longer than any run.
const LIFETIME: Duration = Duration::from_secs(100_000);

impl Scenario {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let engines = random.between(1, 4);
        let servers = random.between(1, 3);
        let accounts = random.between(1, 4);
        let is_forward = random.chance(200);
        let mut faults = Faults::draw(random);
        faults.process_restart = restart::weight(random);
        if !is_forward {
            faults.server_call = calls::weight(random);
            faults.server_stuck = stuck::weight(random);
        }
        let mut clients: Vec<_> = (0..accounts)
            .map(|account| client(random, account, is_forward))
            .collect();
        let mut esmes: Vec<_> = (0..random.between(1, 8))
            .map(|_| {
                let account = random.below(accounts);
                esme(random, account, &clients[account])
            })
            .collect();
        // Longer than an unbind waits, now and then.
        let response_timeout = Duration::from_secs(if random.chance(100) { 7 } else { 1 });
        let engine = engine(random);
        let mut vserver = vserver(random, servers, is_forward, response_timeout);
        let mut server_settings: Vec<_> = (0..servers)
            .map(|index| server(random, index, response_timeout))
            .collect();
        if faults.server_call > 0 {
            calls::allow(&mut server_settings);
        }
        let seed = random.next();
        let mut chance = Random::new(!seed);
        let rules = Rules::draw(&mut chance, servers, is_forward);
        if !is_forward {
            versions::draw(&mut chance, &mut server_settings, &mut esmes);
            rare::draw(seed, &mut server_settings, &mut esmes);
        }
        // Of bits of the draw that nobody else looks at, so that the others' runs stay what they were.
        if seed >> 20 & 3 == 0 {
            for (place, server) in server_settings.iter_mut().enumerate() {
                server.slow_start =
                    Duration::from_millis([300, 2_000, 0][(place + (seed >> 22) as usize) % 3]);
            }
        }
        if seed >> 26 & 3 == 0 && !is_forward {
            for server in &mut server_settings {
                server.ejection = crate::health::EAGER;
            }
        }
        let limits = limits::draw(seed, &engine, &mut vserver, &mut clients, &mut esmes, is_forward);
        let settings = Settings::new(limits.engine, vec![vserver], server_settings, clients, seed)
            .with_message_log(seed.is_multiple_of(2) && !limits.is_heavy)
            .with_routes(rules.routes())
            .with_receipts(limits.receipts);
        // Of the same draw, so that the others' runs are what they were before there was this.
        let message_lifetime = match seed >> 1 & 7 {
            0 => Duration::from_millis(200 + (seed >> 4 & 2_047)),
            _ => LIFETIME,
        };
        Self {
            engines,
            settings: Arc::new(settings),
            message_lifetime,
            stored_max: limits.stored_max,
            mailbox_requests_max: limits.mailbox_requests_max,
            rules,
            faults,
            esmes,
            chaos: random.milliseconds(1_000, 8_000),
            is_forward,
            is_by_account: (seed >> 8).is_multiple_of(4),
            has_rare_commands: rare::are_sent(seed),
            response_timeout,
        }
    }
}

pub(crate) fn engine(random: &mut Random) -> EngineSettings {
    let mut engine = EngineSettings {
        max_pdu_octets: 81_920,
        first_sequence_number: *random.pick(&[1, 1, 0x7FFF_FFF0, 0x7FFF_FFFF, 0x8000_0000]),
        drain_timeout: DRAIN_TIMEOUT,
        core_requests_max: *random.pick(&[2, 10, 1_000]),
        sessions_max: 10_000,
        output_octets_max: *random.pick(&[12_000, 65_536]),
        server_output_octets_max: 0,
        has_queue: random.chance(600),
        strict_lengths: random.chance(500),
    };
    // Servers of some runs have more, without another draw.
    let times = if engine.strict_lengths { 1 } else { 2 };
    engine.server_output_octets_max = engine.output_octets_max * times;
    engine
}

pub(crate) fn vserver(
    random: &mut Random,
    servers: usize,
    is_forward: bool,
    response_timeout: Duration,
) -> VserverSettings {
    VserverSettings {
        name: "sms".into(),
        listen: Vec::new(),
        method: *random.pick(&[
            Method::RoundRobin,
            Method::WeightedRoundRobin,
            Method::LeastOutstanding,
            Method::LeastResponseTime,
            Method::Hash,
            Method::Priority,
        ]),
        // Not drawn, so that a seed goes on to mean what it meant.
        method_batch: [1, 2, 128][servers % 3],
        eject_limit_percent: [50, 100][servers % 2],
        hash_key: *random.pick(&[HashKey::Source, HashKey::Destination, HashKey::SystemId]),
        auth: if is_forward { Auth::Forward } else { Auth::Local },
        servers: (0..servers).map(|index| ServerIndex(index as u16)).collect(),
        overload: *random.pick(&[Overload::Hold, Overload::Throttle]),
        hold_time: Duration::from_millis(300),
        all_servers_down: *random.pick(&[
            AllServersDown::Answer,
            AllServersDown::Hold,
            AllServersDown::Unbind,
        ]),
        on_server_loss: *random.pick(&[OnServerLoss::Fail, OnServerLoss::Fail, OnServerLoss::Retry]),
        on_throttle: *random.pick(&[OnThrottle::Answer, OnThrottle::Retry]),
        admission: AdmissionSettings::default(),
        hop_guard: None,
        pool_method: *random.pick(&[PoolMethod::RoundRobin, PoolMethod::LeastOutstanding]),
        empty_range: EmptyRange::Allowed,
        signature: "mx".into(),
        message_id: MessageIdSettings {
            mode: if is_forward {
                MessageIdMode::Tagged
            } else {
                *random.pick(&[
                    MessageIdMode::Tagged,
                    MessageIdMode::Tagged,
                    MessageIdMode::Signed,
                    MessageIdMode::Mapped,
                ])
            },
            key: CheckKey::new(&Secret::new("a key")),
        },
        receipts: ReceiptSettings {
            route: *random.pick(&[
                ReceiptRoute::Submitter,
                ReceiptRoute::Submitter,
                ReceiptRoute::Submitter,
                ReceiptRoute::Address,
            ]),
            hold: *random.pick(&[Duration::from_millis(200), Duration::from_secs(2)]),
            unknown: *random.pick(&[
                UnknownReceipt::Address,
                UnknownReceipt::Queue,
                UnknownReceipt::Refuse,
            ]),
        },
        late_answer_hold: LATE_ANSWER_HOLD,
        forward_cache: FORWARD_CACHE,
        timeout_status: Status(TIMEOUT_STATUS),
        bind_timeout: Duration::from_secs(2),
        enquire_link_interval: Duration::from_secs(2),
        enquire_link_misses: 2,
        response_timeout,
        concat_timeout: CONCAT_TIMEOUT,
    }
}

pub(crate) fn server(random: &mut Random, index: usize, response_timeout: Duration) -> ServerSettings {
    let connections = if random.chance(500) {
        Connections::PerCore(random.between(1, 2) as u32)
    } else {
        Connections::Total(random.between(1, 3) as u32)
    };
    ServerSettings {
        name: format!("smsc{index}"),
        uid: [b'0', b'A' + index as u8],
        addresses: vec![format!("smsc{index}")],
        transmitter_address: None,
        receiver_address: None,
        local_address: None,
        transport: 0,
        system_id: "mux".into(),
        password: Secret::new(PASSWORD),
        system_type: String::new(),
        interface_version: V34,
        bind: *random.pick(&[ServerBind::Transceiver, ServerBind::Transceiver, ServerBind::Both]),
        address_range: String::new(),
        addr_ton: 0,
        addr_npi: 0,
        connections,
        window: *random.pick(&[1, 5, 100]),
        window_octets: *random.pick(&[1_000, 4 << 20]),
        rate: random.chance(200).then(|| rate_limit(random)),
        adaptive_pace: random.chance(700),
        slow_start: Duration::ZERO,
        ejection: crate::health::NEVER,
        weight: random.between(1, 4) as u32,
        priority: random.between(0, 1) as u32,
        response_timeout,
        enquire_link_interval: Duration::from_secs(2),
        enquire_link_misses: 2,
        reconnect_min: Duration::from_millis(100),
        reconnect_max: RECONNECT_MAX,
        auth_retry: AUTH_RETRY,
        concat_reference: ConcatReference::Keep,
        mobile_originated_vserver: Some(VserverIndex(0)),
        message_id_format: MessageIdFormat::Auto,
        outbind: None,
    }
}

fn rate_limit(random: &mut Random) -> RateLimit {
    RateLimit {
        per_second: random.between(20, 200) as u32,
        burst: random.between(1, 10) as u32,
    }
}

/// What an account may claim, by its place in [`RANGES`]: even ones everything, odd ones a prefix that they share, or ranges
/// of their own too (with `auth = "forward"` the servers decide).
const fn may_claim(account: usize) -> &'static [usize] {
    match (account % 2, account / 2 % 3) {
        (0, _) => &[6],
        (_, 0) => &[2],
        (_, 1) => &[1, 3],
        _ => &[2, 0],
    }
}

/// What lies inside of that and can be claimed by its text; an expression's coverage is not decided here, and only literal
/// claims lie provably inside of a prefix.
const fn claims_inside(account: usize) -> &'static [usize] {
    match may_claim(account) {
        [6] => &[0, 1, 2, 3, 4, 5, 6],
        [1, 3] => &[0, 1, 3],
        _ => &[0, 1, 2],
    }
}

pub(crate) fn client(random: &mut Random, account: usize, is_forward: bool) -> ClientSettings {
    let ranges = may_claim(account)
        .iter()
        .map(|range| AddressRange::parse(RANGES[*range].text.as_bytes()).expect("a good range"));
    ClientSettings {
        system_id: format!("esme{account}"),
        password: Secret::new(PASSWORD),
        // Every third account has a hash instead, which takes time to verify.
        password_hash: (account % 3 == 2).then(|| Secret::new([HASH_OF, PASSWORD.as_bytes()].concat())),
        vservers: Vec::new(),
        binds: BindKinds::ALL,
        address_ranges: ranges.collect(),
        allow: Vec::new(),
        certificate_names: Vec::new(),
        max_binds: (!is_forward && random.chance(150)).then_some(2),
        window: *random.pick(&[1, 4, 20]),
        rate: random.chance(150).then(|| rate_limit(random)),
        servers: Vec::new(),
    }
}

fn esme(random: &mut Random, account: usize, client: &ClientSettings) -> EsmePlan {
    let mut overreaches = false;
    let (claim, ranges) = if random.chance(250) {
        ("", may_claim(account).to_vec())
    } else if account % 2 == 1 && random.chance(50) {
        overreaches = true;
        let outside = if may_claim(account) == [1, 3] { 2 } else { 3 };
        (RANGES[outside].text, Vec::new())
    } else {
        let range = *random.pick(claims_inside(account));
        (RANGES[range].text, vec![range])
    };
    EsmePlan {
        system_id: client.system_id.clone(),
        kind: *random.pick(&[
            command::BIND_RECEIVER,
            command::BIND_TRANSMITTER,
            command::BIND_TRANSCEIVER,
            command::BIND_TRANSCEIVER,
        ]),
        ranges,
        claim,
        overreaches,
        window: client.window,
        version: V34,
        is_heavy: false,
        pause_ms: *random.pick(&[20, 100, 400]),
    }
}
