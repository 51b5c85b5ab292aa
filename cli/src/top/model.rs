//! What has come, and what the keys have chosen.

use super::tables::{CLIENTS, CORES, LINES, POOLS, SERVERS};
use super::watch::News;
use crate::admin::live::{HISTORY_MAX, Live, Point};
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Figures that are older are told to be old.
const STALE_AFTER: Duration = Duration::from_secs(4);

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Servers,
    Clients,
    Cores,
    Queue,
    Pools,
}

impl Page {
    pub(super) const ALL: [Self; 5] = [
        Self::Servers,
        Self::Clients,
        Self::Cores,
        Self::Queue,
        Self::Pools,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Servers => "Servers",
            Self::Clients => "Clients",
            Self::Cores => "Cores",
            Self::Queue => "Queue",
            Self::Pools => "Pools",
        }
    }

    const fn columns(self) -> usize {
        match self {
            Self::Servers => SERVERS.len(),
            Self::Clients => CLIENTS.len(),
            Self::Cores => CORES.len(),
            Self::Queue => LINES.len(),
            Self::Pools => POOLS.len(),
        }
    }
}

/// By which column, if any, and which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) column: Option<usize>,
    pub(super) is_descending: bool,
}

/// Everything that the screen shows.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) place: String,
    pub(super) is_coloured: bool,
    pub(super) live: Option<Box<Live>>,
    pub(super) history: VecDeque<Point>,
    pub(super) is_paused: bool,
    pub(super) scroll: usize,
    trouble: Option<String>,
    heard_at: Option<Instant>,
    page: usize,
    sorts: [Sort; Page::ALL.len()],
}

impl Model {
    pub(super) fn new(place: String, is_coloured: bool) -> Self {
        Self {
            place,
            is_coloured,
            live: None,
            history: VecDeque::new(),
            is_paused: false,
            scroll: 0,
            trouble: None,
            heard_at: None,
            page: 0,
            sorts: [Sort::default(); Page::ALL.len()],
        }
    }

    pub(super) fn page(&self) -> Page {
        Page::ALL.get(self.page).copied().unwrap_or(Page::Servers)
    }

    pub(super) fn sort(&self) -> Sort {
        self.sorts.get(self.page).copied().unwrap_or_default()
    }

    /// Takes in what has come.
    pub(super) fn learn(&mut self, news: News, now: Instant) {
        match news {
            News::History(history) => self.history = history.points.into(),
            News::Live(live) => {
                self.trouble = None;
                self.heard_at = Some(now);
                if live.point.seconds > 0.0 {
                    self.history.push_back(live.point);
                }
                while self.history.len() > HISTORY_MAX {
                    self.history.pop_front();
                }
                if !self.is_paused {
                    self.live = Some(live);
                }
            }
            News::Trouble(words) => self.trouble = Some(words),
        }
    }

    /// What is wrong with what is shown.
    pub(super) fn trouble(&self, now: Instant) -> Option<String> {
        let age = self
            .heard_at
            .map(|heard_at| now.saturating_duration_since(heard_at));
        match (&self.trouble, age) {
            (Some(words), _) => Some(format!("{words}; trying again")),
            (None, Some(age)) if age > STALE_AFTER => Some(format!("no new figures for {} s", age.as_secs())),
            (None, _) => None,
        }
    }

    /// Follows a key. Break: it is the end.
    pub(super) fn handle(&mut self, event: &Event) -> ControlFlow<()> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.handle_key(*key),
            _ => ControlFlow::Continue(()),
        }
    }

    fn handle_key(&mut self, key: KeyEvent) -> ControlFlow<()> {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return ControlFlow::Break(()),
            KeyCode::Char('c' | 'd') if is_control => return ControlFlow::Break(()),
            KeyCode::Tab => self.turn_to((self.page + 1) % Page::ALL.len()),
            KeyCode::BackTab => self.turn_to((self.page + Page::ALL.len() - 1) % Page::ALL.len()),
            KeyCode::Char(digit @ '1'..='5') => self.turn_to(digit as usize - '1' as usize),
            KeyCode::Right | KeyCode::Char('>') => self.sort_by(1),
            KeyCode::Left | KeyCode::Char('<') => self.sort_by(-1),
            KeyCode::Char('r') => {
                if let Some(sort) = self.sorts.get_mut(self.page) {
                    sort.is_descending = !sort.is_descending;
                }
            }
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Down | KeyCode::Char('j') => self.scroll += 1,
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown => self.scroll += 10,
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(10),
            KeyCode::Home => self.scroll = 0,
            // The screen knows how many there are.
            KeyCode::End => self.scroll = usize::MAX / 2,
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn turn_to(&mut self, page: usize) {
        self.page = page;
        self.scroll = 0;
    }

    /// The next column, or the one before; between the last and the first is the order in which the rows come.
    fn sort_by(&mut self, step: isize) {
        let places = self.page().columns() as isize + 1;
        if let Some(sort) = self.sorts.get_mut(self.page) {
            let place = sort.column.map_or(0, |column| column as isize + 1);
            let next = (place + step).rem_euclid(places) as usize;
            sort.column = next.checked_sub(1);
        }
    }
}
