//! Runs a target over its corpus and then over mutations of it, for a number of executions or of
//! seconds. It panics with the seed and with the path of the failing input, which is kept: in the
//! corpus it becomes the regression test.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::corpus;
use crate::mutator::Mutator;
use crate::{Target, corpus::inputs};

/// More than any honest input needs, in an unoptimised build on a busy machine.
const EXECUTION_MAX: Duration = Duration::from_secs(10);
/// Inputs have 4 KiB; what they announce must not be believed.
const EXECUTION_BYTES_MAX: usize = 64 << 20;

/// Measures the memory of one execution, where the process counts its allocations.
pub trait Memory {
    /// Begins to look for the peak.
    fn start(&self);
    /// The bytes that were allocated at once since then, at most.
    fn peak_bytes(&self) -> usize;
}

/// When to stop.
#[derive(Clone, Copy)]
pub enum Effort {
    Mutations(u64),
    Seconds(u64),
}

/// Returns the number of executions.
///
/// # Panics
/// If the target does, or takes too much time or memory.
pub fn run(
    target: &Target,
    effort: Effort,
    seed: u64,
    failures: &Path,
    memory: &dyn Memory,
) -> u64 {
    let corpus = inputs(target.name);
    let mut executions = 0;
    let mut execute = |origin: &str, input: &[u8]| {
        executions += 1;
        if let Err(problem) = execute(target, input, memory) {
            let kept = keep(target, input, failures);
            panic!(
                "{}: {problem}\n  input: {origin}, kept as {kept}\n  To fix it for good, copy that file into {}.",
                target.name,
                corpus::folder(target.name).display()
            );
        }
    };
    for (name, input) in &corpus {
        execute(name, input);
    }
    let words = corpus::words(target.name);
    let mut mutator = Mutator::new(seed, &corpus, &words);
    let start = Instant::now();
    let mut mutation = 0;
    while match effort {
        Effort::Mutations(count) => mutation < count,
        Effort::Seconds(seconds) => start.elapsed() < Duration::from_secs(seconds),
    } {
        mutation += 1;
        let origin = format!("mutation {mutation} of seed {seed} (KEYTURN_FUZZ_SEED={seed})");
        execute(&origin, &mutator.next_input());
    }
    executions
}

fn execute(target: &Target, input: &[u8], memory: &dyn Memory) -> Result<(), String> {
    memory.start();
    let start = Instant::now();
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic without words").to_owned()
    })?;
    let (elapsed, bytes) = (start.elapsed(), memory.peak_bytes());
    if elapsed > EXECUTION_MAX {
        return Err(format!("one execution took {elapsed:?}"));
    }
    if bytes > EXECUTION_BYTES_MAX {
        return Err(format!("one execution allocated {bytes} bytes"));
    }
    Ok(())
}

/// Named by its content, so that the same failure is kept once.
fn keep(target: &Target, input: &[u8], failures: &Path) -> String {
    // FNV-1a: a name, no proof of anything.
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let path = failures.join(format!("{}-{hash:016x}", target.name));
    match fs::create_dir_all(failures).and_then(|()| fs::write(&path, input)) {
        Ok(()) => path.display().to_string(),
        Err(error) => format!("nothing ({error}): {}", input.escape_ascii()),
    }
}
