//! One login of a real client, the witness of every claim about a password. Says only what the
//! server answered (its SQLSTATE) or that no answer came; it never retries.

use std::time::Duration;

use tokio_postgres::NoTls;

/// Longer than any healthy login on loopback, shorter than a test's patience.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a login failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("login as {user} failed{}: {message}", .sqlstate.as_ref().map(|code| format!(" with SQLSTATE {code}")).unwrap_or_default())]
pub struct LoginFailure {
    pub user: String,
    /// The server's answer, e.g. 28P01; absent where no answer came (network, timeout).
    pub sqlstate: Option<String>,
    pub message: String,
}

/// Connects over TCP, authenticates as the server demands, asks `SELECT 1` and leaves.
pub async fn login(
    host: &str,
    port: u16,
    user: &str,
    password: &str,
    database: &str,
) -> Result<(), LoginFailure> {
    let failure = |sqlstate, message| LoginFailure {
        user: user.to_owned(),
        sqlstate,
        message,
    };
    let attempt = async {
        let (client, connection) = tokio_postgres::Config::new()
            .host(host)
            .port(port)
            .user(user)
            .password(password)
            .dbname(database)
            .application_name("keyturn-witness")
            .connect(NoTls)
            .await?;
        let question = async move {
            let answer = client.simple_query("SELECT 1").await;
            drop(client); // ends the connection's future
            answer
        };
        let (answer, connection) = tokio::join!(question, connection);
        answer?;
        connection
    };
    match tokio::time::timeout(LOGIN_TIMEOUT, attempt).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(failure(
            error.code().map(|code| code.code().to_owned()),
            describe(&error),
        )),
        Err(_) => Err(failure(None, format!("no answer within {LOGIN_TIMEOUT:?}"))),
    }
}

/// The same for callers without a runtime, or inside one that they may not block: a thread of its own.
pub(super) fn login_blocking(
    host: &str,
    port: u16,
    user: &str,
    password: &str,
    database: &str,
) -> Result<(), LoginFailure> {
    let failure = |message: String| LoginFailure {
        user: user.to_owned(),
        sqlstate: None,
        message,
    };
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| failure(format!("no runtime: {error}")))?
                    .block_on(login(host, port, user, password, database))
            })
            .join()
            .unwrap_or_else(|_| Err(failure("the login's thread panicked".to_owned())))
    })
}

/// tokio-postgres's Display leaves the cause out.
fn describe(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
