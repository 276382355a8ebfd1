//! From what a server answered to what the operator reads: one table from the error's first word to kind,
//! retryability and advice. It exists so that a wrong password, a missing right and a server that is still
//! loading are three errors. The server's own words are a detail for people and decide nothing.

use crate::resp::ServerError;
use keyturn_sdk::{Error, ErrorKind};

/// The password is wrong, or the user does not exist or is off: the server answers all three alike.
pub(crate) const WRONG_PASSWORD: &str = "WRONGPASS";
/// Nobody has logged in on this connection.
pub(crate) const NO_AUTH: &str = "NOAUTH";
/// The user may not run the command.
pub(crate) const NO_PERMISSION: &str = "NOPERM";
/// A replica that has lost its primary, and that may answer little meanwhile.
pub(crate) const PRIMARY_DOWN: &str = "MASTERDOWN";
/// Whatever has no word of its own.
pub(crate) const GENERIC: &str = "ERR";

/// `doing` names what failed, e.g. "the login of `app` at node a:6379".
pub(crate) fn from_server(doing: &str, server: &ServerError) -> Error {
    let (kind, advice) = classify(&server.code);
    // Without a word of their own only the server's words tell; the host scrubs known passwords out of them.
    let advice = advice.unwrap_or(&server.message);
    Error::new(kind, format!("{doing} failed: {advice}"))
        .code(server.code.clone())
        .detail("server", server.message.clone())
}

fn classify(code: &str) -> (ErrorKind, Option<&'static str>) {
    let (kind, advice) = match code {
        WRONG_PASSWORD => (
            ErrorKind::Auth,
            "the server refused the password (or the user does not exist there, or is off)",
        ),
        NO_AUTH => (
            ErrorKind::Auth,
            "the server asks for a login that it has not seen on this connection",
        ),
        NO_PERMISSION => (ErrorKind::Permission, "the user lacks the right to it"),
        "LOADING" => (
            ErrorKind::Throttled,
            "the server is still loading its data; try again",
        ),
        "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" => {
            (ErrorKind::Throttled, "the server is busy; try again")
        }
        PRIMARY_DOWN => (
            ErrorKind::Throttled,
            "the replica has lost its primary and answers nothing meanwhile; try again",
        ),
        "DENIED" => (
            ErrorKind::Unprotected,
            "the server has no password and is in protected mode; set one before rotating",
        ),
        _ => return (ErrorKind::Other, None),
    };
    (kind, Some(advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, kind: ErrorKind, retryable: bool) {
        let server = ServerError {
            code: code.into(),
            message: format!("{code} some words"),
        };
        let error = from_server("x", &server);
        assert_eq!((error.kind, error.retryable), (kind, retryable), "{code}");
        assert_eq!(error.code.as_deref(), Some(code));
        assert_eq!(
            error.message.contains("some words"),
            kind == ErrorKind::Other
        );
    }

    #[test]
    fn the_first_word_decides() {
        check("WRONGPASS", ErrorKind::Auth, false);
        check("NOAUTH", ErrorKind::Auth, false);
        check("NOPERM", ErrorKind::Permission, false);
        check("LOADING", ErrorKind::Throttled, true);
        check("MASTERDOWN", ErrorKind::Throttled, true);
        check("DENIED", ErrorKind::Unprotected, false);
        check("ERR", ErrorKind::Other, false);
    }
}
