//! What a scenario is: one row of the list of what breaks SMPP deployments, as scripts that a balancer passes or fails.

use crate::failure::Outcome;
use crate::setting::Setting;
use crate::stage::Stage;

/// One row.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Its number in the list; 0 is the malformed frames.
    pub(crate) row: u8,
    /// A few words.
    pub(crate) name: &'static str,
    /// What users of a balancer want.
    pub(crate) goal: &'static str,
    /// What the peers do.
    pub(crate) method: &'static str,
    /// The PDUs that must come.
    pub(crate) expected: &'static str,
    /// The scripts; all must pass. None means that the row is not claimed yet.
    pub(crate) parts: &'static [Part],
}

/// One script, run against a balancer of its own or a standing one.
#[derive(Debug)]
pub(crate) struct Part {
    /// What it tries.
    pub(crate) name: &'static str,
    /// How the balancer must be configured.
    pub(crate) setting: Setting,
    /// The script.
    pub(crate) script: fn(&mut Stage) -> Outcome,
}

impl Part {
    /// A script under the standard setting.
    pub(crate) const fn standard(name: &'static str, script: fn(&mut Stage) -> Outcome) -> Self {
        Self::under(Setting::Standard, name, script)
    }

    /// A script under another setting.
    pub(crate) const fn under(
        setting: Setting,
        name: &'static str,
        script: fn(&mut Stage) -> Outcome,
    ) -> Self {
        Self {
            name,
            setting,
            script,
        }
    }
}

impl Scenario {
    /// The number as it is written and asked for.
    pub(crate) fn label(&self) -> String {
        if self.row == 0 {
            "malformed".into()
        } else {
            self.row.to_string()
        }
    }
}
