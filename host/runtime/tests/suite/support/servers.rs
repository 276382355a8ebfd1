//! Servers with TLS on loopback, beside the harness's plain ones.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

pub(crate) use harness::listeners::{Listener as Server, echo, http, serve, silent};

/// Answers `S` to eight bytes, and `extra` with it, then echoes over TLS.
pub(crate) async fn upgrade(acceptor: TlsAcceptor, extra: &'static [u8]) -> Server {
    serve(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut ask = [0; 8];
            stream.read_exact(&mut ask).await?;
            stream.write_all(&[b"S", extra].concat()).await?;
            echo_tls(acceptor, stream).await
        }
    })
    .await
}

/// Echoes over TLS from the first byte.
pub(crate) async fn tls(acceptor: TlsAcceptor) -> Server {
    serve(move |stream| echo_tls(acceptor.clone(), stream)).await
}

async fn echo_tls(acceptor: TlsAcceptor, stream: TcpStream) -> std::io::Result<()> {
    let (mut read, mut write) = tokio::io::split(acceptor.accept(stream).await?);
    tokio::io::copy(&mut read, &mut write).await.map(drop)
}

/// A CA and the files that grants name.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: tempfile::NamedTempFile,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), issuer.pem()).unwrap();
        Self { issuer, file }
    }

    /// The path of the CA's PEM.
    pub(crate) fn path(&self) -> String {
        self.file.path().display().to_string()
    }

    /// A server with a certificate for this name, valid now or no more.
    pub(crate) fn acceptor(&self, name: &str, expired: bool) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
