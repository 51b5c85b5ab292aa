//! Everything that is wrong with a configuration, told as `file:line:column: message`.
//!
//! Problems are collected, not returned one by one: an operator mends them all in one go. A line that holds a
//! password is never shown.

use super::hint;
use super::key::Origin;
use std::fmt::Write as _;
use std::ops::Range;

/// More problems than this are counted, not shown.
const SHOWN_MAX: usize = 50;

/// Characters of an offending line that are shown at most.
const LINE_CHARACTERS_MAX: usize = 160;

/// Keys whose lines are not shown, and whose values are not repeated.
pub(super) const SECRET_KEYS: [&str; 6] = [
    "password",
    "password-hash",
    "outbind-password",
    "message-id-key",
    "rss-key",
    "address-key",
];

/// One thing that is wrong, or that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub at: Origin,
    /// What; no full stop.
    pub message: String,
    /// What would be right, in a few words.
    pub hint: Option<String>,
    /// Where the same was said first, for a duplicate.
    pub first: Option<Origin>,
}

impl Problem {
    /// A problem at a place.
    pub fn new(at: &Origin, message: impl Into<String>) -> Self {
        Self {
            at: at.clone(),
            message: message.into(),
            hint: None,
            first: None,
        }
    }

    /// The same for a duplicate of what stands at `first`.
    #[must_use]
    pub fn first_at(mut self, first: &Origin) -> Self {
        self.first = Some(first.clone());
        self
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A configuration's text and what to call it in messages.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file's name as the user gave it; empty when there is no file.
    pub name: String,
    /// The file's text.
    pub text: String,
}

impl Source {
    /// Line and column of an octet, both from 1; the column counts characters.
    pub fn line_and_column(&self, octet: usize) -> (usize, usize) {
        let before = &self.text.as_bytes()[..octet.min(self.text.len())];
        let line_start = before
            .iter()
            .rposition(|octet| *octet == b'\n')
            .map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|octet| **octet == b'\n').count();
        (
            line,
            1 + String::from_utf8_lossy(&before[line_start..]).chars().count(),
        )
    }

    /// The problem in full: the place, the message, the offending line with a mark under it, the hint.
    pub fn describe(&self, problem: &Problem) -> String {
        let mut text = format!("{}: {}", self.place(&problem.at), problem.message);
        let first = problem
            .first
            .as_ref()
            .map(|first| format!("first at {}", self.place(first)));
        let hint = problem.hint.as_ref().or(first.as_ref());
        match (&problem.at, hint) {
            (Origin::File(span), hint) => self.show_line(&mut text, span, hint.map(String::as_str)),
            (Origin::Flag(_) | Origin::Default, Some(hint)) => {
                let _ = write!(text, "\n  = {hint}");
            }
            (Origin::Flag(_) | Origin::Default, None) => {}
        }
        text
    }

    /// A warning on one line for a terminal.
    pub fn describe_warning(&self, warning: &Problem) -> String {
        format!("{}: warning: {}", self.place(&warning.at), warning.message)
    }

    /// The place and the message alone, for the log.
    pub fn describe_briefly(&self, problem: &Problem) -> String {
        format!("{}: {}", self.place(&problem.at), problem.message)
    }

    /// All problems in the order of their places, errors in full.
    pub fn describe_all(&self, problems: &[Problem]) -> String {
        let mut sorted: Vec<&Problem> = problems.iter().collect();
        sorted.sort_by_key(|problem| match &problem.at {
            Origin::Flag(_) | Origin::Default => 0,
            Origin::File(span) => span.start,
        });
        let mut lines: Vec<String> = sorted
            .iter()
            .take(SHOWN_MAX)
            .map(|problem| self.describe(problem))
            .collect();
        if sorted.len() > SHOWN_MAX {
            lines.push(format!("… and {} more errors", sorted.len() - SHOWN_MAX));
        }
        lines.join("\n")
    }

    fn place(&self, at: &Origin) -> String {
        match at {
            Origin::File(span) => {
                let (line, column) = self.line_and_column(span.start);
                format!("{}:{line}:{column}", self.name)
            }
            Origin::Flag(flag) => format!("{flag} on the command line"),
            Origin::Default if self.name.is_empty() => "command line".into(),
            Origin::Default => format!("{}:1:1", self.name),
        }
    }

    fn show_line(&self, text: &mut String, span: &Range<usize>, hint: Option<&str>) {
        let (line, column) = self.line_and_column(span.start);
        let content = self.text.lines().nth(line - 1).unwrap_or("").trim_end();
        let gutter = line.to_string();
        let padding = " ".repeat(gutter.len());
        let shown: String = if holds_secret(content) {
            let key_end = content.find('=').map_or(0, |at| at + 1);
            format!("{} (not shown)", &content[..key_end])
        } else {
            content.chars().take(LINE_CHARACTERS_MAX).collect()
        };
        let room = shown.chars().count().saturating_sub(column - 1).max(1);
        let marked = self.text.get(span.clone()).map_or(1, |marked| {
            marked.lines().next().unwrap_or("").trim_end().chars().count()
        });
        let before: String = shown
            .chars()
            .take(column - 1)
            .map(|character| if character == '\t' { '\t' } else { ' ' })
            .collect();
        let mark = "^".repeat(marked.clamp(1, room));
        let hint = hint.map(|hint| format!(" {hint}")).unwrap_or_default();
        let _ = write!(
            text,
            "\n  {padding} |\n  {gutter} | {shown}\n  {padding} | {before}{mark}{hint}"
        );
    }
}

/// Whether the line may hold a password or key, under its name or one that was meant to be it.
fn holds_secret(line: &str) -> bool {
    let name = line.split('=').next().unwrap_or("").trim();
    SECRET_KEYS.iter().any(|key| line.contains(key)) || hint::nearest(name, SECRET_KEYS.into_iter()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source {
            name: "x.toml".into(),
            text: text.into(),
        }
    }

    /// Goal: lines and columns count from 1, and columns count characters.
    #[test]
    fn columns_count_characters() {
        let source = source("a = 1\nü = \"ä\" x\n");
        assert_eq!(source.line_and_column(0), (1, 1));
        assert_eq!(source.line_and_column(6), (2, 1));
        let octet_of_x = source.text.find('x').unwrap_or(0);
        assert_eq!(source.line_and_column(octet_of_x), (2, 9));
        assert_eq!(source.line_and_column(999), (3, 1));
    }

    /// Goal: the mark stands under the offending text, and the hint behind it.
    #[test]
    fn the_offending_text_is_marked() {
        let source = source("\nwidnow = 10\n");
        let problem = Problem::new(&Origin::File(1..7), "unknown key").hint("did you mean `window`?");
        assert_eq!(
            source.describe(&problem),
            "x.toml:2:1: unknown key\n    |\n  2 | widnow = 10\n    | ^^^^^^ did you mean `window`?"
        );
    }

    /// Goal: no error shows a password.
    #[test]
    fn secrets_are_not_shown() {
        for key in [
            "password",
            "pasword",
            "Password",
            "pasword-hash",
            "outbind-pasword",
            "rss-key",
        ] {
            let source = source(&format!("{key} = \"hunter2\" oops"));
            let text = source.describe(&Problem::new(&Origin::File(3..5), "unexpected"));
            assert!(
                text.contains("= (not shown)") && !text.contains("hunter2"),
                "{text}"
            );
        }
    }
}
