//! The sockets of the admin interface, opened before the engines start so that a wrong one ends the start.

use super::access::Door;
use super::control::ControlHandle;
use super::serve;
use super::token::read_token;
use crate::config::AdminSettings;
use crate::exit::{self, Failure};
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use tracing::{error, info};

/// The socket is for its owner and its group.
const SOCKET_MODE: u32 = 0o660;

/// The sockets that wait for connections.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    pub(super) tcp: Option<(TcpListener, Door)>,
    pub(super) unix: Option<(UnixListener, SocketFile)>,
}

/// The file of a Unix socket; it goes with this value.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // If somebody has removed it already, that is what was wanted.
        let _ = fs::remove_file(&self.0);
    }
}

/// Opens what the settings name.
///
/// # Errors
///
/// Exit code 69 when an address or path is taken, 66 or 78 for the token's file.
pub(crate) fn open_doors(settings: &AdminSettings) -> Result<Doors, Failure> {
    let token = settings.token_file.as_deref().map(read_token).transpose()?;
    let tcp = settings.listen.map(|address| {
        let listener = listen_tcp(address)
            .map_err(|error| unavailable(&format!("{address} ([admin] `listen`)"), &error))?;
        let door = Door::Tcp {
            token: token.map(Arc::new),
        };
        Ok((listener, door))
    });
    let unix = settings.socket.as_deref().map(|path| {
        listen_unix(path)
            .map_err(|error| unavailable(&format!("{} ([admin] `socket`)", path.display()), &error))
    });
    Ok(Doors {
        tcp: tcp.transpose()?,
        unix: unix.transpose()?,
    })
}

impl Doors {
    /// Serves on a thread of its own until the process ends. What comes back removes the socket's file when it is dropped.
    pub(crate) fn serve(self, control: ControlHandle) -> Option<SocketFileGuard> {
        if self.tcp.is_none() && self.unix.is_none() {
            return None;
        }
        if let Some((listener, _)) = &self.tcp
            && let Ok(address) = listener.local_addr()
        {
            info!(%address, "admin interface listening");
        }
        let mut file = None;
        let unix = self.unix.map(|(listener, socket_file)| {
            info!(path = %socket_file.0.display(), "control socket listening");
            file = Some(socket_file);
            listener
        });
        let tcp = self.tcp;
        let started = thread::Builder::new().name("admin".into()).spawn(move || {
            if let Err(error) = serve::run(tcp, unix, control) {
                error!(%error, "the admin interface has failed");
            }
        });
        if let Err(error) = started {
            error!(%error, "the admin interface cannot be started");
        }
        Some(SocketFileGuard(file))
    }
}

/// Keeps the control socket's file until it is dropped.
#[derive(Debug)]
pub(crate) struct SocketFileGuard(#[expect(dead_code, reason = "held for its Drop")] Option<SocketFile>);

fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// A file that nobody listens at any more is what a killed process has left: it is replaced.
fn listen_unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_left_over(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        other => other?,
    };
    let file = SocketFile(path.to_path_buf());
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
    listener.set_nonblocking(true)?;
    Ok((listener, file))
}

fn is_left_over(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    is_socket && UnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn unavailable(what: &str, error: &io::Error) -> Failure {
    let reason = match error.kind() {
        ErrorKind::AddrInUse => "already in use".to_owned(),
        _ => error.to_string(),
    };
    Failure::new(exit::UNAVAILABLE, format!("smppmux: {what}: {reason}"))
}
