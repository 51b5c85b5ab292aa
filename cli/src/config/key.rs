//! A configured value that remembers where it came from.
//!
//! Every key of every section is a [`Key`]: so each later check can blame the exact line and column (or the
//! flag), and can tell a value that somebody chose from a default.

use super::value::{Read, Value};
use serde::{Deserialize, Deserializer};
use std::ops::Range;
use toml::Spanned;

/// Where a value was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: the default.
    Default,
    /// At these octets of the file.
    File(Range<usize>),
    /// By this flag of the command line.
    Flag(&'static str),
}

/// A value and its origin. Two keys are equal when their values are.
#[derive(Clone, Debug)]
pub struct Key<T> {
    /// The value that holds.
    pub value: T,
    origin: Origin,
}

impl<T> Key<T> {
    /// The value that holds while nobody says another one.
    pub const fn by_default(value: T) -> Self {
        Self {
            value,
            origin: Origin::Default,
        }
    }

    /// A value that a flag of the command line says.
    pub const fn by_flag(flag: &'static str, value: T) -> Self {
        Self {
            value,
            origin: Origin::Flag(flag),
        }
    }

    /// Where the value was said.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether somebody said it: in the file or by a flag.
    pub fn is_set(&self) -> bool {
        self.origin != Origin::Default
    }

    /// Another value from the same place.
    pub fn with_value<U>(&self, value: U) -> Key<U> {
        Key {
            value,
            origin: self.origin.clone(),
        }
    }

    /// A flag beats the file and the default.
    pub fn override_by(&mut self, flag: &'static str, value: Option<T>) {
        if let Some(value) = value {
            *self = Self::by_flag(flag, value);
        }
    }
}

impl<T> Key<Option<T>> {
    /// A key without a default that nobody has set.
    pub const fn unset() -> Self {
        Self::by_default(None)
    }
}

impl<T: PartialEq> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<'de, T: Value> Deserialize<'de> for Key<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Read<T>>::deserialize(deserializer)?;
        let origin = Origin::File(spanned.span());
        Ok(Self {
            value: spanned.into_inner().0,
            origin,
        })
    }
}
