//! The one way in which this plugin changes a server: a transaction whose COMMIT decides. It
//! exists to answer, for every way in which that can break, whether the server changed: `no` until
//! the first byte of COMMIT was handed over, `unknown` from then until its answer.

use crate::client::{Cause, QueryFailure, Reply, Session, Stream};
use crate::errors;
use crate::sql::BEGIN;
use keyturn_sdk::{Applied, Error};

/// Runs `body` between BEGIN and COMMIT. An error of `body` leaves the server unchanged: its
/// session is dropped with the transaction open, which the server answers with a rollback.
pub(crate) fn in_transaction<S: Stream, T>(
    session: &mut Session<S>,
    doing: &str,
    body: impl FnOnce(&mut Session<S>) -> Result<T, Error>,
) -> Result<T, Error> {
    statement(session, doing, BEGIN)?;
    let result = body(session)?;
    match session.run("COMMIT") {
        Ok(reply) if reply.tag == "COMMIT" => Ok(result),
        // The server says so where the transaction had failed already.
        Ok(_) => Err(Error::conflict(format!(
            "{doing} failed: the server rolled the transaction back; nothing changed, try again"
        ))),
        Err(failure) => Err(undecided(doing, failure)),
    }
}

fn undecided(doing: &str, failure: QueryFailure) -> Error {
    let (error, applied) = match failure.cause {
        Cause::Server(server) => {
            // An ERROR in answer to COMMIT means that it did not happen; a FATAL can come while a
            // commit that did happen waits for its replicas.
            let applied = if server.ends_session() {
                Applied::Unknown
            } else {
                Applied::No
            };
            (errors::from_server(doing, &server), applied)
        }
        Cause::Path(error) => {
            let applied = if failure.sent {
                Applied::Unknown
            } else {
                Applied::No
            };
            (error.context(doing), applied)
        }
    };
    let verdict = match applied {
        Applied::No => "; nothing changed",
        Applied::Yes | Applied::Unknown => {
            "; it broke while COMMIT was on its way, so whether the server changed is unknown: probe before anything else"
        }
    };
    let message = format!("{}{verdict}", error.message);
    Error { message, ..error }.applied(applied)
}

/// Runs a statement that by itself changes nothing (a query, or one inside a transaction).
pub(crate) fn statement<S: Stream>(
    session: &mut Session<S>,
    doing: &str,
    sql: &str,
) -> Result<Reply, Error> {
    session.run(sql).map_err(|failure| match failure.cause {
        Cause::Server(server) => errors::from_server(doing, &server),
        Cause::Path(error) => error.context(doing),
    })
}

#[cfg(test)]
mod tests;
