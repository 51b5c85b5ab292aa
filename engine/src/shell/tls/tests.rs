use super::*;
use bytes::BytesMut;
use rustls::pki_types::pem::PemObject as _;
use std::time::Duration;

fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/shell/tls/testdata")).join(name)
}

/// A vserver that shows a certificate, and a server that must have `good.pem`.
fn settings(certificate: &str) -> TlsSettings {
    let vserver = VserverTls {
        listen: Vec::new(),
        certificates: vec![CertificateFiles {
            certificate: file(certificate),
            key: file("key.pem"),
        }],
        client_ca: None,
        is_client_certificate_required: false,
        is_version_13_required: false,
    };
    let server = ServerTls {
        ca: file("good.pem"),
        name: Some("good.example.net".to_owned()),
        certificate: None,
        is_version_13_required: false,
    };
    TlsSettings {
        vservers: vec![Some(vserver)],
        servers: vec![Some(server)],
    }
}

fn registry(certificate: &str) -> Arc<Registry> {
    let registry = Registry::new(&settings(certificate)).expect("the files are good");
    registry.expect("there is TLS")
}

fn pair(registry: &Registry) -> (Session, Session) {
    let transport = settings("good.pem").servers[0]
        .as_ref()
        .map_or(0, ServerTls::transport);
    let client = registry.connect(ServerIndex(0), transport, "127.0.0.1:2775");
    let server = registry.accept(VserverIndex(0));
    (client.expect("a client"), server.expect("a server"))
}

/// Moves what `from` has to write to `to`, in pieces of these sizes in turn; gives what came out.
fn pass_on(from: &mut Session, to: &mut Session, sizes: &mut impl Iterator<Item = usize>) -> Vec<u8> {
    let mut plain = Vec::new();
    while from.wants_write() {
        let octets = from.secured_octets(BytesMut::new());
        let mut rest = &octets[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(sizes.next().unwrap_or(1).min(rest.len()));
            to.receive(piece).expect("nothing is wrong");
            plain.extend_from_slice(&to.take_received());
            rest = behind;
        }
    }
    plain
}

/// Goal: however the secured octets are cut, what goes in comes out, both ways, and the farewell is heard behind it.
#[test]
fn any_split_of_the_octets_gives_the_same() {
    let registry = registry("good.pem");
    let sent: Vec<u8> = (0..40_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    for sizes in [&[1][..], &[1, 7, 300, 5], &[16_384], &[4096, 1], &[100_000]] {
        let (mut client, mut server) = pair(&registry);
        let mut sizes = sizes.iter().copied().cycle();
        while client.is_handshaking() || server.is_handshaking() {
            assert!(
                client.wants_write() || server.wants_write(),
                "the handshake goes on"
            );
            pass_on(&mut client, &mut server, &mut sizes);
            pass_on(&mut server, &mut client, &mut sizes);
        }
        for turn in 0..2 {
            let (from, to) = if turn == 0 {
                (&mut client, &mut server)
            } else {
                (&mut server, &mut client)
            };
            from.send(BytesMut::from(&sent[..])).expect("it is open");
            from.say_farewell();
            assert!(!to.peer_has_finished());
            let received = pass_on(from, to, &mut sizes);
            assert!(received == sent, "{} of {} octets", received.len(), sent.len());
            assert!(to.peer_has_finished());
            assert_eq!(from.take_outgoing().as_deref(), Some(&sent[..]));
        }
    }
}

/// Goal: what is no TLS ends the connection, and nobody can make a handshake keep more than its bound.
#[test]
fn a_handshake_keeps_little() {
    let registry = registry("good.pem");
    for wrong in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 200], &[0xFF; 64]] {
        let (_, mut server) = pair(&registry);
        assert!(server.receive(wrong).is_err());
    }
    // The beginning of a client's first message that claims to be very long.
    let (_, mut server) = pair(&registry);
    let mut record = vec![22, 3, 1, 0x40, 0x00, 1, 0, 0xFF, 0x00];
    record.resize(5 + 0x4000, 0);
    let fed = (0..100).take_while(|_| server.receive(&record).is_ok()).count();
    assert!(fed < 3, "{fed} records");
    let (_, mut server) = pair(&registry);
    let kept = (0..100).take_while(|_| server.defer(&record)).count();
    assert!(kept < 3, "{kept} records");
    assert!(server.take_deferred().len() < 3 * record.len());
}

/// Goal: dates are told as they are.
#[test]
fn dates_are_read() {
    let of = |name: &str, seconds: u64| {
        let certificate = CertificateDer::from_pem_file(file(name)).expect("a certificate");
        Validity::of(
            &certificate,
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
        )
    };
    // 2021-01-01, the end of the one that has run out.
    let end = 1_609_459_200;
    let day = Duration::from_secs(86_400);
    assert_eq!(of("expired.pem", end - 86_400), Validity::For(day));
    assert_eq!(of("expired.pem", end + 86_400), Validity::Expired(day));
    assert!(
        of("expired.pem", end - 86_400)
            .warning()
            .is_some_and(|text| text.contains("in 24 hours"))
    );
    assert!(
        of("expired.pem", end + 86_400)
            .obstacle()
            .is_some_and(|text| text.contains("24 hours ago"))
    );
    assert!(of("expired.pem", end - 86_400).obstacle().is_none());
    assert!(matches!(of("early.pem", end), Validity::NotYet(_)));
    // 2026-11-28.
    assert_eq!(of("good.pem", 1_795_824_000).warning(), None);
}

/// Goal: a certificate that has run out, or is not valid yet, never replaces one that is in use; one that was in use when
/// smppmux started may stay.
#[test]
fn a_worse_certificate_is_not_taken() {
    let good = registry("good.pem");
    for worse in ["expired.pem", "early.pem"] {
        let error = good.read(&settings(worse)).expect_err("it is told");
        assert_eq!(error.file, Some(file(worse)));
    }
    let expired = registry("expired.pem");
    expired.use_loaded(
        expired
            .read(&settings("expired.pem"))
            .expect("nothing gets worse"),
    );
    expired.use_loaded(expired.read(&settings("good.pem")).expect("it gets better"));
    assert!(expired.read(&settings("expired.pem")).is_err());
    assert_eq!(
        settings("expired.pem").check().map(|warnings| warnings.len()),
        Ok(1)
    );
    assert_eq!(settings("good.pem").check(), Ok(Vec::new()));
}

/// Goal: while engine and files are of different minds about a server, nothing is opened.
#[test]
fn an_engine_with_other_settings_gets_no_connection() {
    let registry = registry("good.pem");
    let server = settings("good.pem").servers[0].clone().expect("it has TLS");
    let other = ServerTls {
        name: Some("other.example.net".to_owned()),
        ..server.clone()
    };
    assert_ne!(server.transport(), other.transport());
    let connects = |transport| {
        registry
            .connect(ServerIndex(0), transport, "127.0.0.1:2775")
            .is_some()
    };
    assert!(connects(server.transport()) && !connects(other.transport()));
}

/// Goal: hosts are found in addresses.
#[test]
fn the_host_of_an_address() {
    for (address, host) in [
        ("smsc.example.net:2775", "smsc.example.net"),
        ("10.0.0.1:2775", "10.0.0.1"),
        ("[2001:db8::1]:2775", "2001:db8::1"),
    ] {
        assert_eq!(host_of(address), host);
    }
}
