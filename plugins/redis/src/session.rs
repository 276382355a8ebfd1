//! A session at one node. Before anybody logs in on it, a wrong password has been refused, so that no answer of
//! this node is taken for a proof where everybody gets in. Several logins may follow on one connection: a
//! refused one leaves the last one that succeeded in place.

use crate::client::{Client, Failure};
use crate::errors::{self, GENERIC, NO_AUTH, NO_PERMISSION, PRIMARY_DOWN, WRONG_PASSWORD};
use crate::node::Node;
use crate::resp::{Reply, ServerError};
use crate::secret::Login;
use keyturn_sdk::{Applied, Error, SecretText, endpoint, random};

/// With this begins the name under which a connection that may change a user stands in CLIENT LIST.
pub(crate) const CHANGING: &str = "keyturn-changing-";
const RANDOM_BYTES: usize = 16;

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) node: Node,
    client: Client<endpoint::Connection>,
    /// Commands are refused before a login, so the user `default` has a password.
    pub(crate) asks_for_login: bool,
    /// How the node answered a wrong password.
    refusal: Option<ServerError>,
    /// Its name while it may change a user.
    pub(crate) name: Option<String>,
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
            refusal: None,
            name: None,
        };
        session.asks_for_login = session.greet()?;
        if login.is_default() && !session.asks_for_login {
            return Err(session.unprotected("answers commands without any login"));
        }
        let wrong = Login {
            password: SecretText::new(format!("keyturn-wrong-{}", random_hex())),
            ..login.clone()
        };
        match session.authenticate(&wrong)? {
            Ok(()) => Err(session.unprotected(&format!(
                "let the user `{}` in with a wrong password",
                login.user
            ))),
            Err(refusal) => {
                session.must_be_refusal(&refusal, login)?;
                session.refusal = Some(refusal);
                Ok(session)
            }
        }
    }

    /// Does it refuse a command before a login? Also finds what is no Redis, or takes no clients.
    fn greet(&mut self) -> Result<bool, Error> {
        let doing = format!("the first command at node {}", self.node);
        match self.client.call(&["PING"]) {
            Ok(_) => Ok(false),
            Err(Failure::Server(error)) => match error.code.as_str() {
                NO_AUTH => Ok(true),
                // A user `default` without a password that may not even do this, or a replica that has lost its
                // primary: both are past the question who is there.
                NO_PERMISSION | PRIMARY_DOWN => Ok(false),
                // PING has no errors of its own: this one was there before it.
                GENERIC => Err(Error::throttled(format!(
                    "{doing} failed: the server refuses even PING; it may have as many clients as it takes \
                     (maxclients); try again"
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

    /// Before Redis 6 a wrong password has no word of its own; that there is a password is known by then.
    fn must_be_refusal(&self, error: &ServerError, login: &Login) -> Result<(), Error> {
        if error.code == WRONG_PASSWORD
            || (error.code == GENERIC && login.is_default() && self.asks_for_login)
        {
            return Ok(());
        }
        Err(self.login_failed(error, login))
    }

    fn login_failed(&self, error: &ServerError, login: &Login) -> Error {
        let doing = format!("the login of `{}` at node {}", login.user, self.node);
        if error.code == GENERIC && !login.is_default() {
            return Error::unsupported(format!(
                "{doing} failed: the server knows no users; they came with Redis 6; leave `username` out of the secret \
                 and use the strategy `single`"
            ))
            .detail("server", error.message.clone());
        }
        errors::from_server(&doing, error)
    }

    /// False: the password is wrong, or the user is off or does not exist.
    pub(crate) fn login(&mut self, login: &Login) -> Result<bool, Error> {
        match self.authenticate(login)? {
            Ok(()) => Ok(true),
            // Without a word of its own it counts only if a wrong password was answered with the very same.
            Err(error) if error.code == WRONG_PASSWORD || self.refusal.as_ref() == Some(&error) => {
                Ok(false)
            }
            Err(error) => Err(self.login_failed(&error, login)),
        }
    }

    fn authenticate(&mut self, login: &Login) -> Result<Result<(), ServerError>, Error> {
        let password = login.password.expose();
        // The form with one word is the one that servers before Redis 6 know.
        let called = if login.is_default() {
            self.client.call(&["AUTH", password])
        } else {
            self.client.call(&["AUTH", &login.user, password])
        };
        match called {
            Ok(_) => Ok(Ok(())),
            Err(Failure::Server(error)) => Ok(Err(error)),
            Err(Failure::Path { error, .. }) => {
                let doing = format!("the login of `{}` at node {}", login.user, self.node);
                Err(error.context(&doing))
            }
        }
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
                let mut refused = errors::from_server(&doing, &error);
                if error.code == NO_PERMISSION {
                    refused.message = format!("{} ({})", refused.message, right_to(words));
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
        let name = format!("{CHANGING}{}", random_hex());
        self.ask(NAMING, &["CLIENT", "SETNAME", &name])?;
        self.name = Some(name);
        Ok(())
    }

    /// Everything that it sent has been answered.
    pub(crate) fn end_change(&mut self) -> Result<(), Error> {
        self.ask(NAMING, &["CLIENT", "SETNAME", ""])?;
        self.name = None;
        Ok(())
    }
}

/// In the words of ACL SETUSER: `+acl|getuser`, `+info`.
fn right_to(words: &[&str]) -> String {
    const CONTAINERS: [&str; 4] = ["ACL", "CONFIG", "CLIENT", "CLUSTER"];
    let right = match words {
        [container, command, ..] if CONTAINERS.contains(container) => {
            format!("+{container}|{command}")
        }
        [command, ..] => format!("+{command}"),
        [] => String::new(),
    };
    right.to_lowercase()
}

const NAMING: &str = "naming the connection";

/// 128 random bits.
fn random_hex() -> String {
    random::bytes(RANDOM_BYTES)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
