//! When a server is left out for its answers: `eject-…` of `[[server]]`.

use super::Settling;
use super::limits::{DAY, MILLISECOND};
use crate::config::server::ServerSection;
use smppmux_engine::core::settings::EjectionSettings;

/// Requests or answers that a server is judged by, at most.
const SIGNS_MAX: u32 = 1_000_000;
/// Requests that a trial may lose, at most.
const RISE_MAX: u32 = 1_000;

impl Settling<'_> {
    pub(super) fn ejection(&mut self, section: &ServerSection) -> EjectionSettings {
        self.number("eject-timeouts", &section.eject_timeouts, &(0..=SIGNS_MAX));
        self.number("eject-errors", &section.eject_errors, &(0..=100));
        self.number("eject-answers", &section.eject_answers, &(1..=SIGNS_MAX));
        self.number("eject-rise", &section.eject_rise, &(1..=RISE_MAX));
        for (name, key) in [
            ("eject-window", &section.eject_window),
            ("eject-min", &section.eject_min),
            ("eject-max", &section.eject_max),
        ] {
            self.period(name, key, &(MILLISECOND..=DAY));
        }
        self.not_longer(
            ("eject-min", &section.eject_min),
            ("eject-max", &section.eject_max),
        );
        EjectionSettings {
            timeouts: section.eject_timeouts.value,
            errors_percent: section.eject_errors.value,
            answers_min: section.eject_answers.value,
            window: section.eject_window.value,
            min: section.eject_min.value,
            max: section.eject_max.value,
            rise: section.eject_rise.value,
        }
    }
}
