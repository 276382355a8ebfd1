//! One connection: requests one after the other, each within bounds of size and time, so that a client that is slow,
//! silent or greedy costs one place among many and that for a limited time.

use std::error::Error;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::error::{Answer, ApiError};
use crate::service::Service;

/// A value has 64 KiB at the most; with every byte escaped six times as many, and other members beside it.
const BODY_BYTES_MAX: usize = 512 * 1024;
/// Signatures and user agents of SDKs take one or two.
const HEAD_BYTES_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 64;
/// For the answer to the last request of a connection, and for the client to read it.
const LAST_ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// To agree on TLS.
    pub handshake: Duration,
    /// From the end of the last request: how long a connection may be idle, and how long a head may take.
    pub head: Duration,
    pub body: Duration,
    /// Then a connection ends after the answer to its request. A client that never reads it must not keep its place.
    pub connection: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            body: Duration::from_secs(10),
            connection: Duration::from_secs(15 * 60),
        }
    }
}

/// Serves a connection until its end, or until `stop` says so and the request under way is answered.
pub(crate) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    client: SocketAddr,
    service: Arc<Service>,
    patience: Patience,
    mut stop: watch::Receiver<bool>,
) {
    let answer = service_fn(|request| answer(request, client, patience, Arc::clone(&service)));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        // The end of what a client sends says nothing about the request before it.
        .half_close(true);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), answer));
    tokio::select! {
        _ended = connection.as_mut() => return,
        () = sleep(patience.connection) => {}
        () = async { drop(stop.wait_for(|stopping| *stopping).await) } => {}
    }
    connection.as_mut().graceful_shutdown();
    // However it ends: what was answered is answered, and the client sees the end of its connection.
    let _ended = timeout(LAST_ANSWER_TIMEOUT, connection).await;
}

async fn answer(
    request: Request<Incoming>,
    client: SocketAddr,
    patience: Patience,
    service: Arc<Service>,
) -> Result<Response<Full<Bytes>>, Box<dyn Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    let body = match service.check_head(&head) {
        Ok(()) => receive(body, patience.body).await,
        Err(refused) => {
            // Read all the same, so that the client comes to read its answer.
            let _ = timeout(patience.body, forget(body)).await;
            Err(refused)
        }
    };
    // A task of its own: once a request has arrived it is carried out to its end, whoever hangs up meanwhile.
    let answering = Arc::clone(&service);
    let answered = tokio::spawn(async move { answering.answer(client, &head, body).await });
    match answered.await {
        Ok(answered) => Ok(answered?.map(Full::new)),
        Err(_panic) => Ok(service.broke_off(client).map(Full::new)),
    }
}

/// Keeps nothing: whoever has no key must not fill the memory.
async fn forget(body: Incoming) {
    let mut body = Limited::new(body, BODY_BYTES_MAX);
    while let Some(Ok(_)) = body.frame().await {}
}

async fn receive(body: Incoming, patience: Duration) -> Answer<Bytes> {
    let whole = timeout(patience, Limited::new(body, BODY_BYTES_MAX).collect());
    match whole.await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::new(
            "RequestEntityTooLargeException",
            format!("The body of a request has at most {BODY_BYTES_MAX} bytes."),
        )
        .with_status(StatusCode::PAYLOAD_TOO_LARGE)),
        Ok(Err(_)) => Err(ApiError::serialization("The body did not arrive whole.")),
        Err(_) => Err(ApiError::new(
            "RequestTimeoutException",
            format!("The body did not arrive within {patience:?}."),
        )
        .with_status(StatusCode::REQUEST_TIMEOUT)),
    }
}
