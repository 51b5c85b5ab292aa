//! "Did you mean …?": the nearest of the right names to a wrong one.

/// The name that is nearest to `wrong`, if one is near enough to be what was meant; of equally near ones the first in the alphabet,
/// so that the same file always gets the same advice.
pub(super) fn nearest<'n>(wrong: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let limit = (wrong.chars().count() / 3).clamp(1, 3);
    names
        .map(|name| (distance(&normal(wrong), &normal(name)), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Letter case and the kind of dash say nothing about what was meant.
fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// Edits (insert, delete, replace, swap of neighbours) between two names.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_previous: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (row, left_character) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, right_character) in right.iter().enumerate() {
            let replaced = previous[column] + usize::from(left_character != right_character);
            let mut best = replaced.min(previous[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0
                && column > 0
                && left[row - 1] == *right_character
                && *left_character == right[column - 1];
            if swapped {
                best = best.min(before_previous[column - 1] + 1);
            }
            current.push(best);
        }
        before_previous = std::mem::replace(&mut previous, current);
    }
    previous[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a slip of the finger finds its name; a foreign word finds none.
    #[test]
    fn slips_find_their_name() {
        let names = ["window", "weight", "system-id", "reconnect-min", "reconnect-max"];
        for (wrong, expected) in [
            ("widnow", Some("window")),
            ("windows", Some("window")),
            ("system_id", Some("system-id")),
            ("SystemId", Some("system-id")),
            ("reconect-max", Some("reconnect-max")),
            ("reconnect-mix", Some("reconnect-max")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, names.into_iter()), expected, "{wrong}");
        }
    }
}
