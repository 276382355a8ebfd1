//! `keyturn rotate` killed with SIGKILL at every line that it writes into the audit trail, and run
//! again. The trail has a line before and after each effect, so each kill lands before, within or
//! after another one. Each kill is proven by the process's wait status, and a run that ends before
//! its kill ends the sweep.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harness::poll;
use serde_json::Value;

use crate::support::festival::{Festival, SECRET};

const PATIENCE: Duration = Duration::from_secs(60);
const SIGKILL: i32 = 9;

/// What a sweep met.
#[derive(Debug, Default)]
struct Sweep {
    kills: usize,
    /// The last line of the trail of each killed run: `intent set`, `outcome create`, …
    last_lines: BTreeSet<String>,
}

/// Where a run is when the sweep begins: with an old value that is due to die, or with none.
#[test]
fn alternating_continues_after_a_kill_at_every_odd_line() {
    sweep_alternating(1);
}

#[test]
fn alternating_continues_after_a_kill_at_every_even_line() {
    sweep_alternating(2);
}

#[test]
fn single_continues_after_a_kill_at_every_line() {
    let festival = Festival::start("single", 1);
    let mut sweep = Sweep::default();
    for line in 1.. {
        if !rotate_and_kill(&festival, line, &mut sweep) {
            break;
        }
        some_known_value_logs_in(&festival);
        finish(&festival);
        festival.current_logs_in();
        let labels: Vec<_> = festival.workspace.labels(SECRET).into_keys().collect();
        assert_eq!(labels, ["AWSCURRENT", "AWSPREVIOUS"], "line {line}");
    }
    sweep.met(8, &["intent set", "outcome set", "intent promote"]);
}

fn sweep_alternating(first: usize) {
    let festival = Festival::start("alternating", 1);
    let mut sweep = Sweep::default();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let prober = scope.spawn(|| probe(&festival, &stop));
        // Whatever fails in here must stop the prober, or the scope would never end.
        let swept = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            kill_at_every_other_line(&festival, first, &mut sweep);
        }));
        stop.store(true, Ordering::Relaxed);
        let (logins, failures) = prober.join().unwrap();
        if let Err(panic) = swept {
            std::panic::resume_unwind(panic);
        }
        assert_eq!(failures, Vec::<String>::new(), "of {logins} logins");
        assert!(
            logins > sweep.kills,
            "the prober tried only {logins} logins"
        );
    });
    let wanted: &[&str] = match first {
        1 => &["started"],
        _ => &["intent set", "intent retire", "intent promote"],
    };
    sweep.met(8, wanted);
}

fn kill_at_every_other_line(festival: &Festival, first: usize, sweep: &mut Sweep) {
    // The first rotation has nothing to retire; the sweep begins with one that has.
    finish(festival);
    for line in (first..).step_by(2) {
        if !rotate_and_kill(festival, line, sweep) {
            break;
        }
        festival.current_logs_in();
        finish(festival);
        festival.current_logs_in();
        let labels: Vec<_> = festival.workspace.labels(SECRET).into_keys().collect();
        assert_eq!(
            labels,
            ["AWSCURRENT", "AWSPREVIOUS", "KEYTURN_RETIRING"],
            "line {line}"
        );
    }
}

/// Starts a rotation and kills it when the trail has that many new lines. False if it ended first.
fn rotate_and_kill(festival: &Festival, line: usize, sweep: &mut Sweep) -> bool {
    let workspace = &festival.workspace;
    let before = workspace.audit().len();
    let new_lines = || {
        let trail = workspace.audit();
        trail[before..]
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut child = workspace.start(&["rotate", SECRET, "--now"]);
    let deadline = Instant::now() + PATIENCE;
    // No pause between two looks: the moment between two lines may be short.
    while child.try_wait().unwrap().is_none() && new_lines().len() < line {
        assert!(
            Instant::now() < deadline,
            "no line {line} within {PATIENCE:?}"
        );
        std::thread::yield_now();
    }
    // Fails if it has ended, which its wait status tells below.
    let _ = child.kill();
    let status = child.wait().unwrap();
    if status.signal() != Some(SIGKILL) {
        assert!(status.success(), "line {line}: {status}");
        return false;
    }
    let lines = new_lines();
    assert!(lines.len() >= line, "killed before line {line}");
    sweep.kills += 1;
    sweep
        .last_lines
        .extend(lines.last().map(|line| kind_of(line)));
    true
}

/// Runs the command again until it is through; only a grace may keep it waiting.
fn finish(festival: &Festival) {
    let ended = poll::until(PATIENCE, || {
        let ended = festival.workspace.run(&["rotate", SECRET, "--json"]);
        (ended.code != Some(7)).then_some(ended)
    });
    let shown = ended.expect("refused for too long").succeeded().json();
    assert_eq!(shown["outcome"], "rotated", "{shown}");
}

/// `intent set`; a line that the kill tore is none.
fn kind_of(line: &str) -> String {
    let Ok(event) = serde_json::from_str::<Value>(line) else {
        return "torn".to_owned();
    };
    let word = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    format!("{} {}", word("event"), word("effect"))
        .trim()
        .to_owned()
}

/// With one user there may be a gap; in it the new value opens the door. The old one goes first: if
/// it is refused, the change has been committed, and from then on the new one must work.
#[track_caller]
fn some_known_value_logs_in(festival: &Festival) {
    let labels = festival.workspace.labels(SECRET);
    let mut refused = Vec::new();
    for label in ["AWSCURRENT", "AWSPENDING", "KEYTURN_INDOUBT"] {
        if labels.contains_key(label) {
            let value = serde_json::from_str(&festival.workspace.text(SECRET, label)).unwrap();
            match festival.login(&value) {
                Ok(()) => return,
                Err(error) => refused.push(format!("{label}: {error}")),
            }
        }
    }
    panic!("locked out: {refused:?}");
}

/// Logs in with AWSCURRENT without pause. A failure counts if the same version was AWSCURRENT before
/// and after it.
fn probe(festival: &Festival, stop: &AtomicBool) -> (usize, Vec<String>) {
    let (mut logins, mut failures) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let before = festival.workspace.text(SECRET, "AWSCURRENT");
        let answer = festival.login(&serde_json::from_str(&before).unwrap());
        logins += 1;
        if let Err(error) = answer
            && festival.workspace.text(SECRET, "AWSCURRENT") == before
        {
            failures.push(error.to_string());
        }
    }
    (logins, failures)
}

impl Sweep {
    #[track_caller]
    fn met(&self, kills_min: usize, wanted: &[&str]) {
        assert!(self.kills >= kills_min, "{self:?}");
        for line in wanted {
            assert!(
                self.last_lines.contains(*line),
                "no kill after {line:?}: {self:?}"
            );
        }
    }
}
