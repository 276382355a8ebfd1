//! An application with a Redis secret in guide.md's field names: each attempt connects, logs in with the value as it
//! stands, writes and reads. It never asks for a retry.

use std::net::SocketAddr;

use serde::Deserialize;

use super::postgres::Port;
use crate::redis::{Session, text};

#[derive(Deserialize)]
struct RedisSecret {
    host: String,
    port: Port,
    username: Option<String>,
    password: String,
}

#[derive(Default)]
pub(super) struct Client {
    proven: bool,
}

impl Client {
    pub(super) async fn log_in(&mut self, value: &str) -> Result<(), String> {
        let secret: RedisSecret = serde_json::from_str(value)
            .map_err(|error| format!("not a Redis secret: line {}", error.line()))?;
        // The client library blocks; whoever else probes goes on meanwhile.
        let prove = !self.proven;
        let asked = tokio::task::spawn_blocking(move || ask(&secret, prove));
        asked.await.map_err(|error| error.to_string())??;
        self.proven = true;
        Ok(())
    }
}

fn ask(secret: &RedisSecret, prove: bool) -> Result<(), String> {
    let host = secret
        .host
        .parse()
        .map_err(|_| format!("{:?} is no address", secret.host))?;
    let address = SocketAddr::new(host, secret.port.number()?);
    let open = |password: &str| Session::open(address, secret.username.as_deref(), password);
    // Once: a server that lets everybody in (`nopass`) would make every login a success.
    if prove && open(&format!("{}-wrong", secret.password)).is_ok() {
        return Err("the server lets a wrong password in, so its logins prove nothing".to_owned());
    }
    let work = || {
        let mut session = open(&secret.password)?;
        session.command(&["SET", "keyturn-prober", "here"])?;
        session.command(&["GET", "keyturn-prober"])
    };
    match work() {
        Ok(value) if text(&value) == "here" => Ok(()),
        Ok(_) => Err("what was written is not what was read".to_owned()),
        Err(failure) => Err(failure.to_string()),
    }
}
