//! Looks at a value that `create` made, before anybody stores it. A secret may hold more than the
//! plugin's credential, so every member that the credential does not own (crate::ownership) must have
//! kept its text; a plugin that owns the whole value is refused where a secret holds several
//! credentials. No message holds a value.

use std::collections::BTreeSet;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::call::Purpose;
use crate::error::{CallError, ErrorKind};
use crate::members::{Member, members};
use crate::{text, value};

/// AWS's cap on a SecretString, and so every store's.
const VALUE_BYTES_MAX: usize = 65_536;

/// Such a plugin would change other credentials unseen.
pub(super) fn owns_nothing(plugin: &str) -> CallError {
    let message = format!(
        "plugin {plugin} does not say which members of a value it owns (`properties` of its secret \
         schema), so it cannot share a secret with other credentials; give this credential a secret of \
         its own"
    );
    value::refused(ErrorKind::Unsupported, message)
}

/// The error says what was answered instead of a value that can be stored.
pub(super) fn check(
    created: &SecretString,
    current: &SecretString,
    purpose: Purpose,
    owned: Option<&BTreeSet<&str>>,
) -> Result<(), String> {
    let (new, old) = (created.expose_secret(), current.expose_secret());
    if new.trim().is_empty() {
        return Err("an empty value".into());
    }
    if new.len() > VALUE_BYTES_MAX {
        return Err(format!("a value of more than {VALUE_BYTES_MAX} bytes"));
    }
    if new.contains('\0') {
        return Err("a value with a NUL byte".into());
    }
    let (new_parsed, old_parsed) = (value::parse(created), value::parse(current));
    // Promoted, it would be killed together with the value that it was to replace.
    if purpose == Purpose::Replace
        && (new == old || !old_parsed.is_null() && new_parsed == old_parsed)
    {
        return Err("the value that AWSCURRENT holds already".into());
    }
    if old_parsed.is_object() && !new_parsed.is_object() {
        return Err("a value that is no JSON object, though CURRENT is one".into());
    }
    match (members(new), members(old)) {
        (Some(new), Some(old)) => check_members(&new, &old, owned),
        _ => Ok(()),
    }
}

fn check_members(
    new: &[Member<'_>],
    old: &[Member<'_>],
    owned: Option<&BTreeSet<&str>>,
) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for member in new {
        let copied = old.contains(member);
        if !names.insert(&member.name) || !copied && !is_unambiguous(member.value) {
            let name = text::line(&member.name, 64);
            return Err(format!(
                "a value that names a member twice at or in \"{name}\", and readers differ in which they believe"
            ));
        }
    }
    let Some(owned) = owned else { return Ok(()) };
    let foreign = |member: &&Member<'_>| !owned.contains(member.name.as_str());
    let (mut kept, mut added) = (old.iter().filter(foreign), new.iter().filter(foreign));
    loop {
        match (kept.next(), added.next()) {
            (None, None) => return Ok(()),
            (Some(kept), Some(added)) if kept == added => {}
            // The name is CURRENT's, not the plugin's: it could spell a secret out.
            (Some(kept), _) => {
                let name = text::line(&kept.name, 64);
                return Err(format!(
                    "a value in which the member \"{name}\" is not as it was, and the plugin's schema does \
                     not name it as its own"
                ));
            }
            (None, Some(_)) => {
                return Err(
                    "a value with a new member that the plugin's schema does not name as its own"
                        .into(),
                );
            }
        }
    }
}

/// Whether no object in this JSON text names a member twice.
fn is_unambiguous(json: &str) -> bool {
    serde_json::from_str::<Unambiguous>(json).is_ok()
}

struct Unambiguous;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Look;
        impl<'de> Visitor<'de> for Look {
            type Value = Unambiguous;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_bool<E>(self, _: bool) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }
            fn visit_str<E>(self, _: &str) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }
            fn visit_unit<E>(self) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unambiguous, A::Error> {
                while items.next_element::<Unambiguous>()?.is_some() {}
                Ok(Unambiguous)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unambiguous, A::Error> {
                let mut names = BTreeSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !names.insert(name) {
                        return Err(serde::de::Error::custom("twice"));
                    }
                    map.next_value::<Unambiguous>()?;
                }
                Ok(Unambiguous)
            }
        }
        deserializer.deserialize_any(Look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURRENT: &str =
        r#"{"host":"h","password":"old","n":1.50,"\u0061b":"\/é","other":{"k":[1, 2]}}"#;

    #[track_caller]
    fn check(created: &str, expected: Result<(), &str>) {
        let owned = BTreeSet::from(["host", "password", "added"]);
        let created = SecretString::from(created);
        let checked = super::check(&created, &CURRENT.into(), Purpose::Replace, Some(&owned));
        match expected {
            Ok(()) => assert_eq!(checked, Ok(())),
            Err(part) => {
                let cause = checked.unwrap_err();
                assert!(cause.contains(part), "{cause}");
            }
        }
    }

    #[test]
    fn owned_members_may_change_come_and_go() {
        check(&CURRENT.replace("old", "new"), Ok(()));
        check(&CURRENT.replace(r#""password":"old","#, ""), Ok(()));
        let added = CURRENT.replace(r#""host""#, r#""added":{"x":1},"host""#);
        check(&added, Ok(()));
    }

    #[test]
    fn foreign_members_keep_their_text_and_order() {
        let changed = |from: &str, to: &str, name: &str| {
            assert!(CURRENT.contains(from));
            let created = CURRENT.replace("old", "new").replace(from, to);
            check(
                &created,
                Err(&format!("the member \"{name}\" is not as it was")),
            );
        };
        changed("1.50", "1.5", "n");
        changed(r#""\u0061b""#, r#""ab""#, "ab");
        changed(r"\/é", "/é", "ab");
        changed("[1, 2]", "[1, 2, 3]", "other");
        changed(r#","other":{"k":[1, 2]}"#, "", "other");
        changed(
            r#""n":1.50,"\u0061b":"\/é""#,
            r#""\u0061b":"\/é","n":1.50"#,
            "n",
        );
        let more = CURRENT
            .replace("old", "new")
            .replace(r#""n""#, r#""own":1,"n""#);
        check(&more, Err("the member \"n\" is not as it was"));
        let more = CURRENT
            .replace("old", "new")
            .replace("2]}}", "2]},\"own\":1}");
        check(&more, Err("a new member"));
    }

    #[test]
    fn no_member_is_named_twice() {
        let created = CURRENT.replace("old", "new");
        let twice = created.replace(r#""host":"h""#, r#""host":"evil","host":"h""#);
        check(&twice, Err("twice at or in \"host\""));
        let nested = CURRENT.replace(r#""old""#, r#"{"a":[{"b":1,"\u0062":2}]}"#);
        check(&nested, Err("twice at or in \"password\""));
    }

    #[test]
    fn the_value_in_use_is_no_new_one() {
        check(CURRENT, Err("holds already"));
        check(&CURRENT.replace("[1, 2]", "[1,2]"), Err("holds already"));
        let extended = SecretString::from(CURRENT);
        let checked = super::check(&extended, &CURRENT.into(), Purpose::Extend, None);
        assert_eq!(checked, Ok(()));
    }
}
