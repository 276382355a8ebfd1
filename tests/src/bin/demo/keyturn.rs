//! Calls the `keyturn` binary as an operator would, and reads its JSON. Nothing here looks into the
//! store: what the demo knows of versions and labels it was told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use harness::poll;
use serde::Deserialize;
use serde_json::Value;

use crate::Failure;

/// `keyturn --help`: "refused for now: a grace or another rotation is still running".
const REFUSED_FOR_NOW: i32 = 7;

/// Far longer than any rotation of the demo; a command that takes longer hangs.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);

pub(crate) struct Keyturn {
    binary: PathBuf,
    folder: PathBuf,
    pub(crate) store: PathBuf,
    pub(crate) master_key_file: PathBuf,
}

/// `keyturn rotate NAME --json`, as far as the demo shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct Rotation {
    outcome: String,
    #[serde(default)]
    pub(crate) labels_before: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) labels_after: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) steps: Vec<Step>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Step {
    pub(crate) step: String,
    pub(crate) duration_ms: f64,
}

/// How a call of `keyturn rotate` ended.
pub(crate) enum Rotated {
    Done(Rotation),
    /// A grace is still running; nothing was changed.
    NotYet,
    Failed(String),
}

impl Rotation {
    /// Why it did not rotate, in Keyturn's own words.
    fn reason(&self) -> String {
        let word = |name| {
            self.error
                .as_ref()
                .and_then(|error| error.get(name))
                .and_then(Value::as_str)
        };
        match (word("message"), word("next")) {
            (None, _) => format!("outcome {}", self.outcome),
            (Some(message), next) => format!("{message} {}", next.unwrap_or_default()),
        }
    }
}

impl Keyturn {
    /// `keyturn init`, and where it put the store and its master key.
    pub(crate) fn init(binary: &Path, folder: &Path) -> Result<Self, Failure> {
        if !binary.is_file() {
            return Err(format!(
                "{} is missing; `make build` makes it",
                binary.display()
            ));
        }
        let mut keyturn = Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            store: PathBuf::new(),
            master_key_file: PathBuf::new(),
        };
        succeeded("init", &keyturn.call(&["init", "."])?)?;
        let written = std::fs::read_to_string(keyturn.configuration()).map_err(|error| {
            format!("reading the configuration that `keyturn init` wrote: {error}")
        })?;
        let written: toml::Table = toml::from_str(&written).map_err(|error| error.to_string())?;
        let path = |key: &str| {
            let path = written
                .get("store")
                .and_then(|store| store.get(key))
                .and_then(toml::Value::as_str);
            path.map(|path| folder.join(path))
                .ok_or_else(|| format!("`keyturn init` wrote no store.{key}"))
        };
        keyturn.store = path("path")?;
        keyturn.master_key_file = path("master_key_file")?;
        Ok(keyturn)
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder.join("keyturn.toml")
    }

    pub(crate) fn create_secret(&self, name: &str, value_file: &Path) -> Result<(), Failure> {
        let value_file = value_file.display().to_string();
        let output = self.call(&["secret", "create", name, "--value-file", &value_file])?;
        succeeded("secret create", &output)
    }

    pub(crate) fn rotate(&self, name: &str) -> Result<Rotated, Failure> {
        let output = self.call(&["rotate", name, "--json"])?;
        // One object per rotated secret; a failed run may have printed none.
        let printed: Option<Rotation> = serde_json::Deserializer::from_slice(&output.stdout)
            .into_iter()
            .next()
            .and_then(Result::ok);
        Ok(match (output.status.code(), printed) {
            (Some(0), Some(rotation)) if rotation.outcome == "rotated" => Rotated::Done(rotation),
            (Some(REFUSED_FOR_NOW), _) => Rotated::NotYet,
            (_, printed) => {
                let status = output.status;
                let reason = printed
                    .map(|rotation| rotation.reason())
                    .unwrap_or_default();
                let stderr = String::from_utf8_lossy(&output.stderr);
                Rotated::Failed(format!("{status} {reason} {}", stderr.trim()))
            }
        })
    }

    /// How long the grace of the value before still runs; `None` when it is over.
    pub(crate) fn grace_left_seconds(&self, name: &str) -> Result<Option<f64>, Failure> {
        let output = self.call(&["status", name, "--json"])?;
        succeeded("status", &output)?;
        let status: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("`keyturn status --json` printed no JSON: {error}"))?;
        Ok(find(&status, "grace_left_seconds")
            .and_then(Value::as_f64)
            .filter(|seconds| *seconds > 0.0))
    }

    /// Runs a command that must succeed, and answers the one line that it prints.
    pub(crate) fn say(&self, arguments: &[&str]) -> Result<String, Failure> {
        let output = self.call(arguments)?;
        succeeded(&arguments.join(" "), &output)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn call(&self, arguments: &[&str]) -> Result<Output, Failure> {
        let what = || format!("keyturn {}", arguments.join(" "));
        let mut child = Command::new(&self.binary)
            .arg("--config")
            .arg(self.configuration())
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("starting {}: {error}", what()))?;
        // What it prints fits into a pipe, so it can be read when the command has ended.
        let ended = poll::until(COMMAND_TIMEOUT, || child.try_wait().ok().flatten());
        if ended.is_none() {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("{} did not end within {COMMAND_TIMEOUT:?}", what()));
        }
        child
            .wait_with_output()
            .map_err(|error| format!("reading the output of {}: {error}", what()))
    }
}

fn succeeded(what: &str, output: &Output) -> Result<(), Failure> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "keyturn {what}: {}: {}",
        output.status,
        said.trim()
    ))
}

/// The first member of this name, wherever it stands.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members
            .get(name)
            .or_else(|| members.values().find_map(|member| find(member, name))),
        Value::Array(items) => items.iter().find_map(|item| find(item, name)),
        _ => None,
    }
}
