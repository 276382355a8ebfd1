//! The table: what was measured, the floor, their ratio and the mark that it should stay under.

use std::fmt::Write as _;
use std::time::Duration;

use crate::apart::Part;
use crate::machine;
use crate::measure::Pair;

/// A ratio against a floor, where there is one.
pub(crate) struct Row {
    what: String,
    floor_is: &'static str,
    ours: Duration,
    floor: Option<Duration>,
    mark: Option<Mark>,
}

/// What should not be exceeded.
enum Mark {
    Ratio(f64),
    Time(Duration),
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, pair: &Pair) -> Self {
        Self {
            floor: Some(pair.floor),
            ..Self::alone(what, pair.ours)
        }
    }

    /// Where the floor cannot be measured.
    pub(crate) fn alone(what: impl Into<String>, ours: Duration) -> Self {
        Self {
            what: what.into(),
            floor_is: "",
            ours,
            floor: None,
            mark: None,
        }
    }

    /// What the floor is.
    pub(crate) fn against(mut self, floor_is: &'static str) -> Self {
        self.floor_is = floor_is;
        self
    }

    /// The ratio that should not be exceeded.
    pub(crate) fn mark(mut self, mark: f64) -> Self {
        self.mark = Some(Mark::Ratio(mark));
        self
    }

    /// The time that should not be exceeded.
    pub(crate) fn within(mut self, mark: Duration) -> Self {
        self.mark = Some(Mark::Time(mark));
        self
    }

    fn line(&self) -> String {
        let ratio = self
            .floor
            .map(|floor| self.ours.as_secs_f64() / floor.as_secs_f64());
        let mark = self.mark.as_ref().map_or_else(String::new, |mark| {
            let (mark, met) = match mark {
                Mark::Ratio(mark) => (
                    format!("{mark:.2}"),
                    ratio.is_some_and(|ratio| ratio <= *mark),
                ),
                Mark::Time(mark) => (duration(*mark), self.ours <= *mark),
            };
            format!("≤ {mark}, {}", if met { "met" } else { "missed" })
        });
        format!(
            "| {} | {} | {} | {} | {} | {mark} |",
            self.what,
            duration(self.ours),
            self.floor_is,
            self.floor.map_or_else(String::new, duration),
            ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"))
        )
    }
}

/// A figure that stands by itself, such as a throughput.
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) throughput: String,
    pub(crate) memory: String,
}

/// The report as Markdown.
pub(crate) fn markdown(rows: &[Row], parts: &[Part], figures: &[Figure], date: &str) -> String {
    let mut text = format!(
        "# Measured\n\nWritten by `make bench` on {date}: {}. Both sides of a ratio are measured in one \
         run, in turn; times are medians unless they say otherwise. A *floor* is the same work by a plain program, as \
         little of it as can be; a *mark* is what we want the ratio to be. Of rows with the same name only the floor \
         differs.\n\n\
         | what | time | floor | time | ratio | mark |\n|---|---|---|---|---|---|\n",
        machine::description()
    );
    for row in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", row.line());
    }
    text.push_str(
        "\nThe rotation of the PostgreSQL role, taken apart by its audit trail, on average:\n\n\
         | effect | times | time |\n|---|---|---|\n",
    );
    for Part {
        effect,
        times,
        took,
    } in parts
    {
        let _ = writeln!(text, "| {effect} | {times:.1} | {} |", duration(*took));
    }
    text.push_str("\n| what | throughput | memory |\n|---|---|---|\n");
    for figure in figures {
        let (what, throughput, memory) = (&figure.what, &figure.throughput, &figure.memory);
        let _ = writeln!(text, "| {what} | {throughput} | {memory} |");
    }
    text
}

pub(crate) fn duration(duration: Duration) -> String {
    let us = duration.as_secs_f64() * 1e6;
    match us {
        _ if us < 1_000.0 => format!("{us:.1} µs"),
        _ if us < 1_000_000.0 => format!("{:.2} ms", us / 1e3),
        _ => format!("{:.2} s", us / 1e6),
    }
}

pub(crate) fn mebibytes(bytes: Option<u64>) -> String {
    match bytes {
        Some(bytes) => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
        None => "not measured".to_owned(),
    }
}
