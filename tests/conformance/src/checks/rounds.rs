//! Checks of the purposes for which a plugin makes values.

use keyturn_runtime::{CallError, ErrorKind, Purpose, Version};
use secrecy::ExposeSecret;

use crate::checks::{told, word};
use crate::kit::{Checked, Stop};
use crate::value;
use crate::world::World;

const OVERLAP_SECONDS: u64 = crate::world::GRACE_SECONDS;
const ALL: [Purpose; 6] = [
    Purpose::Replace,
    Purpose::Announce,
    Purpose::Activate,
    Purpose::Extend,
    Purpose::Retire,
    Purpose::Restore,
];

/// Each from the value that it follows in a rotation.
pub(crate) async fn purposes(world: &World<'_>) -> Checked {
    let first = world.current().await?;
    let replaced = world.candidate().await?;
    for purpose in ALL {
        let listed = world.strategy.purposes.contains(&purpose);
        let announced;
        let from = match purpose {
            Purpose::Replace | Purpose::Announce => &first,
            Purpose::Extend | Purpose::Retire | Purpose::Restore => &replaced,
            Purpose::Activate if world.strategy.purposes.contains(&Purpose::Announce) => {
                announced = create(world, &first, Purpose::Announce)
                    .await
                    .map_err(|error| world.kit.stop("`create` for announce", &error))?;
                &announced
            }
            Purpose::Activate => &first,
        };
        let restore = (purpose == Purpose::Restore).then_some(&first);
        let call = world.call(from, &[]);
        let made = world.create(&call, purpose, OVERLAP_SECONDS, restore).await;
        // Where nobody has to be asked or changed first, what it has made has to be a value that it would promote.
        if let Ok(made) = &made
            && listed
            && world.manifest().endpoints.is_empty()
        {
            let tested = world.test(&call, made).await;
            let what = format!("`test` of the value for {}", word(&purpose));
            tested.map_err(|error| world.kit.stop(&what, &error))?;
        }
        judge(world, purpose, listed, made)?;
    }
    Ok(())
}

fn judge(
    world: &World<'_>,
    purpose: Purpose,
    listed: bool,
    made: Result<Version, CallError>,
) -> Checked {
    let name = word(&purpose);
    match (listed, made) {
        (true, Ok(_)) => Ok(()),
        (true, Err(error)) => Err(world
            .kit
            .stop(&format!("`create` for {name}, which is listed,"), &error)),
        (false, Err(error)) if error.kind == ErrorKind::Unsupported => Ok(()),
        (false, Err(error)) => Err(Stop::failed(format!(
            "`create` for {name}, which is not listed, is answered {}",
            told(&error)
        ))),
        (false, Ok(_)) => Err(Stop::failed(format!(
            "`create` for {name}, which is not listed, makes a value"
        ))),
    }
}

async fn create(world: &World<'_>, from: &Version, purpose: Purpose) -> Result<Version, CallError> {
    world
        .create(&world.call(from, &[]), purpose, OVERLAP_SECONDS, None)
        .await
}

/// What leaked must not be handed on: neither the credential that is replaced nor the one before it.
pub(crate) async fn overlap_zero(world: &World<'_>) -> Checked {
    let first = world.current().await?;
    let second = world.candidate().await?;
    if ends_by_word_alone(world, &first, &second).await? {
        return Err(Stop::not_applicable(
            "an earlier value of it ends by an operator's word alone, whatever the overlap",
        ));
    }
    let mut thirds = vec![made_at_once(world, &second, Purpose::Replace).await?];
    let leads = [Purpose::Announce, Purpose::Activate];
    if leads
        .iter()
        .all(|purpose| world.strategy.purposes.contains(purpose))
    {
        let announced = create(world, &second, Purpose::Announce).await;
        let announced =
            announced.map_err(|error| world.kit.stop("`create` for announce", &error))?;
        thirds.push(made_at_once(world, &announced, Purpose::Activate).await?);
    }
    let (first, second) = (text(&first), text(&second));
    let manifest = world.manifest();
    for third in thirds.iter().map(text) {
        let mut earlier = value::replaced(second, third, manifest);
        earlier.extend(value::replaced(first, second, manifest));
        // What was only moved to another place is there all the same.
        let kept = earlier
            .iter()
            .any(|credential| value::holds(third, credential));
        if kept {
            return Err(Stop::failed(
                "a credential of an earlier value is still in the value that was made with an overlap of 0",
            ));
        }
    }
    Ok(())
}

async fn made_at_once(
    world: &World<'_>,
    from: &Version,
    purpose: Purpose,
) -> Result<Version, Stop> {
    let made = world.create(&world.call(from, &[]), purpose, 0, None).await;
    let what = format!("`create` for {} with an overlap of 0", word(&purpose));
    made.map_err(|error| world.kit.stop(&what, &error))
}

/// Keys that decrypt what was encrypted under them: nothing but a person knows when they are not needed any more.
async fn ends_by_word_alone(
    world: &World<'_>,
    first: &Version,
    second: &Version,
) -> Result<bool, Stop> {
    let plan = world.finish(&world.call(first, &[]), second).await;
    let plan = plan.map_err(|error| world.kit.stop("`finish`", &error))?;
    Ok(plan.how.by_operator && world.manifest().endpoints.is_empty())
}

pub(crate) async fn own_round(world: &World<'_>) -> Checked {
    let listed: Vec<Purpose> = [Purpose::Extend, Purpose::Retire]
        .into_iter()
        .filter(|purpose| world.strategy.purposes.contains(purpose))
        .collect();
    if listed.is_empty() {
        return Err(Stop::not_applicable(
            "its strategy has neither extend nor retire",
        ));
    }
    let first = world.current().await?;
    let second = world.candidate().await?;
    let manifest = world.manifest();
    let old = value::replaced(text(&first), text(&second), manifest);
    // What took a place over; what stands at a place of its own may belong to the one before.
    let in_use = value::replacing(text(&first), text(&second), manifest);
    for purpose in listed {
        let made = create(world, &second, purpose).await;
        let name = word(&purpose);
        let made = made.map_err(|error| world.kit.stop(&format!("`create` for {name}"), &error))?;
        let made = text(&made);
        let (before, after) = (value::leaves(text(&first)), value::leaves(made));
        let is_touched = |(at, leaf): (&String, &serde_json::Value)| {
            before.get(at) == Some(leaf) && after.get(at).is_some_and(|now| now != leaf)
        };
        if value::leaves(text(&second)).iter().any(is_touched) {
            return Err(Stop::failed(format!(
                "{name} changes a member that a rotation leaves alone"
            )));
        }
        if in_use
            .iter()
            .any(|credential| !value::holds(made, credential))
        {
            return Err(Stop::failed(format!(
                "{name} changes the credential in use"
            )));
        }
        let has_old = old.iter().any(|credential| value::holds(made, credential));
        if purpose == Purpose::Retire && has_old {
            return Err(Stop::failed(
                "retire leaves the credential before in the value",
            ));
        }
        let had_old = old
            .iter()
            .all(|credential| value::holds(text(&second), credential));
        if purpose == Purpose::Extend && had_old && !has_old {
            return Err(Stop::failed(
                "extend drops the credential that it should keep for longer",
            ));
        }
    }
    Ok(())
}

fn text(version: &Version) -> &str {
    version.value.expose_secret()
}
