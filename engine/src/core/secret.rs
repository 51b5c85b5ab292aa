//! Passwords in memory: never printed, compared in constant time, overwritten when they are over.

use std::fmt;

/// A password. Its `Debug` form hides it, so that no log line or panic message can show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Wraps a password.
    pub fn new(password: impl AsRef<[u8]>) -> Self {
        Self(password.as_ref().into())
    }

    /// The password itself, for writing a bind.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// Whether `candidate` is the password. The time taken depends on the candidate's length only.
    pub fn matches(&self, candidate: &[u8]) -> bool {
        let mut difference = u8::from(self.0.len() != candidate.len());
        for (index, octet) in candidate.iter().enumerate() {
            // A short secret is compared against itself in a circle; the length check above decides then.
            let expected = if self.0.is_empty() {
                !octet
            } else {
                self.0[index % self.0.len()]
            };
            difference |= expected ^ octet;
        }
        std::hint::black_box(difference) == 0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Somebody might look, as far as the compiler knows.
        std::hint::black_box(&self.0);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: only the exact octets match, whatever the lengths, and nothing is printed.
    #[test]
    fn only_the_same_octets_match() {
        let secret = Secret::new("secret");
        assert!(secret.matches(b"secret"));
        for wrong in ["", "s", "secre", "secrets", "secretsecret", "Secret"] {
            assert!(!secret.matches(wrong.as_bytes()), "{wrong}");
        }
        assert!(Secret::new("").matches(b""));
        assert!(!Secret::new("").matches(b"x"));
        assert!(!format!("{secret:?}").contains("secret"));
    }
}
