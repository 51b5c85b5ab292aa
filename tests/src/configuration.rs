//! A configuration file for a test, put together from a few lines of TOML for each section.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread::available_parallelism;

/// The password of every account and at every server.
pub const PASSWORD: &str = "secret";

/// The address from which a connection is always given to this engine, counted from 0.
///
/// # Panics
///
/// For more engines than a test has.
pub fn source_address_of(engine: usize) -> IpAddr {
    let last = u8::try_from(engine + 1).expect("few engines");
    IpAddr::V4(Ipv4Addr::new(127, 0, 1, last))
}

/// The file; each method adds to it.
#[derive(Clone, Debug)]
pub struct Configuration {
    whole: Option<String>,
    engine: String,
    listen: String,
    vserver: String,
    rest: String,
}

impl Configuration {
    /// So many engines behind one vserver on a free port; on CPUs of their own where there are enough.
    pub fn with_engines(engines: usize) -> Self {
        let cpus = available_parallelism().map_or(1, usize::from);
        let cores: Vec<String> = (0..engines).map(|core| (core % cpus).to_string()).collect();
        Self::with_cores(&cores.join(","))
    }

    /// Engines on these CPUs, behind one vserver on a free port. Connections go to them in turn, but for those from
    /// [`source_address_of`] an engine.
    pub fn with_cores(cores: &str) -> Self {
        let pins: Vec<String> = (0..cores.split(',').count())
            .map(|engine| format!("\"{}={engine}\"", source_address_of(engine)))
            .collect();
        let pins = pins.join(", ");
        Self {
            whole: None,
            engine: format!("cores = \"{cores}\"\ndistribution = \"round-robin\"\npins = [{pins}]\n"),
            listen: "127.0.0.1:0".into(),
            vserver: String::new(),
            rest: String::new(),
        }
    }

    /// A file that is there already. Servers, clients and other sections can be added; `[engine]` and `[[vserver]]` are its own.
    pub fn of_text(text: &str) -> Self {
        Self {
            whole: Some(text.to_owned()),
            engine: String::new(),
            listen: String::new(),
            vserver: String::new(),
            rest: String::new(),
        }
    }

    /// Spreads connections over the engines in another way than in turn.
    ///
    /// # Panics
    ///
    /// When they are not spread in turn so far.
    #[must_use]
    pub fn distribution(mut self, scheme: &str) -> Self {
        assert!(
            self.engine.contains("\"round-robin\""),
            "there is another distribution"
        );
        self.engine = self.engine.replace("\"round-robin\"", &format!("\"{scheme}\""));
        self
    }

    /// Listens at this address instead of a free port.
    #[must_use]
    pub fn listening_at(mut self, address: SocketAddr) -> Self {
        self.listen = address.to_string();
        self
    }

    /// Adds lines to `[engine]`.
    #[must_use]
    pub fn engine(mut self, lines: &str) -> Self {
        self.engine.push_str(lines);
        self.engine.push('\n');
        self
    }

    /// Adds lines to `[[vserver]]`.
    #[must_use]
    pub fn vserver(mut self, lines: &str) -> Self {
        self.vserver.push_str(lines);
        self.vserver.push('\n');
        self
    }

    /// Adds a server, with more lines for its section.
    #[must_use]
    pub fn server(mut self, name: &str, uid: &str, address: SocketAddr, lines: &str) -> Self {
        let _ = writeln!(
            self.rest,
            "[[server]]\nname = \"{name}\"\nuid = \"{uid}\"\naddress = \"{address}\"\n\
             system-id = \"mux\"\npassword = \"{PASSWORD}\"\nreconnect-min = \"100ms\"\n{lines}"
        );
        self
    }

    /// Adds an account, with more lines for its section.
    #[must_use]
    pub fn client(self, system_id: &str, lines: &str) -> Self {
        self.client_with_password(system_id, PASSWORD, lines)
    }

    /// Adds an account that has a password of its own.
    #[must_use]
    pub fn client_with_password(mut self, system_id: &str, password: &str, lines: &str) -> Self {
        let _ = writeln!(
            self.rest,
            "[[client]]\nsystem-id = \"{system_id}\"\npassword = \"{password}\"\n{lines}"
        );
        self
    }

    /// Adds a section as it is.
    #[must_use]
    pub fn section(mut self, lines: &str) -> Self {
        self.rest.push_str(lines);
        self.rest.push('\n');
        self
    }

    /// Adds a `[queue]` with these lines. Without one, messages are queued in a file of the test's own folder.
    #[must_use]
    pub fn queue(mut self, lines: &str) -> Self {
        let _ = writeln!(self.rest, "[queue]\n{lines}");
        self
    }

    /// The file.
    ///
    /// # Panics
    ///
    /// When lines were added to sections that a file that was there already has itself.
    pub fn to_toml(&self) -> String {
        if let Some(whole) = &self.whole {
            let added = [&self.engine, &self.listen, &self.vserver];
            assert!(added.iter().all(|lines| lines.is_empty()), "swallowed: {added:?}");
            return format!("{whole}\n{}", self.rest);
        }
        format!(
            "[engine]\n{}\n[[vserver]]\nname = \"sms\"\nlisten = [\"{}\"]\n{}\n{}",
            self.engine, self.listen, self.vserver, self.rest
        )
    }
}
