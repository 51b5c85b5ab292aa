//! `ctl status`.

use super::view::{Earlier, NONE, View, rate};
use crate::admin::api::status::{Status, StatusCounters};
use crate::style::{Style, grouped, table};
use std::time::Duration;

impl View for Status {
    fn render(&self, style: Style, before: Option<&Earlier<Self>>) -> String {
        self.head(style) + &self.places(style) + "\n" + &self.events(style, before)
    }
}

impl Status {
    fn head(&self, style: Style) -> String {
        let uptime = Duration::from_secs(self.uptime_seconds as u64);
        let readiness = match &self.not_ready {
            None => style.good("ready"),
            Some(reason) => style.bad(&format!("not ready: {reason}")),
        };
        format!(
            "smppmux {}, {} for {} on {} of {} cores, {readiness}\n\
             servers bound {} of {}, clients' sessions {} on {} connections, accounts {}, held requests {}\n\n",
            self.version,
            self.phase,
            readable(uptime),
            self.cores_answering,
            self.cores,
            self.servers_bound,
            self.servers,
            grouped(self.client_sessions),
            grouped(self.client_connections),
            grouped(self.clients),
            grouped(self.held_requests),
        )
    }

    fn places(&self, style: Style) -> String {
        let rows: Vec<Vec<String>> = self
            .vservers
            .iter()
            .map(|vserver| {
                let or_none = |list: &[String]| {
                    if list.is_empty() {
                        NONE.into()
                    } else {
                        list.join(" ")
                    }
                };
                vec![
                    vserver.name.clone(),
                    or_none(&vserver.listen),
                    or_none(&vserver.servers),
                ]
            })
            .collect();
        table(style, &["vserver", "listening at", "servers"], &rows)
    }

    fn events(&self, style: Style, before: Option<&Earlier<Self>>) -> String {
        type Figure = fn(&StatusCounters) -> u64;
        let figures: [(&str, Figure); 13] = [
            ("requests of clients (MT)", |counters| counters.client_requests),
            ("  answered", |counters| counters.client_answers),
            ("  by smppmux itself", |counters| counters.client_answers_own),
            ("messages of servers (MO)", |counters| counters.mobile_originated),
            ("  answered", |counters| counters.mobile_originated_answers),
            ("  by smppmux itself", |counters| {
                counters.mobile_originated_answers_own
            }),
            ("throttled", |counters| counters.throttled),
            ("timeouts", |counters| counters.timeouts),
            ("late answers", |counters| counters.late_answers),
            ("answers to nothing", |counters| counters.unmatched_answers),
            ("protocol violations", |counters| counters.violations),
            ("binds accepted", |counters| counters.binds_accepted),
            ("binds refused", |counters| counters.binds_refused),
        ];
        let rows: Vec<Vec<String>> = figures
            .iter()
            .map(|(name, figure)| {
                let now = figure(&self.counters);
                let rate = rate(before, now, |earlier| Some(figure(&earlier.counters)));
                vec![(*name).to_owned(), grouped(now), rate]
            })
            .collect();
        table(style, &["since the start", "count", "per second"], &rows)
    }
}

/// The two largest units of a duration.
pub(super) fn readable(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: durations are told in their two largest units.
    #[test]
    fn durations_are_readable() {
        for (seconds, text) in [
            (7, "7 s"),
            (61, "1 min 1 s"),
            (7_260, "2 h 1 min"),
            (200_000, "2 d 7 h"),
        ] {
            assert_eq!(readable(Duration::from_secs(seconds)), text);
        }
    }
}
