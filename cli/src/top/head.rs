//! The head of the screen: the whole in three lines, the messages of the last minutes, and a bar for each core.

use super::columns::{percent, rate, seconds};
use super::model::Model;
use super::paint::Paint;
use crate::admin::live::{Live, LiveCore};
use crate::style::grouped;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline};
use std::time::Instant;

/// Lines for cores in the head; the table has all.
const CORE_LINES_MAX: usize = 4;

/// How wide a core's figures are, without its bar.
const CORE_TEXT_WIDTH: usize = 31;

/// The whole: its state, totals, and the messages of the last minutes.
pub(super) fn draw_head(frame: &mut Frame<'_>, area: Rect, model: &Model, paint: Paint, now: Instant) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut first = vec![Span::styled("smppmux ", bold)];
    if let Some(live) = &model.live {
        let status = &live.status;
        first.push(Span::raw(format!("{}  ", status.version)));
        let missing = status.cores.saturating_sub(status.cores_answering);
        first.push(match &status.not_ready {
            Some(reason) => Span::styled(format!("{}, not ready: {reason}", status.phase), paint.bad()),
            None if missing > 0 => Span::styled(
                format!("{missing} of {} engines do not answer", status.cores),
                paint.bad(),
            ),
            None => Span::styled(format!("{}, ready", status.phase), paint.good()),
        });
        first.push(Span::raw(format!(
            "  up {}",
            crate::ctl::readable(status.uptime_seconds)
        )));
    }
    first.push(Span::raw(format!("  {}", model.place)));
    if model.is_paused {
        first.push(Span::styled("  PAUSED", paint.warning()));
    }
    let mut lines = vec![Line::from(first)];
    if let Some(words) = model.trouble(now) {
        lines.push(Line::from(Span::styled(words, paint.bad())));
    } else if model.live.is_none() {
        lines.push(Line::raw("connecting…"));
    }
    if let Some(live) = &model.live {
        lines.extend(totals(live));
    }
    let [text, chart] =
        Layout::vertical([Constraint::Length(lines.len().min(3) as u16), Constraint::Min(0)]).areas(area);
    frame.render_widget(Paragraph::new(lines), text);
    draw_history(frame, chart, model, paint);
}

fn totals(live: &Live) -> [Line<'static>; 2] {
    let (point, status) = (&live.point, &live.status);
    let queue = live
        .queue
        .as_ref()
        .map_or_else(|| "off".to_owned(), |queue| grouped(queue.messages));
    [
        Line::raw(format!(
            "MT {}/s  MO {}/s  errors {}/s  throttled {}/s  timeouts {}/s  C2C {}/s",
            rate(point.client_requests_per_second),
            rate(point.mobile_originated_per_second),
            rate(point.server_errors_per_second + point.own_answers_per_second),
            rate(point.throttled_per_second),
            rate(point.timeouts_per_second),
            rate(point.core_messages_per_second),
        )),
        Line::raw(format!(
            "response {}, 99 % {}  servers {} of {}  sessions {}  held {}  queue {queue}",
            seconds(point.response_seconds_p50),
            seconds(point.response_seconds_p99),
            grouped(status.servers_bound),
            grouped(status.servers),
            grouped(status.client_sessions),
            grouped(status.held_requests),
        )),
    ]
}

fn draw_history(frame: &mut Frame<'_>, area: Rect, model: &Model, paint: Paint) {
    let label = "MT+MO/s ";
    let [name, chart] =
        Layout::horizontal([Constraint::Length(label.len() as u16), Constraint::Min(0)]).areas(area);
    let width = usize::from(chart.width);
    let values: Vec<u64> = model
        .history
        .iter()
        .skip(model.history.len().saturating_sub(width))
        .map(|point| (point.client_requests_per_second + point.mobile_originated_per_second).round() as u64)
        .collect();
    if values.is_empty() {
        return;
    }
    frame.render_widget(Paragraph::new(label), name);
    frame.render_widget(
        Sparkline::default().data(values).style(paint.of(Color::Cyan)),
        chart,
    );
}

/// How many cores are beside each other.
fn core_columns(width: u16) -> usize {
    (usize::from(width) / (CORE_TEXT_WIDTH + 9)).max(1)
}

/// How many lines the cores take.
pub(super) fn core_lines(cores: usize, width: u16) -> usize {
    cores.div_ceil(core_columns(width)).min(CORE_LINES_MAX)
}

/// A bar for each core.
pub(super) fn draw_cores(frame: &mut Frame<'_>, area: Rect, cores: &[LiveCore], paint: Paint) {
    let columns = core_columns(area.width);
    let width = usize::from(area.width) / columns;
    let lines: Vec<Line<'_>> = cores
        .chunks(columns)
        .take(CORE_LINES_MAX)
        .map(|cores| {
            Line::from(
                cores
                    .iter()
                    .flat_map(|core| core_bar(core, width, paint))
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn core_bar(core: &LiveCore, width: usize, paint: Paint) -> [Span<'static>; 3] {
    let room = width.saturating_sub(CORE_TEXT_WIDTH).max(1);
    let full = ((core.load * room as f64).round() as usize).min(room);
    let style = if core.load >= 0.9 {
        paint.warning()
    } else {
        paint.of(Color::Blue)
    };
    let messages = core.client_requests_per_second + core.mobile_originated_per_second;
    [
        Span::raw(format!("core {:<3}[", core.row.core)),
        Span::styled("|".repeat(full), style),
        Span::raw(format!(
            "{}] {:>5} {:>13} ",
            " ".repeat(room - full),
            percent(core.load),
            format!("{}/s", rate(messages))
        )),
    ]
}
