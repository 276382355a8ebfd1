//! What came of the checks, for people and programs.

use std::fmt;

use serde::Serialize;

use crate::catalogue::Check;

/// How one check ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "ruling", content = "why", rename_all = "kebab-case")]
pub enum Ruling {
    Passed,
    /// What the plugin did instead.
    Failed(String),
    /// The plugin has nothing that this check is about.
    NotApplicable(String),
    /// It could not be checked here: what is missing.
    NotCovered(String),
}

/// One check and its end.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    pub number: u32,
    pub id: &'static str,
    pub title: &'static str,
    #[serde(flatten)]
    pub ruling: Ruling,
    /// What to do about a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<&'static str>,
    pub milliseconds: u64,
}

/// All of them, in the catalogue's order.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The plugin's name, or the file's where it has none.
    pub plugin: String,
    /// Of the component's bytes, lower-case hex; empty if it could not be loaded.
    pub sha256: String,
    /// The strategy that was checked, and those that were not.
    pub strategy: String,
    pub other_strategies: Vec<String>,
    pub verdict: Verdict,
    pub checks: Vec<Entry>,
}

/// Whether the plugin may hold production credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Fit,
    /// Nothing failed, and something that applies was not checked.
    Incomplete,
    Unfit,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Fit => "fit",
            Verdict::Incomplete => "incomplete",
            Verdict::Unfit => "unfit",
        })
    }
}

impl Entry {
    pub(crate) fn new(check: &Check, ruling: Ruling, milliseconds: u64) -> Self {
        let failed = matches!(ruling, Ruling::Failed(_));
        Self {
            number: check.number,
            id: check.id,
            title: check.title,
            ruling,
            fix: failed.then_some(check.fix),
            milliseconds,
        }
    }
}

impl Report {
    pub(crate) fn new(
        plugin: String,
        sha256: String,
        strategy: String,
        checks: Vec<Entry>,
    ) -> Self {
        let any = |found: fn(&Ruling) -> bool| checks.iter().any(|entry| found(&entry.ruling));
        let verdict = if any(|ruling| matches!(ruling, Ruling::Failed(_))) {
            Verdict::Unfit
        } else if any(|ruling| matches!(ruling, Ruling::NotCovered(_))) {
            Verdict::Incomplete
        } else {
            Verdict::Fit
        };
        Self {
            plugin,
            sha256,
            strategy,
            other_strategies: Vec::new(),
            verdict,
            checks,
        }
    }

    /// How many checks ended like this.
    pub fn count(&self, wanted: fn(&Ruling) -> bool) -> usize {
        self.checks
            .iter()
            .filter(|entry| wanted(&entry.ruling))
            .count()
    }

    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Entry> {
        self.checks
            .iter()
            .filter(|entry| matches!(entry.ruling, Ruling::Failed(_)))
    }

    /// As JUnit writes it.
    pub fn to_junit(&self) -> String {
        crate::junit::write(self)
    }
}
