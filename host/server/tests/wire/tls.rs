//! The endpoint over TLS, and whoever does not speak it.

use std::sync::Arc;
use std::time::Duration;

use harness::endpoint::{Endpoint, locked};
use harness::signed::send;
use harness::tls::Authority;
use keyturn_server::Patience;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::support::signed;

const PATIENCE: Duration = Duration::from_secs(10);

/// Lists secrets as a client that trusts the authority.
async fn lists(endpoint: &Endpoint, authority: &Authority) -> String {
    let mut roots = RootCertStore::empty();
    let pem = authority.certificate_pem();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(endpoint.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.unwrap();
    let request = signed(endpoint, &endpoint.key, "ListSecrets", "{}").with("connection", "close");
    let text = request.head() + &request.body;
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn whoever_speaks_no_tls_or_nothing_is_told_nothing_and_in_nobodys_way() {
    let authority = Authority::new("endpoint").unwrap();
    let identity = authority.issue(&["localhost"]).unwrap();
    let patience = Patience {
        handshake: Duration::from_millis(500),
        ..Patience::default()
    };
    let endpoint = Endpoint::start_tls(patience, &identity).await.unwrap();
    let mut silent = TcpStream::connect(endpoint.address).await.unwrap();
    let request = signed(&endpoint, &endpoint.key, "ListSecrets", "{}");
    let clear = request.head() + &request.body;
    let answered = send(endpoint.address, clear.as_bytes()).await.unwrap();
    assert_eq!(answered.status, 0);
    let answer = lists(&endpoint, &authority).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut nothing = [0];
    let ended = timeout(PATIENCE, silent.read(&mut nothing)).await;
    assert_eq!(ended.expect("it is still open").unwrap_or(0), 0);
    // Only what came over TLS was a request.
    assert_eq!(locked(&endpoint.around.requests).len(), 1);
}
