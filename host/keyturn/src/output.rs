//! The only place that writes to standard output and standard error.

use std::io::{self, Write};

pub(crate) use keyturn_config::display_name as name;
pub(crate) use keyturn_engine::{duration, time};

/// The caller's end of standard output is full or broken. What the command did before is done.
#[derive(Debug, thiserror::Error)]
#[error(
    "the result could not be written to standard output ({0}); what the command did stands: see `keyturn status`"
)]
pub(crate) struct Unwritten(io::Error);

/// Data for the caller.
pub(crate) fn to_stdout(text: &str) -> Result<(), Unwritten> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        // A reader that went away has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Unwritten),
    }
}

/// What was found, and what to do about it.
pub(crate) fn finding(summary: &str, fix: Option<&str>) -> String {
    match fix {
        Some(fix) => format!("{}. What to do: {fix}", summary.trim_end_matches('.')),
        None => summary.to_owned(),
    }
}

/// Words for people. A closed standard error is no reason to fail.
pub(crate) fn to_stderr(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
