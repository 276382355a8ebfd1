//! The audit trail as evidence: which rotations were killed within an effect, and whether every
//! outcome follows its intent and every promotion a passed test. It is read from outside, line by
//! line; a line that a kill tore is skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The effects that may change store or target.
const WITH_INTENT: [&str; 7] = [
    "move-label",
    "create",
    "set",
    "finish",
    "promote",
    "retire",
    "withdraw",
];

#[derive(Deserialize)]
struct Line {
    rotation_id: String,
    event: String,
    #[serde(default)]
    effect: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    result: String,
}

/// A reader that remembers how far it has come.
pub(crate) struct Trail {
    path: PathBuf,
    read: usize,
}

impl Trail {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            read: 0,
        }
    }

    /// How many lines there are beyond those that were read.
    pub(crate) fn lines_ahead(&self) -> usize {
        let bytes = fs::read(&self.path).unwrap_or_default();
        let ahead = bytes.get(self.read..).unwrap_or_default();
        memchr::memchr_iter(b'\n', ahead).count()
    }

    /// Reads on to the end. Answers how many rotations ended within an effect, and what is wrong.
    /// Must be called when no rotator runs.
    pub(crate) fn read_on(&mut self) -> (usize, Vec<String>) {
        let bytes = fs::read(&self.path).unwrap_or_default();
        let new = bytes.get(self.read..).unwrap_or_default();
        self.read = bytes.len();
        let mut runs: BTreeMap<String, Run> = BTreeMap::new();
        let mut findings = Vec::new();
        for line in new.split(|byte| *byte == b'\n') {
            if let Ok(line) = serde_json::from_slice::<Line>(line) {
                let run = runs.entry(line.rotation_id.clone()).or_default();
                findings.extend(run.follow(&line));
            }
        }
        let interrupted = runs.values().filter(|run| run.intent.is_some()).count();
        (interrupted, findings)
    }
}

/// What one rotation's lines have said so far.
#[derive(Default)]
struct Run {
    /// An effect and its version, begun and not ended.
    intent: Option<(String, String)>,
    tested: BTreeSet<String>,
}

impl Run {
    fn follow(&mut self, line: &Line) -> Option<String> {
        let effect = (line.effect.clone(), line.version.clone());
        match line.event.as_str() {
            "intent" => {
                let lost = self.intent.replace(effect);
                let untested = line.effect == "promote" && !self.tested.contains(&line.version);
                if let Some(lost) = lost {
                    return Some(format!("no outcome of {lost:?} before {}", line.effect));
                }
                untested.then(|| format!("version {} promoted without a test", line.version))
            }
            "outcome" => {
                if line.effect == "test" && ["done", "unchanged"].contains(&line.result.as_str()) {
                    self.tested.insert(line.version.clone());
                }
                if !WITH_INTENT.contains(&line.effect.as_str()) {
                    return None;
                }
                let begun = self.intent.take();
                (begun.as_ref() != Some(&effect))
                    .then(|| format!("outcome of {effect:?} after intent of {begun:?}"))
            }
            _ => None,
        }
    }
}
