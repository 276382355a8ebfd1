//! A client that shares no code with the plugin under test: the witness of every login.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use redis::{Client, Connection, ConnectionAddr, RedisError};
use sha2::{Digest as _, Sha256};

pub use redis::Value;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a command did not answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct LoginFailure {
    /// WRONGPASS and the like; `None`: nobody answered.
    pub code: Option<String>,
    pub message: String,
}

/// A client that is logged in and stays so.
pub struct Session(Connection);

impl Session {
    /// The login is a command of its own: what the client sends of its own accord hides the server's word.
    pub fn open(
        address: SocketAddr,
        user: Option<&str>,
        password: &str,
    ) -> Result<Self, LoginFailure> {
        let connect = || -> Result<Connection, RedisError> {
            let place = ConnectionAddr::Tcp(address.ip().to_string(), address.port());
            let connection = Client::open(place)?.get_connection_with_timeout(TIMEOUT)?;
            connection.set_read_timeout(Some(TIMEOUT))?;
            connection.set_write_timeout(Some(TIMEOUT))?;
            Ok(connection)
        };
        let mut session = Self(connect().map_err(|error| failure(&error))?);
        match user {
            Some(user) => session.command(&["AUTH", user, password]),
            None => session.command(&["AUTH", password]),
        }?;
        Ok(session)
    }

    pub fn command(&mut self, words: &[&str]) -> Result<Value, LoginFailure> {
        let (name, arguments) = words.split_first().unwrap_or((&"PING", &[]));
        redis::cmd(name)
            .arg(arguments)
            .query(&mut self.0)
            .map_err(|error| failure(&error))
    }
}

pub(super) fn command(
    address: SocketAddr,
    user: Option<&str>,
    password: &str,
    words: &[&str],
) -> Result<Value, LoginFailure> {
    Session::open(address, user, password)?.command(words)
}

/// Does a server that has read its data take commands there?
pub(super) fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 64];
        let count = stream.read(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..count]).into_owned())
    };
    ask().is_ok_and(|answer| {
        ["+PONG", "-NOAUTH", "-NOPERM", "-MASTERDOWN"]
            .iter()
            .any(|ready| answer.starts_with(ready))
    })
}

/// As hexadecimal digits.
pub fn sha256(text: &str) -> String {
    let mut digits = String::new();
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing into a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// A text that a server answered; anything else as it can be shown.
pub fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::VerbatimString { text, .. } => text.clone(),
        other => format!("{other:?}"),
    }
}

fn failure(error: &RedisError) -> LoginFailure {
    LoginFailure {
        code: error.code().map(str::to_owned),
        message: error.to_string(),
    }
}
