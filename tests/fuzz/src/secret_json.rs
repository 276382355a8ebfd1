//! Secrets as JSON: what a plugin does not own survives byte for byte, whatever is written around it,
//! and no error shows a secret. It panics otherwise. The texts are compared by a scanner of our own.

use keyturn_plugin_api_key::ApiKey;
use keyturn_plugin_jwt::Jwt;
use keyturn_plugin_opaque::Opaque;
use keyturn_plugin_postgres::Postgres;
use keyturn_plugin_redis::Redis;
use keyturn_sdk::{Created, Error, Members, Purpose, Rotator, fake};
use serde_json::Value;

const PURPOSES: [Purpose; 6] = [
    Purpose::Replace,
    Purpose::Announce,
    Purpose::Activate,
    Purpose::Extend,
    Purpose::Retire,
    Purpose::Restore,
];
const JWT_OWNED: [&str; 12] = [
    "secret",
    "refresh_secret",
    "previous_secret",
    "previous_refresh_secret",
    "algorithm",
    "previous_algorithm",
    "rotation_timestamp",
    "rotation_complete_at",
    "announced_at",
    "kid",
    "refresh_kid",
    "jwks",
];
const API_KEY_OWNED: [&str; 9] = [
    "internal_api_key",
    "internal_api_key_hash",
    "previous_internal_api_key",
    "previous_internal_api_key_hash",
    "key_version",
    "created_at",
    "expires_at",
    "rotation_timestamp",
    "announced_at",
];
const POSTGRES_OWNED: [&str; 4] = [
    "username",
    "password",
    "previous_username",
    "previous_password",
];
const OPAQUE_OWNED: [&str; 5] = [
    "current",
    "previous",
    "ring",
    "rotation_timestamp",
    "next_rotation",
];
const REDIS_OWNED: [&str; 3] = ["password", "previous_password", "rotation_timestamp"];
/// Only values with this word are looked for in errors: others may equal a word of the message.
const CANARY: &str = "canary";

pub(crate) fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(members) = Members::parse(&text) {
        check_members(&text, &members);
    }
    check_plugin::<Jwt>(&text, "overlap", &JWT_OWNED);
    check_plugin::<ApiKey>(&text, "overlap", &API_KEY_OWNED);
    check_plugin::<Opaque>(&text, "overlap", &OPAQUE_OWNED);
    check_plugin::<Opaque>(&text, "key-ring", &OPAQUE_OWNED);
    check_plugin::<Postgres>(&text, "alternating", &POSTGRES_OWNED);
    check_plugin::<Postgres>(&text, "single", &POSTGRES_OWNED);
    check_plugin::<Redis>(&text, "dual", &REDIS_OWNED);
    check_plugin::<Redis>(&text, "single", &REDIS_OWNED);
}

fn check_members(text: &str, members: &Members) {
    let compact = compact(text);
    assert_eq!(
        members.to_secret().expose(),
        compact,
        "the text between members changed"
    );
    let again = Members::parse(&compact).expect("what was written is read");
    assert_eq!(
        again.to_secret().expose(),
        compact,
        "writing is not idempotent"
    );
    assert!(members.names().eq(again.names()));

    let entries = entries(&compact);
    let mut changed = members.clone();
    changed
        .set("fuzz_owned", "new \"value\"")
        .expect("a text has a JSON form");
    let owned = ["fuzz_owned"];
    assert_eq!(
        foreign(&changed.to_secret().into_exposed(), &owned),
        without(&entries, &owned)
    );
    let value: Option<String> = changed.get("fuzz_owned").expect("it was set");
    assert_eq!(value.as_deref(), Some("new \"value\""));
    changed.remove("fuzz_owned");
    assert_eq!(
        foreign(&changed.to_secret().into_exposed(), &[]),
        without(&entries, &owned)
    );
    for (name, entry) in &entries {
        let raw = members
            .raw(name)
            .expect("every member is found by its name");
        assert!(entry.ends_with(&format!(":{raw}")), "{entry} is not {raw}");
    }
}

/// All that a plugin without a target does with a value; what it makes, it must take.
fn check_plugin<P: Rotator>(text: &str, strategy: &str, owned: &[&str]) {
    let _host = fake::Host::new().install();
    let ctx = fake::context(strategy, text);
    let current = ctx.current.clone();
    check(text, P::finish(&ctx, &current));
    check(text, P::probe(&ctx, &current));
    check(text, P::test(&ctx, &current));
    for purpose in PURPOSES {
        for overlap_seconds in [0, 1_209_600] {
            let mut request = fake::create_request(purpose, overlap_seconds);
            request.restore = Some(current.clone());
            let Some(Created::Value(value)) = check(text, P::create(&ctx, &request)) else {
                continue;
            };
            let made = value.expose();
            assert_eq!(
                foreign(made, owned),
                foreign(&compact(text), owned),
                "{purpose:?} changed what it does not own"
            );
            let candidate = fake::version("candidate", made);
            check(made, P::finish(&ctx, &candidate));
            if P::describe()
                .strategies
                .iter()
                .all(|s| s.effect == keyturn_sdk::TargetEffect::None)
                && purpose == Purpose::Replace
            {
                let tested = P::test(&ctx, &candidate);
                assert!(
                    tested.is_ok(),
                    "what `create` made fails its own test: {tested:?}"
                );
            }
        }
    }
}

/// The answer; an error must not show what is secret in `text`.
fn check<T>(text: &str, answer: Result<T, Error>) -> Option<T> {
    let error = match answer {
        Ok(answer) => return Some(answer),
        Err(error) => error,
    };
    let shown = format!("{error} {error:?}");
    for (name, entry) in entries(&compact(text)) {
        let is_secret = ["password", "secret", "key"]
            .iter()
            .any(|part| name.contains(part));
        let value = entry
            .split_once(':')
            .map(|(_, value)| value)
            .unwrap_or_default();
        let Ok(Value::String(value)) = serde_json::from_str(value) else {
            continue;
        };
        if is_secret && value.contains(CANARY) && text.matches(CANARY).count() == 1 {
            assert!(!shown.contains(&value), "{name} is shown: {shown}");
        }
    }
    None
}

fn foreign(text: &str, owned: &[&str]) -> Vec<(String, String)> {
    without(&entries(text), owned)
}

fn without(entries: &[(String, String)], owned: &[&str]) -> Vec<(String, String)> {
    let is_foreign = |entry: &&(String, String)| !owned.contains(&entry.0.as_str());
    entries.iter().filter(is_foreign).cloned().collect()
}

/// The members of a compact object: decoded name, whole text.
fn entries(compact: &str) -> Vec<(String, String)> {
    let inner = compact
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let mut entries = Vec::new();
    let mut start = 0;
    let inner = inner.unwrap_or_default();
    scan(inner, |at, character, depth| {
        if character == ',' && depth == 0 {
            entries.push(inner[start..at].to_owned());
            start = at + 1;
        }
    });
    entries.push(inner[start..].to_owned());
    let named = entries
        .into_iter()
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let mut colon = entry.len();
            scan(&entry, |at, character, depth| {
                if character == ':' && depth == 0 {
                    colon = colon.min(at);
                }
            });
            let key = &entry[..colon];
            let name = serde_json::from_str(key).unwrap_or_else(|_| key.to_owned());
            (name, entry)
        });
    named.collect()
}

/// The text without the white space around an object's members.
fn compact(text: &str) -> String {
    let mut keep = String::new();
    let mut last = 0;
    scan(text, |at, character, depth| {
        if depth <= 1 && matches!(character, ' ' | '\t' | '\n' | '\r') {
            keep.push_str(&text[last..at]);
            last = at + 1;
        }
    });
    keep.push_str(&text[last..]);
    keep
}

/// Calls `see` with each character outside of strings, its place and how deep it stands.
fn scan(text: &str, mut see: impl FnMut(usize, char, usize)) {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, character) in text.char_indices() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            '"' => in_string = true,
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        see(at, character, depth);
    }
}
