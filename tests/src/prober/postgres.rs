//! An application with a database secret in AWS's and guide.md's field names. It asks for a login
//! with the value as it stands, never for a retry.

use serde::Deserialize;

use crate::postgres::login;

/// guide.md §3.4 reads these members; AWS's templates name them the same.
#[derive(Deserialize)]
struct DatabaseSecret {
    host: String,
    port: Port,
    username: String,
    password: String,
    dbname: String,
}

/// AWS's console writes the port as a number, older templates as a string.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Port {
    Number(u16),
    Text(String),
}

#[derive(Default)]
pub(super) struct Client {
    proven: bool,
}

impl Client {
    pub(super) async fn log_in(&mut self, value: &str) -> Result<(), String> {
        let secret: DatabaseSecret = serde_json::from_str(value)
            .map_err(|error| format!("not a database secret: line {}", error.line()))?;
        let port = secret.port.number()?;
        let attempt = |password: String| {
            let (host, user, database) = (&secret.host, &secret.username, &secret.dbname);
            async move { login(host, port, user, &password, database).await }
        };
        // Once: a server that lets everybody in (`trust`) would make every login a success.
        if !self.proven {
            if attempt(format!("{}-wrong", secret.password)).await.is_ok() {
                return Err(
                    "the server lets a wrong password in, so its logins prove nothing".to_owned(),
                );
            }
            self.proven = true;
        }
        attempt(secret.password.clone())
            .await
            .map_err(|failure| failure.to_string())
    }
}

impl Port {
    pub(super) fn number(&self) -> Result<u16, String> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Text(text) => text.parse().map_err(|_| format!("{text:?} is not a port")),
        }
    }
}
