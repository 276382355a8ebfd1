//! Checks with something broken: the target or the connection.

use keyturn_runtime::{
    Applied, CallError, ErrorKind, LimitsOverride, Liveness, TargetEffect, Version,
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

/// Breaks one `set` at each piece that it sends, before the piece arrives and after.
pub(crate) async fn cut(world: &World<'_>) -> Checked {
    needs_a_changed_target(world)?;
    let mut fired = 0;
    for delivered in [false, true] {
        for at in 0..PIECES_MAX {
            if !cut_once(world, Cut { at, delivered }).await? {
                break;
            }
            fired += 1;
        }
    }
    if fired == 0 {
        return Err(Stop::failed(
            "`set` sends nothing, so nothing could be broken",
        ));
    }
    Ok(())
}

/// Whether it came to the break.
async fn cut_once(world: &World<'_>, cut: Cut) -> Result<bool, Stop> {
    let current = world.current().await?;
    let candidate = world.candidate().await?;
    let call = world.call(&current, &[]);
    world.wire.arm(Some(cut));
    let answer = world.set(&call, &candidate).await;
    let fired = world.wire.fired();
    world.wire.arm(None);
    let place = format!(
        "with the connection broken {} piece {} to the server",
        if cut.delivered { "behind" } else { "before" },
        cut.at
    );
    let applied = liveness(world, &candidate).await?;
    if applied == Liveness::Unknown {
        return Err(Stop::failed(format!(
            "{place} `probe` cannot tell whether the candidate was applied"
        )));
    }
    match &answer {
        Err(error) if is_breakdown(error) => {
            return Err(Stop::failed(format!(
                "{place} `set` ends as {}",
                told(error)
            )));
        }
        Err(error) if error.applied == Applied::No && applied != Liveness::Dead => {
            return Err(Stop::failed(format!(
                "{place} `set` says that nothing was applied, and the candidate is {}: {}",
                word(&applied),
                told(error)
            )));
        }
        Err(error) if error.applied == Applied::Yes && applied == Liveness::Dead => {
            return Err(Stop::failed(format!(
                "{place} `set` says that the candidate was applied, and it is dead: {}",
                told(error)
            )));
        }
        Ok(_) if applied != Liveness::Live => {
            return Err(Stop::failed(format!(
                "{place} `set` succeeds, and the candidate is {}",
                word(&applied)
            )));
        }
        _ => {}
    }
    somebody_can_log_in(world, &current, &candidate, &place).await?;
    let again = world.set(&call, &candidate).await;
    again.map_err(|error| match world.kit.stop("`set` called again", &error) {
        Stop::Failed(why) => Stop::failed(format!("{place}: {why}")),
        other => other,
    })?;
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
