//! The one part of README.md that nobody writes by hand: a table between two marks.

use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- evidence -->\n";
const END: &str = "<!-- /evidence -->\n";
const HEAD: &str = "\
| what is promised | how it is tested | cases | last run (UTC) |
|---|---|---|---|
";

/// One row of the table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cells {
    pub(crate) promise: String,
    pub(crate) tested: String,
    pub(crate) cases: String,
    pub(crate) last_run: String,
}

pub(crate) fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| cannot("read", path, &error))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| cannot("write", path, &error))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!(
        "cannot {what} {}: {error}: run `make evidence` in the root of the repository",
        path.display()
    )
}

/// The rows that stand there now.
pub(crate) fn table(readme: &str) -> Result<Vec<Cells>, String> {
    let (_, table, _) = around(readme)?;
    let rows = table.strip_prefix(HEAD).unwrap_or_default();
    rows.lines().map(cells).collect()
}

/// The text with these rows instead.
pub(crate) fn with_table(readme: &str, rows: &[Cells]) -> Result<String, String> {
    let (before, _, after) = around(readme)?;
    let rows: String = rows
        .iter()
        .map(|row| {
            let Cells {
                promise,
                tested,
                cases,
                last_run,
            } = row;
            format!("| {promise} | {tested} | {cases} | {last_run} |\n")
        })
        .collect();
    Ok(format!("{before}{BEGIN}{HEAD}{rows}{END}{after}"))
}

fn around(readme: &str) -> Result<(&str, &str, &str), String> {
    let marks = format!(
        "README.md needs the lines {} and {}, once each: the table goes between them; put them back",
        BEGIN.trim_end(),
        END.trim_end()
    );
    let parts = readme.split_once(BEGIN).and_then(|(before, rest)| {
        rest.split_once(END)
            .map(|(table, after)| (before, table, after))
    });
    match parts {
        Some((before, table, after))
            if ![before, table, after]
                .iter()
                .any(|part| part.contains(BEGIN) || part.contains(END)) =>
        {
            Ok((before, table, after))
        }
        _ => Err(marks),
    }
}

fn cells(line: &str) -> Result<Cells, String> {
    let inner = line
        .strip_prefix("| ")
        .and_then(|line| line.strip_suffix(" |"));
    let cells: Vec<_> = inner
        .unwrap_or_default()
        .split(" | ")
        .map(str::to_owned)
        .collect();
    let [promise, tested, cases, last_run] = <[String; 4]>::try_from(cells)
        .map_err(|_| format!("README.md: {line:?} is no row of the table: run `make evidence`"))?;
    Ok(Cells {
        promise,
        tested,
        cases,
        last_run,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Cells {
        Cells {
            promise: "It works".into(),
            tested: "by hand".into(),
            cases: "2 kills, 1 logins".into(),
            last_run: "2026-01-02".into(),
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_changes() {
        let empty = format!("# Head\n\n{BEGIN}{END}\nfoot\n");
        assert_eq!(table(&empty), Ok(vec![]));
        let rows = [row(), row()];
        let filled = with_table(&empty, &rows).unwrap();
        assert!(filled.starts_with("# Head\n\n") && filled.ends_with("\nfoot\n"));
        assert_eq!(table(&filled).unwrap(), rows);
        assert_eq!(with_table(&filled, &rows).unwrap(), filled);
        assert_eq!(
            with_table(&filled, &rows[..1]).unwrap().lines().count(),
            filled.lines().count() - 1
        );
    }

    #[test]
    fn a_readme_without_its_marks_is_refused() {
        for text in [
            "# Head\n".to_owned(),
            BEGIN.to_owned(),
            format!("{END}{BEGIN}"),
            format!("{BEGIN}{END}{BEGIN}{END}"),
        ] {
            let problem = with_table(&text, &[]).unwrap_err();
            assert!(problem.contains("put them back"), "{problem}");
        }
    }

    #[test]
    fn a_table_that_was_edited_into_something_else_is_refused() {
        let broken = format!("{BEGIN}{HEAD}| one | two |\n{END}");
        assert!(table(&broken).unwrap_err().contains("run `make evidence`"));
    }
}
