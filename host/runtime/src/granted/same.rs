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
        let owned = self.owned();
        let plugin = &self.inner.plugin;
        same(one.expose_secret(), other.expose_secret(), |name| {
            let is_own = owned.as_ref().is_none_or(|owned| owned.contains(name));
            is_own && !is_public(plugin, name)
        })
    }
}

fn same(one: &str, other: &str, may_be_secret: impl Fn(&str) -> bool) -> bool {
    let in_use = |text| {
        let members = members(text).unwrap_or_default();
        let in_use = members
            .into_iter()
            .filter(|member| may_be_secret(&member.name) && !member.name.starts_with(SUPERSEDED));
        // By what it means: whoever puts a value back may have it written in another way.
        in_use
            .map(|member| {
                let meaning = serde_json::from_str::<Value>(member.value).ok();
                (member.name, meaning)
            })
            .collect::<BTreeMap<_, _>>()
    };
    let (ones, others) = (in_use(one), in_use(other));
    match ones.is_empty() && others.is_empty() {
        true => one == other,
        false => ones == others,
    }
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
    fn what_has_no_such_member_is_compared_as_it_is() {
        check("text", "text", true);
        check("text", "another", false);
        check(r#"{"id":1}"#, r#"{"id":2}"#, false);
        check("text", r#"{"key":"a"}"#, false);
    }
}
