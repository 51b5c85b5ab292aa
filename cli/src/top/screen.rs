//! Drawing: a head with the whole, the cores, one table, the keys. Works from 80 by 24 on, and shows less where there is less room.

use super::columns::{Column, fitting};
use super::head::{core_lines, draw_cores, draw_head};
use super::model::{Model, Page, Sort};
use super::paint::Paint;
use super::tables::{CLIENTS, CORES, LINES, POOLS, SERVERS};
use crate::style::grouped;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Table};
use std::time::Instant;

const KEYS: &str = "q quit  Tab/1-5 table  </> sort  r reverse  arrows scroll  p pause";

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model, now: Instant) {
    let paint = Paint {
        is_coloured: model.is_coloured,
    };
    let cores = model
        .live
        .as_ref()
        .map_or(0, |live| core_lines(live.cores.len(), frame.area().width));
    let [head, bars, tabs, table, keys] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(cores as u16),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_head(frame, head, model, paint, now);
    if let Some(live) = &model.live {
        draw_cores(frame, bars, &live.cores, paint);
    }
    draw_tabs(frame, tabs, model);
    draw_page(frame, table, model, paint);
    let keys_style = Style::new().add_modifier(Modifier::DIM);
    frame.render_widget(Paragraph::new(KEYS).style(keys_style), keys);
}

fn draw_tabs(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let tab = |(place, page): (usize, Page)| {
        let style = if page == model.page() {
            Style::new().add_modifier(Modifier::REVERSED)
        } else {
            Style::new()
        };
        [
            Span::styled(format!(" {} {} ", place + 1, page.name()), style),
            Span::raw(" "),
        ]
    };
    let tabs = Page::ALL.into_iter().enumerate().flat_map(tab);
    frame.render_widget(Paragraph::new(Line::from(tabs.collect::<Vec<_>>())), area);
}

fn draw_page(frame: &mut Frame<'_>, area: Rect, model: &mut Model, paint: Paint) {
    let Some(live) = model.live.take() else { return };
    let (page, sort) = (model.page(), model.sort());
    let mut view = View {
        frame,
        area,
        sort,
        scroll: &mut model.scroll,
        paint,
    };
    match page {
        Page::Servers => view.table(
            SERVERS,
            &live.servers,
            live.servers_left_out,
            "No server is configured.",
        ),
        Page::Clients => view.table(
            CLIENTS,
            &live.clients,
            live.clients_left_out,
            "No client has bound yet.",
        ),
        Page::Cores => view.table(CORES, &live.cores, 0, "No engine answers."),
        Page::Queue => match &live.queue {
            None => view.words("The queue is off, or its store does not answer."),
            Some(queue) if queue.is_broken => {
                view.words("Nothing can be queued: the file has failed and is not open again.");
            }
            Some(queue) => {
                let left_out = queue.destinations.saturating_sub(queue.lines.len() as u64);
                view.table(LINES, &queue.lines, left_out, "Nothing waits.");
            }
        },
        Page::Pools => view.table(
            POOLS,
            &live.pools,
            live.pools_left_out,
            "No session receives messages of an address range.",
        ),
    }
    model.live = Some(live);
}

/// Where a table goes.
struct View<'a, 'b> {
    frame: &'a mut Frame<'b>,
    area: Rect,
    sort: Sort,
    scroll: &'a mut usize,
    paint: Paint,
}

impl View<'_, '_> {
    fn words(&mut self, words: &str) {
        self.frame.render_widget(Paragraph::new(words), self.area);
    }

    fn table<R>(&mut self, columns: &[Column<R>], rows: &[R], left_out: u64, empty: &str) {
        if rows.is_empty() {
            self.words(empty);
            return;
        }
        let mut rows: Vec<&R> = rows.iter().collect();
        if let Some(column) = self.sort.column.and_then(|column| columns.get(column)) {
            rows.sort_by(|one, other| column.cell.compare(one, other));
        }
        if self.sort.is_descending {
            rows.reverse();
        }
        let shown = fitting(columns, &rows, usize::from(self.area.width));
        // Two lines are the head and the line that says what is not shown.
        let room = usize::from(self.area.height.saturating_sub(2)).max(1);
        *self.scroll = (*self.scroll).min(rows.len().saturating_sub(room));
        let (from, to) = (*self.scroll, (*self.scroll + room).min(rows.len()));
        let visible = rows.get(from..to).unwrap_or_default();
        let head = shown
            .iter()
            .filter_map(|(place, _)| Some(self.head(*place, columns.get(*place)?)));
        let head = Row::new(head).style(Style::new().add_modifier(Modifier::BOLD));
        let body = visible.iter().map(|row| {
            let cells = shown
                .iter()
                .filter_map(|(place, _)| Some(self.cell(columns.get(*place)?, row)));
            Row::new(cells.collect::<Vec<_>>())
        });
        let widths = shown.iter().map(|(_, width)| Constraint::Length(*width as u16));
        let table = Table::new(body.collect::<Vec<_>>(), widths)
            .header(head)
            .column_spacing(1);
        let [table_area, rest_area] =
            Layout::vertical([Constraint::Min(1), Constraint::Length(1)]).areas(self.area);
        self.frame.render_widget(table, table_area);
        let hidden = columns.len() - shown.len();
        let rest = rest_line((from, to, rows.len()), left_out, hidden);
        let dim = Style::new().add_modifier(Modifier::DIM);
        self.frame
            .render_widget(Paragraph::new(rest).style(dim), rest_area);
    }

    fn head<R>(&self, place: usize, column: &Column<R>) -> Line<'static> {
        let arrow = match (self.sort.column == Some(place), self.sort.is_descending) {
            (false, _) => "",
            (true, false) => "^",
            (true, true) => "v",
        };
        aligned(format!("{}{arrow}", column.head), column.cell.is_number())
    }

    fn cell<R>(&self, column: &Column<R>, row: &R) -> Line<'static> {
        let text = column.cell.text(row);
        let style = match (column.head, text.as_str()) {
            ("state", "up" | "bound") => self.paint.good(),
            ("state", "down" | "ejected") => self.paint.bad(),
            ("state", "draining" | "drained" | "trial" | "starting") => self.paint.warning(),
            ("err/s", errors) if errors != "0" => self.paint.warning(),
            _ => Style::new(),
        };
        aligned(text, column.cell.is_number()).style(style)
    }
}

fn aligned(text: String, is_right: bool) -> Line<'static> {
    let alignment = if is_right {
        Alignment::Right
    } else {
        Alignment::Left
    };
    Line::from(text).alignment(alignment)
}

/// What the table does not show.
fn rest_line((from, to, rows): (usize, usize, usize), left_out: u64, hidden_columns: usize) -> String {
    let mut parts = Vec::new();
    if (from, to) != (0, rows) {
        parts.push(format!("{} to {to} of {rows}", from + 1));
    }
    if left_out > 0 {
        parts.push(format!("{} more are not sent", grouped(left_out)));
    }
    if hidden_columns > 0 {
        let columns = if hidden_columns == 1 {
            "column needs"
        } else {
            "columns need"
        };
        parts.push(format!("{hidden_columns} {columns} a wider terminal"));
    }
    parts.join("; ")
}
