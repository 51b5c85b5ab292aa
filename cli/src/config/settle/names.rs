//! Which name stands for which index, and names that are given twice.

use super::Settling;
use crate::config::hint;
use crate::config::key::{Key, Origin};
use crate::config::problem::Problem;
use crate::config::texts::Uid;
use smppmux_engine::core::settings::{ClientIndex, ServerIndex, VserverIndex};
use std::collections::HashMap;
use std::hash::Hash;

/// Vservers at most.
const VSERVERS_MAX: usize = 1000;

/// Servers at most: as many as there are uids.
const SERVERS_MAX: usize = 36 * 36;

/// All names that other sections refer to.
pub(super) struct Names<'c> {
    vservers: HashMap<&'c str, usize>,
    servers: HashMap<&'c str, usize>,
    clients: HashMap<&'c str, usize>,
}

impl<'c> Names<'c> {
    /// Collects the names; the second use of one is a problem, and so are too many.
    pub(super) fn collect(settling: &mut Settling<'c>) -> Self {
        let configuration = settling.configuration;
        let vserver_names = configuration.vservers.iter().map(|item| &item.section.name);
        let server_names = configuration.servers.iter().map(|item| &item.section.name);
        let names = Self {
            vservers: settling.unique_names("vserver name", vserver_names),
            servers: settling.unique_names("server name", server_names),
            clients: settling.unique_names(
                "system-id",
                configuration.clients.iter().map(|item| &item.section.system_id),
            ),
        };
        let configured = configuration.servers.iter().filter(|item| !item.is_retired());
        let uids = configured.map(|item| &item.section.uid);
        settling.unique(
            "uid",
            uids.filter_map(|key| key.value.map(|uid: Uid| (uid, key.origin()))),
        );
        let listens = configuration.vservers.iter().flat_map(|item| {
            let plain = item.section.listen.value.iter().flatten();
            plain.chain(&item.section.tls_listen.value)
        });
        let listens = listens.filter(|key| key.value.port() != 0);
        let of_servers = configuration.servers.iter().filter(|item| !item.is_retired());
        let of_servers = of_servers.map(|item| &item.section.outbind_listen);
        let of_servers = of_servers.filter_map(|key| Some((key.value?, key.origin())));
        settling.unique(
            "listen address",
            listens.map(|key| (key.value, key.origin())).chain(of_servers),
        );
        if let Some(surplus) = configuration.vservers.get(VSERVERS_MAX) {
            settling.problem(
                &surplus.at(),
                format!("there are more than {VSERVERS_MAX} vservers"),
            );
        }
        if let Some(surplus) = configuration.servers.get(SERVERS_MAX) {
            settling.problem(
                &surplus.at(),
                format!("there are more than {SERVERS_MAX} servers"),
            );
        }
        names
    }

    /// The vservers that a list names; `None` in the list's place means all, and so does an unknown name's
    /// absence.
    pub(super) fn vservers(&self, settling: &mut Settling<'c>, list: &[Key<String>]) -> Vec<VserverIndex> {
        let indices = resolve(settling, "vserver", &self.vservers, list);
        indices
            .into_iter()
            .filter_map(|index| u16::try_from(index).ok())
            .map(VserverIndex)
            .collect()
    }

    /// The vserver that a key names; `None` where it names none, and where there is no such vserver.
    pub(super) fn vserver(
        &self,
        settling: &mut Settling<'c>,
        key: &Key<Option<String>>,
    ) -> Option<VserverIndex> {
        let name = key.with_value(key.value.clone()?);
        self.vservers(settling, &[name]).first().copied()
    }

    /// The servers that a list names.
    pub(super) fn servers(&self, settling: &mut Settling<'c>, list: &[Key<String>]) -> Vec<ServerIndex> {
        let indices = resolve(settling, "server", &self.servers, list);
        indices
            .into_iter()
            .filter_map(|index| u16::try_from(index).ok())
            .map(ServerIndex)
            .collect()
    }

    /// The accounts that a list names.
    pub(super) fn clients(&self, settling: &mut Settling<'c>, list: &[Key<String>]) -> Vec<ClientIndex> {
        let indices = resolve(settling, "client", &self.clients, list);
        indices
            .into_iter()
            .filter_map(|index| u32::try_from(index).ok())
            .map(ClientIndex)
            .collect()
    }

    /// Every server, in the file's order.
    pub(super) fn all_servers(settling: &Settling<'c>) -> Vec<ServerIndex> {
        (0_u16..)
            .zip(&settling.configuration.servers)
            .filter(|(_, item)| !item.is_retired())
            .map(|(index, _)| ServerIndex(index))
            .collect()
    }
}

fn resolve<'c>(
    settling: &mut Settling<'c>,
    what: &str,
    names: &HashMap<&'c str, usize>,
    list: &[Key<String>],
) -> Vec<usize> {
    let mut indices = Vec::new();
    for key in list {
        match names.get(key.value.as_str()) {
            Some(index) if indices.contains(index) => {
                settling.problem(key.origin(), format!("{what} \"{}\" is listed twice", key.value));
            }
            Some(index) => indices.push(*index),
            None => {
                let message = format!("there is no {what} \"{}\"", key.value);
                match hint::nearest(&key.value, names.keys().copied()) {
                    Some(nearest) => {
                        settling.problem_with_hint(
                            key.origin(),
                            message,
                            format!("did you mean \"{nearest}\"?"),
                        );
                    }
                    None => settling.problem(key.origin(), message),
                }
            }
        }
    }
    indices
}

impl<'c> Settling<'c> {
    fn unique_names(
        &mut self,
        what: &str,
        keys: impl Iterator<Item = &'c Key<Option<String>>> + Clone,
    ) -> HashMap<&'c str, usize> {
        for key in keys.clone().filter(|key| key.value.as_deref() == Some("")) {
            self.problem(key.origin(), format!("the {what} is empty"));
        }
        self.unique(
            what,
            keys.clone()
                .filter_map(|key| key.value.as_deref().map(|name| (name, key.origin()))),
        );
        let mut indices = HashMap::new();
        for (index, key) in keys.enumerate() {
            if let Some(name) = key.value.as_deref() {
                indices.entry(name).or_insert(index);
            }
        }
        indices
    }

    /// Reports each value that has come before, at its second place.
    fn unique<T: Hash + Eq + std::fmt::Display>(
        &mut self,
        what: &str,
        values: impl Iterator<Item = (T, &'c Origin)>,
    ) {
        let mut seen: HashMap<T, &Origin> = HashMap::new();
        for (value, origin) in values {
            if let Some(first) = seen.get(&value) {
                let message = format!("the {what} \"{value}\" is used twice");
                self.problems.push(Problem::new(origin, message).first_at(first));
            } else {
                seen.insert(value, origin);
            }
        }
    }
}
