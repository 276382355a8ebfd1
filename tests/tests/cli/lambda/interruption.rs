//! A function that is killed in the middle of a step, and the same event once more in another process: what the service
//! does.

use std::time::Duration;

use harness::lambda::Function;
use harness::poll;
use serde_json::Value;

use super::{OnLambda, STEPS, succeeded};
use crate::support::Site as _;
use crate::support::festival::{Festival, SECRET};

const PATIENCE: Duration = Duration::from_secs(60);

/// Where a step is cut off: at the line of its log about this effect.
const CUTS: [(&str, &str); 6] = [
    ("createSecret", "intent create"),
    ("createSecret", "outcome create"),
    ("setSecret", "intent set"),
    ("setSecret", "outcome set"),
    ("finishSecret", "intent promote"),
    ("finishSecret", "outcome promote"),
];

#[test]
fn alternating_users_continue_after_a_kill_in_any_step() {
    cut_everywhere("alternating", &CUTS);
}

/// `single` promotes within setSecret.
#[test]
fn a_single_user_continues_after_a_kill_in_any_step() {
    let in_set = CUTS.map(|(step, line)| match step {
        "finishSecret" => ("setSecret", line),
        _ => (step, line),
    });
    cut_everywhere("single", &in_set);
}

fn cut_everywhere(strategy: &str, cuts: &[(&str, &str)]) {
    let festival = Festival::start(strategy, 0);
    let site = OnLambda::new(&festival.workspace);
    for (cut_step, line) in cuts {
        let token = site.announce(SECRET);
        for step in STEPS {
            if step == *cut_step {
                let mut function = site.configured_function();
                kill_at(&site, &mut function, step, &token, line);
                festival.end_sessions_of_the_dead();
                let labels = festival.workspace.labels(SECRET);
                let is_promoted = labels["AWSCURRENT"] == token;
                // A single user is locked out for as long as its new value is in doubt.
                if strategy == "alternating" || is_promoted || *cut_step == "createSecret" {
                    festival.current_logs_in();
                }
            }
            let mut function = site.configured_function();
            succeeded(&site.step(&mut function, SECRET, step, &token), step);
        }
        assert_eq!(
            festival.workspace.labels(SECRET)["AWSCURRENT"],
            token,
            "{line}"
        );
        festival.current_logs_in();
        assert!(
            !festival
                .workspace
                .labels(SECRET)
                .contains_key("KEYTURN_INDOUBT")
        );
    }
}

/// Kills the process once it has logged that line; fails if it never does.
fn kill_at(site: &OnLambda<'_>, function: &mut Function, step: &str, token: &str, line: &str) {
    function.begin(&site.event(SECRET, step, token));
    let is_there = |log: &str| {
        // The last line may be on its way.
        let mut lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.any(|seen| {
            let text = |member: &str| seen[member].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("event"), text("effect")) == line
        })
    };
    let reached = poll::until_true(PATIENCE, || is_there(&function.log()));
    assert!(reached, "{line} never came: {}", function.log());
    function.kill().unwrap();
}
