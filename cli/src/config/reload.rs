//! A new configuration laid over the one that runs, so that every index keeps its meaning.
//!
//! Servers and accounts that are in both keep their places, new ones come behind them, and those that are gone keep their
//! places as retired ones. What only a restart can change is a refusal with its name; then nothing changes at all.

use super::Configuration;
use super::client::ClientSection;
use super::engine::EngineSection;
use super::key::{Key, Origin};
use super::problem::Problem;
use super::section::{Item, Section};
use super::server::ServerSection;
use smppmux_engine::core::settings::{ClientIndex, ServerIndex};
use std::collections::HashMap;
use std::fmt;

/// The new configuration in the old one's order, and what is different.
#[derive(Clone, Debug)]
pub struct Merged {
    /// To be settled to continue the old one's settings.
    pub configuration: Configuration,
    /// What is different.
    pub changes: Changes,
}

/// What is different between two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Servers.
    pub servers: Difference,
    /// Accounts.
    pub clients: Difference,
    /// Vservers that are in both and not the same.
    pub vservers: usize,
    /// The routing rules are, or their order is.
    pub has_other_routes: bool,
    /// `[engine]` is.
    pub has_other_engine: bool,
    /// `[message-log]` is.
    pub has_other_message_log: bool,
}

/// What is different in one kind of section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// New ones.
    pub added: usize,
    /// Those that are gone.
    pub removed: usize,
    /// Those that are in both and not the same.
    pub changed: usize,
}

/// Sections that are found again by a name.
trait Named: Section + PartialEq + Clone {
    fn name(&self) -> Option<&str>;

    /// What is left of it when it is gone: its name, and nothing that refers to others.
    fn as_retired(&self) -> Self;
}

impl Named for ServerSection {
    fn name(&self) -> Option<&str> {
        self.name.value.as_deref()
    }

    fn as_retired(&self) -> Self {
        Self {
            name: self.name.clone(),
            uid: self.uid.clone(),
            address: self.address.clone(),
            addresses: self.addresses.clone(),
            system_id: self.system_id.clone(),
            password: self.password.clone(),
            response_timeout: self.response_timeout.clone(),
            outbind_listen: self.outbind_listen.clone(),
            ..Self::default()
        }
    }
}

impl Named for ClientSection {
    fn name(&self) -> Option<&str> {
        self.system_id.value.as_deref()
    }

    fn as_retired(&self) -> Self {
        Self {
            system_id: self.system_id.clone(),
            password: self.password.clone(),
            password_hash: self.password_hash.clone(),
            ..Self::default()
        }
    }
}

impl Configuration {
    /// Lays `new`, which is free of problems, over this one.
    ///
    /// # Errors
    ///
    /// What cannot be changed without a restart, with the places in the new file.
    pub fn merged_with(&self, new: &Self) -> Result<Merged, Vec<Problem>> {
        let mut obstacles = Vec::new();
        if !is_same_engine(&self.engine.section, &new.engine.section) {
            let kept = "drain-timeout, connections-per-server and window apart";
            let message = format!("[engine] ({kept}) has changed");
            obstacles.push(Problem::new(&new.engine.at(), message));
        }
        obstacles.extend(changed_section(&self.admin, &new.admin));
        obstacles.extend(changed_section(&self.queue, &new.queue));
        obstacles.extend(changed_section(&self.receipts, &new.receipts));
        let (vservers, changed_vservers) = self.merged_vservers(new, &mut obstacles);
        self.check_outbind_listeners(new, &mut obstacles);
        if !obstacles.is_empty() {
            return Err(obstacles);
        }
        let (servers, server_changes) = merged(&self.servers, &new.servers);
        let (clients, client_changes) = merged(&self.clients, &new.clients);
        let changes = Changes {
            servers: server_changes,
            clients: client_changes,
            vservers: changed_vservers,
            has_other_routes: !is_same_list(&self.routes, &new.routes),
            has_other_engine: self.engine.section != new.engine.section,
            has_other_message_log: self.message_log.section != new.message_log.section,
        };
        let configuration = Self {
            vservers,
            servers,
            clients,
            ..new.clone()
        };
        Ok(Merged {
            configuration,
            changes,
        })
    }

    fn merged_vservers(
        &self,
        new: &Self,
        obstacles: &mut Vec<Problem>,
    ) -> (Vec<Item<super::vserver::VserverSection>>, usize) {
        let name =
            |item: &Item<super::vserver::VserverSection>| item.section.name.value.clone().unwrap_or_default();
        for item in &new.vservers {
            if !self.vservers.iter().any(|old| name(old) == name(item)) {
                let message = format!("the vserver \"{}\" is new", name(item));
                obstacles.push(Problem::new(&item.at(), message));
            }
        }
        let (mut vservers, mut changed) = (Vec::new(), 0);
        for old in &self.vservers {
            let Some(item) = new.vservers.iter().find(|item| name(item) == name(old)) else {
                let message = format!("the vserver \"{}\" is gone", name(old));
                obstacles.push(Problem::new(&Origin::Default, message));
                continue;
            };
            let (before, after) = (&old.section, &item.section);
            for (key, place) in before.needs_restart(after) {
                let place = match place {
                    Origin::Default => item.at(),
                    said => said.clone(),
                };
                let message = format!("`{key}` of the vserver \"{}\" has changed", name(old));
                obstacles.push(Problem::new(&place, message));
            }
            changed += usize::from(before != after);
            vservers.push(item.clone());
        }
        (vservers, changed)
    }

    /// Listeners are made at the start: a server keeps its own, or stops to accept there.
    fn check_outbind_listeners(&self, new: &Self, obstacles: &mut Vec<Problem>) {
        let of = |configuration: &Self, name: &str| {
            let mut items = configuration.servers.iter();
            let item = items.find(|item| item.section.name() == Some(name));
            item.and_then(|item| item.section.outbind_listen.value)
        };
        for item in &new.servers {
            let name = item.section.name().unwrap_or_default();
            let key = &item.section.outbind_listen;
            if key.value != of(self, name) {
                let place = match key.origin() {
                    Origin::Default => item.at(),
                    said => said.clone(),
                };
                let message = format!("`outbind-listen` of the server \"{name}\" has changed");
                obstacles.push(Problem::new(&place, message));
            }
        }
    }

    /// The places that are only kept.
    pub(super) fn retired(&self) -> (Vec<ServerIndex>, Vec<ClientIndex>) {
        let servers = (0_u16..).zip(&self.servers).filter(|(_, item)| item.is_retired());
        let clients = (0_u32..).zip(&self.clients).filter(|(_, item)| item.is_retired());
        (
            servers.map(|(index, _)| ServerIndex(index)).collect(),
            clients.map(|(index, _)| ClientIndex(index)).collect(),
        )
    }
}

fn merged<S: Named>(old: &[Item<S>], new: &[Item<S>]) -> (Vec<Item<S>>, Difference) {
    let mut difference = Difference::default();
    let mut coming: HashMap<&str, &Item<S>> = new
        .iter()
        .filter_map(|item| Some((item.section.name()?, item)))
        .collect();
    let mut items: Vec<Item<S>> = old
        .iter()
        .map(|before| {
            let after = before.section.name().and_then(|name| coming.remove(name));
            match after {
                Some(after) if before.is_retired() => {
                    difference.added += 1;
                    after.clone()
                }
                Some(after) => {
                    difference.changed += usize::from(before.section != after.section);
                    after.clone()
                }
                None => {
                    difference.removed += usize::from(!before.is_retired());
                    Item::retired(before.section.as_retired())
                }
            }
        })
        .collect();
    let added = new
        .iter()
        .filter(|item| item.section.name().is_some_and(|name| coming.contains_key(name)));
    for item in added {
        difference.added += 1;
        items.push(item.clone());
    }
    (items, difference)
}

/// A section that only a restart can change, if it is different.
fn changed_section<S: Section + PartialEq>(old: &Item<S>, new: &Item<S>) -> Option<Problem> {
    let message = || format!("{} has changed", S::NAME);
    (old.section != new.section).then(|| Problem::new(&new.at(), message()))
}

/// The same sections in the same order, wherever they stand in the file.
fn is_same_list<S: PartialEq>(old: &[Item<S>], new: &[Item<S>]) -> bool {
    let (old, new) = (old.iter(), new.iter());
    old.map(|item| &item.section).eq(new.map(|item| &item.section))
}

/// The same but for what the engines can take while they run.
fn is_same_engine(before: &EngineSection, after: &EngineSection) -> bool {
    let with_old = EngineSection {
        drain_timeout: Key::by_default(before.drain_timeout.value),
        connections_per_server: Key::by_default(before.connections_per_server.value),
        window: Key::by_default(before.window.value),
        ..after.clone()
    };
    *before == with_old
}

impl fmt::Display for Changes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return formatter.write_str("nothing is different");
        }
        write!(
            formatter,
            "servers: {}; clients: {}; vservers: {} changed",
            self.servers, self.clients, self.vservers
        )?;
        if self.has_other_routes {
            formatter.write_str("; routing rules changed")?;
        }
        if self.has_other_engine {
            formatter.write_str("; [engine] changed")?;
        }
        if self.has_other_message_log {
            formatter.write_str("; [message-log] changed")?;
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            added,
            removed,
            changed,
        } = self;
        write!(formatter, "{added} added, {removed} removed, {changed} changed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{settle, settle_continuing};

    fn file(servers: &[(&str, &str)], clients: &[&str], more: &str) -> Configuration {
        let mut text = format!("[[vserver]]\nname = \"v\"\nlisten = [\"127.0.0.1:0\"]\n{more}\n");
        for (name, uid) in servers {
            text += &format!(
                "[[server]]\nname = \"{name}\"\nuid = \"{uid}\"\naddress = \"h:1\"\nsystem-id = \"m\"\npassword = \"x\"\n"
            );
        }
        for client in clients {
            text += &format!(
                "[[client]]\nsystem-id = \"{client}\"\npassword = \"x\"\nservers = [\"{}\"]\n",
                servers[0].0
            );
        }
        let (configuration, problems) = Configuration::parse(&text).expect("this is TOML");
        assert_eq!(problems, vec![]);
        configuration
    }

    /// Goal: however the sections come, go, come back and are shuffled, every index keeps its meaning, those that are gone
    /// are found by nobody, and a uid can move on. Method: a chain of configurations, each laid over the last.
    #[test]
    fn indices_keep_their_meaning() {
        let mut running = file(&[("a", "0A"), ("b", "0B")], &["one", "two"], "");
        let first = settle(&running, vec![], &[0])
            .effective
            .expect("it is right")
            .settings;
        let mut settings = first;
        for (servers, clients) in [
            (vec![("b", "0B"), ("a", "0A")], vec!["two", "one"]),
            (vec![("b", "0B"), ("c", "0A")], vec!["three", "two"]),
            (vec![("c", "0C"), ("a", "0A"), ("b", "0B")], vec!["one"]),
            (vec![("a", "0A")], vec!["four", "one", "three"]),
        ] {
            let new = file(&servers, &clients, "");
            let merged = running.merged_with(&new).expect("all of this can be taken");
            let settled = settle_continuing(&merged.configuration, vec![], &[0], &settings);
            assert_eq!(settled.problems, vec![]);
            let next = settled.effective.expect("without a problem").settings;
            assert!(next.continues(&settings));
            for (index, server) in (0..).map(ServerIndex).zip(&next.servers) {
                let is_configured = servers.iter().any(|(name, _)| *name == server.name);
                assert_eq!(next.is_retired_server(index), !is_configured, "{}", server.name);
                assert_eq!(next.vservers[0].servers.contains(&index), is_configured);
            }
            for client in ["one", "two", "three", "four"] {
                assert_eq!(
                    next.account(client.as_bytes()).is_some(),
                    clients.contains(&client),
                    "{client}"
                );
            }
            (running, settings) = (merged.configuration, next);
        }
        assert_eq!(
            settings.servers.len(),
            3,
            "a name that comes back gets its old place"
        );
    }

    /// Goal: what a restart alone can change is named, and what the engines can take is not refused.
    #[test]
    fn what_needs_a_restart_is_named() {
        let running = file(&[("a", "0A")], &["one"], "");
        for (more, word) in [
            ("[engine]\nmax-pdu = 4096", "[engine]"),
            ("[queue]\nmax-count = 5", "[queue]"),
            ("[admin]\nsocket = \"x\"", "[admin]"),
        ] {
            let refusal = running
                .merged_with(&file(&[("a", "0A")], &["one"], more))
                .expect_err(more);
            assert!(refusal[0].message.contains(word), "{refusal:?}");
            assert!(matches!(refusal[0].at, Origin::File(_)), "{refusal:?}");
        }
        let window = file(&[("a", "0A")], &["one"], "[engine]\nwindow = 5");
        let merged = running.merged_with(&window).expect("it can be taken");
        assert!(merged.changes.has_other_engine);
        let same = running.merged_with(&running).expect("it is the same");
        assert_eq!(same.changes.to_string(), "nothing is different");
    }

    /// Goal: each key of a vserver that needs a restart is named, at its own place, or at the vserver's where it is gone; the
    /// others are taken.
    #[test]
    fn keys_of_a_vserver_that_need_a_restart_are_named() {
        let with = |more: &str| file(&[("a", "0A")], &["one"], more);
        let place = |configuration: &Configuration, line: &str, more: &str| {
            let refusal = configuration.merged_with(&with(more)).expect_err(more);
            let [refusal] = &refusal[..] else {
                panic!("{refusal:?}")
            };
            let key = line.split(' ').next().unwrap_or_default();
            assert!(refusal.message.contains(&format!("`{key}`")), "{refusal:?}");
            let Origin::File(place) = refusal.at.clone() else {
                panic!("{refusal:?}")
            };
            place
        };
        let running = with("");
        let of_vserver = place(&with("ban-time = \"9s\""), "ban-time", "");
        for line in [
            "auth = \"forward\"",
            "proxy-protocol = [\"10.0.0.0/8\"]",
            "max-connections = 9",
            "max-connections-per-address = 9",
            "connection-rate-per-address = 9",
            "failed-binds-max = 9",
            "failed-bind-window = \"9s\"",
            "failed-bind-back-off = \"9s\"",
            "ban-time = \"9s\"",
            "limits-exempt = [\"10.0.0.0/8\"]",
        ] {
            assert!(place(&running, line, line).start > of_vserver.start, "{line}");
        }
        assert!(running.merged_with(&with("hold-time = \"9s\"")).is_ok());
    }

    /// Goal: where a server's own connections come in is fixed at the start, what is asked of them is not; a server may go, and come
    /// back to the same place.
    #[test]
    fn outbind_listeners_stay() {
        let with = |keys: &str| {
            let rest = format!(
                "[[server]]\nname = \"b\"\nuid = \"0B\"\naddress = \"h:1\"\nsystem-id = \"m\"\npassword = \"x\"\n{keys}"
            );
            file(&[("a", "0A")], &["one"], &rest)
        };
        let listen = |port: u16, password: &str| {
            with(&format!(
                "outbind-listen = \"127.0.0.1:{port}\"\noutbind-password = \"{password}\""
            ))
        };
        let running = listen(1, "x");
        for other in [listen(2, "x"), with("")] {
            let refusal = running.merged_with(&other).expect_err("it needs a restart");
            assert!(
                refusal[0]
                    .message
                    .contains("`outbind-listen` of the server \"b\""),
                "{refusal:?}"
            );
        }
        assert!(with("").merged_with(&running).is_err());
        assert!(file(&[("a", "0A")], &["one"], "").merged_with(&running).is_err());
        assert!(running.merged_with(&listen(1, "other")).is_ok());
        let gone = running.merged_with(&file(&[("a", "0A")], &["one"], ""));
        let gone = gone.expect("a server may go").configuration;
        assert!(gone.merged_with(&running).is_ok(), "and come back");
        assert!(gone.merged_with(&listen(2, "x")).is_err());
    }

    /// Goal: rules may come, go and change places, and what a rule said of a message that is under way keeps its meaning; also
    /// where the rule that comes in its place names other servers.
    #[test]
    fn routing_rules_are_taken() {
        let rule = |server: &str| format!("[[route]]\nservers = [\"{server}\"]\n");
        let with_rules = |rules: &str| file(&[("a", "0A"), ("b", "0B")], &["one"], rules);
        let running = with_rules(&rule("a"));
        let first = settle(&running, vec![], &[0])
            .effective
            .expect("it is right")
            .settings;
        let merged = running.merged_with(&with_rules(&(rule("b") + &rule("a"))));
        let merged = merged.expect("rules can be taken");
        assert_eq!(
            merged.changes.to_string(),
            "servers: 0 added, 0 removed, 0 changed; clients: 0 added, 0 removed, 0 changed; vservers: 0 changed; routing rules changed"
        );
        let settled = settle_continuing(&merged.configuration, vec![], &[0], &first);
        let next = settled.effective.expect("without a problem").settings;
        assert!(next.continues(&first) && !first.continues(&next));
        assert_eq!(next.routes.len(), 2);
        let none = merged
            .configuration
            .merged_with(&with_rules(""))
            .expect("rules can go");
        let settled = settle_continuing(&none.configuration, vec![], &[0], &next);
        let none = settled.effective.expect("without a problem").settings;
        assert!(none.continues(&next) && none.routes.is_empty());
    }
}
