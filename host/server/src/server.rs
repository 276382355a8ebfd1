//! Listens, bounds how many connections there are, and stops in order: what has arrived is answered first.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::connection::{self, Patience};
use crate::service::Service;

/// Each is a file handle and a few kilobytes. Half of the handles that a process usually has: store and rotations need
/// some, whoever else keeps connections open.
const CONNECTIONS_MAX: usize = 512;
/// For what has arrived when the server is told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// A listener that fails has too few file handles, most likely; some will be free soon.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening server.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    service: Arc<Service>,
    patience: Patience,
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything that had arrived was answered.
    InOrder,
    /// Some requests took too long; what they do to the store happens as a whole or not at all.
    CutShort,
}

impl Server {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        service: Service,
    ) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            tls: tls.map(TlsAcceptor::from),
            service: Arc::new(service),
            patience: Patience::default(),
        })
    }

    /// The same with other patience.
    #[must_use]
    pub fn with(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the operating system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is done.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Ended {
        let (stopping, stopped) = watch::channel(false);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        tokio::select! {
            () = self.accept(&places, &stopped) => {}
            () = stop => {}
        }
        drop(self.listener);
        stopping.send_replace(true);
        let began = tokio::time::Instant::now();
        // First the connections, each after the answer to its request; then what runs on without one.
        let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
        let closed = timeout(STOP_TIMEOUT, places.acquire_many(all)).await;
        let left = STOP_TIMEOUT.saturating_sub(began.elapsed());
        if self.service.rest(left).await && closed.is_ok() {
            Ended::InOrder
        } else {
            Ended::CutShort
        }
    }

    async fn accept(&self, places: &Arc<Semaphore>, stopped: &watch::Receiver<bool>) {
        // Never closed while this runs.
        while let Ok(place) = Arc::clone(places).acquire_owned().await {
            match self.listener.accept().await {
                Ok((stream, client)) => self.take(stream, client, place, stopped.clone()),
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    fn take(
        &self,
        stream: TcpStream,
        client: SocketAddr,
        place: OwnedSemaphorePermit,
        stopped: watch::Receiver<bool>,
    ) {
        let (tls, service) = (self.tls.clone(), Arc::clone(&self.service));
        let patience = self.patience;
        tokio::spawn(async move {
            let _place = place;
            // Answers are small and clients wait for them.
            let _ = stream.set_nodelay(true);
            let Some(tls) = tls else {
                return connection::serve(stream, client, service, patience, stopped).await;
            };
            // A client that does not speak TLS, or not in time, is told nothing.
            if let Ok(Ok(stream)) = timeout(patience.handshake, tls.accept(stream)).await {
                connection::serve(stream, client, service, patience, stopped).await;
            }
        });
    }
}
