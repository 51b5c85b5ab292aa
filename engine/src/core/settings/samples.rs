//! Settings with the documented defaults, for tests and benches to vary: what is new in the settings stands once here.

use super::*;

/// A server at a port that nobody listens on.
pub fn server_settings() -> ServerSettings {
    ServerSettings {
        name: "smsc".into(),
        uid: *b"0A",
        addresses: vec!["127.0.0.1:2776".into()],
        transmitter_address: None,
        receiver_address: None,
        local_address: None,
        transport: 0,
        system_id: "mux".into(),
        password: Secret::new("secret"),
        system_type: String::new(),
        interface_version: 0x34,
        bind: ServerBind::Transceiver,
        address_range: String::new(),
        addr_ton: 0,
        addr_npi: 0,
        connections: Connections::PerCore(1),
        window: 1_000,
        window_octets: 4 << 20,
        rate: None,
        adaptive_pace: true,
        slow_start: Duration::ZERO,
        ejection: EjectionSettings::DEFAULT,
        weight: 1,
        priority: 0,
        response_timeout: Duration::from_secs(10),
        enquire_link_interval: Duration::from_secs(25),
        enquire_link_misses: 2,
        reconnect_min: Duration::from_millis(500),
        reconnect_max: Duration::from_secs(30),
        auth_retry: Duration::from_secs(300),
        concat_reference: ConcatReference::Keep,
        mobile_originated_vserver: Some(VserverIndex(0)),
        message_id_format: MessageIdFormat::Auto,
        outbind: None,
    }
}

/// A vserver with the documented defaults and server 0.
pub fn vserver_settings() -> VserverSettings {
    VserverSettings {
        name: "sms".into(),
        listen: Vec::new(),
        method: Method::LeastOutstanding,
        hash_key: HashKey::Source,
        auth: Auth::Local,
        servers: vec![ServerIndex(0)],
        overload: Overload::Hold,
        hold_time: Duration::from_secs(2),
        all_servers_down: AllServersDown::Answer,
        on_server_loss: OnServerLoss::Fail,
        on_throttle: OnThrottle::Answer,
        hop_guard: None,
        method_batch: 128,
        eject_limit_percent: 50,
        pool_method: PoolMethod::RoundRobin,
        empty_range: EmptyRange::Allowed,
        signature: "mx".into(),
        message_id: MessageIdSettings::default(),
        receipts: ReceiptSettings::default(),
        late_answer_hold: Duration::from_secs(60),
        forward_cache: Duration::from_secs(60),
        timeout_status: Status::ESME_RSYSERR,
        bind_timeout: Duration::from_secs(5),
        enquire_link_interval: Duration::from_secs(25),
        enquire_link_misses: 2,
        response_timeout: Duration::from_secs(10),
        admission: AdmissionSettings::default(),
        concat_timeout: Duration::from_secs(60),
    }
}

/// Limits that no test runs into.
pub fn engine_settings() -> EngineSettings {
    EngineSettings {
        max_pdu_octets: 81_920,
        first_sequence_number: 1,
        drain_timeout: Duration::from_secs(30),
        core_requests_max: 1_000,
        sessions_max: 1_000,
        output_octets_max: 1 << 20,
        server_output_octets_max: 1 << 20,
        strict_lengths: false,
        has_queue: false,
    }
}

/// An account that may do everything but receive MO.
pub fn client_settings(system_id: &str) -> ClientSettings {
    ClientSettings {
        system_id: system_id.into(),
        password: Secret::new("secret"),
        password_hash: None,
        vservers: Vec::new(),
        binds: BindKinds::ALL,
        address_ranges: Vec::new(),
        allow: Vec::new(),
        certificate_names: Vec::new(),
        max_binds: None,
        window: 100,
        servers: Vec::new(),
        rate: None,
    }
}
