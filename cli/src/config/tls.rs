//! TLS: `tls` under `[[server]]`, and the versions.

use super::value::{Text as _, Value, choices};
use serde::Deserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use std::fmt;

/// The oldest version of TLS that is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    V12,
    /// TLS 1.3 (RFC 8446).
    V13,
}

choices!(TlsVersion: "1.2" => Self::V12, "1.3" => Self::V13);

/// Whether the connection to a server is encrypted, and how: `true`, `false`, or a table of what differs from the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// It is.
    pub is_on: bool,
    /// File of the certificates that sign the server's. Default: the system's.
    pub ca: Option<String>,
    /// The name that its certificate must be for. Default: the host of its address.
    pub name: Option<String>,
    /// File of our certificate. Default: none.
    pub certificate: Option<String>,
    /// File of its key.
    pub key: Option<String>,
    /// The oldest version that is accepted. Default: `"1.2"`.
    pub minimum_version: TlsVersion,
}

const KEYS: &[&str] = &["ca", "name", "certificate", "key", "minimum-version"];

impl Value for Tls {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TlsVisitor;

        impl<'de> Visitor<'de> for TlsVisitor {
            type Value = Tls;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("true, false or a table")
            }

            fn visit_bool<E>(self, is_on: bool) -> Result<Tls, E> {
                Ok(Tls {
                    is_on,
                    ..Tls::default()
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tls, A::Error> {
                let mut tls = Tls {
                    is_on: true,
                    ..Tls::default()
                };
                while let Some((key, value)) = access.next_entry::<String, String>()? {
                    match key.as_str() {
                        "ca" => tls.ca = Some(value),
                        "name" => tls.name = Some(value),
                        "certificate" => tls.certificate = Some(value),
                        "key" => tls.key = Some(value),
                        "minimum-version" => {
                            tls.minimum_version = TlsVersion::parse_text(&value).map_err(A::Error::custom)?;
                        }
                        _ => return Err(A::Error::unknown_field(&key, KEYS)),
                    }
                }
                Ok(tls)
            }
        }

        deserializer.deserialize_any(TlsVisitor)
    }
}
