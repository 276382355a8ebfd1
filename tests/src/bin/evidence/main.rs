//! `keyturn-evidence`, run by `make evidence`: reads what test runs printed, adds the figures up for each
//! promise, and writes the table into README.md; with `--check`, which CI runs, it changes nothing and says
//! where README.md and the runs disagree. It runs no test itself and believes no failed run.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command-line tool
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod promises;
mod readme;
mod run;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::run::Evidence;

const USAGE: &str = "\
Usage: keyturn-evidence [--check] OUTPUT…

Writes what the test runs with these outputs have shown into the table in README.md. With --check it
only compares. Exit status: 0 written, or nothing to complain about; 1 there is; 2 wrong arguments.";
/// Relative: make runs this in the root of the repository.
const README: &str = "README.md";

/// What is wrong, and what to do about it; one line each.
type Problems = Vec<String>;

fn main() -> ExitCode {
    let (flags, files): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|a| a.starts_with('-'));
    let check = flags == ["--check"];
    if files.is_empty() || !(check || flags.is_empty()) {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    let files: Vec<_> = files.iter().map(PathBuf::from).collect();
    match evidence(Path::new(README), &files, check) {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(problems) => {
            eprintln!(
                "keyturn-evidence: {}",
                problems.join("\nkeyturn-evidence: ")
            );
            ExitCode::FAILURE
        }
    }
}

fn evidence(readme: &Path, files: &[PathBuf], check: bool) -> Result<String, Problems> {
    let text = readme::read(readme).map_err(|problem| vec![problem])?;
    let before = readme::table(&text).map_err(|problem| vec![problem])?;
    let evidence = Evidence::read(files)?;
    let now = table::rows(promises::ROWS, &evidence, &before)?;
    if check {
        table::compare(promises::ROWS, &now, &before)?;
        return Ok(format!(
            "evidence: README.md says what {} rows rest on",
            now.len()
        ));
    }
    let written = readme::with_table(&text, &now).map_err(|problem| vec![problem])?;
    readme::write(readme, &written).map_err(|problem| vec![problem])?;
    Ok(format!(
        "evidence: {} rows written into README.md",
        now.len()
    ))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::fs;

    use super::*;

    /// What a run would print in which every figure is 0 or `count`.
    fn output(count: u32) -> String {
        let mut text = String::new();
        for cases in promises::ROWS.iter().flat_map(|row| row.cases) {
            let count = if run::FAILURES.contains(&cases.unit) {
                0
            } else {
                count
            };
            for key in cases.keys {
                writeln!(text, "evidence: {key}: {count} {}", cases.unit).unwrap();
            }
        }
        text
    }

    #[test]
    fn what_was_written_passes_its_check_and_another_run_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (path, runs) = (folder.path().join("README.md"), folder.path().join("runs"));
        fs::write(&path, "# Head\n\n<!-- evidence -->\n<!-- /evidence -->\n").unwrap();
        let files = [runs.clone()];
        fs::write(&runs, output(7)).unwrap();
        let unwritten = evidence(&path, &files, true).unwrap_err();
        assert_eq!(unwritten.len(), promises::ROWS.len(), "{unwritten:#?}");
        evidence(&path, &files, false).unwrap();
        evidence(&path, &files, true).unwrap();

        let before = fs::read_to_string(&path).unwrap();
        fs::write(&runs, output(8)).unwrap();
        let problems = evidence(&path, &files, true).unwrap_err();
        assert!(
            problems
                .iter()
                .all(|problem| problem.contains("run `make evidence`"))
        );
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            before,
            "a check writes nothing"
        );
        evidence(&path, &files, false).unwrap();
        evidence(&path, &files, true).unwrap();
        assert_ne!(fs::read_to_string(&path).unwrap(), before);
    }
}
