//! Checks of what a crash leaves: a run is given up at one of its imports, nothing of it goes on, and the next run has
//! to end what it began.

use keyturn_engine::{Goal, Outcome as Ended, RunFailure, Step, VersionId};
use keyturn_protocol::Purpose as Round;
use keyturn_runtime::{Liveness, Purpose, TargetEffect};
use secrecy::ExposeSecret;

use crate::checks::faults::opens_by_either;
use crate::checks::{expect_liveness, liveness, needs_a_target, word};
use crate::kit::{Checked, Stop};
use crate::world::World;

/// Far more than any sensible run needs.
const IMPORTS_MAX: usize = 5000;
/// The shortest time between announcing a value and using it.
const LEAD_MS: u64 = 1;

/// The import at which a run has crashed, or nothing if it was over before.
async fn crash(
    world: &World<'_>,
    number: usize,
    run: impl Future<Output = Checked>,
) -> Result<Option<&'static str>, Stop> {
    world.kit.watch.arm(number);
    let ended = tokio::select! {
        biased;
        import = world.kit.watch.fired() => Ok(Some(import)),
        ended = run => ended.map(|()| None),
    };
    world.kit.watch.disarm();
    ended
}

/// What a crash has left is ended by the next run.
async fn end(place: &str, run: impl Future<Output = Checked>) -> Checked {
    run.await.map_err(|stop| match stop {
        Stop::Failed(why) => Stop::failed(format!("{place} the next run does not end it: {why}")),
        other => other,
    })
}

/// Crashes a rotation at each import, one after the other, and ends it with the next run.
pub(crate) async fn rotation(world: &World<'_>) -> Checked {
    reaches_its_target(world)?;
    let mut crashes = crash_rotations(world, "rotation", 0).await?;
    let listed = &world.strategy.purposes;
    if listed.contains(&Purpose::Announce) && listed.contains(&Purpose::Activate) {
        let kind = "rotation that announces its value first";
        crashes += crash_rotations(world, kind, LEAD_MS).await?;
    }
    swept(crashes, "rotations")
}

/// At how many imports.
async fn crash_rotations(world: &World<'_>, kind: &str, lead_ms: u64) -> Result<usize, Stop> {
    let rotate = async || is_promoted(world, world.rotate(lead_ms).await);
    for number in 0..IMPORTS_MAX {
        let Some(import) = crash(world, number, rotate()).await? else {
            return Ok(number);
        };
        let place = format!("after a crash at import {number} of a {kind} ({import})");
        still_open(world, &place).await?;
        end(&place, rotate()).await?;
        current_is_live(world, &place).await?;
        // Crashes in a retirement are another check's.
        retire(world).await?;
    }
    Err(endless(kind))
}

/// Crashes a retirement at each import, each of another value, and ends it with the next one.
pub(crate) async fn retirement(world: &World<'_>) -> Checked {
    reaches_its_target(world)?;
    for number in 0..IMPORTS_MAX {
        is_promoted(world, world.rotate(0).await)?;
        let old = world.labelled("KEYTURN_RETIRING").await?;
        let Some(import) = crash(world, number, retire(world)).await? else {
            return swept(number, "retirements");
        };
        let place = format!("after a crash at import {number} of a retirement ({import})");
        still_open(world, &place).await?;
        end(&place, retire(world)).await?;
        if let Some(old) = old {
            let whose = format!("{place} and the next one the old value");
            expect_liveness(world, &old, Liveness::Dead, &whose).await?;
        }
        current_is_live(world, &place).await?;
    }
    Err(endless("retirement"))
}

/// Crashes each step that AWS's service invokes at each import, each under a token of its own.
pub(crate) async fn steps(world: &World<'_>) -> Checked {
    if world.strategy.needs_operator {
        return Err(Stop::not_applicable("no step can wait for its operator"));
    }
    reaches_its_target(world)?;
    let mut crashes = 0;
    for crashing in Step::ALL {
        let mut number = 0;
        while rotate_by_steps(world, crashing, number).await? {
            number += 1;
            if number == IMPORTS_MAX {
                return Err(endless(crashing.as_str()));
            }
        }
        crashes += number;
    }
    swept(crashes, "steps")
}

/// A rotation by steps, one of which crashes and is delivered again. False if that one has fewer imports.
async fn rotate_by_steps(world: &World<'_>, crashing: Step, number: usize) -> Result<bool, Stop> {
    let token = world.reserve().await?;
    let mut crashed = None;
    for step in Step::ALL {
        let deliver = async || deliver(world, step, &token).await;
        if step != crashing {
            deliver().await?;
        } else if let Some(import) = crash(world, number, deliver()).await? {
            let step = step.as_str();
            let place = format!("after a crash at import {number} of {step} ({import})");
            still_open(world, &place).await?;
            end(&place, deliver()).await?;
            crashed = Some(place);
        }
    }
    if let Some(place) = &crashed {
        if world.current().await?.id != token.as_str() {
            return Err(Stop::failed(format!(
                "{place} and all further steps the token's version is not AWSCURRENT"
            )));
        }
        current_is_live(world, place).await?;
    }
    retire(world).await?;
    Ok(crashed.is_some())
}

async fn deliver(world: &World<'_>, step: Step, token: &VersionId) -> Checked {
    let (token, name) = (token.clone(), step.as_str());
    match world.run(Goal::Step { step, token }, None).await {
        Ok((Ended::Stepped(_) | Ended::Promoted { .. } | Ended::AlreadyCurrent, _)) => Ok(()),
        Ok((ended, _)) => Err(Stop::failed(format!("{name} ended as {}", word(&ended)))),
        Err(failure) => Err(world.kit.stop_of(name, &failure)),
    }
}

fn reaches_its_target(world: &World<'_>) -> Checked {
    if world.manifest().endpoints.is_empty() {
        return Ok(());
    }
    needs_a_target(world)
}

/// A run that imports nothing cannot be aimed at.
fn swept(crashes: usize, whose: &str) -> Checked {
    match crashes {
        0 => Err(Stop::not_applicable(format!("its {whose} import nothing"))),
        _ => Ok(()),
    }
}

fn endless(what: &str) -> Stop {
    Stop::failed(format!("a {what} takes more than {IMPORTS_MAX} imports"))
}

/// AWSCURRENT opens the door; of a strategy with a gap, at least the version in doubt does.
async fn still_open(world: &World<'_>, place: &str) -> Checked {
    let found = liveness(world, &world.current().await?).await?;
    let doubtful = match world.strategy.effect {
        TargetEffect::Replacing => world.labelled("KEYTURN_INDOUBT").await?,
        TargetEffect::Additive | TargetEffect::None => None,
    };
    if opens_by_either(world, found, doubtful.as_ref()).await? {
        return Ok(());
    }
    Err(Stop::failed(format!("{place} AWSCURRENT does not log in")))
}

async fn current_is_live(world: &World<'_>, place: &str) -> Checked {
    let current = world.current().await?;
    let whose = format!("{place} and the next run CURRENT");
    expect_liveness(world, &current, Liveness::Live, &whose).await
}

pub(crate) fn is_promoted(world: &World<'_>, ended: Result<Ended, Box<RunFailure>>) -> Checked {
    match ended {
        // What is announced alone is not in use yet.
        Ok(Ended::Promoted { purpose, .. }) if purpose != Round::Announce => Ok(()),
        Ok(Ended::AwaitingInput) => Err(world.unanswered()),
        Ok(ended) => Err(Stop::failed(format!(
            "a rotation ended as {}",
            word(&ended)
        ))),
        Err(failure) => Err(world.kit.stop_of("a rotation", &failure)),
    }
}

/// Ends what the last rotation superseded, as an operator does who does not wait for its grace. A run that goes on
/// where another one has crashed may find that nothing was left to do.
async fn retire(world: &World<'_>) -> Checked {
    end_at_the_vendor(world).await?;
    let goal = Goal::Retire {
        now: true,
        vouched: false,
        // What ends by word alone ends by this one.
        declared: Some(VersionId::new(world.current().await?.id)),
    };
    match world.run(goal, None).await {
        Ok((Ended::Retired { .. } | Ended::NothingToRetire, _)) => Ok(()),
        Ok((ended, _)) => Err(Stop::failed(format!(
            "a retirement ended as {}",
            word(&ended)
        ))),
        Err(failure) => Err(world.kit.stop_of("a retirement", &failure)),
    }
}

/// What an operator does before a value's end can be proven.
async fn end_at_the_vendor(world: &World<'_>) -> Checked {
    if !world.strategy.needs_operator {
        return Ok(());
    }
    // Not AWSPREVIOUS: a round of its own leaves CURRENT's credential there.
    if let Some(old) = world.labelled("KEYTURN_RETIRING").await?
        && !world.kit.stage.end(old.value.expose_secret())
    {
        return Err(Stop::not_covered(
            "nobody ends the old value at the vendor, as its retirement needs it",
        ));
    }
    Ok(())
}
