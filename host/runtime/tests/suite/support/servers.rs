//! Real listeners on loopback, each on a port of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A listener that counts its connections.
pub(crate) struct Server {
    pub(crate) port: u16,
    seen: Arc<AtomicUsize>,
}

impl Server {
    /// How many connections were accepted.
    pub(crate) fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

/// Serves each connection with `serve`.
pub(crate) async fn serve<F, S>(serve: S) -> Server
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
    S: Fn(TcpStream) -> F + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream));
        }
    });
    Server { port, seen }
}

/// Sends back what it gets.
pub(crate) async fn echo() -> Server {
    serve(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.map(drop)
    })
    .await
}

/// Says nothing and keeps the connection.
pub(crate) async fn silent() -> Server {
    serve(|mut stream| async move {
        let mut nothing = [0; 64];
        while stream.read(&mut nothing).await? > 0 {}
        Ok(())
    })
    .await
}

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

/// Answers every request with this text.
pub(crate) async fn http(answer: &'static str) -> Server {
    serve(move |mut stream| async move {
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await?;
        let head = String::from_utf8_lossy(&request[..length]).into_owned();
        let host = head
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .unwrap_or_default();
        stream
            .write_all(answer.replace("HOST", host).as_bytes())
            .await?;
        stream.shutdown().await
    })
    .await
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
