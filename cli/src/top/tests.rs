//! What stands on the screen, drawn into a buffer.

use super::model::Model;
use super::screen::draw;
use super::watch::News;
use crate::admin::api::clients::WITH_ACCOUNTS;
use crate::admin::control::Snapshot;
use crate::admin::live::{History, Live, Point};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;
use smppmux_engine::core::report::{ClientReport, Counters, Report, ServerReport};
use smppmux_engine::core::settings::{ClientIndex, ServerIndex};
use std::time::{Duration, Instant};

/// Some servers of which the first is down, as many accounts, on so many cores.
fn live(parties: u16, cores: u16) -> Live {
    let server = |number: u16| {
        let uid = format!(
            "{}{}",
            char::from(b'A' + (number / 26) as u8),
            char::from(b'A' + (number % 26) as u8)
        );
        format!(
            "[[server]]\nname = \"smsc-{number}\"\nuid = \"{uid}\"\naddress = \"192.0.2.1:2775\"\nsystem-id = \"m\"\npassword = \"x\"\n"
        )
    };
    let client = |number: u16| format!("[[client]]\nsystem-id = \"app-{number}\"\npassword = \"x\"\n");
    let text = "[[vserver]]\nname = \"v\"\nlisten = [\"127.0.0.1:2775\"]\n".to_owned()
        + &(0..parties).map(server).collect::<String>()
        + &(0..parties).map(client).collect::<String>();
    let at = |uptime: u64| {
        let report = |core: u16| Report {
            core,
            counters: Counters {
                client_requests: 1000 * uptime,
                ..Counters::default()
            },
            servers: (0..parties)
                .map(|number| ServerReport {
                    server: ServerIndex(number),
                    bound_sessions: u64::from(number > 0),
                    requests: uptime * u64::from(number),
                    window: 1000,
                    share_percent: 100,
                    ..ServerReport::default()
                })
                .collect(),
            clients: (0..parties)
                .map(|number| ClientReport {
                    client: Some(ClientIndex(number.into())),
                    sessions: 1,
                    ..ClientReport::default()
                })
                .collect(),
            ..Report::default()
        };
        let mut snapshot = Snapshot::of(&text, 0, (0..cores).map(report).collect());
        snapshot.uptime = Duration::from_secs(uptime);
        snapshot.wanted = WITH_ACCOUNTS;
        snapshot
    };
    Live::of(&at(99), &at(100), None)
}

fn model_of(live: Live) -> Model {
    let mut model = Model::new("127.0.0.1:9775".into(), true);
    let points = vec![
        Point {
            client_requests_per_second: 500.0,
            ..live.point
        };
        10
    ];
    model.learn(News::History(History { points }), Instant::now());
    model.learn(News::Live(Box::new(live)), Instant::now());
    model
}

fn drawn(model: &mut Model, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a buffer");
    terminal
        .draw(|frame| draw(frame, model, Instant::now()))
        .expect("it is drawn");
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width);
    let symbols: Vec<&str> = buffer.content.iter().map(|cell| cell.symbol()).collect();
    symbols
        .chunks(width)
        .map(|line| line.concat().trim_end().to_owned())
        .collect()
}

fn press(model: &mut Model, code: KeyCode) -> bool {
    model
        .handle(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
        .is_break()
}

/// Goal: 80 by 24 has the whole, every core, the table with what matters, and the keys.
#[test]
fn eighty_by_twenty_four_is_enough() {
    let mut model = model_of(live(3, 4));
    let screen = lines(&drawn(&mut model, 80, 24));
    assert!(
        screen[0].starts_with("smppmux ")
            && screen[0].contains("serving, ready")
            && screen[0].contains("127.0.0.1:9775"),
        "{}",
        screen[0]
    );
    assert!(screen[1].starts_with("MT 4,000/s  MO 0/s"), "{}", screen[1]);
    assert!(screen[2].contains("servers 2 of 3  sessions 0"), "{}", screen[2]);
    assert!(screen[3].starts_with("MT+MO/s "));
    assert!(
        screen[4].starts_with("core 0  [") && screen[4].contains("core 1"),
        "{}",
        screen[4]
    );
    assert!(
        screen[5].contains("core 2") && screen[5].contains("core 3"),
        "{}",
        screen[5]
    );
    assert!(screen[6].contains("1 Servers") && screen[6].contains("5 Pools"));
    assert!(
        screen[7].starts_with("server ") && screen[7].contains("MT/s"),
        "{}",
        screen[7]
    );
    assert!(
        screen[8].starts_with("smsc-0 ") && screen[8].contains("down"),
        "{}",
        screen[8]
    );
    assert!(
        screen[10].starts_with("smsc-2 ") && screen[10].contains("up"),
        "{}",
        screen[10]
    );
    assert!(screen[22].contains("a wider terminal"));
    assert!(screen[23].starts_with("q quit"));
    let wide = lines(&drawn(&mut model, 160, 24)).join("\n");
    assert!(
        wide.contains("192.0.2.1:2775") && !wide.contains("wider terminal"),
        "{wide}"
    );
}

/// Goal: the keys turn to each table, sort by each column both ways, scroll within bounds, pause, and end.
#[test]
fn keys_do_what_they_say() {
    let mut model = model_of(live(60, 1));
    let first = |model: &mut Model| {
        lines(&drawn(model, 80, 24))[7]
            .split_whitespace()
            .next()
            .map(str::to_owned)
    };
    assert_eq!(first(&mut model).as_deref(), Some("smsc-0"));
    let mt = super::tables::SERVERS
        .iter()
        .position(|column| column.head == "MT/s")
        .expect("it is there");
    for _ in 0..=mt {
        press(&mut model, KeyCode::Right);
    }
    press(&mut model, KeyCode::Char('r'));
    assert_eq!(first(&mut model).as_deref(), Some("smsc-59"), "the busiest one");
    press(&mut model, KeyCode::End);
    let screen = lines(&drawn(&mut model, 80, 24));
    assert!(
        screen[21].starts_with("smsc-0 ") && screen[22].contains("46 to 60 of 60"),
        "{screen:?}"
    );
    press(&mut model, KeyCode::Home);
    assert_eq!(first(&mut model).as_deref(), Some("smsc-59"));
    for (key, words) in [
        ('2', "app-0"),
        ('3', "core"),
        ('4', "queue is off"),
        ('5', "No session receives"),
        ('1', "smsc-59"),
    ] {
        press(&mut model, KeyCode::Char(key));
        let screen = lines(&drawn(&mut model, 80, 24)).join("\n");
        assert!(screen.contains(words), "{key}: {screen}");
    }
    press(&mut model, KeyCode::Char('p'));
    model.learn(News::Live(Box::new(live(1, 1))), Instant::now());
    assert_eq!(first(&mut model).as_deref(), Some("smsc-59"), "it stands still");
    assert!(lines(&drawn(&mut model, 80, 24))[0].contains("PAUSED"));
    assert!(press(&mut model, KeyCode::Char('q')) && press(&mut model, KeyCode::Esc));
    assert!(
        model
            .handle(&Event::Key(KeyEvent::new(
                KeyCode::Char('c'),
                KeyModifiers::CONTROL
            )))
            .is_break()
    );
}

/// Goal: without a smppmux it says what is wrong, with one it shows again; no colour where none is wanted; and no size, however
/// odd, is a fault.
#[test]
fn trouble_is_told() {
    let mut model = Model::new("127.0.0.1:9775".into(), false);
    assert!(lines(&drawn(&mut model, 80, 24))[1].contains("connecting"));
    model.learn(
        News::Trouble("127.0.0.1:9775: Connection refused".into()),
        Instant::now(),
    );
    assert!(lines(&drawn(&mut model, 80, 24))[1].contains("Connection refused; trying again"));
    model.learn(News::Live(Box::new(live(2, 2))), Instant::now());
    let buffer = drawn(&mut model, 80, 24);
    assert!(lines(&buffer)[1].starts_with("MT "));
    assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset));
    assert!(
        model
            .trouble(Instant::now() + Duration::from_secs(9))
            .is_some_and(|words| words.contains("no new figures"))
    );
    for (width, height) in [(1, 1), (2, 40), (300, 2), (20, 6), (500, 200)] {
        for _ in 0..5 {
            press(&mut model, KeyCode::Tab);
            drawn(&mut model, width, height);
        }
    }
}
