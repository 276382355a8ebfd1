//! The only place that writes to standard output and standard error.

use std::io::{self, Write};

pub(crate) use keyturn_config::display_name as name;

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

/// Words for people. A closed standard error is no reason to fail.
pub(crate) fn to_stderr(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// RFC 3339 in UTC, to the second.
pub(crate) fn time(unix_ms: u64) -> String {
    i64::try_from(unix_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(
            || "out of range".to_owned(),
            |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        )
}

/// A pause as people say it.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{} s", ms.div_ceil(1_000)),
        _ => format!("{} min", ms.div_ceil(60_000)),
    }
}
