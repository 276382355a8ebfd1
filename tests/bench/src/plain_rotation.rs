//! The floor under a database rotation: a plain program with a usual client that logs in as often as a rotation
//! does and says what it says. It decides nothing, keeps nothing and checks nothing.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

use crate::Result;

pub(crate) const PLAIN_ROTATION: &str = "plain-rotation";
const WRONG_PASSWORD: &str = "a-password-that-was-never-set";

/// What to do where.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) port: u16,
    pub(crate) database: String,
    pub(crate) ca_pem: String,
    /// By user.
    pub(crate) passwords: BTreeMap<String, String>,
    pub(crate) visits: Vec<Visit>,
}

/// One login and what was said in it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Visit {
    pub(crate) user: String,
    pub(crate) refused: bool,
    pub(crate) statements: Vec<String>,
}

impl Plan {
    pub(crate) fn statements(&self) -> usize {
        self.visits.iter().map(|visit| visit.statements.len()).sum()
    }

    /// The same without what a rotation asks the server for its own safety.
    pub(crate) fn with_alters_only(&self) -> Self {
        let mut plan = self.clone();
        for visit in &mut plan.visits {
            visit
                .statements
                .retain(|statement| statement.starts_with("ALTER ROLE"));
        }
        plan
    }
}

/// The floor.
pub(crate) fn plain(arguments: &[String]) -> Result<String> {
    let [file] = arguments else {
        return Err("plain-rotation needs a plan".into());
    };
    let plan: Plan = serde_json::from_slice(&std::fs::read(file)?)?;
    let tls = Tls(Arc::new(client_config(&plan.ca_pem)?));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        for visit in &plan.visits {
            pay(&plan, visit, tls.clone()).await?;
        }
        Ok(String::new())
    })
}

/// A client that trusts this authority alone.
pub(crate) fn client_config(ca_pem: &str) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

async fn pay(plan: &Plan, visit: &Visit, tls: Tls) -> Result<()> {
    let password = if visit.refused {
        WRONG_PASSWORD
    } else {
        plan.passwords
            .get(&visit.user)
            .ok_or("a user without a password")?
    };
    let connected = tokio_postgres::Config::new()
        .host("127.0.0.1")
        .port(plan.port)
        .ssl_mode(SslMode::Require)
        .user(&visit.user)
        .password(password)
        .dbname(&plan.database)
        .connect(tls)
        .await;
    let (client, connection) = match connected {
        Err(_) if visit.refused => return Ok(()),
        connected => connected?,
    };
    let connection = tokio::spawn(connection);
    for statement in &visit.statements {
        client.batch_execute(statement).await?;
    }
    drop(client);
    Ok(connection.await??)
}

/// TLS as tokio-postgres wants it.
#[derive(Clone)]
struct Tls(Arc<ClientConfig>);

struct Encrypted(tokio_rustls::client::TlsStream<Socket>);

type Connecting = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Encrypted;
    type TlsConnect = Tls;
    type Error = io::Error;

    fn make_tls_connect(&mut self, _: &str) -> io::Result<Tls> {
        Ok(self.clone())
    }
}

impl TlsConnect<Socket> for Tls {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Connecting;

    fn connect(self, stream: Socket) -> Connecting {
        Box::pin(async move {
            let name = ServerName::try_from("127.0.0.1").map_err(io::Error::other)?;
            let connector = tokio_rustls::TlsConnector::from(self.0);
            connector.connect(name, stream).await.map(Encrypted)
        })
    }
}

impl TlsStream for Encrypted {
    /// For certificates that are signed with SHA-256, as the bench's own is.
    fn channel_binding(&self) -> ChannelBinding {
        let certificates = self.0.get_ref().1.peer_certificates();
        match certificates.and_then(<[_]>::first) {
            Some(certificate) => {
                ChannelBinding::tls_server_end_point(Sha256::digest(certificate).to_vec())
            }
            None => ChannelBinding::none(),
        }
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
