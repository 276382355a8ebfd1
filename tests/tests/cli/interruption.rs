//! `keyturn rotate` killed with SIGKILL at every line that it writes into the audit trail, and run
//! again. The trail has a line before and after each effect, so each kill lands before, within or
//! after another one. Each kill is proven by the process's wait status, and a run that ends before
//! its kill ends the sweep.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harness::poll;
use harness::postgres::ClusterOptions;
use serde_json::Value;

use crate::support::Site;
use crate::support::festival::{Festival, SECRET};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const SIGKILL: i32 = 9;

/// A rotation writes many more lines than that.
pub(crate) const KILLS_MIN: usize = 8;

/// The effects of a rotation that a kill has to meet between intent and outcome, or right after.
pub(crate) const ALTERNATING: &[&str] = &[
    "intent retire",
    "intent create",
    "outcome create",
    "intent set",
    "outcome set",
    "intent finish",
    "intent promote",
];
pub(crate) const SINGLE: &[&str] = &[
    "intent create",
    "outcome create",
    "intent set",
    "outcome set",
    "intent promote",
];
/// The process runs on between the line and the signal, so that the aim may be missed.
const ATTEMPTS: usize = 20;

const ALTERNATING_USERS: &str = "alternating users";

#[test]
fn alternating_continues_after_a_kill_at_every_odd_line() {
    sweep_alternating(1);
}

#[test]
fn alternating_continues_after_a_kill_at_every_even_line() {
    sweep_alternating(2);
}

#[test]
fn alternating_continues_after_a_kill_within_each_effect() {
    let festival = start("alternating");
    while_probed(ALTERNATING_USERS, &festival, || {
        finish(&festival);
        for effect in ALTERNATING {
            kill_at(&festival, effect, || continues_alternating(&festival));
        }
        ALTERNATING.len()
    });
}

#[test]
fn single_continues_after_a_kill_at_every_line() {
    let kills = sweep_single(&start("single"));
    println!("evidence: a single user, killed at the trail: {kills} kills");
}

#[test]
fn single_continues_after_a_kill_within_each_effect() {
    let festival = start("single");
    for effect in SINGLE {
        kill_at(&festival, effect, || continues_single(&festival));
    }
    let kills = SINGLE.len();
    println!("evidence: a single user, killed at the trail: {kills} kills");
}

/// The change was made from the value before; what was put by hand meanwhile must stand in the next one.
#[test]
fn what_was_put_by_hand_after_an_interrupted_change_stays() {
    let festival = start("alternating");
    let put = || {
        festival.current_logs_in();
        let mut value = festival.workspace.current(SECRET);
        value["put_by_hand"] = Value::from("meanwhile");
        let arguments = ["secret", "put", SECRET, "--value-stdin"];
        let put = festival
            .workspace
            .run_with(&arguments, &value.to_string(), &[]);
        put.succeeded();
        festival.current_logs_in();
        finish_now(&festival);
    };
    kill_at(&festival, "outcome set", put);
    festival.current_logs_in();
    let current = festival.workspace.current(SECRET);
    assert_eq!(current["put_by_hand"], "meanwhile");
    let labels: Vec<_> = festival.workspace.labels(SECRET).into_keys().collect();
    assert_eq!(labels, ["AWSCURRENT", "AWSPREVIOUS", "KEYTURN_RETIRING"]);
}

/// Another strategy would leave at the target what this one has changed there.
#[test]
fn what_one_strategy_has_begun_no_other_one_takes_up() {
    let festival = start("alternating");
    let change = || {
        let labels = festival.workspace.labels(SECRET);
        festival.configure("single", 1, "");
        let refused = festival.workspace.run(&["rotate", SECRET, "--now"]);
        refused.failed(
            7,
            &[
                "begun with the strategy alternating",
                &labels["KEYTURN_INDOUBT"],
            ],
        );
        assert_eq!(festival.workspace.labels(SECRET), labels);
        festival.configure("alternating", 1, "");
        finish_now(&festival);
        festival.current_logs_in();
    };
    kill_at(&festival, "outcome set", change);
}

/// On a server that writes everything that it is told into its log, for the scan at the end.
fn start(strategy: &str) -> Festival {
    Festival::start_with(ClusterOptions::new().log_everything(), strategy, 1)
}

fn sweep_alternating(first: usize) {
    sweep(ALTERNATING_USERS, &start("alternating"), first);
}

/// Kills rotations at every line of the trail. Answers how many.
pub(crate) fn sweep_single(site: &impl Site) -> usize {
    let mut kills = 0;
    while rotate_and_kill(site, |lines| lines.len() > kills).is_some() {
        continues_single(site);
        kills += 1;
    }
    assert!(kills >= KILLS_MIN, "{kills} kills");
    kills
}

/// Kills rotations at every other line of the trail, from this one on, while somebody logs in without pause.
pub(crate) fn sweep(what: &str, site: &impl Site, first: usize) {
    while_probed(what, site, || {
        // The first rotation has nothing to retire; the sweep begins with one that has.
        finish(site);
        let (mut kills, mut line) = (0, first);
        while rotate_and_kill(site, |lines| lines.len() >= line).is_some() {
            continues_alternating(site);
            kills += 1;
            line += 2;
        }
        assert!(kills >= KILLS_MIN, "{kills} kills");
        kills
    });
}

/// Kills rotations at this effect until one was killed there and nowhere later.
pub(crate) fn kill_at(site: &impl Site, effect: &str, continues: impl Fn()) {
    let reached = |lines: &[String]| lines.iter().any(|line| kind_of(line) == effect);
    let mut met = Vec::new();
    for _ in 0..ATTEMPTS {
        let Some(last) = rotate_and_kill(site, reached) else {
            continue;
        };
        continues();
        if last == effect {
            return;
        }
        met.push(last);
    }
    panic!("no kill at {effect:?}, but at {met:?}");
}

/// Works while another thread logs in with AWSCURRENT without pause. `work` answers its kills.
pub(crate) fn while_probed(what: &str, site: &impl Site, work: impl FnOnce() -> usize) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let prober = scope.spawn(|| probe(site, &stop));
        // Whatever fails in here must stop the prober, or the scope would never end.
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        let (logins, failures) = prober.join().unwrap();
        let kills = worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert_eq!(failures, Vec::<String>::new(), "of {logins} logins");
        assert!(logins > kills, "only {logins} logins during {kills} kills");
        println!("evidence: {what}, killed at the trail: {kills} kills, {logins} logins, 0 failed");
    });
}

/// After a kill: AWSCURRENT logs in, the next run goes through and leaves no label behind.
#[track_caller]
pub(crate) fn continues_alternating(site: &impl Site) {
    continues_alternating_by(site, finish);
}

#[track_caller]
pub(crate) fn continues_alternating_by<S: Site>(site: &S, finish: impl Fn(&S)) {
    site.current_logs_in();
    finish(site);
    site.current_logs_in();
    let labels: Vec<_> = site.workspace().labels(site.secret()).into_keys().collect();
    assert_eq!(labels, ["AWSCURRENT", "AWSPREVIOUS", "KEYTURN_RETIRING"]);
}

/// The same where one user replaces its own password: until the next run some value works.
#[track_caller]
pub(crate) fn continues_single(site: &impl Site) {
    some_known_value_logs_in(site);
    finish(site);
    site.current_logs_in();
    let labels: Vec<_> = site.workspace().labels(site.secret()).into_keys().collect();
    assert_eq!(labels, ["AWSCURRENT", "AWSPREVIOUS"]);
}

/// Starts a rotation and kills it when its lines of the trail are enough. Answers what its last line
/// then was, or `None` if it ended before its kill.
pub(crate) fn rotate_and_kill(
    site: &impl Site,
    enough: impl FnMut(&[String]) -> bool,
) -> Option<String> {
    start_and_kill(site, &["rotate", site.secret(), "--now"], enough)
}

/// The same with another command.
pub(crate) fn start_and_kill(
    site: &impl Site,
    arguments: &[&str],
    mut enough: impl FnMut(&[String]) -> bool,
) -> Option<String> {
    let workspace = &site.workspace();
    let before = workspace.audit().len();
    let new_lines = || {
        let trail = workspace.audit();
        trail[before..]
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut child = workspace.start(arguments);
    let deadline = Instant::now() + PATIENCE;
    // No pause between two looks: the moment between two lines may be short.
    while child.try_wait().unwrap().is_none() && !enough(&new_lines()) {
        assert!(
            Instant::now() < deadline,
            "still running: {:?}",
            new_lines()
        );
        std::thread::yield_now();
    }
    let killed = kill(&mut child);
    workspace.keep_words_of(&mut child);
    if !killed {
        return None;
    }
    let lines = new_lines();
    assert!(enough(&lines), "killed too early: {lines:?}");
    lines.last().map(|line| kind_of(line))
}

/// Kills the process. False if it had ended by itself, which must have been well.
pub(crate) fn kill(child: &mut Child) -> bool {
    // An error means that it has ended, which its wait status tells.
    let _ = child.kill();
    let status = child.wait().unwrap();
    if status.signal() == Some(SIGKILL) {
        return true;
    }
    assert!(status.success(), "{status}");
    false
}

/// Runs the command again until it is through; only a grace may keep it waiting.
pub(crate) fn finish(site: &impl Site) {
    let ended = poll::until(PATIENCE, || {
        let ended = site.workspace().run(&["rotate", site.secret(), "--json"]);
        (ended.code != Some(7)).then_some(ended)
    });
    let shown = ended.expect("refused for too long").succeeded().json();
    assert_eq!(shown["outcome"], "rotated", "{shown}");
}

/// The same without waiting for a grace.
pub(crate) fn finish_now(site: &impl Site) {
    let ended = site
        .workspace()
        .run(&["rotate", site.secret(), "--now", "--json"]);
    let shown = ended.succeeded().json();
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
fn some_known_value_logs_in(site: &impl Site) {
    let labels = site.workspace().labels(site.secret());
    let mut refused = Vec::new();
    for label in ["AWSCURRENT", "AWSPENDING", "KEYTURN_INDOUBT"] {
        if labels.contains_key(label) {
            let value = serde_json::from_str(&site.workspace().text(site.secret(), label)).unwrap();
            match site.login(&value) {
                Ok(()) => return,
                Err(error) => refused.push(format!("{label}: {error}")),
            }
        }
    }
    panic!("locked out: {refused:?}");
}

/// Logs in with AWSCURRENT without pause. A failure counts if the same version was AWSCURRENT before
/// and after it.
fn probe(site: &impl Site, stop: &AtomicBool) -> (usize, Vec<String>) {
    let (mut logins, mut failures) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let before = site.workspace().text(site.secret(), "AWSCURRENT");
        let answer = site.login(&serde_json::from_str(&before).unwrap());
        logins += 1;
        if let Err(error) = answer
            && site.workspace().text(site.secret(), "AWSCURRENT") == before
        {
            failures.push(error.to_string());
        }
    }
    (logins, failures)
}
