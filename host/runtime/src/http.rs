//! One HTTP request to a granted endpoint. The origin is the grant's, redirects are returned and
//! never followed, and everything that frames the message is the host's to write.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::endpoint::{NetError, NetErrorKind, Network, Security};

/// All header lines of one message.
const HEADER_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;

/// Written by the host: they say where the request goes and where it ends.
const HOST_HEADERS: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "proxy-authorization",
];

pub(crate) struct HttpRequest {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Sends over a fresh connection and closes it.
pub(crate) async fn send(
    network: &mut Network,
    endpoint: &str,
    request: HttpRequest,
    body_bytes_max: usize,
    patience: Duration,
) -> Result<HttpResponse, NetError> {
    let (origin, encrypted) = network.origin(endpoint, 0)?;
    let request = build(request, &origin, encrypted, body_bytes_max)?;
    let connection = network.connect(endpoint, 0).await?;
    if connection.security() == Security::UpgradeRequired {
        return Err(NetError::new(
            NetErrorKind::Denied,
            format!(
                "the endpoint \"{endpoint}\" starts in plaintext and demands TLS, which HTTP cannot begin; \
                 declare protocol = \"https\" in plugin.toml"
            ),
        ));
    }
    let taken = connection.taken_by_kernel();
    let before = taken.load(Ordering::Relaxed);
    let exchanged = timeout(
        patience,
        exchange(connection, request, &origin, body_bytes_max),
    )
    .await;
    let sent = taken.load(Ordering::Relaxed) > before;
    exchanged
        .unwrap_or_else(|_| Err(NetError::timeout("the answer of", &origin)))
        .map_err(|error| error.sent(sent))
}

async fn exchange(
    connection: crate::endpoint::Connection,
    request: Request<Full<Bytes>>,
    origin: &str,
    body_bytes_max: usize,
) -> Result<HttpResponse, NetError> {
    let broken = |error: hyper::Error| {
        let kind = if error.is_incomplete_message() {
            NetErrorKind::Closed
        } else {
            NetErrorKind::Other
        };
        NetError::new(kind, format!("{origin} broke the HTTP exchange: {error}"))
    };
    let (mut sender, driver) = http1::Builder::new()
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .handshake(TokioIo::new(connection))
        .await
        .map_err(broken)?;
    // Aborted when this function ends, however it ends; nothing stays open.
    let mut drivers = JoinSet::new();
    drivers.spawn(driver);
    let response = sender.send_request(request).await.map_err(broken)?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, body_bytes_max)
        .collect()
        .await
        .map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                let message =
                    format!("the answer of {origin} is larger than {body_bytes_max} bytes");
                return NetError::new(NetErrorKind::Limit, message);
            }
            NetError::new(
                NetErrorKind::Closed,
                format!("{origin} broke off its answer: {error}"),
            )
        })?;
    Ok(HttpResponse {
        status: parts.status.as_u16(),
        headers: plain_headers(&parts.headers),
        body: body.to_bytes().to_vec(),
    })
}

fn build(
    request: HttpRequest,
    origin: &str,
    encrypted: bool,
    body_bytes_max: usize,
) -> Result<Request<Full<Bytes>>, NetError> {
    let wrong = |what: String| NetError::new(NetErrorKind::Other, what);
    if request.body.len() > body_bytes_max {
        let message = format!("the request's body is larger than {body_bytes_max} bytes");
        return Err(NetError::new(NetErrorKind::Limit, message));
    }
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| wrong("the request's method is not an HTTP method".into()))?;
    if method == Method::CONNECT {
        return Err(NetError::new(
            NetErrorKind::Denied,
            "CONNECT is refused: an endpoint is not a proxy",
        ));
    }
    let path: Uri = request
        .path
        .parse()
        .map_err(|_| wrong("the request's path is not a valid path and query".into()))?;
    if !request.path.starts_with('/') || path.authority().is_some() {
        return Err(NetError::new(
            NetErrorKind::Denied,
            "the request's path must begin with /; the origin is the grant's",
        ));
    }
    let mut built = Request::new(Full::new(Bytes::from(request.body)));
    *built.method_mut() = method;
    *built.uri_mut() = path;
    let headers = built.headers_mut();
    for (name, value) in request.headers {
        if HOST_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(NetError::new(
                NetErrorKind::Denied,
                format!("the header {name} is the host's to set; leave it out"),
            ));
        }
        let name =
            HeaderName::try_from(name).map_err(|_| wrong("a header's name is not valid".into()))?;
        let value = HeaderValue::try_from(value)
            .map_err(|_| wrong(format!("the header {name} has a value that is not valid")))?;
        headers.append(name, value);
    }
    let default_port = if encrypted { ":443" } else { ":80" };
    let host = HeaderValue::try_from(origin.strip_suffix(default_port).unwrap_or(origin))
        .map_err(|_| wrong("the granted host is no valid Host header".into()))?;
    headers.insert(hyper::header::HOST, host);
    Ok(built)
}

/// Values that are no text are left out: the contract has strings.
fn plain_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let plain = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    headers.iter().filter_map(plain).collect()
}
