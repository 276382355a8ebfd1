//! Each fuzz target over its corpus and over seeded mutations of it, on every toolchain.
//! KEYTURN_FUZZ_SEED picks another seed, KEYTURN_FUZZ_SECONDS runs for a time instead of a count.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;

use keyturn_fuzz_targets::runner::{self, Effort, Memory};
use keyturn_fuzz_targets::{
    CONFIGURATION, ENDPOINT_ADDRESS, PLUGIN_OUTPUT, POSTGRES_WIRE, REDIS_WIRE, SECRET_JSON,
    TARGETS, Target, corpus,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const SEED: u64 = 1;

struct Peak;

impl Memory for Peak {
    fn start(&self) {
        ALLOCATOR.reset_peak_usage();
    }

    fn peak_bytes(&self) -> usize {
        ALLOCATOR.peak_usage()
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
    )
}

fn failures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-failures")
}

fn fuzz(target: &Target) {
    let seed = number("KEYTURN_FUZZ_SEED").unwrap_or(SEED);
    let name = target.name;
    println!("{name}: seed {seed}");
    let run = |effort| runner::run(target, effort, seed, &failures(), &Peak);
    match number("KEYTURN_FUZZ_SECONDS") {
        Some(seconds) => {
            let executions = run(Effort::Seconds(seconds));
            println!(
                "evidence: fuzz {name}: {executions} executions (seeded mutations, {seconds} s each)"
            );
        }
        None => {
            let inputs = run(Effort::Mutations(target.mutations));
            println!("evidence: seeded inputs, {name}: {inputs} inputs (seed {seed})");
        }
    }
}

#[test]
fn secret_json() {
    fuzz(&SECRET_JSON);
}

#[test]
fn postgres_wire() {
    fuzz(&POSTGRES_WIRE);
}

#[test]
fn redis_wire() {
    fuzz(&REDIS_WIRE);
}

#[test]
fn plugin_output() {
    fuzz(&PLUGIN_OUTPUT);
}

#[test]
fn endpoint_address() {
    fuzz(&ENDPOINT_ADDRESS);
}

#[test]
fn configuration() {
    fuzz(&CONFIGURATION);
}

/// A runner that finds nothing would pass for a clean bill.
#[test]
fn a_broken_promise_is_found_and_its_input_kept() {
    let broken = Target {
        name: "configuration",
        run: |input| assert!(!input.contains(&0x1b), "an escape came through"),
        mutations: 2_000,
    };
    let scratch = failures().join("planted");
    let found = catch_unwind(AssertUnwindSafe(|| {
        runner::run(
            &broken,
            Effort::Mutations(broken.mutations),
            SEED,
            &scratch,
            &Peak,
        )
    }));
    let message = *found.unwrap_err().downcast::<String>().unwrap();
    assert!(
        message.contains("an escape came through") && message.contains("KEYTURN_FUZZ_SEED=1"),
        "{message}"
    );
    let path = message
        .split("kept as ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    assert!(std::fs::read(path).unwrap().contains(&0x1b));
}

#[test]
fn the_corpus_is_small() {
    for target in TARGETS {
        for (name, input) in corpus::inputs(target.name) {
            assert!(
                input.len() < 4096,
                "{}/{name} has {} bytes",
                target.name,
                input.len()
            );
        }
    }
}

/// Fuzzing needs builds in seconds, and no input should have to reach a sandbox to be judged.
#[test]
fn no_target_depends_on_wasmtime() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            "keyturn-fuzz-targets",
            "--edges",
            "normal",
            "--offline",
        ])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        tree.status.success(),
        "{}",
        String::from_utf8_lossy(&tree.stderr)
    );
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("keyturn-policy"), "{tree}");
    for line in tree.lines() {
        assert!(
            !line.starts_with("wasmtime") && !line.starts_with("keyturn-runtime"),
            "{line}"
        );
    }
}
