//! Checks with something broken: the target or the connection.

use keyturn_runtime::{
    Applied, CallError, ErrorKind, LimitsOverride, Liveness, Outcome, TargetEffect, Version,
};

use crate::checks::target::clean_up;
use crate::checks::values::is_breakdown;
use crate::checks::{expect_liveness, liveness, needs_a_changed_target, opens, told, word};
use crate::gate::{Cut, Manner, Pace};
use crate::kit::{Checked, Kit, Stop};
use crate::world::World;

/// Far more than any sensible rotation needs.
const PIECES_MAX: usize = 2000;
/// Where answers break off: within whatever comes first, and far behind it.
const ENDS: [usize; 6] = [1, 2, 5, 20, 100, 500];
/// Into how many parts the answers to one `test` are cut.
const CUT_ANSWERS: usize = 12;

/// Of a plugin that asks nobody, or gives up before it does, nothing is to be seen here.
pub(crate) async fn reaches_somebody(world: &World<'_>) -> Checked {
    let nobody = || Err(Stop::not_applicable("it reaches nobody"));
    if world.gates.is_empty() {
        return nobody();
    }
    let current = world.current().await?;
    match world.test_once(&world.call(&current, &[]), &current).await {
        _ if world.wire.connections() > 0 => Ok(()),
        Ok(_) => nobody(),
        Err(error) => Err(Stop::not_covered(format!(
            "`test` ends before it opens a connection: {}",
            told(&error)
        ))),
    }
}

/// What each call that reaches a target answers.
async fn answers(
    world: &World<'_>,
) -> Result<Vec<(&'static str, Result<Option<Liveness>, CallError>)>, Stop> {
    let current = world.current().await?;
    let candidate = world.candidate().await?;
    let call = world.call(&current, &[]);
    let (set, retire, test, probe) = tokio::join!(
        world.set(&call, &candidate),
        world.retire(&call, &candidate),
        world.test(&call, &candidate),
        world.probe(&call, &candidate),
    );
    let mut answers = vec![
        ("test", test.map(|_| None)),
        ("probe", probe.map(|verdict| Some(verdict.liveness))),
    ];
    if world.has_target() {
        answers.push(("set", set.map(|_| None)));
        answers.push(("retire", retire.map(|_| None)));
    }
    Ok(answers)
}

/// With a target it is the target's own gates that are down.
pub(crate) async fn target_down(kit: &Kit<'_>) -> Checked {
    opens(kit).await?;
    let world = match kit.stage.has_target() {
        true => World::raise(kit).await?,
        false => World::raise_without_target(kit, LimitsOverride::default()).await?,
    };
    let judged = while_it_is_down(&world).await;
    world.leave().await;
    judged
}

async fn while_it_is_down(world: &World<'_>) -> Checked {
    reaches_somebody(world).await?;
    world.down().await;
    for (name, answer) in answers(world).await? {
        match answer {
            Ok(Some(Liveness::Unknown)) => {}
            Ok(_) => {
                return Err(Stop::failed(format!(
                    "`{name}` succeeds though nobody is there"
                )));
            }
            Err(error) => {
                // Its name is known, and its port refuses: it is nothing else.
                if error.kind != ErrorKind::Unreachable || error.applied != Applied::No {
                    return Err(Stop::failed(format!(
                        "`{name}` of a target that is down ends as {}",
                        told(&error)
                    )));
                }
            }
        }
    }
    Ok(())
}

/// First peers that are none, then a real one whose answers break off.
pub(crate) async fn bad_peer(kit: &Kit<'_>) -> Checked {
    // In plaintext, so that what they say reaches the plugin and no TLS handshake.
    let world = World::raise_without_target(kit, LimitsOverride::default()).await?;
    reaches_somebody(&world).await?;
    let paces = [Pace::AtOnce, Pace::Dribble, Pace::Late].map(Manner::Nonsense);
    let cut = ENDS.map(Manner::NonsenseCutAfter);
    for manner in [Manner::HangUp].into_iter().chain(paces).chain(cut) {
        world.behave(manner);
        judge_bad_peer(&world, manner).await?;
    }
    if !kit.stage.has_target() {
        return Ok(());
    }
    opens(kit).await?;
    let world = World::raise(kit).await?;
    let judged = bad_answers(&world).await;
    world.leave().await;
    judged
}

async fn bad_answers(world: &World<'_>) -> Checked {
    let current = world.current().await?;
    let call = world.call(&current, &[]);
    world.wire.arm(None);
    let tested = world.test(&call, &current).await;
    tested.map_err(|error| world.kit.stop("`test` of CURRENT", &error))?;
    // Behind the handshake, too, where there is one.
    let whole = world.wire.answered();
    for end in (1..CUT_ANSWERS).map(|part| (whole * part / CUT_ANSWERS).max(1)) {
        world.behave(Manner::AnswerCutAfter(end));
        judge_cut_answers(world, end).await?;
    }
    for (pace, come) in [(Pace::Dribble, "byte by byte"), (Pace::Late, "late")] {
        world.behave(Manner::Slow(pace));
        let tested = world.test(&call, &current).await;
        let what = format!("`test` of CURRENT with a server whose answers come {come}");
        tested.map_err(|error| world.kit.stop(&what, &error))?;
    }
    Ok(())
}

/// Half an answer is none: CURRENT is live, whatever is missing.
async fn judge_cut_answers(world: &World<'_>, end: usize) -> Checked {
    let current = world.current().await?;
    let call = world.call(&current, &[]);
    let (test, probe) = tokio::join!(world.test(&call, &current), world.probe(&call, &current));
    let what = format!("with answers that break off after {end} bytes");
    for (name, answer) in [
        ("test", test.map(drop)),
        ("probe", probe.as_ref().map(drop).map_err(Clone::clone)),
    ] {
        if let Err(error) = answer
            && (is_breakdown(&error) || error.kind == ErrorKind::Auth)
        {
            return Err(Stop::failed(format!(
                "{what} `{name}` ends as {}",
                told(&error)
            )));
        }
    }
    match probe {
        Ok(verdict) if verdict.liveness == Liveness::Dead => {
            Err(Stop::failed(format!("{what} CURRENT is said to be dead")))
        }
        _ => Ok(()),
    }
}

/// A peer that is none proves nothing.
pub(crate) async fn judge_bad_peer(world: &World<'_>, manner: Manner) -> Checked {
    let peer = match manner {
        Manner::HangUp => "hangs up",
        Manner::Nonsense(_) | Manner::NonsenseCutAfter(_) => "talks nonsense",
        _ => "says nothing",
    };
    for (name, answer) in answers(world).await? {
        match answer {
            Ok(Some(Liveness::Unknown)) => {}
            Ok(_) => {
                return Err(Stop::failed(format!(
                    "`{name}` succeeds with a peer that {peer}"
                )));
            }
            Err(error) if is_breakdown(&error) || error.kind == ErrorKind::Auth => {
                return Err(Stop::failed(format!(
                    "`{name}` with a peer that {peer} ends as {}",
                    told(&error)
                )));
            }
            Err(_) => {}
        }
    }
    Ok(())
}

/// Breaks a change at each piece that it sends, before the piece arrives and after.
pub(crate) async fn cut(world: &World<'_>) -> Checked {
    needs_a_changed_target(world)?;
    let set = async |cut| cut_set(world, cut).await;
    swept("set", &[false, true], set).await?;
    if world.strategy.effect == TargetEffect::Replacing {
        // The old value has died when the new one took its place.
        return Ok(());
    }
    // What a break before a piece leaves, one behind the piece before it leaves as well.
    let retire = async |cut| cut_retire(world, cut).await;
    swept("retire", &[true], retire).await
}

/// `cut_once` says whether it came to the break.
async fn swept(
    name: &str,
    deliveries: &[bool],
    cut_once: impl AsyncFn(Cut) -> Result<bool, Stop>,
) -> Checked {
    let mut fired = 0;
    for &delivered in deliveries {
        for at in 0..PIECES_MAX {
            if !cut_once(Cut { at, delivered }).await? {
                break;
            }
            fired += 1;
        }
    }
    match fired {
        0 => Err(Stop::failed(format!(
            "`{name}` sends nothing, so nothing could be broken"
        ))),
        _ => Ok(()),
    }
}

fn place(cut: Cut) -> String {
    format!(
        "with the connection broken {} piece {} to the server",
        if cut.delivered { "behind" } else { "before" },
        cut.at
    )
}

async fn cut_set(world: &World<'_>, cut: Cut) -> Result<bool, Stop> {
    let current = world.current().await?;
    let candidate = world.candidate().await?;
    let call = world.call(&current, &[]);
    world.wire.arm(Some(cut));
    let answer = world.set(&call, &candidate).await;
    let fired = world.wire.fired();
    world.wire.arm(None);
    let place = place(cut);
    let found = liveness(world, &candidate).await?;
    is_true(
        &place,
        "set",
        &answer,
        found,
        [Liveness::Dead, Liveness::Live],
    )?;
    somebody_can_log_in(world, &current, &candidate, &place).await?;
    let again = world.set(&call, &candidate).await;
    again.map_err(|error| behind(world, &place, "`set` called again", &error))?;
    expect_liveness(
        world,
        &candidate,
        Liveness::Live,
        "after `set` was called again the candidate",
    )
    .await?;
    clean_up(world, &candidate).await?;
    Ok(fired)
}

async fn cut_retire(world: &World<'_>, cut: Cut) -> Result<bool, Stop> {
    let current = world.current().await?;
    let old = world.candidate().await?;
    let call = world.call(&current, &[]);
    let set = world.set(&call, &old).await;
    set.map_err(|error| world.kit.stop("`set`", &error))?;
    world.wire.arm(Some(cut));
    let answer = world.retire(&call, &old).await;
    let fired = world.wire.fired();
    world.wire.arm(None);
    let place = place(cut);
    let found = liveness(world, &old).await?;
    is_true(
        &place,
        "retire",
        &answer,
        found,
        [Liveness::Live, Liveness::Dead],
    )?;
    expect_liveness(world, &current, Liveness::Live, &format!("{place} CURRENT")).await?;
    let again = world.retire(&call, &old).await;
    again.map_err(|error| behind(world, &place, "`retire` called again", &error))?;
    expect_liveness(
        world,
        &old,
        Liveness::Dead,
        "after `retire` was called again the old value",
    )
    .await?;
    Ok(fired)
}

fn behind(world: &World<'_>, place: &str, call: &str, error: &CallError) -> Stop {
    match world.kit.stop(call, error) {
        Stop::Failed(why) => Stop::failed(format!("{place}: {why}")),
        other => other,
    }
}

/// What a call that was broken says of the value, against what is found of it then: as it was before, or as the call
/// wanted it, or in between.
fn is_true(
    place: &str,
    name: &str,
    answer: &Result<Outcome, CallError>,
    found: Liveness,
    [before, wanted]: [Liveness; 2],
) -> Checked {
    let (problem, error) = match answer {
        _ if found == Liveness::Unknown => ("leaves a value that `probe` cannot tell of", None),
        Err(error) if is_breakdown(error) => ("is ended by the host", Some(error)),
        Err(error) if error.applied == Applied::No && found != before => {
            ("says that nothing was changed", Some(error))
        }
        Err(error) if error.applied == Applied::Yes && found == before => {
            ("says that something was changed", Some(error))
        }
        Ok(_) if found != wanted => ("succeeds", None),
        _ => return Ok(()),
    };
    let error = error.map_or(String::new(), |error| format!(": {}", told(error)));
    let found = word(&found);
    Err(Stop::failed(format!(
        "{place} `{name}` {problem}, and its value is {found}{error}"
    )))
}

async fn somebody_can_log_in(
    world: &World<'_>,
    current: &Version,
    candidate: &Version,
    place: &str,
) -> Checked {
    let found = liveness(world, current).await?;
    let other = match world.strategy.effect {
        TargetEffect::Replacing => Some(candidate),
        TargetEffect::Additive | TargetEffect::None => None,
    };
    if opens_by_either(world, found, other).await? {
        return Ok(());
    }
    Err(Stop::failed(format!(
        "{place} CURRENT does not log in any more"
    )))
}

/// CURRENT is found so; the other value may have taken its place at all nodes or at some.
pub(crate) async fn opens_by_either(
    world: &World<'_>,
    current: Liveness,
    other: Option<&Version>,
) -> Result<bool, Stop> {
    match (current, other) {
        (Liveness::Live, _) => Ok(true),
        (_, None) => Ok(false),
        (Liveness::Mixed, Some(other)) => Ok(liveness(world, other).await? == Liveness::Mixed),
        (_, Some(other)) => Ok(liveness(world, other).await? == Liveness::Live),
    }
}
