//! How a value of the configuration file is read, by type.
//!
//! [`Value`] stands beside serde's `Deserialize` because many types belong to the engine, which knows nothing
//! of files. Text values ([`Text`]) have one parser for the file and for the flags.

use super::key::Key;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// A type that a key may hold.
pub trait Value: Sized {
    /// Reads one; the error says what was expected and, where that helps, what would be right.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// A value that is written as text, in the file and on the command line alike.
pub trait Text: Sized {
    /// What a good text is, with an example: completes "expected …".
    const EXPECTED: &'static str;

    /// Reads the text; the error is a whole sentence without a full stop.
    fn parse_text(text: &str) -> Result<Self, String>;
}

/// Lets serde read any [`Value`].
#[derive(Debug)]
pub(super) struct Read<T>(pub(super) T);

impl<'de, T: Value> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Self)
    }
}

impl<T: Value> Value for Option<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Some)
    }
}

impl<T: Value> Value for Key<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
}

impl<T: Value> Value for Vec<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);

        impl<'de, T: Value> Visitor<'de> for Elements<T> {
            type Value = Vec<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list in square brackets")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Vec<T>, A::Error> {
                let mut elements = Vec::new();
                while let Some(Read(element)) = access.next_element()? {
                    elements.push(element);
                }
                Ok(elements)
            }
        }

        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

macro_rules! values_of_serde {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }
        }
    )*};
}

values_of_serde!(String, bool, u8, u16, u32, u64);

/// Reads a [`Text`] value from a string.
pub(super) fn read_text<'de, T: Text, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct TextVisitor<T>(PhantomData<T>);

    impl<T: Text> Visitor<'_> for TextVisitor<T> {
        type Value = T;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(T::EXPECTED)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            T::parse_text(text).map_err(E::custom)
        }
    }

    deserializer.deserialize_str(TextVisitor(PhantomData))
}

/// Makes [`Value`]s of types that are written as text.
macro_rules! text_values {
    ($($type:ty),* $(,)?) => {$(
        impl $crate::config::value::Value for $type {
            fn read<'de, D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::config::value::read_text(deserializer)
            }
        }
    )*};
}
pub(super) use text_values;

/// Makes a [`Text`] value of an enumeration: each variant and its name in the file.
macro_rules! choices {
    ($type:ty: $first:literal => $first_value:expr $(, $name:literal => $value:expr)* $(,)?) => {
        impl $crate::config::value::Text for $type {
            const EXPECTED: &'static str = concat!("one of \"", $first, "\"" $(, ", \"", $name, "\"")*);

            fn parse_text(text: &str) -> Result<Self, String> {
                match text {
                    $first => Ok($first_value),
                    $($name => Ok($value),)*
                    _ => Err($crate::config::value::unknown_choice(text, &[$first $(, $name)*])),
                }
            }
        }
        $crate::config::value::text_values!($type);
    };
}
pub(super) use choices;

/// The error for a name that is none of `names`.
pub(super) fn unknown_choice(text: &str, names: &[&str]) -> String {
    let nearest = super::hint::nearest(text, names.iter().copied());
    let suggestion = nearest
        .map(|name| format!("; did you mean \"{name}\"?"))
        .unwrap_or_default();
    format!("\"{text}\" is not one of {}{suggestion}", names.join(", "))
}
