//! From what a server answered to what the operator reads: one table from SQLSTATE to kind,
//! retryability and advice. It exists so that a wrong password, a missing right and a full server
//! are three errors, whatever language the server speaks. The server's own words are a detail for
//! people and decide nothing.

use crate::wire::ServerError;
use keyturn_sdk::{Error, ErrorKind};

/// The password is wrong, or the role does not exist, has no password, or its VALID UNTIL passed:
/// the server answers all four alike.
pub(crate) const INVALID_PASSWORD: &str = "28P01";
/// No pg_hba.conf line, NOLOGIN, …: says nothing about the password.
pub(crate) const INVALID_AUTHORIZATION: &str = "28000";

/// `doing` names what failed, e.g. "the login of \"app\" at primary".
pub(crate) fn from_server(doing: &str, server: &ServerError) -> Error {
    let (kind, advice) = classify(&server.code);
    let retryable = matches!(
        kind,
        ErrorKind::Throttled | ErrorKind::Conflict | ErrorKind::Timeout | ErrorKind::Unreachable
    ) || server.code == "25006";
    Error::new(kind, format!("{doing} failed: {advice}"))
        .code(server.code.clone())
        .retryable(retryable)
        .detail("server", server.message.clone())
}

fn classify(sqlstate: &str) -> (ErrorKind, &'static str) {
    match sqlstate {
        INVALID_PASSWORD => (
            ErrorKind::Auth,
            "the server refused the password (or the role does not exist, has none, or its VALID UNTIL has passed)",
        ),
        INVALID_AUTHORIZATION => (
            ErrorKind::Auth,
            "the server lets this role in by no means: a pg_hba.conf line is missing, or the role is NOLOGIN",
        ),
        "3D000" => (
            ErrorKind::InvalidSecret,
            "the database that the secret's `dbname` names does not exist",
        ),
        "42501" => (
            ErrorKind::Permission,
            "the role lacks a right; see \"Privileges\" in the plugin's README",
        ),
        "53300" | "53400" => (
            ErrorKind::Throttled,
            "the server or the role is at its connection limit; try again",
        ),
        "57P03" => (
            ErrorKind::Throttled,
            "the server is starting, stopping or recovering; try again",
        ),
        "57P01" | "57P02" | "57P05" => (
            ErrorKind::Unreachable,
            "the server ended the session; try again",
        ),
        "25006" => (
            ErrorKind::Unsupported,
            "the server is read-only, so it is a standby; let the endpoint name the writable server",
        ),
        "57014" => (ErrorKind::Timeout, "the statement took too long; try again"),
        "55P03" | "40001" | "40P01" | "XX000" => (
            ErrorKind::Conflict,
            "somebody else is changing the same role at this moment; try again",
        ),
        "42710" | "23505" | "42704" => (
            ErrorKind::Conflict,
            "a role was created or dropped by somebody else meanwhile; try again",
        ),
        "22023" | "28P02" => (
            ErrorKind::Rejected,
            "the server's password policy refused the value",
        ),
        "0A000" => (
            ErrorKind::Unsupported,
            "the server (or a pooler before it) does not support the statement",
        ),
        "08P01" => (
            ErrorKind::Protocol,
            "the server or a pooler before it did not understand the message",
        ),
        _ => (
            ErrorKind::Other,
            "the server's answer is not one that this plugin knows; look the SQLSTATE up",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, kind: ErrorKind, retryable: bool) {
        let server = ServerError {
            severity: "ERROR".into(),
            code: code.into(),
            message: "words in any language".into(),
        };
        let error = from_server("x", &server);
        assert_eq!((error.kind, error.retryable), (kind, retryable), "{code}");
        assert_eq!(error.code.as_deref(), Some(code));
        assert!(!error.message.contains("words"));
    }

    #[test]
    fn the_sqlstate_decides() {
        check("28P01", ErrorKind::Auth, false);
        check("28000", ErrorKind::Auth, false);
        check("42501", ErrorKind::Permission, false);
        check("53300", ErrorKind::Throttled, true);
        check("57P03", ErrorKind::Throttled, true);
        check("25006", ErrorKind::Unsupported, true);
        check("40001", ErrorKind::Conflict, true);
        check("XX000", ErrorKind::Conflict, true);
        check("57014", ErrorKind::Timeout, true);
        check("3D000", ErrorKind::InvalidSecret, false);
        check("22023", ErrorKind::Rejected, false);
        check("99999", ErrorKind::Other, false);
    }
}
