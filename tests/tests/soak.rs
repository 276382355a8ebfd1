//! A short soak with fixed seeds, so that `make soak` cannot rot, and the seeds that once found
//! something, so that they find it again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::process::Command;

/// Seed and number of rounds. The first is for the soak's own sake; a seed that finds something is
/// added with the number of its round, and with what it found.
const SEEDS: [(u64, u32); 1] = [(1, 9)];
/// The first seed's rounds make about twice as many.
const KILLS_MIN: u64 = 12;

#[test]
fn known_seeds_break_no_invariant() {
    for (seed, rounds) in SEEDS {
        let ended = Command::new(env!("CARGO_BIN_EXE_keyturn-soak"))
            .args(["--seed", &seed.to_string(), "--rounds", &rounds.to_string()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "seed {seed}: {said}{stderr}");
        let summary = said.lines().last().unwrap();
        let figures = summary.strip_prefix("evidence: soak: ").unwrap();
        println!("evidence: short soak: {figures}");
        assert!(summary.contains("0 broken invariants"), "{said}");
        let counted = |what: &str| -> u64 {
            let count = |figure: &str| figure.strip_suffix(what)?.trim_end().parse().ok();
            figures.split(", ").find_map(count).unwrap()
        };
        assert!(counted("kills") >= KILLS_MIN, "{summary}");
        assert!(counted("kills within an effect") > 0, "{summary}");
        assert!(counted("broken connections") > 0, "{summary}");
        assert!(counted("rotations") >= u64::from(rounds), "{summary}");
        assert!(counted("logins") > counted("kills"), "{summary}");
    }
}
