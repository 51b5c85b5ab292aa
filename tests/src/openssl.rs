//! TLS peers of another make: OpenSSL's command line, as a pipe between a test's plain connection and smppmux.

use crate::simulator::address_to_come_back_to;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::TempDir;

use crate::peer::Peer;

/// A certificate authority of a test, and what it has signed.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

/// An OpenSSL process; killed when dropped.
#[derive(Debug)]
pub struct OpenSsl {
    child: Child,
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Authority {
    /// Makes one.
    ///
    /// # Panics
    ///
    /// When there is no openssl.
    pub fn new() -> Self {
        let authority = Self {
            folder: TempDir::new().expect("a temporary folder"),
        };
        authority.make_key(
            ("ca.key", "ca.pem"),
            &["-x509", "-subj", "/CN=test authority", "-days", "30"],
        );
        authority
    }

    /// Signs a certificate for a DNS name; its files are `<file>.pem` and `<file>.key`.
    ///
    /// # Panics
    ///
    /// When openssl refuses.
    pub fn sign(&self, file: &str, name: &str) {
        let path = |ending: &str| format!("{file}.{ending}");
        self.request(file, name);
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &path("csr"),
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-out",
            &path("pem"),
            "-days",
            "30",
            "-extfile",
            &path("ext"),
        ]);
    }

    /// Signs a certificate that ran out at the end of 2020.
    ///
    /// # Panics
    ///
    /// When openssl refuses.
    pub fn sign_expired(&self, file: &str, name: &str) {
        let path = |ending: &str| format!("{file}.{ending}");
        self.request(file, name);
        let settings = "[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\n\
            default_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n";
        for (file, content) in [("ca.conf", settings), ("index.txt", ""), ("serial", "01\n")] {
            fs::write(self.path(file), content).expect("a file");
        }
        self.openssl(&[
            "ca",
            "-batch",
            "-notext",
            "-config",
            "ca.conf",
            "-cert",
            "ca.pem",
            "-keyfile",
            "ca.key",
            "-in",
            &path("csr"),
            "-out",
            &path("pem"),
            "-startdate",
            "20200101000000Z",
            "-enddate",
            "20210101000000Z",
            "-extfile",
            &path("ext"),
        ]);
    }

    /// A new key, and what is to be signed for it.
    fn request(&self, file: &str, name: &str) {
        let path = |ending: &str| format!("{file}.{ending}");
        fs::write(self.path(&path("ext")), format!("subjectAltName=DNS:{name}\n")).expect("a file");
        self.make_key((&path("key"), &path("csr")), &["-subj", "/CN=somebody"]);
    }

    /// A new key, and what `openssl req` makes of it.
    fn make_key(&self, (key, made): (&str, &str), rest: &[&str]) {
        const NEW_KEY: [&str; 6] = [
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ];
        self.openssl(&[&NEW_KEY[..], &["-keyout", key, "-out", made], rest].concat());
    }

    /// One of its files.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .expect("openssl is installed");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Connects to smppmux by `openssl s_client`; what the peer writes goes through TLS. With these further arguments.
    ///
    /// # Panics
    ///
    /// When openssl cannot be started.
    pub fn connect(&self, address: SocketAddr, arguments: &[&str]) -> (Peer, OpenSsl) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let near = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (far, _) = listener.accept().expect("it was connected");
        let mut command = Command::new("openssl");
        command
            .args([
                "s_client",
                "-quiet",
                "-verify_return_error",
                "-CAfile",
                "ca.pem",
                "-connect",
            ])
            .arg(address.to_string())
            .args(arguments);
        let openssl = self.pipe(command, far);
        (Peer::new(near), openssl)
    }

    /// Listens by `openssl s_server` with a certificate, and passes what comes to a plain SMSC; gives where.
    ///
    /// # Panics
    ///
    /// When openssl cannot be started.
    pub fn listen(&self, file: &str, smsc: SocketAddr, arguments: &[&str]) -> (SocketAddr, OpenSsl) {
        let address = address_to_come_back_to();
        let far = TcpStream::connect(smsc).expect("the SMSC listens");
        let mut command = Command::new("openssl");
        command
            .args(["s_server", "-quiet", "-accept"])
            .arg(address.to_string())
            .args(["-cert", &format!("{file}.pem"), "-key", &format!("{file}.key")])
            .args(arguments);
        (address, self.pipe(command, far))
    }

    fn pipe(&self, mut command: Command, far: TcpStream) -> OpenSsl {
        let mut child = command
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        far.set_nodelay(true).expect("an option of TCP");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let writing = far.try_clone().expect("a file descriptor");
        thread::spawn(move || pass_on(far, stdin.expect("piped")));
        thread::spawn(move || {
            pass_on(stdout.expect("piped"), &writing);
            // The peer hears of the end; it may have gone.
            let _ = writing.shutdown(Shutdown::Both);
        });
        OpenSsl { child }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// Until either side ends.
fn pass_on(mut from: impl Read, mut to: impl Write) {
    let mut chunk = [0; 16 * 1024];
    while let Ok(octets @ 1..) = from.read(&mut chunk) {
        if to.write_all(&chunk[..octets]).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

/// As a TOML string.
pub fn quoted(path: &Path) -> String {
    format!("{path:?}")
}
