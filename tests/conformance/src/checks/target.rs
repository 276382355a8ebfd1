//! Checks of what a rotation does to a target, with nothing broken on the way.

use keyturn_runtime::{
    Applied, CallError, ErrorKind, Level, Liveness, Purpose, Standing, Status, TargetEffect,
    Version,
};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::checks::crash::is_promoted;
use crate::checks::values::is_breakdown;
use crate::checks::{expect_liveness, needs_a_changed_target, needs_a_target, told, word};
use crate::kit::{Checked, Stop};
use crate::value;
use crate::world::{World, version};

const OVERLAP_SECONDS: u64 = crate::world::GRACE_SECONDS;
/// Where the value says who logs in, the manifest calls that public.
const USERS: [&str; 3] = ["/username", "/user", "/login"];

/// Ends what a check has applied and not promoted.
pub(crate) async fn clean_up(world: &World<'_>, applied: &Version) -> Checked {
    let current = world.current().await?;
    if world.strategy.effect == TargetEffect::Replacing {
        return world.adopt(applied).await;
    }
    let retired = world.retire(&world.call(&current, &[]), applied).await;
    retired
        .map(drop)
        .map_err(|error| world.kit.stop("`retire` of an applied candidate", &error))
}

pub(crate) async fn foreign_identity(world: &World<'_>) -> Checked {
    let steering = value::steering(world.manifest());
    if steering.is_empty() {
        return Err(Stop::not_applicable("no value of it says where to connect"));
    }
    let current = world.current().await?;
    let candidate = world.candidate().await?;
    let sound = candidate.value.expose_secret().to_owned();
    let mut foreign = Vec::new();
    for pointer in steering {
        let other = match value::parse(&sound).pointer(&pointer) {
            Some(serde_json::Value::String(_)) => json!("127.0.0.2"),
            Some(_) => json!(9),
            None => continue,
        };
        foreign.push((pointer, other));
    }
    for pointer in USERS {
        if value::parse(&sound).pointer(pointer).is_some() {
            foreign.push((pointer.to_owned(), json!("keyturn_stranger")));
        }
    }
    if foreign.is_empty() {
        return Err(Stop::not_applicable(
            "its value names neither host nor user",
        ));
    }
    for (pointer, other) in foreign {
        let stranger = version(&candidate.id, &value::with(&sound, &pointer, other));
        let call = world.call(&current, &[]);
        let before = world.wire.connections();
        let answers = [
            ("set", world.set(&call, &stranger).await.map(drop)),
            ("test", world.test_once(&call, &stranger).await.map(drop)),
        ];
        for (name, answer) in answers {
            if answer.is_ok() {
                return Err(Stop::failed(format!(
                    "`{name}` accepts a candidate whose {pointer} is another one than CURRENT's"
                )));
            }
        }
        let connections = world.wire.connections() - before;
        if connections > 0 {
            return Err(Stop::failed(format!(
                "{connections} connections were opened for a candidate whose {pointer} is another one than CURRENT's"
            )));
        }
    }
    Ok(())
}

pub(crate) async fn set_twice(world: &World<'_>) -> Checked {
    needs_a_changed_target(world)?;
    let current = world.current().await?;
    let candidate = world.candidate().await?;
    let call = world.call(&current, &[]);
    let first = world.set(&call, &candidate).await;
    first.map_err(|error| world.kit.stop("`set`", &error))?;
    both_work(world, &current, &candidate).await?;
    let second = world.set(&call, &candidate).await;
    let second = second.map_err(|error| world.kit.stop("`set` called again", &error))?;
    if second.status != Status::Unchanged {
        return Err(Stop::failed(format!(
            "`set` called again answers {} where nothing was left to do",
            word(&second.status)
        )));
    }
    both_work(world, &current, &candidate).await?;
    clean_up(world, &candidate).await
}

async fn both_work(world: &World<'_>, current: &Version, candidate: &Version) -> Checked {
    expect_liveness(
        world,
        candidate,
        Liveness::Live,
        "after `set` the candidate",
    )
    .await?;
    if world.strategy.effect == TargetEffect::Additive {
        expect_liveness(world, current, Liveness::Live, "after `set` CURRENT").await?;
    }
    Ok(())
}

pub(crate) async fn probe_harmless(world: &World<'_>) -> Checked {
    if !world.manifest().endpoints.is_empty() {
        needs_a_target(world)?;
    }
    let current = world.current().await?;
    let call = world.call(&current, &[]);
    let checked = world.check(&call).await;
    let failure = checked
        .iter()
        .flatten()
        .find(|finding| finding.level == Level::Failure);
    let failure = failure.map(|finding| format!("{}: {}", finding.id, finding.summary));
    for (name, answer) in [
        ("usage", world.usage(&call, &current).await),
        ("check", checked.map(drop)),
    ] {
        if let Err(error) = answer
            && (is_breakdown(&error) || name == "check")
        {
            return Err(Stop::failed(format!(
                "`{name}` with CURRENT ends as {}",
                told(&error)
            )));
        }
    }
    // The second look would see what the first one has done.
    for _ in 0..2 {
        expect_liveness(world, &current, Liveness::Live, "CURRENT").await?;
        if !world.has_target() {
            continue;
        }
        let candidate = world.candidate().await?;
        for _ in 0..2 {
            expect_liveness(
                world,
                &candidate,
                Liveness::Dead,
                "a value that was never applied",
            )
            .await?;
        }
    }
    if world.has_target() {
        two_live_ones(world, &current).await?;
    }
    // Nobody is asked for a new value while `check` finds one.
    failure.map_or(Ok(()), |failure| {
        Err(Stop::failed(format!(
            "`check` finds a failure where CURRENT is live: {failure}"
        )))
    })
}

/// Of two that are live none may suffer from a look at the other.
async fn two_live_ones(world: &World<'_>, current: &Version) -> Checked {
    let candidate = world.candidate().await?;
    let set = world.set(&world.call(current, &[]), &candidate).await;
    set.map_err(|error| world.kit.stop("`set`", &error))?;
    for _ in 0..2 {
        both_work(world, current, &candidate).await?;
    }
    clean_up(world, &candidate).await
}

/// Brings the stage's first value back to the target, under whatever is there now.
pub(crate) async fn put_back(world: &World<'_>) -> Checked {
    let (current, first) = (world.current().await?, world.kit.first());
    let can = world.has_target() && world.strategy.purposes.contains(&Purpose::Restore);
    let Some(first) = first.filter(|first| can && first.as_str() != current.value.expose_secret())
    else {
        return Ok(());
    };
    let first = value::with_companions(&first, &world.scene, world.manifest());
    let first = version(&world.fresh_id(), &first);
    let call = world.call(&current, &[(Standing::Previous, &first)]);
    let made = world
        .create(&call, Purpose::Restore, OVERLAP_SECONDS, Some(&first))
        .await;
    let made = made.map_err(|error| world.kit.stop("`create` for restore", &error))?;
    let set = world.set(&call, &made).await;
    set.map_err(|error| world.kit.stop("`set` of the first value", &error))?;
    expect_liveness(world, &made, Liveness::Live, "the first value").await?;
    world.adopt(&made).await?;
    if world.strategy.effect == TargetEffect::Additive {
        let retired = world.retire(&world.call(&made, &[]), &current).await;
        retired.map_err(|error| world.kit.stop("`retire` of the last value", &error))?;
    }
    Ok(())
}

/// A value of CURRENT's form that opens nothing.
async fn wrong(world: &World<'_>, current: &Version) -> Result<Version, Stop> {
    let other = world.candidate().await?;
    let manifest = world.manifest();
    let text = value::wrong(
        current.value.expose_secret(),
        other.value.expose_secret(),
        manifest,
    );
    if value::parse(&text) == value::parse(current.value.expose_secret()) {
        return Err(Stop::not_covered(
            "the manifest calls every text of the secret public, so no wrong one can be made of it",
        ));
    }
    Ok(version(&world.fresh_id(), &text))
}

pub(crate) async fn wrong_current(world: &World<'_>) -> Checked {
    needs_a_changed_target(world)?;
    let real = world.current().await?;
    let wrong = wrong(world, &real).await?;
    let call = world.call(&wrong, &[(Standing::Previous, &real)]);
    let made = world
        .create(&call, Purpose::Replace, OVERLAP_SECONDS, None)
        .await;
    let candidate = made.map_err(|error| world.kit.stop("`create`", &error))?;
    match world.set(&call, &candidate).await {
        Ok(outcome) => {
            if outcome.opened_with.as_deref() != Some(real.id.as_str()) {
                return Err(Stop::failed(
                    "`set` does not say that the previous value opened the door (`opened_with`), so nobody hears of the drift",
                ));
            }
            expect_liveness(
                world,
                &candidate,
                Liveness::Live,
                "after the repair the candidate",
            )
            .await?;
            clean_up(world, &candidate).await
        }
        Err(error) => refused_with_nothing_changed(world, &error, &real, &candidate).await,
    }
}

pub(crate) async fn all_wrong(world: &World<'_>) -> Checked {
    needs_a_changed_target(world)?;
    let real = world.current().await?;
    let (one, other) = (wrong(world, &real).await?, wrong(world, &real).await?);
    let mut call = world.call(&one, &[(Standing::Previous, &other)]);
    // An administrator could repair it.
    for companion in &mut call.companions {
        let text = value::spoiled(companion.version.value.expose_secret(), world.manifest());
        companion.version.value = text.into();
    }
    let made = world
        .create(&call, Purpose::Replace, OVERLAP_SECONDS, None)
        .await;
    let candidate = made.map_err(|error| world.kit.stop("`create`", &error))?;
    match world.set(&call, &candidate).await {
        Ok(_) => Err(Stop::failed(
            "`set` succeeds though no value that it was given opens the door",
        )),
        Err(error) => refused_with_nothing_changed(world, &error, &real, &candidate).await,
    }
}

async fn refused_with_nothing_changed(
    world: &World<'_>,
    error: &CallError,
    real: &Version,
    candidate: &Version,
) -> Checked {
    if error.applied != Applied::No {
        return Err(Stop::failed(format!(
            "the refusal does not say that nothing was changed: {}",
            told(error)
        )));
    }
    if error.retryable {
        return Err(Stop::failed(format!(
            "the refusal asks to be repeated, which helps nobody: {}",
            told(error)
        )));
    }
    expect_liveness(
        world,
        real,
        Liveness::Live,
        "after the refusal the value that worked",
    )
    .await?;
    expect_liveness(
        world,
        candidate,
        Liveness::Dead,
        "after the refusal the candidate",
    )
    .await
}

pub(crate) async fn retire(world: &World<'_>) -> Checked {
    needs_a_changed_target(world)?;
    let current = world.current().await?;
    let call = world.call(&current, &[]);
    match world.retire(&call, &current).await {
        Ok(outcome) if outcome.status != Status::Unchanged => {
            return Err(Stop::failed(
                "`retire` of the value that CURRENT holds is neither refused nor `unchanged`",
            ));
        }
        Err(error) if is_breakdown(&error) => {
            return Err(Stop::failed(format!(
                "`retire` of the value that CURRENT holds ends as {}",
                told(&error)
            )));
        }
        _ => {}
    }
    expect_liveness(
        world,
        &current,
        Liveness::Live,
        "after a `retire` of it CURRENT",
    )
    .await?;
    is_promoted(world, world.rotate(0).await)?;
    let now = world.current().await?;
    let call = world.call(&now, &[]);
    for times in ["`retire` of the old value", "`retire` called again"] {
        let retired = world.retire(&call, &current).await;
        retired.map_err(|error| world.kit.stop(times, &error))?;
        expect_liveness(world, &current, Liveness::Dead, "the retired value").await?;
        expect_liveness(world, &now, Liveness::Live, "CURRENT").await?;
    }
    Ok(())
}

pub(crate) async fn permission(world: &World<'_>) -> Checked {
    needs_a_target(world)?;
    let Some(text) = &world.scene.unprivileged else {
        return Err(Stop::not_covered(
            "it needs a value that logs in and lacks a right: `unprivileged` of the sample",
        ));
    };
    world.kit.learn(text);
    let unprivileged = version(&world.fresh_id(), text);
    // Where it is of another user, it can be no candidate for CURRENT; where it is the key in use, it may be tested as
    // that alone.
    let mut problem = "`test` passes a value that lacks a right".to_owned();
    for current in [&unprivileged, &world.current().await?] {
        match world.test(&world.call(current, &[]), &unprivileged).await {
            Ok(_) => {}
            Err(error) if error.kind == ErrorKind::Permission => return Ok(()),
            Err(error) if current.id == unprivileged.id => {
                problem = format!(
                    "`test` of a value that lacks a right ends as {}, and `permission` would say what to do",
                    told(&error)
                );
            }
            Err(_) => {}
        }
    }
    Err(Stop::failed(problem))
}

/// CURRENT is a value of a place where any credential is let in.
pub(crate) async fn negative_control(world: &World<'_>) -> Checked {
    needs_a_target(world)?;
    if let Some(text) = &world.scene.unprotected {
        world.kit.learn(text);
        return is_found_unprotected(world, &version(&world.fresh_id(), text)).await;
    }
    let current = world.current().await?;
    if !world.kit.stage.open_to_all(true) {
        return Err(Stop::not_covered(
            "it needs a value of a place that lets in any credential: `unprotected` of the sample",
        ));
    }
    let found = is_found_unprotected(world, &current).await;
    world.kit.stage.open_to_all(false);
    found
}

async fn is_found_unprotected(world: &World<'_>, unprotected: &Version) -> Checked {
    let call = world.call(unprotected, &[]);
    match world.test(&call, unprotected).await {
        Ok(_) => {
            return Err(Stop::failed("`test` passes where any credential is let in"));
        }
        Err(error) if error.kind == ErrorKind::Unprotected => {}
        Err(error) => {
            return Err(Stop::failed(format!(
                "`test` where any credential is let in ends as {}, and not as `unprotected`",
                told(&error)
            )));
        }
    }
    match world.probe(&call, unprotected).await {
        Ok(verdict) if verdict.liveness == Liveness::Dead => Err(Stop::failed(
            "`probe` finds a value dead where any credential is let in",
        )),
        _ => Ok(()),
    }
}
