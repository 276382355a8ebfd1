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
use tokio::time::{Instant, timeout_at};

use crate::endpoint::{NetError, NetErrorKind, Network, Security};
use crate::signature::{Signer, Signing};
use crate::signing::Scope;

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

/// Written by the host where it signs.
const SIGNED_HEADERS: [&str; 5] = [
    // An answer that nobody can read cannot be searched for what it must not repeat.
    "accept-encoding",
    "authorization",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
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

/// Sends over a fresh connection and closes it. Where the grant has the host sign, that is done last, when all checks are
/// over.
pub(crate) async fn send(
    network: &mut Network,
    endpoint: &str,
    request: HttpRequest,
    signer: &Signer,
    body_bytes_max: usize,
    patience: Duration,
) -> Result<HttpResponse, NetError> {
    let (origin, encrypted) = network.origin(endpoint, 0)?;
    let scope = network.signed_for(endpoint)?;
    let body = Bytes::from(request.body);
    let head = Head {
        method: request.method,
        path: request.path,
        headers: request.headers,
        is_signed: scope.is_some(),
    };
    let mut request = head.build(body.clone(), &origin, encrypted, body_bytes_max)?;
    let deadline = Instant::now() + patience;
    let signing = match &scope {
        Some(scope) => Some(signing(signer, scope, deadline).await?),
        None => None,
    };
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
    if let Some(signing) = &signing {
        signing.sign(&mut request, &origin, &body)?;
    }
    let taken = connection.taken_by_kernel();
    let before = taken.load(Ordering::Relaxed);
    let exchanged = timeout_at(
        deadline,
        exchange(connection, request, &origin, body_bytes_max),
    )
    .await;
    let sent = taken.load(Ordering::Relaxed) > before;
    let mut response = exchanged
        .unwrap_or_else(|_| Err(NetError::timeout("the answer of", &origin)))
        .map_err(|error| error.sent(sent))?;
    if let Some(signing) = &signing {
        signing.keep_back(&mut response);
    }
    Ok(response)
}

async fn signing<'a>(
    signer: &Signer,
    scope: &'a Scope,
    deadline: Instant,
) -> Result<Signing<'a>, NetError> {
    timeout_at(deadline, signer.begin(scope))
        .await
        .unwrap_or_else(|_| {
            let message =
                "looking for this host's AWS credentials took too long; check where they come from";
            Err(NetError::new(NetErrorKind::Timeout, message))
        })
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

/// What a plugin wants said before the body.
struct Head {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    is_signed: bool,
}

impl Head {
    fn build(
        self,
        body: Bytes,
        origin: &str,
        encrypted: bool,
        body_bytes_max: usize,
    ) -> Result<Request<Full<Bytes>>, NetError> {
        let wrong = |what: String| NetError::new(NetErrorKind::Other, what);
        if body.len() > body_bytes_max {
            let message = format!("the request's body is larger than {body_bytes_max} bytes");
            return Err(NetError::new(NetErrorKind::Limit, message));
        }
        let method = Method::from_bytes(self.method.as_bytes())
            .map_err(|_| wrong("the request's method is not an HTTP method".into()))?;
        if method == Method::CONNECT {
            return Err(NetError::new(
                NetErrorKind::Denied,
                "CONNECT is refused: an endpoint is not a proxy",
            ));
        }
        let path: Uri = self
            .path
            .parse()
            .map_err(|_| wrong("the request's path is not a valid path and query".into()))?;
        if !self.path.starts_with('/') || path.authority().is_some() {
            return Err(NetError::new(
                NetErrorKind::Denied,
                "the request's path must begin with /; the origin is the grant's",
            ));
        }
        let mut built = Request::new(Full::new(body));
        *built.method_mut() = method;
        *built.uri_mut() = path;
        let headers = built.headers_mut();
        for (name, value) in self.headers {
            if is_the_hosts(&name, self.is_signed) {
                return Err(NetError::new(
                    NetErrorKind::Denied,
                    format!("the header {name} is the host's to set; leave it out"),
                ));
            }
            let name = HeaderName::try_from(name)
                .map_err(|_| wrong("a header's name is not valid".into()))?;
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
}

fn is_the_hosts(header: &str, is_signed: bool) -> bool {
    let header = header.to_ascii_lowercase();
    HOST_HEADERS.contains(&header.as_str())
        || is_signed && SIGNED_HEADERS.contains(&header.as_str())
}

/// Values that are no text are left out: the contract has strings.
fn plain_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let plain = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    headers.iter().filter_map(plain).collect()
}
