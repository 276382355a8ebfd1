//! PostgreSQL's frontend/backend protocol 3.0 as far as this plugin speaks it: bytes to messages
//! and messages to bytes. It exists so that everything which parses what a server sent can be
//! tested and fuzzed without a socket. It never reads, writes, waits or decides; a message longer
//! than [`MESSAGE_BYTES_MAX`] is an error and not an allocation.
//! Source of the formats: PostgreSQL documentation, "Message Formats".

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, ErrorFields, Header, Message};
use postgres_protocol::message::frontend;
use std::fmt;

/// The longest message taken from a server. The largest honest ones are rows of the drift gate, a
/// few kilobytes each.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// The most rows taken from one statement, so that an endless result ends as an error.
pub const ROWS_MAX: usize = 20_000;

/// What a server sent is not the protocol, or exceeds a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError(pub String);

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WireError {}

/// The 8 bytes that ask for TLS before anything else is sent.
pub fn ssl_request() -> Vec<u8> {
    let mut buf = BytesMut::new();
    frontend::ssl_request(&mut buf);
    buf.to_vec()
}

/// StartupMessage for `user` on `database`. UTF8 is asked for because every name that is read
/// back is compared as UTF-8. No other setting travels here: poolers refuse unknown ones.
pub fn startup(user: &str, database: &str) -> Result<Vec<u8>, WireError> {
    let mut buf = BytesMut::new();
    let parameters = [
        ("user", user),
        ("database", database),
        ("client_encoding", "UTF8"),
        ("application_name", "keyturn"),
    ];
    frontend::startup_message(parameters, &mut buf)
        .map_err(|_| WireError("the user name or the database name holds a NUL byte".into()))?;
    Ok(buf.to_vec())
}

/// A simple Query message.
pub fn query(sql: &str) -> Result<Vec<u8>, WireError> {
    let mut buf = BytesMut::new();
    frontend::query(sql, &mut buf)
        .map_err(|_| WireError("the statement holds a NUL byte".into()))?;
    Ok(buf.to_vec())
}

/// Terminate: lets the server end the session without a complaint in its log.
pub fn terminate() -> Vec<u8> {
    let mut buf = BytesMut::new();
    frontend::terminate(&mut buf);
    buf.to_vec()
}

/// Collects bytes and yields whole messages.
#[derive(Default)]
pub struct Frames {
    buffer: BytesMut,
}

impl Frames {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes received and not yet consumed.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The next whole message, `None` while it is incomplete.
    pub fn next_message(&mut self) -> Result<Option<Message>, WireError> {
        let header = Header::parse(&self.buffer).map_err(malformed)?;
        let Some(header) = header else {
            return Ok(None);
        };
        // `Header::parse` refuses lengths below 4, so the cast cannot wrap.
        if header.len() as usize > MESSAGE_BYTES_MAX {
            return Err(WireError(format!(
                "the server announced a message of {} bytes, more than the {MESSAGE_BYTES_MAX} accepted",
                header.len()
            )));
        }
        if self.buffer.len() < header.len() as usize + 1 {
            return Ok(None);
        }
        Message::parse(&mut self.buffer).map_err(malformed)
    }
}

fn malformed(error: std::io::Error) -> WireError {
    WireError(format!("malformed message from the server: {error}"))
}

/// An ErrorResponse. `code` decides; `message` is for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerError {
    /// ERROR, FATAL or PANIC, not localised (field V, sent since PostgreSQL 9.6; field S before).
    pub severity: String,
    /// SQLSTATE, always five characters of `0-9A-Z`.
    pub code: String,
    pub message: String,
}

impl ServerError {
    /// The session is over, whatever became of its transaction.
    pub fn ends_session(&self) -> bool {
        self.severity != "ERROR"
    }
}

/// The fields that matter of an ErrorResponse.
pub fn server_error(mut fields: ErrorFields<'_>) -> Result<ServerError, WireError> {
    let mut error = ServerError::default();
    while let Some(field) = fields.next().map_err(malformed)? {
        let text = || String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'V' => error.severity = text(),
            b'S' if error.severity.is_empty() => error.severity = text(),
            b'C' => error.code = text(),
            b'M' => error.message = text(),
            _ => {}
        }
    }
    let code_is_sqlstate = error.code.len() == 5
        && error
            .code
            .bytes()
            .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    if !code_is_sqlstate {
        return Err(WireError("an error response without an SQLSTATE".into()));
    }
    Ok(error)
}

/// One row, by position; `None` is NULL.
pub type Row = Vec<Option<String>>;

/// A row in text format, which is what simple queries answer.
pub fn row(body: &DataRowBody) -> Result<Row, WireError> {
    let buffer = body.buffer();
    body.ranges()
        .map(|range| Ok(range.map(|range| String::from_utf8_lossy(&buffer[range]).into_owned())))
        .collect()
        .map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        out.extend_from_slice(body);
        out
    }

    fn parse(bytes: &[u8]) -> Result<Option<Message>, WireError> {
        let mut frames = Frames::default();
        frames.push(bytes);
        frames.next_message()
    }

    #[test]
    fn the_ssl_request_is_the_eight_bytes_that_the_manifest_allows() {
        assert_eq!(ssl_request(), [0, 0, 0, 8, 4, 210, 22, 47]);
    }

    #[test]
    fn a_message_arrives_in_any_pieces() {
        let bytes = frame(b'Z', b"I");
        let mut frames = Frames::default();
        for byte in &bytes[..bytes.len() - 1] {
            frames.push(&[*byte]);
            assert!(frames.next_message().unwrap().is_none());
        }
        frames.push(&bytes[bytes.len() - 1..]);
        assert!(matches!(
            frames.next_message().unwrap(),
            Some(Message::ReadyForQuery(_))
        ));
        assert_eq!(frames.buffered(), 0);
    }

    #[test]
    fn an_announced_giant_is_refused_before_its_bytes_arrive() {
        for length in [MESSAGE_BYTES_MAX as u32 + 1, 0x7fff_ffff] {
            let mut bytes = vec![b'D'];
            bytes.extend_from_slice(&length.to_be_bytes());
            let error = parse(&bytes).err().unwrap();
            assert!(error.0.contains("more than"), "{error}");
        }
    }

    #[test]
    fn negative_and_tiny_lengths_are_refused() {
        for length in [0u32, 3, 0x8000_0000, 0xffff_ffff] {
            let mut bytes = vec![b'Z'];
            bytes.extend_from_slice(&length.to_be_bytes());
            assert!(parse(&bytes).is_err(), "length {length:#x}");
        }
    }

    #[test]
    fn unknown_and_overlong_messages_are_errors() {
        assert!(parse(&frame(b'~', b"")).is_err());
        assert!(parse(&frame(b'Z', b"II")).is_err());
    }

    fn error_of(body: &[u8]) -> Result<ServerError, WireError> {
        match parse(&frame(b'E', body)).unwrap().unwrap() {
            Message::ErrorResponse(body) => server_error(body.fields()),
            _ => panic!("not an error response"),
        }
    }

    #[test]
    fn the_sqlstate_is_taken_and_the_unlocalised_severity_preferred() {
        let error = error_of(b"SFEHLER\0VERROR\0C28P01\0Mnein\0\0").unwrap();
        assert_eq!(error.severity, "ERROR");
        assert_eq!(error.code, "28P01");
        assert!(!error.ends_session());
    }

    #[test]
    fn an_error_without_an_sqlstate_is_no_error_response() {
        for body in [&b"SERROR\0Mx\0\0"[..], b"C28p01\0\0", b"C28P011\0\0"] {
            assert!(error_of(body).is_err());
        }
    }

    #[test]
    fn rows_carry_null_and_text() {
        let mut body = 2u16.to_be_bytes().to_vec();
        body.extend_from_slice(&(-1i32).to_be_bytes());
        body.extend_from_slice(&2i32.to_be_bytes());
        body.extend_from_slice(b"ok");
        match parse(&frame(b'D', &body)).unwrap().unwrap() {
            Message::DataRow(body) => {
                assert_eq!(row(&body).unwrap(), vec![None, Some("ok".into())]);
            }
            _ => panic!("not a row"),
        }
    }

    #[test]
    fn a_row_shorter_than_it_says_is_an_error() {
        let mut body = 1u16.to_be_bytes().to_vec();
        body.extend_from_slice(&100i32.to_be_bytes());
        body.extend_from_slice(b"short");
        match parse(&frame(b'D', &body)).unwrap().unwrap() {
            Message::DataRow(body) => assert!(row(&body).is_err()),
            _ => panic!("not a row"),
        }
    }

    #[test]
    fn nul_never_reaches_a_message() {
        assert!(startup("a\0b", "db").is_err());
        assert!(query("select '\0'").is_err());
    }
}
