//! From evidence to rows: adds up, demands that rows and evidence cover each other, and compares with what
//! README.md says. Only what each run counts alike is compared, so that a check does not fail by luck.

use std::collections::BTreeMap;

use crate::Problems;
use crate::promises::Row;
use crate::readme::Cells;
use crate::run::{Evidence, FAILURES};

/// The table after these runs. `before`: as README.md has it, for the rows that are seldom run.
pub(crate) fn rows(
    promises: &[Row],
    evidence: &Evidence,
    before: &[Cells],
) -> Result<Vec<Cells>, Problems> {
    let mut problems: Problems = unused(promises, evidence).collect();
    let mut rows = Vec::new();
    for row in promises {
        let kept = before.iter().find(|cells| cells.promise == row.promise);
        match kept {
            Some(kept) if row.seldom && !row.keys().any(|key| evidence.has(key)) => {
                rows.push(Cells {
                    tested: row.tested.to_owned(),
                    ..kept.clone()
                })
            }
            _ => match row.count(evidence) {
                Ok(cells) => rows.push(cells),
                Err(missing) => problems.extend(missing),
            },
        }
    }
    if problems.is_empty() {
        Ok(rows)
    } else {
        Err(problems)
    }
}

/// Whether README.md says the same, as far as it can.
pub(crate) fn compare(promises: &[Row], now: &[Cells], before: &[Cells]) -> Result<(), Problems> {
    let stale =
        |what: String| format!("README.md {what}: run `make evidence` and commit its table");
    let mut problems = Problems::new();
    for cells in before {
        if !promises.iter().any(|row| row.promise == cells.promise) {
            problems.push(stale(format!(
                "has the row {:?}, which nobody promises",
                cells.promise
            )));
        }
    }
    for (row, cells) in promises.iter().zip(now) {
        let Some(old) = before.iter().find(|old| old.promise == row.promise) else {
            problems.push(stale(format!("lacks the row {:?}", row.promise)));
            continue;
        };
        if old.tested != row.tested {
            problems.push(stale(format!(
                "says otherwise how {:?} is tested",
                row.promise
            )));
        }
        let figures = |cells: &Cells| cells.cases.split(", ").map(str::to_owned).collect();
        let (said, counted): (Vec<_>, Vec<_>) = (figures(old), figures(cells));
        let unit = |figure: &String| figure.split_once(' ').map(|(_, unit)| unit.to_owned());
        if !said
            .iter()
            .filter_map(unit)
            .eq(row.cases.iter().map(|cases| cases.unit))
        {
            problems.push(stale(format!(
                "counts other things for {:?} than its row in promises.rs: {:?}",
                row.promise, old.cases
            )));
            continue;
        }
        let exact = row.cases.iter().zip(said.iter().zip(counted));
        for (_, (_, counted)) in exact.filter(|(cases, (said, now))| cases.exact && *said != now) {
            problems.push(stale(format!(
                "says {:?} for {:?}, but this run counted {counted}",
                old.cases, row.promise
            )));
        }
    }
    let known = |cells: &&Cells| promises.iter().any(|row| row.promise == cells.promise);
    let order = before
        .iter()
        .filter(known)
        .map(|cells| cells.promise.as_str());
    if problems.is_empty() && !order.eq(promises.iter().map(|row| row.promise)) {
        problems.push(stale("has its rows in another order".to_owned()));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

fn unused(promises: &[Row], evidence: &Evidence) -> impl Iterator<Item = String> {
    let used = |key: &str, unit: &str| {
        let mut cases = promises.iter().flat_map(|row| row.cases);
        cases.any(|cases| cases.unit == unit && cases.keys.contains(&key))
    };
    let unused = evidence
        .counted()
        .filter(move |(key, unit)| !used(key, unit));
    unused.map(|(key, unit)| {
        format!(
            "no row rests on the {unit} of {key:?}: give them a row in tests/src/bin/evidence/promises.rs, \
             then run `make evidence`"
        )
    })
}

impl Row {
    fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.cases
            .iter()
            .flat_map(|cases| cases.keys.iter().copied())
    }

    fn count(&self, evidence: &Evidence) -> Result<Cells, Problems> {
        let mut figures = Vec::new();
        let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for cases in self.cases {
            let mut sum = 0;
            for key in cases.keys {
                match evidence.count(key, cases.unit) {
                    Some(count) => sum += count,
                    None => missing.entry(key).or_default().push(cases.unit),
                }
            }
            if sum == 0 && missing.is_empty() && !FAILURES.contains(&cases.unit) {
                return Err(vec![format!(
                    "these runs counted 0 {} for {:?}, which shows nothing: look at their tests, then run \
                     `make evidence`",
                    cases.unit, self.promise
                )]);
            }
            figures.push(figure(sum, cases.unit));
        }
        if !missing.is_empty() {
            let problem = |(key, units): (_, Vec<_>)| {
                format!(
                    "these runs print no {} of {key:?}, on which {:?} rests: run the tests whole (`make evidence`); \
                     if the test is gone, take it out of tests/src/bin/evidence/promises.rs",
                    units.join(", "),
                    self.promise
                )
            };
            return Err(missing.into_iter().map(problem).collect());
        }
        Ok(Cells {
            promise: self.promise.to_owned(),
            tested: self.tested.to_owned(),
            cases: figures.join(", "),
            last_run: evidence.last_run(self.keys()),
        })
    }
}

/// `12,345 logins`. Separated by commas without a space, so that a list of figures can be split again.
fn figure(count: u128, unit: &str) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promises::Cases;

    const PROMISES: &[Row] = &[
        Row {
            promise: "It is whole",
            tested: "by kills",
            cases: &[
                Cases {
                    unit: "kills",
                    keys: &["at lines", "at random"],
                    exact: true,
                },
                Cases {
                    unit: "logins",
                    keys: &["at random"],
                    exact: false,
                },
            ],
            seldom: false,
        },
        Row {
            promise: "It stays whole",
            tested: "for long",
            cases: &[Cases {
                unit: "rounds",
                keys: &["soak"],
                exact: false,
            }],
            seldom: true,
        },
    ];
    const RUN: &str = "evidence: at lines: 1000 kills\nevidence: at random: 234 kills, 7 logins\n";

    fn evidence(text: &str) -> Evidence {
        let mut evidence = Evidence::default();
        assert_eq!(evidence.add("out", text, "2026-01-02"), Problems::new());
        evidence
    }

    fn told(text: &str, before: &[Cells]) -> Result<Vec<Cells>, Problems> {
        rows(PROMISES, &evidence(text), before)
    }

    fn whole() -> Vec<Cells> {
        told(&format!("{RUN}evidence: soak: 3 rounds (seed 9)"), &[]).unwrap()
    }

    #[track_caller]
    fn check(result: Result<impl std::fmt::Debug, Problems>, expected: &[&str]) {
        let problems = result.unwrap_err();
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, part) in problems.iter().zip(expected) {
            assert!(problem.contains(part), "{problem}");
            assert!(problem.contains("`make evidence`"), "{problem}");
        }
    }

    #[test]
    fn figures_are_added_up_and_written_for_people() {
        let rows = whole();
        assert_eq!(rows[0].cases, "1,234 kills, 7 logins");
        assert_eq!(rows[0].last_run, "2026-01-02");
        assert_eq!(rows[1].last_run, "2026-01-02, seed 9");
        assert_eq!(figure(0, "failed"), "0 failed");
        assert_eq!(figure(123, "kills"), "123 kills");
        assert_eq!(figure(1_234_567, "kills"), "1,234,567 kills");
    }

    #[test]
    fn a_row_without_evidence_fails() {
        let without = "evidence: at random: 234 kills, 7 logins\nevidence: soak: 3 rounds";
        check(
            told(without, &whole()),
            &["no kills of \"at lines\", on which"],
        );
        let other_unit = RUN.replace("7 logins", "7 rounds");
        let problems = ["the rounds of \"at random\"", "no logins of \"at random\""];
        check(told(&other_unit, &whole()), &problems);
    }

    #[test]
    fn evidence_without_a_row_fails() {
        let more = format!("{RUN}evidence: forgotten: 1 kills");
        check(
            told(&more, &whole()),
            &["no row rests on the kills of \"forgotten\""],
        );
    }

    #[test]
    fn a_row_that_is_seldom_run_stays_as_it_was() {
        let mut before = whole();
        before[1].last_run = "2025-12-31, seed 8".to_owned();
        assert_eq!(told(RUN, &before).unwrap(), before);
        // The first time there is nothing to keep.
        check(told(RUN, &[]), &["no rounds of \"soak\""]);
    }

    #[test]
    fn a_check_compares_what_each_run_counts_alike() {
        let before = whole();
        let logins = told(&RUN.replace("7 logins", "8 logins"), &before).unwrap();
        assert_eq!(compare(PROMISES, &logins, &before), Ok(()));
        let kills = told(&RUN.replace("1000", "1001"), &before).unwrap();
        check(
            compare(PROMISES, &kills, &before),
            &["this run counted 1,235 kills"],
        );
    }

    #[test]
    fn a_check_compares_what_is_counted() {
        let now = whole();
        for (row, cases) in [
            (0, "1,234 kills"),
            (0, "7 logins, 1,234 kills"),
            (1, "3 kills"),
        ] {
            let mut other = whole();
            other[row].cases = cases.to_owned();
            check(compare(PROMISES, &now, &other), &["counts other things"]);
        }
        let mut other = whole();
        other.swap(0, 1);
        check(compare(PROMISES, &now, &other), &["in another order"]);
    }

    #[test]
    fn a_count_of_nothing_fails() {
        let nothing = RUN.replace("7 logins", "0 logins");
        check(told(&nothing, &whole()), &["counted 0 logins"]);
    }

    #[test]
    fn a_check_compares_the_rows_themselves() {
        let now = whole();
        let mut other = whole();
        other[0].promise = "It is broken".to_owned();
        let problems = ["which nobody promises", "lacks the row \"It is whole\""];
        check(compare(PROMISES, &now, &other), &problems);
        let mut other = whole();
        other[1].tested = "briefly".to_owned();
        check(
            compare(PROMISES, &now, &other),
            &["says otherwise how \"It stays whole\""],
        );
    }
}
