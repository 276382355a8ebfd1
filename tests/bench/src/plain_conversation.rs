//! The floor under a rotation of a Redis password: a plain program that opens as many connections and says what a
//! rotation says, waiting for each reply. It decides nothing, keeps nothing and checks nothing.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::plain_rotation::client_config;

pub(crate) const PLAIN_CONVERSATION: &str = "plain-conversation";

/// What to say where.
#[derive(Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) port: u16,
    pub(crate) ca_pem: String,
    /// The commands of each connection, word by word.
    pub(crate) visits: Vec<Vec<Vec<String>>>,
}

/// The commands that a connection was sent: arrays of bulk strings, one behind the other.
pub(crate) fn commands(mut sent: &[u8]) -> Result<Vec<Vec<String>>> {
    // It reads ahead and keeps what it has read.
    let mut parser = redis::Parser::new();
    let mut commands = Vec::new();
    loop {
        match parser.parse_value(&mut sent) {
            Ok(command) => commands.push(redis::from_redis_value(command)?),
            Err(_) if sent.is_empty() => return Ok(commands),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The floor.
pub(crate) fn plain(arguments: &[String]) -> Result<String> {
    let [file] = arguments else {
        return Err("plain-conversation needs a plan".into());
    };
    let plan: Plan = serde_json::from_slice(&std::fs::read(file)?)?;
    let tls = Arc::new(client_config(&plan.ca_pem)?);
    for visit in &plan.visits {
        let tcp = TcpStream::connect(("127.0.0.1", plan.port))?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("127.0.0.1")?;
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(&tls), name)?, tcp);
        let mut parser = redis::Parser::new();
        for words in visit {
            let mut command = redis::Cmd::new();
            command.arg(words);
            stream.write_all(&command.get_packed_command())?;
            // An error is a reply as well: the passwords are another server's.
            parser.parse_value(&mut stream)?;
        }
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_command_of_a_connection_is_read() {
        let sent = b"*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nACL\r\n$7\r\nSETUSER\r\n$1\r\na\r\n";
        let expected: [&[&str]; 2] = [&["PING"], &["ACL", "SETUSER", "a"]];
        assert_eq!(commands(sent).unwrap(), expected);
    }
}
