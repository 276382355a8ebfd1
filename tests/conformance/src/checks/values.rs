//! Checks of what a plugin makes of values, and of how it takes values that are none.

use keyturn_engine::{Goal, Outcome as Ended, Reason, Step};
use keyturn_runtime::{CallError, ErrorKind, Origin, Purpose};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::checks::{told, word};
use crate::kit::{Checked, Stop};
use crate::value;
use crate::world::{World, version};

const OVERLAP_SECONDS: u64 = crate::world::GRACE_SECONDS;
const MALFORMED: usize = 200;
/// Spellings that do not survive a detour through numbers and maps.
const FOREIGN: &str = r#""zz_foreign" : 1.50,"aa_\u0066oreign":"\/\u00e9","big_foreign":1e400,"nested_foreign":{ "b":1, "a":[ ] }"#;

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
        match world.run(goal(), Vec::new()).await {
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
    for purpose in [Purpose::Extend, Purpose::Retire, Purpose::Announce] {
        if !world.strategy.purposes.contains(&purpose) {
            continue;
        }
        let call = world.call(&made, &[]);
        let made = world.create(&call, purpose, OVERLAP_SECONDS, None).await;
        // Whether it serves the purpose at all is another check.
        if let Err(error) = made
            && error.kind == ErrorKind::InvalidAnswer
        {
            let what = format!("`create` for {}", word(&purpose));
            return Err(world.kit.stop(&what, &error));
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

/// Nobody answers at the target: whatever is wrong has to be seen in the value.
pub(crate) async fn malformed(world: &mut World<'_>) -> Checked {
    world.down().await;
    let current = world.current().await?;
    let sound = current.value.expose_secret().to_owned();
    let required = required_members(world);
    for (number, bad) in malformations(&sound, &required).into_iter().enumerate() {
        let bad_version = version(&world.fresh_id(), &bad.text);
        let as_current = world.call(&bad_version, &[]);
        let call = world.call(&current, &[]);
        let answers = [
            (
                "create",
                world
                    .create(&as_current, Purpose::Replace, OVERLAP_SECONDS, None)
                    .await
                    .map(drop),
            ),
            ("check", world.check(&as_current).await),
            ("probe", world.probe(&call, &bad_version).await.map(drop)),
            ("test", world.test_once(&call, &bad_version).await.map(drop)),
        ];
        let mut accepted = Vec::new();
        for (name, answer) in answers {
            match answer {
                Err(error) if is_breakdown(&error) => {
                    return Err(Stop::failed(format!(
                        "`{name}` for malformed secret {number} ({}) ended as {}",
                        bad.what,
                        told(&error)
                    )));
                }
                Ok(()) if name != "check" => accepted.push(name),
                _ => {}
            }
        }
        let refused = match bad.refusal {
            Refusal::Everybody => accepted.is_empty(),
            Refusal::Somebody => accepted.len() < 3,
            Refusal::Nobody => true,
        };
        if !refused {
            return Err(Stop::failed(format!(
                "malformed secret {number} ({}) is accepted by `{}`",
                bad.what,
                accepted.join("` and `")
            )));
        }
    }
    Ok(())
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

struct Malformed {
    what: String,
    text: String,
    refusal: Refusal,
}

/// Who has to refuse it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Whoever sees it: no plugin can make anything of it.
    Everybody,
    /// Somebody, before it could be promoted: not every call reads every member.
    Somebody,
    /// It may be a sound value for this plugin.
    Nobody,
}

/// Always the same ones for a sound value: by member first, then as JSON.
fn malformations(sound: &str, required: &[String]) -> Vec<Malformed> {
    let mut made = Vec::new();
    let mut add = |what: String, text: String, refusal: Refusal| {
        made.push(Malformed {
            what,
            text,
            refusal,
        });
    };
    for (what, text) in [
        ("nothing", ""),
        ("white space", "  \n"),
        ("a number", "17"),
        ("null", "null"),
        ("a list", "[]"),
        ("a text", "\"secret\""),
        ("no JSON", "secret"),
        ("an open brace", "{"),
        ("a lone surrogate", r#"{"a":"\ud800"}"#),
        ("a key twice", r#"{"a":1,"a":2}"#),
        ("a trailing comma", r#"{"a":1,}"#),
        ("NUL", "\u{0}"),
    ] {
        add(
            what.to_owned(),
            text.to_owned(),
            match what {
                "a lone surrogate" | "a key twice" => Refusal::Nobody,
                _ => Refusal::Everybody,
            },
        );
    }
    add("deep nesting".into(), "[".repeat(3000), Refusal::Everybody);
    add(
        "a second value behind it".into(),
        format!("{sound}{sound}"),
        Refusal::Everybody,
    );
    if let Value::Object(members) = value::parse(sound) {
        for name in members.keys() {
            let refusal = match required.contains(name) {
                true => Refusal::Somebody,
                false => Refusal::Nobody,
            };
            let mut without = members.clone();
            without.remove(name);
            add(
                format!("without {name}"),
                Value::Object(without).to_string(),
                refusal,
            );
            for (kind, odd) in [
                ("null", Value::Null),
                ("a number", json!(-17)),
                ("a huge number", json!(1e300)),
                ("true", json!(true)),
                ("a list", json!([1, "2", null])),
                ("an object", json!({"deep": {"er": []}})),
                ("an empty text", json!("")),
                ("control characters", json!("a\u{0}\r\n\u{1b}[31m")),
                ("a long text", json!("x".repeat(20_000))),
                ("another alphabet", json!("пароль\u{202e}密码🙂")),
            ] {
                let mut odd_one = members.clone();
                odd_one.insert(name.clone(), odd);
                add(
                    format!("{name} is {kind}"),
                    Value::Object(odd_one).to_string(),
                    Refusal::Nobody,
                );
            }
        }
    }
    // Cut off at every place that there is room for.
    let mut ends: Vec<usize> = (1..sound.trim_end().len())
        .filter(|at| sound.is_char_boundary(*at))
        .collect();
    let room = MALFORMED.saturating_sub(made.len()).max(1);
    let step = ends.len().div_ceil(room).max(1);
    ends.retain(|at| at % step == 0);
    for end in ends {
        made.push(Malformed {
            what: format!("cut off after {end} bytes"),
            text: sound[..end].to_owned(),
            refusal: Refusal::Everybody,
        });
    }
    let mut filler = 0;
    while made.len() < MALFORMED {
        filler += 1;
        made.push(Malformed {
            what: format!("{filler} braces too many"),
            text: format!("{sound}{}", "}".repeat(filler)),
            refusal: Refusal::Everybody,
        });
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_two_hundred_malformed_secrets_and_none_is_sound() {
        let sound = r#"{"host":"h","password":"p"}"#;
        let made = malformations(sound, &["host".into()]);
        assert!(made.len() >= MALFORMED, "{}", made.len());
        assert!(made.iter().all(|one| one.text != sound));
    }
}
