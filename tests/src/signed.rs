//! Requests to a Secrets Manager endpoint byte by byte, signed by AWS's own signer: whoever signs here shares no code with
//! what verifies, and what an SDK would never send can be sent, too.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Both halves of an access key.
#[derive(Clone)]
pub struct Key {
    pub id: String,
    pub secret: String,
}

/// What a request is made of, to be changed by a test before it is sent.
#[derive(Clone)]
pub struct Request {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// How a request was answered; a status of 0 is a connection that ended without an answer.
pub struct Answered {
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

impl Request {
    /// Signed for a server at `address` that says it is in `region`.
    ///
    /// # Errors
    /// The signer's.
    pub fn signed(
        address: SocketAddr,
        region: &str,
        key: &Key,
        at: SystemTime,
        operation: &str,
        body: &str,
    ) -> io::Result<Self> {
        let header = |name: &str, value: String| (name.to_owned(), value);
        let mut headers = vec![
            header("host", address.to_string()),
            header("content-type", "application/x-amz-json-1.1".to_owned()),
            header("x-amz-target", format!("secretsmanager.{operation}")),
        ];
        let identity = Credentials::from_keys(&key.id, &key.secret, None).into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("secretsmanager")
            .time(at)
            .settings(SigningSettings::default())
            .build()
            .map_err(io::Error::other)?
            .into();
        let signed = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let url = format!("http://{address}/");
        let body_bytes = SignableBody::Bytes(body.as_bytes());
        let request = SignableRequest::new("POST", &url, signed, body_bytes);
        let output = sign(request.map_err(io::Error::other)?, &params).map_err(io::Error::other)?;
        let (instructions, _) = output.into_parts();
        for (name, value) in instructions.headers() {
            headers.push(header(name, value.to_owned()));
        }
        Ok(Self {
            line: "POST / HTTP/1.1".to_owned(),
            headers,
            body: body.to_owned(),
        })
    }

    #[must_use]
    pub fn without(mut self, header: &str) -> Self {
        self.headers.retain(|(name, _)| name != header);
        self
    }

    #[must_use]
    pub fn with(mut self, header: &str, value: &str) -> Self {
        self = self.without(header);
        self.headers.push((header.to_owned(), value.to_owned()));
        self
    }

    /// Empty where there is none.
    pub fn header(&self, header: &str) -> &str {
        let found = self.headers.iter().find(|(name, _)| name == header);
        found.map_or("", |(_, value)| value)
    }

    /// Everything before the body, which is said to be as long as it is.
    pub fn head(&self) -> String {
        let mut head = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head + &format!("content-length: {}\r\n\r\n", self.body.len())
    }

    /// Sends it on a connection of its own.
    ///
    /// # Errors
    /// Where there is no connection.
    pub async fn send(&self, address: SocketAddr) -> io::Result<Answered> {
        let last = self.clone().with("connection", "close");
        send(address, (last.head() + &last.body).as_bytes()).await
    }
}

/// Sends bytes as they are and reads the answer to its end.
///
/// # Errors
/// Where there is no connection.
pub async fn send(address: SocketAddr, bytes: &[u8]) -> io::Result<Answered> {
    let mut stream = TcpStream::connect(address).await?;
    // A server that has refused by now need not read all of it, nor end in order.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    Ok(Answered::parse(&String::from_utf8_lossy(&answer)))
}

/// A connection for one request after the other.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// # Errors
    /// The network's.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// # Errors
    /// Where the connection ended before the answer did.
    pub async fn ask(&mut self, request: &Request) -> io::Result<Answered> {
        let text = request.head() + &request.body;
        self.0.get_mut().write_all(text.as_bytes()).await?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let mut answered = Answered::parse(&head);
        let length = answered.headers.get("content-length");
        let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        answered.body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(answered)
    }
}

impl Answered {
    fn parse(answer: &str) -> Self {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        Self {
            status: status.and_then(|status| status.parse().ok()).unwrap_or(0),
            headers: lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        }
    }

    /// The error's name, or nothing where there is none.
    pub fn code(&self) -> &str {
        self.body["__type"].as_str().unwrap_or_default()
    }

    pub fn message(&self) -> &str {
        self.body["Message"].as_str().unwrap_or_default()
    }
}
