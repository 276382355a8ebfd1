//! Logins under way, several at once. A login mostly waits for its server, and logins that don't depend on each
//! other wait together. It turns the answers into the few cases that the rotation tells apart, and refuses a server
//! that checks no password before anybody could take its answer for a proof. In which order answers are judged, and
//! which logins may be made together, its callers decide.

use crate::auth::Proof;
use crate::client::LoginFailure;
use crate::client::opening::{Credentials, Opening, Progress};
use crate::door::{Door, Knock, Link};
use crate::errors::{self, INVALID_AUTHORIZATION, INVALID_PASSWORD};
use crate::secret::Login;
use crate::sql::ident;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyturn_sdk::{Error, endpoint, random};

/// Of the client's nonce; RFC 5802 leaves the length open, libpq takes as many.
const NONCE_BYTES: usize = 18;

/// One login. A session that it opened and nobody asked for is closed when this is dropped.
pub(crate) struct Knocking {
    door: Door,
    user: String,
    /// For errors.
    doing: String,
    stage: Stage,
    /// There as soon as the stage is `Over`.
    answer: Option<Result<Knock, Error>>,
}

enum Stage {
    /// Nobody has heard of it.
    Before(Credentials),
    UnderWay(Box<Opening<endpoint::Connection>>),
    Over,
}

/// Gives each login a turn after the other until all have their answer. If one fails, which is more than a refusal,
/// the others are left where they are: whoever asks for their answers in order may not get to them any more, and
/// must not wait for what a broken path has to say three times.
///
/// No two of them may be of one role: it may have CONNECTION LIMIT 1, and be locked after a few refusals in a row.
pub(crate) fn take_turns<'a>(logins: impl IntoIterator<Item = &'a mut Knocking>) {
    let mut waiting: Vec<&mut Knocking> = logins.into_iter().collect();
    while !waiting.is_empty() {
        for login in &mut waiting {
            login.turn();
            if let Some(Err(_)) = login.answer {
                return;
            }
        }
        waiting.retain(|login| login.answer.is_none());
    }
}

impl Knocking {
    pub(crate) fn new(door: Door, login: &Login) -> Knocking {
        Knocking {
            doing: format!("the login of {} at endpoint `{door}`", ident(&login.user)),
            door,
            user: login.user.clone(),
            stage: Stage::Before(Credentials {
                user: login.user.clone(),
                password: login.password.clone(),
                database: login.database.clone(),
                nonce: STANDARD.encode(random::bytes(NONCE_BYTES)),
            }),
            answer: None,
        }
    }

    pub(crate) fn is_of(&self, user: &str) -> bool {
        self.user == user
    }

    /// What it comes to; what is left of the login is done now. Anything that is no verdict about the login is an
    /// error, and so is a server that did not ask for a password.
    pub(crate) fn answer(mut self) -> Result<Knock, Error> {
        loop {
            if let Some(answer) = self.answer.take() {
                return answer;
            }
            if let Stage::Over = self.stage {
                return Err(Error::internal(format!(
                    "{} ended without an answer",
                    self.doing
                )));
            }
            self.turn();
        }
    }

    /// Sends the first bytes, or waits for one message and answers it.
    fn turn(&mut self) {
        let progress = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Before(credentials) => self.begin(credentials),
            Stage::UnderWay(opening) => opening.step(),
            Stage::Over => return,
        };
        match progress {
            Ok(Progress::Waiting(opening)) => self.stage = Stage::UnderWay(Box::new(opening)),
            Ok(Progress::Opened(link)) => self.answer = Some(opened(&self.doing, link)),
            Err(failure) => self.answer = Some(failed(&self.doing, failure)),
        }
    }

    fn begin(
        &self,
        credentials: Credentials,
    ) -> Result<Progress<endpoint::Connection>, LoginFailure> {
        let connection = self.door.connect().map_err(LoginFailure::Path)?;
        Opening::begin(connection, credentials).map(Progress::Waiting)
    }
}

impl Drop for Knocking {
    fn drop(&mut self) {
        if let Some(Ok(Knock::Opened(link))) = self.answer.take() {
            link.close();
        }
    }
}

fn opened(doing: &str, link: Link) -> Result<Knock, Error> {
    if link.proof == Proof::Nothing {
        return Err(Error::unprotected(format!(
            "{doing} succeeded without a password; nothing changed; correct pg_hba.conf \
             (scram-sha-256 instead of trust, peer, ident or cert) before rotating"
        )));
    }
    Ok(Knock::Opened(link))
}

fn failed(doing: &str, failure: LoginFailure) -> Result<Knock, Error> {
    let (server, password_was_right) = match failure {
        LoginFailure::Path(error) => return Err(error.context(doing)),
        LoginFailure::Refused {
            error,
            password_was_right,
        } => (error, password_was_right),
    };
    let error = errors::from_server(doing, &server);
    match server.code.as_str() {
        INVALID_PASSWORD => Ok(Knock::WrongPassword(error)),
        INVALID_AUTHORIZATION => Ok(Knock::Barred {
            error,
            password_was_right,
        }),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests;
