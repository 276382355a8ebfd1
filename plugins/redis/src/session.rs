//! A session at one node. Before anybody logs in on it, a wrong password has been refused, so that no answer of
//! this node is taken for a proof where everybody gets in. Several logins may follow on one connection: a
//! refused one leaves the last one that succeeded in place.

use crate::client::{Client, Failure};
use crate::errors::{self, GENERIC, NO_AUTH, NO_PERMISSION, WRONG_PASSWORD};
use crate::node::Node;
use crate::resp::{Reply, ServerError};
use crate::secret::Login;
use keyturn_sdk::{Applied, Error, SecretText, endpoint, random};

/// Under this name a connection that may change a user stands in CLIENT LIST.
pub(crate) const CHANGING: &str = "keyturn-changing";

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) node: Node,
    client: Client<endpoint::Connection>,
    /// Commands are refused before a login, so the user `default` has a password.
    pub(crate) asks_for_login: bool,
}

/// What a command that reads came to.
pub(crate) enum Answer {
    Given(Reply),
    /// NOPERM.
    NotPermitted(Error),
}

impl Session {
    /// Connects, and has a wrong password of `login`'s user refused.
    pub(crate) fn open(node: &Node, login: &Login) -> Result<Session, Error> {
        let mut session = Session {
            client: Client::new(node.connect()?),
            node: node.clone(),
            asks_for_login: false,
        };
        session.asks_for_login = session.greet()?;
        if login.is_default() && !session.asks_for_login {
            return Err(session.unprotected("answers commands without any login"));
        }
        let wrong = Login {
            password: wrong_password(),
            ..login.clone()
        };
        if session.login(&wrong)? {
            return Err(session.unprotected(&format!(
                "let the user `{}` in with a wrong password",
                login.user
            )));
        }
        Ok(session)
    }

    /// Does it refuse a command before a login? Also finds what is no Redis, or takes no clients.
    fn greet(&mut self) -> Result<bool, Error> {
        let doing = format!("the first command at node {}", self.node);
        match self.client.call(&["PING"]) {
            Ok(_) => Ok(false),
            Err(Failure::Server(error)) => match error.code.as_str() {
                NO_AUTH => Ok(true),
                // A user `default` without a password that may not even do this.
                NO_PERMISSION => Ok(false),
                // PING has no errors of its own: this one was there before it.
                GENERIC => Err(Error::throttled(format!(
                    "{doing} failed: the server takes no further client; try again"
                ))
                .detail("server", error.message)),
                _ => Err(errors::from_server(&doing, &error)),
            },
            Err(Failure::Path { error, .. }) => Err(error.context(&doing)),
        }
    }

    fn unprotected(&self, what: &str) -> Error {
        Error::unprotected(format!(
            "node {} {what}; nothing changed; give the user a password (`nopass` must not be among its flags in ACL \
             LIST, or set requirepass) before rotating",
            self.node
        ))
    }

    /// False: the password is wrong, or the user is off or does not exist.
    pub(crate) fn login(&mut self, login: &Login) -> Result<bool, Error> {
        let password = login.password.expose();
        let doing = format!("the login of `{}` at node {}", login.user, self.node);
        // The form with one word is the one that servers before Redis 6 know.
        let called = if login.is_default() {
            self.client.call(&["AUTH", password])
        } else {
            self.client.call(&["AUTH", &login.user, password])
        };
        match called {
            Ok(_) => Ok(true),
            Err(Failure::Server(error)) if self.is_refusal(&error, login) => Ok(false),
            Err(Failure::Server(error)) if error.code == GENERIC && !login.is_default() => {
                Err(Error::unsupported(format!(
                    "{doing} failed: the server knows no users; they came with Redis 6; leave `username` out of the \
                     secret and use the strategy `single`"
                ))
                .detail("server", error.message))
            }
            Err(Failure::Server(error)) => Err(errors::from_server(&doing, &error)),
            Err(Failure::Path { error, .. }) => Err(error.context(&doing)),
        }
    }

    /// Before Redis 6 a wrong password has no word of its own; that there is a password is known by then.
    fn is_refusal(&self, error: &ServerError, login: &Login) -> bool {
        error.code == WRONG_PASSWORD
            || (error.code == GENERIC && login.is_default() && self.asks_for_login)
    }

    /// Runs a command that changes nothing which is Keyturn's. `doing`: "reading the users".
    pub(crate) fn ask(&mut self, doing: &str, words: &[&str]) -> Result<Reply, Error> {
        match self.try_ask(doing, words)? {
            Answer::Given(reply) => Ok(reply),
            Answer::NotPermitted(error) => Err(error),
        }
    }

    /// The same, where a missing right is an answer, too.
    pub(crate) fn try_ask(&mut self, doing: &str, words: &[&str]) -> Result<Answer, Error> {
        let doing = format!("{doing} at node {}", self.node);
        match self.client.call(words) {
            Ok(reply) => Ok(Answer::Given(reply)),
            Err(Failure::Server(error)) => {
                let refused = errors::from_server(&doing, &error);
                if error.code == NO_PERMISSION {
                    return Ok(Answer::NotPermitted(refused));
                }
                Err(refused)
            }
            Err(Failure::Path { error, .. }) => Err(error.context(&doing)),
        }
    }

    /// Runs a command that changes a user's password: until its reply nobody knows whether it did.
    pub(crate) fn change(&mut self, doing: &str, words: &[&str]) -> Result<(), Error> {
        let doing = format!("{doing} at node {}", self.node);
        match self.client.call(words) {
            Ok(_) => Ok(()),
            Err(Failure::Server(error)) => Err(errors::from_server(&doing, &error)),
            Err(Failure::Path { error, sent }) => {
                let applied = if sent { Applied::Unknown } else { Applied::No };
                Err(error.context(&doing).applied(applied))
            }
        }
    }

    /// From now on others see that this connection may change a user: what it has sent may still be on its way when
    /// its process is gone.
    pub(crate) fn announce_change(&mut self) -> Result<(), Error> {
        self.ask("naming the connection", &["CLIENT", "SETNAME", CHANGING])
            .map(drop)
    }

    /// Everything that it sent has been answered.
    pub(crate) fn end_change(&mut self) -> Result<(), Error> {
        self.ask("unnaming the connection", &["CLIENT", "SETNAME", ""])
            .map(drop)
    }
}

/// Nobody has it: 128 random bits.
fn wrong_password() -> SecretText {
    const BYTES: usize = 16;
    let mut text = String::from("keyturn-wrong-");
    for byte in random::bytes(BYTES) {
        text.push_str(&format!("{byte:02x}"));
    }
    SecretText::new(text)
}
