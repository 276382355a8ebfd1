//! Checks of how a plugin behaves in all its calls.

use std::collections::{BTreeSet, HashMap};

use keyturn_runtime::{LimitsOverride, Purpose};
use secrecy::ExposeSecret;

use crate::checks::faults::{judge_bad_peer, reaches_somebody};
use crate::checks::told;
use crate::checks::values::is_breakdown;
use crate::gate::Manner;
use crate::kit::{Checked, Kit, Stop};
use crate::value::{self, SECRET_BYTES_MIN};
use crate::world::{World, version};

/// What the host writes where a plugin wanted to write a secret.
const HIDDEN: &str = "[secret]";
const AROUND_BYTES: usize = 120;
/// Time for a call whose peer says nothing.
const WALL_SECONDS: u64 = 5;
/// What stores take.
const VALUE_BYTES_MAX: usize = 65_536;
const ROOM_BYTES: usize = 4096;

/// Runs last: everything that was said is there.
pub(crate) fn canary(kit: &Kit<'_>) -> Checked {
    let said = kit.all_said();
    if let Some(bytes) = first_of(&kit.secrets(), &said) {
        return Err(Stop::failed(format!(
            "a secret of {bytes} bytes is in a log line or an answer"
        )));
    }
    if let Some(at) = said.find(HIDDEN) {
        let from = floor(&said, at.saturating_sub(AROUND_BYTES));
        let around = &said[from..floor(&said, at + HIDDEN.len() + AROUND_BYTES)];
        return Err(Stop::failed(format!(
            "the host had to hide a secret that the plugin wrote: …{}…",
            around.replace('\n', " ")
        )));
    }
    Ok(())
}

/// The length of the first of these texts that stands in the other one. They are thousands, and a look for each would
/// take its time.
fn first_of(secrets: &BTreeSet<String>, said: &str) -> Option<usize> {
    let mut beginnings: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
    for secret in secrets {
        let secret = secret.as_bytes();
        let Some(beginning) = secret.get(..SECRET_BYTES_MIN) else {
            continue;
        };
        beginnings.entry(beginning).or_default().push(secret);
    }
    let said = said.as_bytes();
    said.windows(SECRET_BYTES_MIN)
        .enumerate()
        .find_map(|(at, window)| {
            let candidates = beginnings.get(window)?;
            let found = candidates
                .iter()
                .find(|secret| said[at..].starts_with(secret));
            found.map(|secret| secret.len())
        })
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

pub(crate) async fn limits(kit: &Kit<'_>) -> Checked {
    let world = World::raise_without_target(kit, LimitsOverride::default()).await?;
    let current = world.current().await?;
    // With room for what a rotation adds.
    let sound = current.value.expose_secret();
    let room = VALUE_BYTES_MAX.saturating_sub(3 * sound.len() + ROOM_BYTES);
    let filler = format!(r#""filler":"{}""#, "f".repeat(room));
    let large = value::with_foreign_members(sound, &filler);
    let call = world.call(&version(&current.id, &large), &[]);
    let made = world.create(&call, Purpose::Replace, 0, None).await;
    if let Err(error) = made
        && is_breakdown(&error)
    {
        return Err(Stop::failed(format!(
            "`create` from a value of {} bytes ends as {}",
            large.len(),
            told(&error)
        )));
    }
    let world = World::raise_without_target(kit, brief(kit)).await?;
    match reaches_somebody(&world).await {
        Err(Stop::NotApplicable(_)) => return Ok(()),
        reached => reached?,
    }
    world.behave(Manner::Silent);
    let seconds = world.limits().wall_seconds;
    let judged = judge_bad_peer(&world, Manner::Silent).await;
    judged.map_err(|stop| match stop {
        Stop::Failed(why) => Stop::failed(format!("given {seconds} s, {why}")),
        other => other,
    })
}

/// Less time than the manifest asks for, so that the check has an end; of that the last tenth is for the answer.
fn brief(kit: &Kit<'_>) -> LimitsOverride {
    let asked = kit.plugin.manifest().limits.wall_seconds;
    LimitsOverride {
        wall_seconds: Some(asked.unwrap_or(WALL_SECONDS).min(WALL_SECONDS)),
        ..LimitsOverride::default()
    }
}
