//! What each check does. A check says nothing about how: it calls the plugin as the engine does, through the world's
//! gates, and holds the answers against each other.

pub(crate) mod conduct;
mod crash;
pub(crate) mod faults;
pub(crate) mod file;
mod malformed;
pub(crate) mod nodes;
pub(crate) mod rounds;
pub(crate) mod target;
pub(crate) mod values;

use keyturn_runtime::{CallError, Liveness, Version};

use crate::kit::{Checked, Kit, Stop};
use crate::world::World;

pub(crate) async fn run(kit: &Kit<'_>, id: &str) -> Checked {
    match id {
        "component" => file::component(kit),
        // What is wrong with it keeps the plugin from being loaded.
        "contract" => Ok(()),
        "imports" => file::imports(kit),
        "describe" => file::describe(kit).await,
        "example" => file::example(kit),
        "canary" => conduct::canary(kit),
        "target-down" => faults::target_down(kit).await,
        "bad-peer" => faults::bad_peer(kit).await,
        "limits" => conduct::limits(kit).await,
        _ => in_a_world(kit, id).await,
    }
}

/// What these say of a plugin supposes that CURRENT opens its target.
const NEED_A_TARGET: [&str; 15] = [
    "set-twice",
    "probe-harmless",
    "wrong-current",
    "all-wrong",
    "retire",
    "permission",
    "negative-control",
    "cut",
    "crash",
    "node-down",
    "mixed",
    "lagging-replica",
    "crash-retire",
    "crash-steps",
    "foreign-identity",
];

/// Looked at once, with the first value: a server that is down or a wrong password is no fault of the plugin.
pub(crate) async fn opens(kit: &Kit<'_>) -> Checked {
    if !kit.stage.has_target() || kit.plugin.manifest().endpoints.is_empty() {
        return Ok(());
    }
    let look = async || -> Result<(), String> {
        let why = |stop: Stop| match stop {
            Stop::Failed(why) | Stop::NotApplicable(why) | Stop::NotCovered(why) => why,
        };
        let world = World::raise(kit).await.map_err(why)?;
        let current = world.current().await.map_err(why)?;
        match world.probe(&world.call(&current, &[]), &current).await {
            Ok(verdict) if verdict.liveness == Liveness::Live => Ok(()),
            Ok(verdict) => Err(format!(
                "the secret is {} at the target",
                word(&verdict.liveness)
            )),
            Err(error) => Err(error.message),
        }
    };
    let opened = kit.opens.get_or_init(look).await;
    opened.clone().map_err(|why| {
        Stop::NotCovered(format!(
            "the secret does not open the target, so nothing can be said: {why}"
        ))
    })
}

/// Leaves the target with the credential that it had, where the strategy can bring one back.
pub(crate) async fn put_back(kit: &Kit<'_>) {
    if !matches!(kit.opens.get(), Some(Ok(()))) {
        return;
    }
    if let Ok(world) = World::raise(kit).await {
        // What is left is the stage's to say.
        let _ = target::put_back(&world).await;
        world.leave().await;
    }
}

async fn in_a_world(kit: &Kit<'_>, id: &str) -> Checked {
    if NEED_A_TARGET.contains(&id) {
        opens(kit).await?;
    }
    let world = World::raise(kit).await?;
    let checked = match id {
        "one-token" => values::one_token(&world).await,
        "purposes" => rounds::purposes(&world).await,
        "overlap-zero" => rounds::overlap_zero(&world).await,
        "own-round" => rounds::own_round(&world).await,
        "foreign-members" => values::foreign_members(&world).await,
        "malformed" => values::malformed(&world).await,
        "finish" => values::finish(&world).await,
        "foreign-identity" => target::foreign_identity(&world).await,
        "set-twice" => target::set_twice(&world).await,
        "probe-harmless" => target::probe_harmless(&world).await,
        "wrong-current" => target::wrong_current(&world).await,
        "all-wrong" => target::all_wrong(&world).await,
        "retire" => target::retire(&world).await,
        "permission" => target::permission(&world).await,
        "negative-control" => target::negative_control(&world).await,
        "cut" => faults::cut(&world).await,
        "crash" => crash::rotation(&world).await,
        "node-down" => nodes::node_down(&world).await,
        "mixed" => nodes::mixed(&world).await,
        "lagging-replica" => nodes::lagging_replica(&world).await,
        "crash-retire" => crash::retirement(&world).await,
        "crash-steps" => crash::steps(&world).await,
        _ => Err(Stop::failed(
            "the kit does not know this check; please report this",
        )),
    };
    world.leave().await;
    checked
}

/// For checks of what a rotation does outside of the secret.
fn needs_a_changed_target(world: &World<'_>) -> Checked {
    if !world.has_target() {
        return Err(Stop::not_applicable(
            "its rotations change nothing outside of the secret",
        ));
    }
    needs_a_target(world)
}

/// For checks of what the plugin asks somebody else.
fn needs_a_target(world: &World<'_>) -> Checked {
    if world.manifest().endpoints.is_empty() {
        return Err(Stop::not_applicable("it reaches nobody"));
    }
    if !world.kit.stage.has_target() {
        return Err(Stop::not_covered("it needs a server: give --target"));
    }
    Ok(())
}

/// What `probe` says of a value, seen from AWSCURRENT.
pub(crate) async fn liveness(world: &World<'_>, subject: &Version) -> Result<Liveness, Stop> {
    let call = world.call(&world.current().await?, &[]);
    let verdict = world.probe(&call, subject).await;
    verdict
        .map(|verdict| verdict.liveness)
        .map_err(|error| world.kit.stop("`probe`", &error))
}

async fn expect_liveness(
    world: &World<'_>,
    subject: &Version,
    wanted: Liveness,
    whose: &str,
) -> Checked {
    let found = liveness(world, subject).await?;
    if found == wanted {
        return Ok(());
    }
    Err(Stop::failed(format!(
        "{whose} is {} and should be {}",
        word(&found),
        word(&wanted)
    )))
}

fn word(case: &impl std::fmt::Debug) -> String {
    format!("{case:?}").to_lowercase()
}

/// An error in the words of a report.
fn told(error: &CallError) -> String {
    format!(
        "{} (applied: {}): {}",
        error.kind,
        word(&error.applied),
        error.message
    )
}
