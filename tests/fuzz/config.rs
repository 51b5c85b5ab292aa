//! Configuration files: any text gets settings or problems, each problem can be shown, and what is said is the same twice.

use smppmux::config::problem::Source;
use smppmux::config::{Configuration, settle};

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // A list such as "0-65535" of CPUs or a rule with many networks is bounded by the length of the text.
    if text.len() > 8_192 {
        return;
    }
    let first = judge(text);
    assert_eq!(first, judge(text));
}

/// What is said of a file, and whether it would be served.
fn judge(text: &str) -> (bool, String) {
    let source = Source {
        name: "fuzz.toml".into(),
        text: text.into(),
    };
    let (configuration, problems) = match Configuration::parse(text) {
        Ok(parsed) => parsed,
        Err(problems) => {
            assert!(!problems.is_empty());
            return (false, source.describe_all(&problems));
        }
    };
    let settled = settle(&configuration, problems, &[0, 1]);
    assert_eq!(settled.effective.is_some(), settled.problems.is_empty());
    let mut said = source.describe_all(&settled.problems);
    for warning in &settled.warnings {
        said += &source.describe_warning(warning);
    }
    assert!(settled.problems.is_empty() || !said.is_empty());
    (settled.effective.is_some(), said)
}
