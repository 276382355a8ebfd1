//! TLS in-band, and SCRAM bound to the TLS channel.

use crate::common::*;
use harness::postgres::{Cluster, ClusterOptions};
use harness::tls::Authority;
use keyturn_sdk::endpoint::{Binding, NetError, NetErrorKind};
use keyturn_sdk::fake::{self, Host, Installed, Tcp, Tls, TlsStream};
use keyturn_sdk::{ErrorKind, Liveness};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

struct Rustls {
    config: Arc<ClientConfig>,
    /// What is said about the channel: the truth, a lie, or nothing.
    binding: fn(&[u8]) -> Option<Vec<u8>>,
}

impl Rustls {
    fn trusting(authority: &Authority, binding: fn(&[u8]) -> Option<Vec<u8>>) -> Rustls {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Rustls {
            config: Arc::new(config),
            binding,
        }
    }
}

impl Tls for Rustls {
    fn handshake(&self, mut tcp: TcpStream) -> Result<Box<dyn TlsStream>, NetError> {
        let name = ServerName::try_from("localhost").unwrap();
        let mut session = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        while session.is_handshaking() {
            session
                .complete_io(&mut tcp)
                .map_err(|e| fake::net_error(NetErrorKind::Tls, &e.to_string(), true))?;
        }
        let certificate = session
            .peer_certificates()
            .and_then(|chain| chain.first())
            .unwrap()
            .to_vec();
        let binding = (self.binding)(&certificate);
        Ok(Box::new(Channel {
            stream: StreamOwned::new(session, tcp),
            binding,
        }))
    }
}

struct Channel {
    stream: StreamOwned<ClientConnection, TcpStream>,
    binding: Option<Vec<u8>>,
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl TlsStream for Channel {
    fn channel_binding(&self, kind: Binding) -> Option<Vec<u8>> {
        if matches!(kind, Binding::TlsServerEndPoint) {
            self.binding.clone()
        } else {
            None
        }
    }
}

/// RFC 5929 for a certificate signed with SHA-256.
fn truth(certificate: &[u8]) -> Option<Vec<u8>> {
    Some(Sha256::digest(certificate).to_vec())
}

fn lie(_certificate: &[u8]) -> Option<Vec<u8>> {
    Some(vec![7; 32])
}

fn silence(_certificate: &[u8]) -> Option<Vec<u8>> {
    None
}

fn tls_host(
    cluster: &Cluster,
    authority: &Authority,
    binding: fn(&[u8]) -> Option<Vec<u8>>,
) -> Installed {
    let address = address(cluster);
    Host::new()
        .endpoint(
            "primary",
            Tcp::upgrade(&[&address], Rustls::trusting(authority, binding)),
        )
        .install()
}

fn tls_options(authority: &Authority) -> ClusterOptions {
    let identity = authority.issue(&["localhost"]).unwrap();
    ClusterOptions::new().tls(identity.certificate_pem, identity.key_pem)
}

#[test]
fn logins_are_bound_to_the_channel() {
    let authority = Authority::new("tests").unwrap();
    let cluster = set_up(tls_options(&authority));
    let ctx = context("single");
    {
        let _host = tls_host(&cluster, &authority, truth);
        let candidate = create(&ctx, "v1");
        set(&ctx, &candidate).unwrap();
        test(&ctx, &candidate).unwrap();
        assert_eq!(probe(&ctx, &candidate).unwrap().liveness, Liveness::Live);
    }
    // Data of another channel is refused by the server, so it was sent; and it is not `dead`.
    let _host = tls_host(&cluster, &authority, lie);
    assert_eq!(
        probe(&ctx, &ctx.current).unwrap().liveness,
        Liveness::Unknown
    );
}

#[test]
fn without_binding_data_plain_scram_serves() {
    let authority = Authority::new("tests").unwrap();
    let cluster = set_up(tls_options(&authority));
    let _host = tls_host(&cluster, &authority, silence);
    let ctx = context("single");
    assert_eq!(probe(&ctx, &ctx.current).unwrap().liveness, Liveness::Live);
}

#[test]
fn an_md5_role_can_be_rotated_away_from_under_tls() {
    let authority = Authority::new("tests").unwrap();
    let cluster = set_up(tls_options(&authority).hba("hostssl festival festival_app all md5"));
    let md5 =
        format!("SET password_encryption = 'md5'; ALTER ROLE festival_app PASSWORD '{FIRST}'");
    cluster.query(&md5).unwrap();
    let _host = tls_host(&cluster, &authority, truth);
    let ctx = context("single");
    let candidate = create(&ctx, "v1");
    set(&ctx, &candidate).unwrap();
    test(&ctx, &candidate).unwrap();
    let stored = "SELECT rolpassword LIKE 'SCRAM%' FROM pg_authid WHERE rolname = 'festival_app'";
    assert_eq!(cluster.query(stored).unwrap(), "t");
}

#[test]
fn tls_that_is_refused_or_does_not_verify_ends_the_login() {
    let authority = Authority::new("tests").unwrap();
    let ctx = context("single");
    for cluster in [
        set_up(ClusterOptions::new()),
        set_up(tls_options(&Authority::new("another").unwrap())),
    ] {
        let _host = tls_host(&cluster, &authority, truth);
        let error = probe(&ctx, &ctx.current).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Tls, "{error}");
    }
}
