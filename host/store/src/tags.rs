//! The rules of tags as pure functions: which keys and values there may be, and what adding and removing leaves.
//!
//! Source: the AWS Secrets Manager API reference (TagResource, UntagResource).

use std::collections::BTreeMap;

use crate::error::{ErrorKind, StoreError};
use crate::limits;

/// Words about a secret, key to value.
pub(crate) type Tags = BTreeMap<String, String>;

/// The beginning of keys that AWS's own services keep for themselves, in any case.
const RESERVED: &str = "aws:";

/// Checks tags that are to be added, each by itself.
pub(crate) fn check(tags: &Tags) -> Result<(), StoreError> {
    tags.iter().try_for_each(|(key, value)| {
        let (key_chars, value_chars) = (key.chars().count(), value.chars().count());
        if key_chars == 0 || key_chars > limits::TAG_KEY_CHARS_MAX {
            return Err(refused(
                format!("a tag has a key of {key_chars} characters"),
                format!("use 1 to {} characters", limits::TAG_KEY_CHARS_MAX),
            ));
        }
        if value_chars > limits::TAG_VALUE_CHARS_MAX {
            return Err(refused(
                format!("a tag has a value of {value_chars} characters"),
                format!("use at most {} characters", limits::TAG_VALUE_CHARS_MAX),
            ));
        }
        if !key.chars().chain(value.chars()).all(allowed) {
            // Neither is repeated: it could be a secret that was pasted into the wrong place.
            return Err(refused(
                "a tag has a character that is not allowed",
                "use letters, digits, spaces and _ . : / = + - @",
            ));
        }
        if key
            .get(..RESERVED.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(RESERVED))
        {
            return Err(refused(
                "the key of a tag begins with aws:, which AWS keeps for itself",
                "use another key",
            ));
        }
        Ok(())
    })
}

/// The tags after `add` was added to them.
pub(crate) fn merged(held: &Tags, add: &Tags) -> Result<Tags, StoreError> {
    let mut after = held.clone();
    after.extend(add.clone());
    if after.len() > limits::TAGS_MAX {
        return Err(refused(
            format!("the secret would have {} tags", after.len()),
            format!("remove tags until at most {} are left", limits::TAGS_MAX),
        ));
    }
    Ok(after)
}

/// The tags after those with `keys` were removed.
pub(crate) fn without(held: &Tags, keys: &[String]) -> Tags {
    let mut after = held.clone();
    after.retain(|key, _| !keys.contains(key));
    after
}

fn allowed(c: char) -> bool {
    let separator = c.is_whitespace() && !c.is_control();
    c.is_alphanumeric() || separator || "_.:/=+-@".contains(c)
}

fn refused(what: impl Into<String>, next: impl Into<String>) -> StoreError {
    StoreError::new(ErrorKind::InvalidParameter, what, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        let owned = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn tags_have_awss_characters_and_lengths() {
        let (longest_key, longest_value) = ("\u{f6}".repeat(128), "\u{f6}".repeat(256));
        for good in [
            ("k", ""),
            ("keyturn:plugin", "postgres"),
            ("Team Blue", "a_b.c:d/e=f+g-h@i 1\u{2003}2"),
            ("awsome", "aws:"),
            (longest_key.as_str(), longest_value.as_str()),
        ] {
            assert!(check(&tags(&[good])).is_ok(), "{good:?}");
        }
        for bad in [
            ("", "v"),
            (&*"k".repeat(129), "v"),
            ("k", &*"v".repeat(257)),
            ("k,", "v"),
            ("k", "a\nb"),
            ("k", "a\tb"),
            ("k", "{}"),
            ("aws:x", "v"),
            ("AwS:x", "v"),
        ] {
            let error = check(&tags(&[bad])).unwrap_err();
            assert_eq!(error.code(), "InvalidParameterException", "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_tagged_once_and_there_are_50_at_most() {
        let held = tags(&[("a", "1"), ("b", "2")]);
        let after = merged(&held, &tags(&[("b", "3"), ("c", "4")])).unwrap();
        assert_eq!(after, tags(&[("a", "1"), ("b", "3"), ("c", "4")]));
        let after = without(&after, &["a".to_owned(), "nobody".to_owned()]);
        assert_eq!(after, tags(&[("b", "3"), ("c", "4")]));
        let many: Tags = (0..48)
            .map(|number| (number.to_string(), String::new()))
            .collect();
        let full = merged(&after, &many).unwrap();
        assert_eq!(full.len(), 50);
        assert!(merged(&full, &tags(&[("b", "5")])).is_ok());
        let error = merged(&full, &tags(&[("d", "")])).unwrap_err();
        assert_eq!(error.code(), "InvalidParameterException");
    }
}
