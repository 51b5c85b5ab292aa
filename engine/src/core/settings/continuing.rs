//! New settings that go on from old ones: what keeps its place, and what only keeps a place.

use super::{ClientIndex, ServerIndex, ServerSettings, Settings};

impl Settings {
    /// The same without these servers and accounts: they keep their places, so that every index means what it meant, but
    /// nothing is sent there and nobody may bind.
    #[must_use]
    pub fn with_retired(mut self, mut servers: Vec<ServerIndex>, mut clients: Vec<ClientIndex>) -> Self {
        servers.sort_unstable();
        clients.sort_unstable();
        self.lookups
            .accounts
            .retain(|client| clients.binary_search(client).is_err());
        (self.lookups.retired_servers, self.lookups.retired_clients) = (servers, clients);
        self
    }

    /// This server is no longer configured.
    pub fn is_retired_server(&self, server: ServerIndex) -> bool {
        self.lookups.retired_servers.binary_search(&server).is_ok()
    }

    /// The servers that are configured, without those that only keep a place.
    pub fn configured_servers(&self) -> impl Iterator<Item = (ServerIndex, &ServerSettings)> + Clone {
        let servers = (0..).map(ServerIndex).zip(&self.servers);
        servers.filter(|(index, _)| !self.is_retired_server(*index))
    }

    /// This account is no longer configured.
    pub fn is_retired_client(&self, client: ClientIndex) -> bool {
        self.lookups.retired_clients.binary_search(&client).is_ok()
    }

    /// The number that these settings were made with. Those that continue them are made with the same, so that every key
    /// keeps its home core.
    pub const fn seed(&self) -> u64 {
        self.lookups.seed
    }

    /// Every index, key and mark of `old` means the same here, so engines that run on `old` can go on with these.
    pub fn continues(&self, old: &Self) -> bool {
        let mut vservers = self.vservers.iter().zip(&old.vservers);
        let mut servers = self.servers.iter().zip(&old.servers);
        let mut clients = self.clients.iter().zip(&old.clients);
        self.seed() == old.seed()
            && self.engine.has_queue == old.engine.has_queue
            && self.receipts.continues(&old.receipts)
            && self.route_groups().continues(old.route_groups())
            && self.vservers.len() == old.vservers.len()
            && self.servers.len() >= old.servers.len()
            && self.clients.len() >= old.clients.len()
            && vservers.all(|(one, other)| one.name == other.name)
            && servers.all(|(one, other)| one.name == other.name)
            && clients.all(|(one, other)| one.system_id == other.system_id)
    }
}
