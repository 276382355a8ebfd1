//! What test runs printed: lines `evidence: KEY: COUNT UNIT, COUNT UNIT (REMARK)` in whatever else stands in
//! a runner's output, of which only the failures of a JUnit report matter. Counts of one key and unit add up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use crate::Problems;

const MARK: &str = "evidence: ";
/// Units of which every count must be 0.
pub(crate) const FAILURES: [&str; 3] = ["failed", "found", "broken invariants"];

/// One line, taken apart.
#[derive(Debug, PartialEq)]
struct Line<'a> {
    key: &'a str,
    counts: Vec<(u128, &'a str)>,
    remark: Option<&'a str>,
}

/// All lines of some runs, added up.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    counts: BTreeMap<(String, String), u128>,
    runs: BTreeMap<String, Run>,
}

/// Where a key's lines come from.
#[derive(Debug, Default)]
struct Run {
    date: String,
    remarks: BTreeSet<String>,
}

impl Evidence {
    /// Reads outputs; the day of a run is the day on which its output was written.
    pub(crate) fn read(files: &[PathBuf]) -> Result<Self, Problems> {
        let mut evidence = Self::default();
        let mut problems = Problems::new();
        for path in files {
            match read(path) {
                Ok((text, date)) => {
                    problems.extend(evidence.add(&path.display().to_string(), &text, &date));
                }
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            Ok(evidence)
        } else {
            Err(problems)
        }
    }

    /// Adds one output; answers what is wrong with it.
    pub(crate) fn add(&mut self, path: &str, text: &str, date: &str) -> Problems {
        let mut problems = Problems::new();
        for (number, line) in text.lines().enumerate() {
            let place = format!("{path}:{}", number + 1);
            // Elements of a JUnit report; what a test prints is escaped there.
            if ["<failure", "<error"]
                .iter()
                .any(|element| line.contains(element))
            {
                problems.push(format!(
                    "{place}: a test failed, and a failed run is no evidence: fix it, then run `make evidence`"
                ));
            }
            match Line::find(line) {
                None => {}
                Some(Ok(found)) => problems.extend(self.add_line(&place, &found, date)),
                Some(Err(wrong)) => problems.push(format!(
                    "{place}: {wrong} in {:?}: print `evidence: KEY: COUNT UNIT, COUNT UNIT (REMARK)`, see CONTRIBUTING.md",
                    line.trim()
                )),
            }
        }
        problems
    }

    fn add_line(&mut self, place: &str, line: &Line<'_>, date: &str) -> Problems {
        let run = self.runs.entry(line.key.to_owned()).or_default();
        // Of two days the older one: no row looks fresher than its oldest figure.
        if run.date.is_empty() || date < run.date.as_str() {
            run.date = date.to_owned();
        }
        run.remarks.extend(line.remark.map(str::to_owned));
        let mut problems = Problems::new();
        for (count, unit) in &line.counts {
            *self
                .counts
                .entry((line.key.to_owned(), (*unit).to_owned()))
                .or_default() += count;
            if *count > 0 && FAILURES.contains(unit) {
                problems.push(format!(
                    "{place}: {} reports {count} {unit}: a promise is broken; fix that, then run `make evidence`",
                    line.key
                ));
            }
        }
        problems
    }

    pub(crate) fn count(&self, key: &str, unit: &str) -> Option<u128> {
        self.counts.get(&(key.to_owned(), unit.to_owned())).copied()
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.runs.contains_key(key)
    }

    /// The key and unit of every count.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (&str, &str)> {
        self.counts
            .keys()
            .map(|(key, unit)| (key.as_str(), unit.as_str()))
    }

    /// The oldest day on which one of these was printed, and what their lines remark.
    pub(crate) fn last_run<'a>(&self, keys: impl Iterator<Item = &'a str>) -> String {
        let runs: Vec<_> = keys.filter_map(|key| self.runs.get(key)).collect();
        let date = runs.iter().map(|run| run.date.as_str()).min();
        let remarks: BTreeSet<_> = runs.iter().flat_map(|run| &run.remarks).collect();
        date.into_iter()
            .chain(remarks.into_iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

fn read(path: &Path) -> Result<(String, String), String> {
    let cannot = |error| {
        format!(
            "cannot read {}: {error}: it is the output of `make test` or `make fuzz`; run `make evidence`",
            path.display()
        )
    };
    // A test's output need not be text.
    let bytes = fs::read(path).map_err(cannot)?;
    let written = fs::metadata(path)
        .and_then(|data| data.modified())
        .map_err(cannot)?;
    let date = OffsetDateTime::from(written).date().to_string();
    Ok((String::from_utf8_lossy(&bytes).into_owned(), date))
}

impl<'a> Line<'a> {
    /// `None` if the line says something else.
    fn find(line: &'a str) -> Option<Result<Self, &'static str>> {
        let line = line.trim();
        // With one thread, the test runner writes the test's name in front: `test NAME ... `.
        let said = line.split_once(" ... ").map_or(line, |(before, after)| {
            if before.starts_with("test ") {
                after
            } else {
                line
            }
        });
        said.strip_prefix(MARK).map(Self::parse)
    }

    fn parse(said: &'a str) -> Result<Self, &'static str> {
        let (key, rest) = said.split_once(": ").ok_or("no key")?;
        let (counts, remark) = match rest.split_once(" (") {
            None => (rest, None),
            Some((counts, remark)) => (
                counts,
                Some(remark.strip_suffix(')').ok_or("an open bracket")?),
            ),
        };
        if key.is_empty() || remark == Some("") {
            return Err("an empty key or remark");
        }
        let counts = counts
            .split(", ")
            .map(|part| {
                let (count, unit) = part.split_once(' ').ok_or("a count without its unit")?;
                let count = count.parse().map_err(|_| "no count")?;
                let words = |c: char| c.is_ascii_lowercase() || c == ' ' || c == '-';
                if unit.trim() == unit && !unit.is_empty() && unit.chars().all(words) {
                    Ok((count, unit))
                } else {
                    Err("no unit")
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            key,
            counts,
            remark,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_in_every_runners_output() {
        let said = "evidence: soak: 12 kills, 0 broken invariants (seed 1, 9 s)";
        for line in [
            said.to_owned(),
            format!("    {said}"),
            format!("test a::b ... {said}"),
        ] {
            let expected = Line {
                key: "soak",
                counts: vec![(12, "kills"), (0, "broken invariants")],
                remark: Some("seed 1, 9 s"),
            };
            assert_eq!(Line::find(&line), Some(Ok(expected)), "{line}");
        }
    }

    #[test]
    fn other_lines_are_left_alone() {
        for line in [
            "",
            "evidence",
            "no evidence: for that",
            "a ... evidence: x: 1 y",
        ] {
            assert_eq!(Line::find(line), None, "{line}");
        }
    }

    #[track_caller]
    fn check_wrong(line: &str, expected: &str) {
        let problems = Evidence::default().add("out", line, "2026-01-02");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("out:1: "), "{problems:?}");
        assert!(problems[0].contains(expected), "{problems:?}");
    }

    #[test]
    fn what_is_no_evidence_is_an_error_that_says_what_to_do() {
        check_wrong("evidence: 12 kills", "no key");
        check_wrong("evidence: soak: many kills", "no count in");
        check_wrong("evidence: soak: 12", "a count without its unit");
        check_wrong("evidence: soak: -1 kills", "no count in");
        check_wrong("evidence: soak: 12 of 13 kills", "no unit");
        check_wrong("evidence: soak: 12  kills", "no unit");
        check_wrong("evidence: soak: 12 kills (seed 1", "an open bracket");
        check_wrong("evidence: soak: 12 kills,", "no unit");
        check_wrong("evidence: soak: 1,200 kills", "see CONTRIBUTING.md");
        check_wrong("evidence: soak: 3 kills, 1 failed", "soak reports 1 failed");
        check_wrong(
            "evidence: scan: 3 bytes, 2 found",
            "fix that, then run `make evidence`",
        );
        check_wrong("evidence: soak: 1 broken invariants", "a promise is broken");
        check_wrong(
            "  <failure type=\"test failure\">",
            "a failed run is no evidence",
        );
    }

    #[test]
    fn counts_of_one_key_and_unit_add_up() {
        let mut evidence = Evidence::default();
        let text = "evidence: a: 1 kills, 2 logins (seed 1)\nevidence: a: 10 kills\nevidence: b: 5 kills (seed 2)";
        assert_eq!(evidence.add("out", text, "2026-01-03"), Problems::new());
        assert_eq!(
            evidence.add("out", "evidence: a: 100 kills", "2026-01-02"),
            Problems::new()
        );
        assert_eq!(evidence.count("a", "kills"), Some(111));
        assert_eq!(evidence.count("a", "logins"), Some(2));
        assert_eq!(evidence.count("b", "logins"), None);
        let last = evidence.last_run(["b", "a"].into_iter());
        assert_eq!(last, "2026-01-02, seed 1, seed 2");
    }

    #[test]
    fn an_output_that_is_not_there_says_where_it_comes_from() {
        let problems = Evidence::read(&["no/such/file".into()]).unwrap_err();
        assert!(problems[0].contains("run `make evidence`"), "{problems:?}");
    }
}
