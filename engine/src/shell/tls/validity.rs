//! From when until when a certificate is valid.
//!
//! webpki does not give the dates, but names them when it refuses a certificate for them, and it looks at them before
//! everything else. So no second reader of X.509 is needed.

use rustls::pki_types::{CertificateDer, UnixTime};
use std::time::Duration;
use webpki::{EndEntityCert, Error, KeyUsage};

/// So long before the end an operator is told.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);
/// Behind everything that a certificate can name: the year 10000.
const NEVER: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(253_402_300_800));

/// How a certificate stands at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    /// It is valid for so long.
    For(Duration),
    /// It has run out so long ago.
    Expired(Duration),
    /// It will be valid after so long.
    NotYet(Duration),
    /// Its dates cannot be read.
    Unreadable,
}

impl Validity {
    pub(super) fn of(certificate: &CertificateDer<'_>, now: UnixTime) -> Self {
        let since =
            |from: UnixTime, to: UnixTime| Duration::from_secs(to.as_secs().saturating_sub(from.as_secs()));
        match refusal(certificate, now) {
            Some(Error::CertExpired { not_after, .. }) => Self::Expired(since(not_after, now)),
            Some(Error::CertNotValidYet { not_before, .. }) => Self::NotYet(since(now, not_before)),
            // For other reasons, as nobody has signed it here: the dates are good.
            Some(_) => match refusal(certificate, NEVER) {
                Some(Error::CertExpired { not_after, .. }) => Self::For(since(now, not_after)),
                _ => Self::Unreadable,
            },
            None => Self::Unreadable,
        }
    }

    /// Why no peer would believe it.
    pub(super) fn obstacle(self) -> Option<String> {
        match self {
            Self::For(_) => None,
            Self::Expired(ago) => Some(format!("this certificate expired {} ago", shown(ago))),
            Self::NotYet(until) => Some(format!(
                "this certificate is not valid before {} from now",
                shown(until)
            )),
            Self::Unreadable => Some("the dates of this certificate cannot be read".to_owned()),
        }
    }

    /// What an operator should know.
    pub(super) fn warning(self) -> Option<String> {
        match self {
            Self::For(left) if left <= SOON => Some(format!("this certificate expires in {}", shown(left))),
            other => other.obstacle(),
        }
    }
}

/// Why webpki refuses a certificate that nobody has signed.
fn refusal(certificate: &CertificateDer<'_>, now: UnixTime) -> Option<Error> {
    let leaf = EndEntityCert::try_from(certificate).ok()?;
    leaf.verify_for_usage(&[], &[], &[], now, KeyUsage::server_auth(), None, None)
        .err()
}

/// In the largest unit that says enough.
fn shown(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match minutes {
        0..120 => format!("{minutes} minutes"),
        120..2880 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}
