//! Checks of what a plugin makes of values, and of how it takes values that are none.

use keyturn_engine::{Goal, Outcome as Ended, Reason, Step};
use keyturn_runtime::{CallError, ErrorKind, Origin, Purpose, Version};
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::checks::malformed::{Malformed, Refusal, malformations};
use crate::checks::{told, word};
use crate::gate::Manner;
use crate::kit::{Checked, Stop};
use crate::value;
use crate::world::{World, version};

const OVERLAP_SECONDS: u64 = crate::world::GRACE_SECONDS;
/// Spellings that do not survive a detour through numbers and maps.
const FOREIGN: &str = r#""zz_foreign" : 1.50,"aa_\u0066oreign":"\/\u00e9","big_foreign":123456789012345678901234567890.5,"nested_foreign":{ "b":1, "a":[ ] }"#;

/// As AWS's service calls: the token's version is there, empty, under AWSPENDING.
pub(crate) async fn one_token(world: &World<'_>) -> Checked {
    let current = world.current().await?;
    let mut call = world.call(&current, &[]);
    for attempt in 1..=2 {
        call.attempt = attempt;
        let made = world
            .create(&call, Purpose::Replace, OVERLAP_SECONDS, None)
            .await;
        made.map_err(|error| match world.kit.stop("`create`", &error) {
            Stop::Failed(why) => Stop::failed(format!("called {attempt} times: {why}")),
            other => other,
        })?;
    }
    let token = world.reserve().await?;
    let goal = || Goal::Step {
        step: Step::Create,
        token: token.clone(),
    };
    let mut values = Vec::new();
    for _ in 0..2 {
        match world.run(goal(), None).await {
            Ok((Ended::Stepped(_), _)) => {}
            // It cannot wait for somebody within a step; nothing may be stored.
            Err(failure) if failure.failure.reason == Reason::WaitingForOperator => {
                return match world.versions().await? {
                    1 => Ok(()),
                    _ => Err(Stop::failed(
                        "it stored a value before the operator had answered",
                    )),
                };
            }
            Ok((ended, _)) => {
                return Err(Stop::failed(format!(
                    "createSecret ended as {}",
                    word(&ended)
                )));
            }
            Err(failure) => return Err(Stop::failed(format!("createSecret failed: {failure}"))),
        }
        let pending = world.labelled("AWSPENDING").await?;
        values.push(pending.map(|pending| pending.value.expose_secret().to_owned()));
    }
    if values[0].is_none() || values[0] != values[1] {
        return Err(Stop::failed(
            "the second delivery of the token stored another value",
        ));
    }
    Ok(())
}

pub(crate) async fn foreign_members(world: &World<'_>) -> Checked {
    let plain = world.current().await?;
    let odd = value::with_foreign_members(plain.value.expose_secret(), FOREIGN);
    let current = version(&plain.id, &odd);
    // The host refuses a value in which one of them has another text.
    let made = world
        .create(
            &world.call(&current, &[]),
            Purpose::Replace,
            OVERLAP_SECONDS,
            None,
        )
        .await
        .map_err(|error| world.kit.stop("`create` for replace", &error))?;
    // An earlier value with other foreign members: nothing of them comes back with it.
    let earlier = plain.value.expose_secret();
    let earlier = value::with_foreign_members(earlier, &FOREIGN.replace("1.50", "2.50"));
    let earlier = version(&world.fresh_id(), &earlier);
    let mut announced = None;
    for purpose in [
        Purpose::Extend,
        Purpose::Retire,
        Purpose::Restore,
        Purpose::Announce,
        Purpose::Activate,
    ] {
        if !world.strategy.purposes.contains(&purpose) {
            continue;
        }
        let announced_before = announced.take().filter(|_| purpose == Purpose::Activate);
        let call = world.call(announced_before.as_ref().unwrap_or(&made), &[]);
        let restore = (purpose == Purpose::Restore).then_some(&earlier);
        match world.create(&call, purpose, OVERLAP_SECONDS, restore).await {
            Ok(value) => announced = (purpose == Purpose::Announce).then_some(value),
            Err(error) if error.kind == ErrorKind::InvalidAnswer => {
                let what = format!("`create` for {}", word(&purpose));
                return Err(world.kit.stop(&what, &error));
            }
            // Whether it serves the purpose at all is another check.
            Err(_) => {}
        }
    }
    Ok(())
}

pub(crate) async fn finish(world: &World<'_>) -> Checked {
    let current = world.current().await?;
    let candidate = world.candidate().await?;
    let call = world.call(&current, &[]);
    let before = world.wire.connections();
    let first = world.finish(&call, &candidate).await;
    let first = first.map_err(|error| world.kit.stop("`finish`", &error))?;
    let second = world.finish(&call, &candidate).await;
    let second = second.map_err(|error| world.kit.stop("`finish` called again", &error))?;
    if first != second {
        return Err(Stop::failed(
            "`finish` answers something else the second time",
        ));
    }
    if world.wire.connections() != before {
        return Err(Stop::failed("`finish` opened a connection"));
    }
    Ok(())
}

/// Nobody sensible answers at the target: whatever is wrong has to be seen in the value.
pub(crate) async fn malformed(world: &World<'_>) -> Checked {
    world.behave(Manner::HangUp);
    world.repeat_one_answer().await?;
    let sound = world.current().await?;
    let candidate = world.candidate().await?;
    let text = sound.value.expose_secret().to_owned();
    let required = required_members(world);
    world.kit.hear_malformed(true);
    let mut judged = Ok(());
    for (number, bad) in malformations(&text, &required).into_iter().enumerate() {
        judged = judge_malformed(world, [&sound, &candidate], number, &bad).await;
        if judged.is_err() {
            break;
        }
    }
    world.kit.hear_malformed(false);
    judged
}

async fn judge_malformed(
    world: &World<'_>,
    [sound, candidate]: [&Version; 2],
    number: usize,
    bad: &Malformed,
) -> Checked {
    let bad_version = version(&world.fresh_id(), &bad.text);
    let as_current = world.call(&bad_version, &[]);
    let call = world.call(sound, &[]);
    let before = world.wire.connections();
    let made = world.create(&as_current, Purpose::Replace, OVERLAP_SECONDS, None);
    let answers = [
        ("create", made.await.map(drop)),
        ("probe", world.probe(&call, &bad_version).await.map(drop)),
        ("test", world.test_once(&call, &bad_version).await.map(drop)),
        ("set", world.set(&call, &bad_version).await.map(drop)),
        ("retire", world.retire(&call, &bad_version).await.map(drop)),
        (
            "finish",
            world.finish(&as_current, candidate).await.map(drop),
        ),
        ("usage", world.usage(&as_current, &bad_version).await),
        ("check", world.check(&as_current).await.map(drop)),
    ];
    let what = format!("malformed secret {number} ({})", bad.what);
    for (name, answer) in &answers {
        if let Err(error) = answer
            && is_breakdown(error)
        {
            let told = told(error);
            return Err(Stop::failed(format!("`{name}` for {what} ended as {told}")));
        }
    }
    if bad.refusal == Refusal::Everybody && world.wire.connections() > before {
        return Err(Stop::failed(format!("a connection is opened for {what}")));
    }
    // `finish`, `usage` and `check` need not read the value; what changes nothing, nobody is called for.
    let reading = match bad.refusal == Refusal::Everybody && world.has_target() {
        true => ["create", "probe", "test", "set", "retire"].as_slice(),
        false => ["create", "probe", "test"].as_slice(),
    };
    let accepted = answers.iter().filter(|(_, answer)| answer.is_ok());
    let accepted = accepted.map(|(name, _)| *name);
    let accepted: Vec<_> = accepted.filter(|name| reading.contains(name)).collect();
    let refused = match bad.refusal {
        Refusal::Everybody => accepted.is_empty(),
        Refusal::Somebody => accepted.len() < reading.len(),
        Refusal::Nobody => true,
    };
    if refused {
        return Ok(());
    }
    let accepted = accepted.join("` and `");
    Err(Stop::failed(format!("{what} is accepted by `{accepted}`")))
}

/// The plugin did not end its call itself.
pub(crate) fn is_breakdown(error: &CallError) -> bool {
    let by_host = error.origin == Origin::Host;
    by_host
        && matches!(
            error.kind,
            ErrorKind::Trap
                | ErrorKind::OutOfFuel
                | ErrorKind::OutOfMemory
                | ErrorKind::TooLarge
                | ErrorKind::Timeout
                | ErrorKind::InvalidAnswer
        )
}

fn required_members(world: &World<'_>) -> Vec<String> {
    let schema = &world.kit.plugin.descriptor().secret_schema;
    let required = schema.get("required").and_then(Value::as_array);
    let names = required.into_iter().flatten().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}
