//! What a peer is told when it is started, as `key=value`.

use std::net::SocketAddr;

/// Which side it plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Esme,
    Smsc,
}

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) role: Role,
    /// The number of this process among all that were started.
    pub(crate) life: u16,
    /// Where records go.
    pub(crate) log: String,
    /// Messages per second.
    pub(crate) rate: f64,
    /// Unanswered messages on each session at most.
    pub(crate) window: usize,
    /// Where an ESME connects, and an SMSC listens.
    pub(crate) address: SocketAddr,
    /// The accounts that an ESME binds with, or those to which an SMSC sends.
    pub(crate) accounts: Vec<u8>,
    /// Sessions of each account.
    pub(crate) connections: usize,
    /// The account that claims no range.
    pub(crate) guest: u8,
    /// What is noted or done wrongly now and then, so that the books must notice it.
    pub(crate) sabotage: String,
}

impl Settings {
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self {
            role: Role::Esme,
            life: 0,
            log: String::new(),
            rate: 0.0,
            window: 100,
            address: SocketAddr::from(([127, 0, 0, 1], 2775)),
            accounts: Vec::new(),
            connections: 1,
            guest: 0,
            sabotage: String::new(),
        };
        for argument in arguments {
            settings
                .set(&argument)
                .ok_or_else(|| format!("wrong argument: {argument}"))?;
        }
        if settings.log.is_empty() {
            return Err("no log is named".to_owned());
        }
        Ok(settings)
    }

    fn set(&mut self, argument: &str) -> Option<()> {
        let (key, value) = argument.split_once('=')?;
        match key {
            "role" => {
                self.role = match value {
                    "esme" => Role::Esme,
                    "smsc" => Role::Smsc,
                    _ => return None,
                }
            }
            "life" => self.life = value.parse().ok()?,
            "log" => value.clone_into(&mut self.log),
            "rate" => self.rate = value.parse().ok()?,
            "window" => self.window = value.parse().ok()?,
            "address" => self.address = value.parse().ok()?,
            "accounts" => {
                self.accounts = value
                    .split(',')
                    .map(|account| account.parse().ok())
                    .collect::<Option<_>>()?;
            }
            "connections" => self.connections = value.parse().ok()?,
            "guest" => self.guest = value.parse().ok()?,
            "sabotage" => value.clone_into(&mut self.sabotage),
            _ => return None,
        }
        Some(())
    }
}
