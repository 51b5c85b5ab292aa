//! One engine on sockets between an ESME and an SMSC on loopback: what the benches of the whole way use.

use crate::configuration::settings;
use smppmux_engine::core::contract::CoreIndex;
use smppmux_engine::core::message_log::MessageRecords;
use smppmux_engine::core::settings::Settings;
use smppmux_engine::shell::{
    IoDriver, MessageLogLanes, RunningEngines, ShellSettings, StartError, run_engines,
};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// An engine of its own between a listener and one server.
#[derive(Debug)]
pub struct EngineOnSockets {
    engines: RunningEngines,
    lanes: MessageLogLanes,
}

impl EngineOnSockets {
    /// Starts it, and waits until it is bound at `smsc`. Messages are logged where there is room for their records.
    ///
    /// # Errors
    /// Where this machine cannot run the driver.
    pub fn start(driver: IoDriver, smsc: SocketAddr, log_octets: Option<usize>) -> Result<Self, StartError> {
        let template = settings();
        let mut vservers = template.vservers.clone();
        vservers[0].listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        let mut servers = template.servers.clone();
        servers[0].addresses = vec![smsc.to_string()];
        let settings = Settings::new(template.engine, vservers, servers, template.clients.clone(), 1)
            .with_message_log(log_octets.is_some());
        let mut shell_settings = ShellSettings::for_cpus(vec![0]);
        let lanes = MessageLogLanes::new(1);
        drop(lanes.take(
            CoreIndex(0),
            MessageRecords::with_room(log_octets.unwrap_or_default()),
        ));
        shell_settings.message_log = Some(lanes.clone());
        shell_settings.io_driver = driver;
        let engines = run_engines(shell_settings, Arc::new(settings))?;
        let end = Instant::now() + PATIENCE;
        while engines.report(PATIENCE)[0].engine.servers[0].bound_sessions == 0 {
            assert!(Instant::now() < end, "the server is bound");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { engines, lanes })
    }

    /// Where an ESME binds.
    pub fn address(&self) -> SocketAddr {
        self.engines.listening()[0].address
    }

    /// The lanes of its message log.
    pub fn lanes(&self) -> MessageLogLanes {
        self.lanes.clone()
    }
}

/// Listens for the engine and answers every request, on a thread of its own that begins with `prepare`.
///
/// # Panics
/// Where there is no port.
pub fn start_smsc(prepare: fn()) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        prepare();
        let (mut stream, _) = listener.accept().expect("the engine connects");
        stream.set_nodelay(true).expect("an option of the socket");
        let mut pdu = [0; 1024];
        while let Ok(octets) = read_pdu(&mut stream, &mut pdu) {
            let body: &[u8] = match octets {
                0..=15 => return,
                _ if pdu[7] == 9 => b"smsc\0",
                _ if pdu[7] == 4 => b"5F2A9C3E01\0",
                _ => b"",
            };
            let mut answer = [0; 32];
            let length = 16 + body.len();
            answer[3] = u8::try_from(length).unwrap_or_default();
            answer[4] = 0x80;
            answer[7] = pdu[7];
            answer[12..16].copy_from_slice(&pdu[12..16]);
            answer[16..length].copy_from_slice(body);
            if stream.write_all(&answer[..length]).is_err() {
                return;
            }
        }
    });
    address
}

/// An ESME that sends so many requests at once and then waits for all of their answers.
#[derive(Debug)]
pub struct LockstepEsme {
    stream: TcpStream,
    batch: Vec<u8>,
    window: u32,
}

impl LockstepEsme {
    /// Binds. Its messages have a text of so many octets; 160 make 214 in all, as in the load tables.
    ///
    /// # Errors
    /// Those of the connection.
    ///
    /// # Panics
    /// Where the bind is refused.
    pub fn bind(address: SocketAddr, window: u32, text_octets: u8) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        stream.write_all(&pdu(9, b"esme1\0secret\0\0\x34\0\0\0"))?;
        let mut answer = [0; 1024];
        read_pdu(&mut stream, &mut answer)?;
        assert_eq!(answer[8..12], [0; 4], "the bind is accepted");
        let mut body = b"\0\x01\x014477009001\0\x01\x0188876500001\0\0\0\0\0\0\0\0\0\0".to_vec();
        body.push(text_octets);
        body.resize(body.len() + usize::from(text_octets), b'x');
        Ok(Self {
            stream,
            batch: pdu(4, &body).repeat(window as usize),
            window,
        })
    }

    /// Sends so many messages, or a few less to make whole windows, and reads their answers.
    ///
    /// # Errors
    /// Those of the connection.
    ///
    /// # Panics
    /// Where one is refused.
    pub fn send(&mut self, messages: u32) -> io::Result<()> {
        let mut answer = [0; 1024];
        for _ in 0..messages / self.window {
            self.stream.write_all(&self.batch)?;
            for _ in 0..self.window {
                read_pdu(&mut self.stream, &mut answer)?;
                assert_eq!(answer[8..12], [0; 4], "the message is accepted");
            }
        }
        Ok(())
    }
}

fn pdu(command: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap_or_default();
    let mut pdu = length.to_be_bytes().to_vec();
    pdu.extend([0, 0, 0, command, 0, 0, 0, 0, 0, 0, 0, 1]);
    pdu.extend(body);
    pdu
}

/// One PDU into `pdu`; gives its length.
fn read_pdu(stream: &mut TcpStream, pdu: &mut [u8; 1024]) -> io::Result<usize> {
    stream.read_exact(&mut pdu[..16])?;
    let length = u32::from_be_bytes([pdu[0], pdu[1], pdu[2], pdu[3]]) as usize;
    stream.read_exact(&mut pdu[16..length.max(16)])?;
    Ok(length)
}
