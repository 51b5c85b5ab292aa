//! What an operator orders while everything goes wrong: drains, weights, and new settings. Each core hears of it at a moment of
//! its own. In the end all is undone, and everything must work as if nothing had ever been ordered.

use crate::event::{Event, Input};
use crate::link::Peer;
use crate::world::World;
use smppmux_engine::core::contract::{Command, NewSettings};
use smppmux_engine::core::settings::{
    ClientIndex, ClientSettings, OnServerLoss, OnThrottle, ServerIndex, ServerSettings, Settings,
    VserverSettings,
};
use std::sync::Arc;
use std::time::Duration;

impl World {
    /// One order, drawn.
    pub(crate) fn operator_acts(&mut self) {
        let servers = self.scenario.settings.servers.len();
        let clients = self.scenario.settings.clients.len();
        let server = ServerIndex(self.random.below(servers) as u16);
        let client = ClientIndex(self.random.below(clients) as u32);
        let command = match self.random.below(6) {
            0 => Command::DrainServer(server),
            1 => Command::UndrainServer(server),
            2 => Command::DrainClient(client),
            3 => Command::UndrainClient(client),
            4 => Command::SetWeight {
                server,
                weight: self.random.between(1, 5) as u32,
            },
            _ => self.other_settings(),
        };
        self.order(&command);
    }

    /// Everything as it was in the beginning.
    pub(crate) fn operator_undoes(&mut self) {
        // Nobody has ordered anything: then nothing may be excused by an order either.
        if self.orders.is_empty() {
            return;
        }
        let settings = Arc::clone(&self.scenario.settings);
        for index in 0..settings.servers.len() {
            self.order(&Command::UndrainServer(ServerIndex(index as u16)));
        }
        for index in 0..settings.clients.len() {
            self.order(&Command::UndrainClient(ClientIndex(index as u32)));
        }
        self.order(&Command::Reconfigure(NewSettings(settings)));
    }

    /// Carries out what was ordered.
    pub(crate) fn obey(&mut self, core: usize, order: usize) {
        let command = self.orders[order].clone();
        self.let_go(core, &command);
        self.hosts[core].engine.handle_command(self.now, command);
    }

    /// Notes which sessions of a core shall end on an order, so that nothing new comes on them.
    fn let_go(&mut self, core: usize, command: &Command) {
        let old = match command {
            Command::Reconfigure(NewSettings(new)) => {
                std::mem::replace(&mut self.hosts[core].settings, Arc::clone(new))
            }
            _ => Arc::clone(&self.hosts[core].settings),
        };
        for id in 0..self.links.len() {
            let link = &self.links[id];
            let has_begun = link.session.bound.is_some() || link.session.bind_sequence.is_some();
            let counts = has_begun || matches!(link.peer, Peer::Smsc(_));
            if link.engine == core
                && counts
                && link.let_go_at.is_none()
                && self.ends_on(link.peer, command, &old)
            {
                self.links[id].let_go_at = Some(self.now);
            }
        }
    }

    /// Whether an order ends the sessions of a peer that are there. `old`: the settings until then.
    fn ends_on(&self, peer: Peer, command: &Command, old: &Settings) -> bool {
        match (command, peer) {
            (Command::DrainClient(client), Peer::Esme(_)) => self.has_account(peer, *client),
            (Command::Reconfigure(NewSettings(new)), Peer::Smsc(index)) => {
                new.servers[index].system_type != old.servers[index].system_type
                    || new.is_retired_server(ServerIndex(index as u16))
            }
            (Command::Reconfigure(NewSettings(new)), Peer::Esme(_)) => (0..new.clients.len())
                .map(|client| ClientIndex(client as u32))
                .any(|client| new.is_retired_client(client) && self.has_account(peer, client)),
            _ => false,
        }
    }

    fn has_account(&self, peer: Peer, client: ClientIndex) -> bool {
        let account = &self.scenario.settings.clients[client.0 as usize];
        match peer {
            Peer::Esme(esme) => self.esmes[esme].plan.system_id == account.system_id,
            Peer::Smsc(_) => false,
        }
    }

    fn order(&mut self, command: &Command) {
        self.exercised.orders += 1;
        let order = self.note_order(command);
        for core in 0..self.hosts.len() {
            // Orders to one core keep their order: each is as long under way as those before it.
            self.after(self.order_delays[core], Event::Engine(core, Input::Order(order)));
        }
    }

    /// Something is other than in the beginning; which order it is.
    pub(crate) fn note_order(&mut self, command: &Command) -> usize {
        self.trace.line(self.now, || format!("ordered: {command:?}"));
        if self.orders.is_empty() {
            // Drawn for the first order, so that runs without an operator draw nothing for it.
            let cores = self.hosts.len();
            self.order_delays = (0..cores)
                .map(|_| Duration::from_micros(self.random.between(10, 10 + 200 * cores) as u64))
                .collect();
        }
        self.ledger.has_operator = true;
        self.last_order_at = Some(self.now);
        self.orders.push(command.clone());
        self.orders.len() - 1
    }

    /// The same settings with other windows and weights, perhaps with another login, without a server or without an account.
    pub(crate) fn other_settings(&mut self) -> Command {
        let old = Arc::clone(&self.scenario.settings);
        let (mut vservers, mut servers, mut clients) =
            (old.vservers.clone(), old.servers.clone(), old.clients.clone());
        for server in &mut servers {
            if self.random.chance(300) {
                server.weight = self.random.between(1, 5) as u32;
            }
            if self.random.chance(300) {
                server.window = self.random.between(1, server.window as usize) as u32;
            }
            if self.random.chance(200) {
                server.system_type = "other".into();
            }
            if server.outbind.is_some() && self.random.chance(200) {
                server.outbind = None;
            }
        }
        // Only ever less than the scenario says, so that what is forbidden there stays so.
        for vserver in &mut vservers {
            if self.random.chance(300) {
                vserver.on_server_loss = OnServerLoss::Fail;
                vserver.on_throttle = OnThrottle::Answer;
            }
        }
        for client in &mut clients {
            if self.random.chance(300) {
                client.window = self.random.between(1, client.window as usize) as u32;
            }
        }
        let mut retired = (Vec::new(), Vec::new());
        if servers.len() > 1 && self.random.chance(300) {
            let gone = ServerIndex(self.random.below(servers.len()) as u16);
            for vserver in &mut vservers {
                vserver.servers.retain(|server| *server != gone);
            }
            servers[usize::from(gone.0)].mobile_originated_vserver = None;
            retired.0.push(gone);
        }
        // Where servers know who may bind, one that is not configured may do so with other limits.
        if !self.scenario.is_forward && self.random.chance(300) {
            retired
                .1
                .push(ClientIndex(self.random.below(clients.len()) as u32));
        }
        let settings = changed(&old, vservers, servers, clients);
        Command::Reconfigure(NewSettings(Arc::new(settings.with_retired(retired.0, retired.1))))
    }

    /// A reload changes the login at a server: its sessions are left, and others made.
    pub(crate) fn login_changes(&mut self, index: usize) {
        let old = Arc::clone(&self.scenario.settings);
        let mut servers = old.servers.clone();
        servers[index].system_type = "other".into();
        let settings = changed(&old, old.vservers.clone(), servers, old.clients.clone());
        self.order(&Command::Reconfigure(NewSettings(Arc::new(settings))));
    }

    /// This session may be one that an operator has drained: it gets no messages, though it is bound.
    pub(crate) fn may_be_drained(&self, link: usize) -> bool {
        let bound_at = self.links[link].session.bound.map(|(_, at)| at);
        let last = self.last_order_at;
        last.is_some_and(|last| bound_at.is_none_or(|bound_at| bound_at <= last + Duration::from_secs(3)))
    }
}

/// The old settings with these in place of their own.
fn changed(
    old: &Settings,
    vservers: Vec<VserverSettings>,
    servers: Vec<ServerSettings>,
    clients: Vec<ClientSettings>,
) -> Settings {
    Settings::new(old.engine.clone(), vservers, servers, clients, old.seed())
        .with_receipts(old.receipts.clone())
        .with_message_log(old.has_message_log)
        .with_routes(old.routes.clone())
}
