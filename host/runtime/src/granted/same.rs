//! Whether two values hold the same credential, whatever else stands in them.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::GrantedPlugin;
use crate::members::members;
use crate::ownership::is_public;

/// Where a value keeps what it has superseded, which is no part of what is in use.
const SUPERSEDED: &str = "previous_";

impl GrantedPlugin {
    /// Compares the members that the credential owns and that may be secret; what a value has superseded does not
    /// count. Values without such members are compared as they are.
    pub fn is_same_credential(&self, one: &SecretString, other: &SecretString) -> bool {
        let (one, other) = (one.expose_secret(), other.expose_secret());
        same(one, other, |name| self.may_be_secret(name))
    }

    /// The same of all that the credential owns and that may be secret, superseded or not.
    pub fn is_untouched(&self, one: &SecretString, other: &SecretString) -> bool {
        let (one, other) = (one.expose_secret(), other.expose_secret());
        untouched(one, other, |name| self.may_be_secret(name))
    }

    fn may_be_secret(&self, name: &str) -> bool {
        let owned = self.owned();
        let is_own = owned.is_none_or(|owned| owned.contains(name));
        is_own && !is_public(&self.inner.plugin, name)
    }
}

fn same(one: &str, other: &str, may_be_secret: impl Fn(&str) -> bool) -> bool {
    let is_in_use = |name: &str| may_be_secret(name) && !name.starts_with(SUPERSEDED);
    let of = |text| meanings(text, is_in_use).unwrap_or_default();
    let (ones, others) = (of(one), of(other));
    match ones.is_empty() && others.is_empty() {
        true => one == other,
        false => ones == others,
    }
}

/// Objects that both lack such members are the same to the credential.
fn untouched(one: &str, other: &str, may_be_secret: impl Fn(&str) -> bool) -> bool {
    let of = |text| meanings(text, &may_be_secret);
    match of(one).zip(of(other)) {
        Some((ones, others)) => ones == others,
        None => one == other,
    }
}

/// Members by what they mean: whoever puts a value back may have it written in another way. `None` for what is no
/// object.
fn meanings(
    text: &str,
    is_compared: impl Fn(&str) -> bool,
) -> Option<BTreeMap<String, Option<Value>>> {
    let compared = members(text)?
        .into_iter()
        .filter(|member| is_compared(&member.name));
    let meaning = |text| serde_json::from_str(text).ok();
    Some(
        compared
            .map(|member| (member.name, meaning(member.value)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(one: &str, other: &str, expected: bool) {
        let may_be_secret = |name: &str| !["id", "foreign"].contains(&name);
        assert_eq!(super::same(one, other, may_be_secret), expected);
    }

    #[test]
    fn only_what_may_be_secret_and_is_in_use_is_compared() {
        check(r#"{"key":"a","id":1}"#, r#"{"foreign":2,"key":"a"}"#, true);
        check(r#"{"key":"a"}"#, r#"{"key":"a","previous_key":"b"}"#, true);
        check(r#"{"key":"a"}"#, r#"{"key":"\u0061"}"#, true);
        check(r#"{"key":"a"}"#, r#"{"key":"b","previous_key":"a"}"#, false);
        check(r#"{"key":"a"}"#, r#"{"key":"a","part":"b"}"#, false);
        check(r#"{"key":"a"}"#, r#"{"id":1}"#, false);
    }

    #[test]
    fn a_credential_is_touched_by_its_own_members_alone() {
        let untouched = |one: &str, other: &str| {
            super::untouched(one, other, |name| !["id", "foreign"].contains(&name))
        };
        assert!(untouched(
            r#"{"key":"a","id":1}"#,
            r#"{"foreign":2,"key":"\u0061"}"#
        ));
        assert!(untouched(r#"{"id":1}"#, r#"{"foreign":2}"#));
        let (one, other) = (r#"{"key":"a"}"#, r#"{"key":"a","previous_key":"b"}"#);
        assert!(!untouched(one, other));
        assert!(untouched("text", "text") && !untouched("text", "another"));
        assert!(!untouched("text", "{}"));
    }

    #[test]
    fn what_has_no_such_member_is_compared_as_it_is() {
        check("text", "text", true);
        check("text", "another", false);
        check(r#"{"id":1}"#, r#"{"id":2}"#, false);
        check("text", r#"{"key":"a"}"#, false);
    }
}
