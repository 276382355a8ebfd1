//! From the start of the process to the end of the first createSecret, against a program that starts, reads the
//! system's TLS roots and opens the store.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyturn_store::SystemClock;
use keyturn_store::embedded::{EmbeddedStore, MasterKey};

use crate::Result;
use crate::measure;
use crate::report::Row;
use crate::workspace::Workspace;

pub(crate) const PLAIN_START: &str = "plain-start";
const ROOTS: &str = "roots";
const NO_ROOTS: &str = "no-roots";
const ROUNDS: usize = 25;
const NAME: &str = "bench/jwt";
/// What each of the two prints at the moment that counts.
const CREATED: &str = "createSecret";
const READY: &str = "ready";

/// # Errors
/// A command that fails, with what it said.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let table = format!("[secret.\"{NAME}\"]\nplugin = \"jwt\"\ngrace_seconds = 604800\n");
    let workspace = Workspace::new(&table)?;
    workspace.create(NAME, crate::JWT)?;
    let mut rows = Vec::new();
    for (with, floor) in [
        (ROOTS, "process, TLS roots, store open"),
        // Keyturn reads the roots when it first needs them, which this rotation does not.
        (NO_ROOTS, "process, store open"),
    ] {
        let pair = measure::in_turn(
            ROUNDS,
            || until(workspace.command(&["rotate", NAME, "--now"]), CREATED),
            || {
                let mut plain = Command::new(std::env::current_exe()?);
                plain.args([PLAIN_START, with]);
                plain.args([workspace.path("store.db"), workspace.path("master.key")]);
                until(plain, READY)
            },
        )?;
        let row = Row::new("start: process to the end of the first createSecret", &pair);
        rows.push(match with {
            ROOTS => row.against(floor).mark(3.0),
            _ => row.against(floor),
        });
    }
    Ok(rows)
}

/// How long until a line with this word is on standard error; then the command may end.
fn until(mut command: Command, word: &str) -> Result<Duration> {
    let began = Instant::now();
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    let stderr = child.stderr.take().ok_or("no standard error")?;
    let (mut took, mut said) = (None, String::new());
    for line in BufReader::new(stderr).lines() {
        let line = line?;
        if took.is_none() && line.contains(word) {
            took = Some(began.elapsed());
        }
        said.push_str(&line);
    }
    let status = child.wait()?;
    match took.filter(|_| status.success()) {
        Some(took) => Ok(took),
        None => Err(format!("{command:?}: {status}: {said}").into()),
    }
}

/// The floor.
pub(crate) fn plain(arguments: &[String]) -> Result<String> {
    let [with, store, key] = arguments else {
        return Err("plain-start needs roots or none, a store and a key".into());
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = match with.as_str() {
        ROOTS => Some(rustls_platform_verifier::Verifier::new(provider)?),
        _ => None,
    };
    let key = MasterKey::from_file(key.as_ref())?;
    let store = EmbeddedStore::open(store.as_ref(), &key, Arc::new(SystemClock))?;
    eprintln!("{READY}");
    drop((roots, store));
    Ok(String::new())
}
