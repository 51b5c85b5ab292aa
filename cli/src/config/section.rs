//! What all sections have in common: their name, their keys, and reading one from a parsed document.
//!
//! A section is read key by key as far as possible: one bad value does not hide the next.

use super::hint;
use super::key::Origin;
use super::problem::{Problem, SECRET_KEYS};
use serde::de::value::Error as KeysError;
use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::forward_to_deserialize_any;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// A table of the configuration file.
pub trait Section: DeserializeOwned + Default {
    /// As it is written in the file: `[engine]`, `[[server]]`.
    const NAME: &'static str;

    /// The names of all keys, in the order of the struct.
    fn keys() -> &'static [&'static str] {
        let mut keys: &'static [&'static str] = &[];
        // The collector has nothing to give, so an error is certain; the keys are what it was called for.
        let _ = Self::deserialize(KeyCollector { keys: &mut keys });
        keys
    }
}

/// A section as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item<S> {
    /// Its keys.
    pub section: S,
    header: Range<usize>,
    broken: Vec<String>,
    given: bool,
    retired: bool,
}

impl<S: Section> Item<S> {
    /// A section that flags make up.
    pub fn by_flags(section: S) -> Self {
        Self {
            section,
            given: true,
            ..Self::default()
        }
    }

    /// Reads a table. What is wrong goes to `problems`; keys that are wrong hold their defaults.
    pub fn read(value: &Spanned<DeValue<'_>>, problems: &mut Vec<Problem>) -> Self {
        let mut item = Self {
            header: value.span(),
            given: true,
            ..Self::default()
        };
        let DeValue::Table(table) = value.get_ref() else {
            problems.push(
                Problem::new(
                    &item.at(),
                    format!("this must be a table, not {}", value.get_ref().type_str()),
                )
                .hint(format!("write {} on a line of its own", S::NAME)),
            );
            item.broken = S::keys().iter().map(|key| (*key).into()).collect();
            return item;
        };
        let mut table = table.clone();
        item.drop_unknown_keys(&mut table, problems);
        item.read_keys(table, problems);
        item
    }

    /// Where the section starts.
    pub fn at(&self) -> Origin {
        if self.given && !self.header.is_empty() {
            Origin::File(self.header.clone())
        } else {
            Origin::Default
        }
    }

    /// Whether the file has this section at all.
    pub const fn is_given(&self) -> bool {
        self.given
    }

    /// The same section as one that is no longer configured and only keeps its place.
    pub fn retired(section: S) -> Self {
        Self {
            section,
            given: true,
            retired: true,
            ..Self::default()
        }
    }

    /// Whether it only keeps its place.
    pub const fn is_retired(&self) -> bool {
        self.retired
    }

    /// Whether every key could be read.
    pub fn is_whole(&self) -> bool {
        self.broken.is_empty()
    }

    /// Reports a key that must be there and is not; one that is there but wrong has been reported already.
    pub fn require<T>(&self, key: &str, value: Option<T>, problems: &mut Vec<Problem>) -> Option<T> {
        if value.is_none() && !self.broken.iter().any(|broken| broken == key) {
            problems.push(Problem::new(&self.at(), format!("{} has no `{key}`", S::NAME)));
        }
        value
    }

    fn drop_unknown_keys(&mut self, table: &mut DeTable<'_>, problems: &mut Vec<Problem>) {
        let known = S::keys();
        let is_unknown = |key: &str| !known.contains(&key);
        let unknown: Vec<_> = table
            .keys()
            .filter(|key| is_unknown(key.get_ref()))
            .cloned()
            .collect();
        for key in unknown {
            table.remove(&key);
            let name: &str = key.get_ref();
            let problem = Problem::new(
                &Origin::File(key.span()),
                format!("unknown key `{name}` in {}", S::NAME),
            );
            problems.push(match hint::nearest(name, known.iter().copied()) {
                Some(nearest) => {
                    // It was most likely meant, so it is not missing.
                    self.broken.push(nearest.into());
                    problem.hint(format!("did you mean `{nearest}`?"))
                }
                None => problem.hint(format!("the keys are {}", known.join(", "))),
            });
        }
    }

    fn read_keys(&mut self, mut table: DeTable<'_>, problems: &mut Vec<Problem>) {
        // Each turn but the last takes one key out, so this ends.
        loop {
            let value = Spanned::new(self.header.clone(), DeValue::Table(table.clone()));
            let error = match S::deserialize(ValueDeserializer::from(value)) {
                Ok(section) => {
                    self.section = section;
                    return;
                }
                Err(error) => error,
            };
            let span = error.span().unwrap_or_else(|| self.header.clone());
            let culprit = table
                .iter()
                .find(|(_, value)| value.span().start <= span.start && span.end <= value.span().end)
                .map(|(key, _)| key.clone());
            let Some(culprit) = culprit else {
                problems.push(Problem::new(&Origin::File(span), error.message()));
                return;
            };
            let name: &str = culprit.get_ref();
            let what = if SECRET_KEYS.contains(&name) {
                "the value must be text in quotes".into()
            } else {
                plain_words(error.message())
            };
            problems.push(Problem::new(&Origin::File(span), format!("`{name}`: {what}")));
            table.remove(&culprit);
            self.broken.push(name.into());
        }
    }
}

/// serde speaks of Rust's types; an operator should not have to know them.
fn plain_words(message: &str) -> String {
    let mut words = message
        .replace("invalid type: ", "")
        .replace("invalid value: ", "");
    for (of_rust, plain) in [
        ("expected a string", "expected text in quotes"),
        ("expected a boolean", "expected true or false"),
        ("expected u8", "expected a whole number from 0 to 255"),
        ("expected u16", "expected a whole number from 0 to 65535"),
        ("expected u32", "expected a whole number from 0 to 4294967295"),
        ("expected u64", "expected a whole number"),
        ("string \"", "text \""),
        ("integer `", "the number `"),
        ("sequence, ", "a list, "),
        ("map, ", "a table, "),
    ] {
        words = words.replace(of_rust, plain);
    }
    if words == message {
        words
    } else {
        format!("found {words}")
    }
}

/// A deserializer that has no data and only notes which fields a struct asks for.
struct KeyCollector<'k> {
    keys: &'k mut &'static [&'static str],
}

impl<'de> Deserializer<'de> for KeyCollector<'_> {
    type Error = KeysError;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, KeysError> {
        Err(KeysError::custom("only structs have keys"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, KeysError> {
        *self.keys = fields;
        Err(KeysError::custom("the keys are noted"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
