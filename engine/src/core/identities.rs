//! The identities of a core, with `auth = "forward"`: whose sessions at the servers are whose.
//!
//! Owns the list and the keyed hashes of credentials that servers have accepted. What happens to identities is in `forward_bind`.
//! Must never keep credentials but as such a hash.

use super::contract::ConnectionId;
use super::session::BindKind;
use super::settings::{ServerIndex, VserverIndex};
use super::time::Moment;
use super::wire::BindView;
use ahash::RandomState;
use bytes::BytesMut;

/// All identities of a core.
#[derive(Debug)]
pub(super) struct Identities {
    pub(super) places: Vec<Option<Identity>>,
    /// Two independent keyed hashes make 128 bits; the keys come from the engine's seed and never leave it.
    hashers: [RandomState; 2],
    pub(super) next_server: usize,
    pub(super) armed_at: Moment,
}

/// One system_id with one kind of bind at one vserver.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) vserver: VserverIndex,
    pub(super) system_id: Box<[u8]>,
    pub(super) bind: BindKind,
    /// The credentials that a server last accepted, and when.
    pub(super) accepted: Option<(CredentialHash, Moment)>,
    /// Server sessions, bound or being made.
    pub(super) sessions: Vec<(ServerIndex, ConnectionId)>,
    /// Clients that use them.
    pub(super) clients: Vec<ConnectionId>,
    pub(super) cursor: usize,
    /// Binds under way: the session that asks, for which client, and what it sends.
    pub(super) asking: Vec<Asking>,
    /// Nobody has used it since.
    pub(super) idle_since: Moment,
}

/// A forwarded bind that has no answer yet.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) session: ConnectionId,
    /// Whose bind it is; `None` for the other servers' copies.
    pub(super) client: Option<ConnectionId>,
    pub(super) bind_pdu: BytesMut,
    /// Servers that may still be asked when this one can't be reached.
    pub(super) servers_left: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct CredentialHash([u64; 2]);

impl CredentialHash {
    /// Compares without a branch on the difference.
    pub(super) fn matches(self, other: Self) -> bool {
        std::hint::black_box((self.0[0] ^ other.0[0]) | (self.0[1] ^ other.0[1])) == 0
    }
}

impl Identities {
    pub(super) fn new(seed: u64) -> Self {
        let hasher = |salt: u64| RandomState::with_seeds(seed, salt, seed.rotate_left(32), !salt);
        Self {
            places: Vec::new(),
            hashers: [hasher(1), hasher(2)],
            next_server: 0,
            armed_at: Moment::NEVER,
        }
    }

    pub(super) fn hash(&self, view: &BindView<'_>) -> CredentialHash {
        let credentials = (view.system_id(), view.password());
        CredentialHash([
            self.hashers[0].hash_one(credentials),
            self.hashers[1].hash_one(credentials),
        ])
    }

    pub(super) fn get_mut(&mut self, identity: u32) -> Option<&mut Identity> {
        self.places.get_mut(identity as usize)?.as_mut()
    }

    pub(super) fn system_id(&self, id: u32) -> Option<&[u8]> {
        self.places
            .get(id as usize)?
            .as_ref()
            .map(|identity| &*identity.system_id)
    }

    pub(super) fn find_or_make(&mut self, vserver: VserverIndex, system_id: &[u8], bind: BindKind) -> u32 {
        let is_it = |identity: &Identity| {
            identity.vserver == vserver && identity.bind == bind && *identity.system_id == *system_id
        };
        if let Some(place) = self
            .places
            .iter()
            .position(|place| place.as_ref().is_some_and(is_it))
        {
            return u32::try_from(place).unwrap_or(u32::MAX);
        }
        let identity = Identity {
            vserver,
            system_id: system_id.into(),
            bind,
            accepted: None,
            sessions: Vec::new(),
            clients: Vec::new(),
            cursor: 0,
            asking: Vec::new(),
            idle_since: Moment::NEVER,
        };
        let place = self.places.iter().position(Option::is_none).unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[place] = Some(identity);
        u32::try_from(place).unwrap_or(u32::MAX)
    }
}
