//! Every schedule that matters, enumerated. Each scenario prints one line of evidence, `enumerated NAME:
//! N schedules, N states, N faults fired`, the whole run `coverage: N transitions, N rules`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod sim;

use std::collections::BTreeSet;

use keyturn_protocol::*;
use sim::explore::{Driver, Explorer, State};
use sim::faults::Fault;
use sim::goals::rotate;
use sim::kind::Kind;
use sim::scenarios::{self, Coverage};
use sim::world::{GRACE_MS, World};

/// The answers that each command can get; every other pair is illegal.
const LEGAL: &[(&str, &[&str])] = &[
    ("Observe", &["Observed", "StoreFailed", "Cancelled"]),
    ("NewToken", &["Token", "Cancelled"]),
    (
        "MoveLabel",
        &["Moved", "Refused", "StoreFailed", "Cancelled"],
    ),
    ("Promote", &["Moved", "Refused", "StoreFailed", "Cancelled"]),
    (
        "Create",
        &[
            "Created",
            "InputNeeded",
            "Refused",
            "PluginFailed",
            "StoreFailed",
            "Cancelled",
        ],
    ),
    (
        "CompareIdentity",
        &[
            "IdentityEqual",
            "IdentityDiffers",
            "PluginFailed",
            "StoreFailed",
            "Cancelled",
        ],
    ),
    (
        "Set",
        &[
            "Completed",
            "StillPending",
            "Refused",
            "PluginFailed",
            "StoreFailed",
            "Cancelled",
        ],
    ),
    (
        "Withdraw",
        &["Moved", "Refused", "StoreFailed", "Cancelled"],
    ),
    (
        "Test",
        &[
            "Completed",
            "StillPending",
            "PluginFailed",
            "StoreFailed",
            "Cancelled",
        ],
    ),
    (
        "Retire",
        &[
            "Completed",
            "StillPending",
            "PluginFailed",
            "StoreFailed",
            "Cancelled",
        ],
    ),
    (
        "Finish",
        &["Planned", "PluginFailed", "StoreFailed", "Cancelled"],
    ),
    (
        "Probe",
        &["Probed", "PluginFailed", "StoreFailed", "Cancelled"],
    ),
    (
        "Check",
        &["Checked", "PluginFailed", "StoreFailed", "Cancelled"],
    ),
    ("Wait", &["Elapsed", "Cancelled"]),
    ("Done", &[]),
    ("Failed", &[]),
];

#[test]
fn every_schedule_keeps_the_invariants() {
    let mut coverage = Coverage::default();
    scenarios::crashes(&mut coverage);
    scenarios::failing_calls(&mut coverage);
    scenarios::failing_store(&mut coverage);
    scenarios::two_rotators(&mut coverage);
    scenarios::a_sleeper(&mut coverage);
    scenarios::cancelled(&mut coverage);
    scenarios::edited_by_hand(&mut coverage);
    scenarios::rejected_values(&mut coverage);
    sim::places::corrected_place(&mut coverage);
    sim::sequences::step_sequences(&mut coverage);
    sim::corners::all(&mut coverage);

    let legal: BTreeSet<_> = LEGAL
        .iter()
        .flat_map(|(command, events)| events.iter().map(|e| (*command, *e)))
        .collect();
    let missed: Vec<_> = legal.difference(&coverage.transitions).collect();
    let undeclared: Vec<_> = coverage.transitions.difference(&legal).collect();
    let unused: Vec<_> = Rule::ALL
        .iter()
        .filter(|rule| !coverage.rules.contains(rule))
        .map(|rule| rule.name())
        .collect();
    assert!(
        undeclared.is_empty(),
        "undeclared transitions: {undeclared:?}"
    );
    assert!(missed.is_empty(), "transitions never taken: {missed:?}");
    assert!(unused.is_empty(), "rules that never decided: {unused:?}");
    println!(
        "evidence: coverage: {} transitions, {} rules",
        legal.len(),
        Rule::ALL.len()
    );
}

/// An illegal answer is one typed error and changes nothing, in every state that a plain rotation
/// with one crash and one failing call passes through.
#[test]
fn illegal_answers_change_nothing() {
    let snapshot = World::new(Kind::Dual, 0).snapshot();
    let failure = PluginFailure {
        class: FailureClass::Path,
        applied: Applied::No,
        retryable: true,
        retry_after_ms: None,
    };
    let events = [
        Event::Observed(snapshot),
        Event::Token(VersionId::new("keyturn-x")),
        Event::Moved,
        Event::Refused,
        Event::Created,
        Event::InputNeeded,
        Event::IdentityEqual,
        Event::IdentityDiffers,
        Event::Completed { changed: true },
        Event::StillPending { milliseconds: 1 },
        Event::Planned(How::default()),
        Event::Probed(Liveness::Live),
        Event::Checked { passed: true },
        Event::Elapsed,
        Event::PluginFailed(failure),
        Event::StoreFailed { retryable: true },
        Event::Cancelled,
    ];
    let mut refused = BTreeSet::new();
    for rotation in scenarios::states_of_every_command() {
        let command = rotation.poll().name();
        let legal = LEGAL
            .iter()
            .find(|(name, _)| *name == command)
            .expect("a declared command")
            .1;
        for event in &events {
            let mut answered = rotation.clone();
            let result = answered.handle(event.clone());
            assert_eq!(
                result.is_ok(),
                legal.contains(&event.name()),
                "{command}, {}",
                event.name()
            );
            if let Err(illegal) = result {
                assert_eq!((illegal.command, illegal.event), (command, event.name()));
                assert_eq!(answered, rotation, "an illegal answer changed something");
                refused.insert((command, event.name()));
            }
        }
    }
    let legal: usize = LEGAL.iter().map(|(_, events)| events.len()).sum();
    assert_eq!(
        refused.len(),
        LEGAL.len() * events.len() - legal,
        "every illegal pair was tried"
    );
    println!(
        "evidence: illegal answers: {} illegal answers",
        refused.len()
    );
}

/// The checker can fail: each of these breaks the scheme in one place, and must be caught.
#[test]
fn broken_schemes_are_caught() {
    for (name, kind, invariant, sabotage) in sim::sabotage::ALL {
        let faults = [
            Fault::CrashBefore,
            Fault::CrashAfter,
            Fault::CancelPending,
            Fault::Edit {
                other_credential: false,
            },
        ];
        let mut explorer = Explorer::new(&faults);
        explorer.sabotage = Some(*sabotage);
        explorer.tolerates = |reason| !matches!(reason, Reason::WithinGrace { .. });
        let world = scenarios::rotated_once(*kind, GRACE_MS);
        let driver = Driver::Goal(rotate(*kind));
        let actors = vec![explorer.actor(&world, driver, 8)];
        let verdict = explorer.explore(State {
            world,
            actors,
            faults_left: 2,
            struck: false,
        });
        let found = verdict.expect_err(&format!("{name} went unnoticed"));
        let expected = format!("invariant {invariant}");
        assert!(
            found.starts_with(&expected),
            "{name}: expected {expected}, got {found}"
        );
        println!(
            "caught {name}: {}",
            found.lines().next().unwrap_or_default()
        );
    }
    println!(
        "evidence: sabotage: {} broken schemes caught",
        sim::sabotage::ALL.len()
    );
}
