//! Removes secrets from text that a plugin wrote. Whatever string of eight bytes or more stands in
//! any value that the call saw is a secret, in every spelling in which it commonly leaks, unless
//! the manifest calls its place public. A plugin cannot declare too little by mistake.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;
use zeroize::Zeroizing;

/// Shorter strings are words; scrubbing them would make every message unreadable.
const SECRET_BYTES_MIN: usize = 8;
const REPLACEMENT: &str = "[secret]";

/// The secrets of one call, in every spelling, longest first.
#[derive(Default)]
pub struct Scrubber {
    needles: Vec<Zeroizing<String>>,
}

impl Scrubber {
    /// Adds a whole value and every string in it, except under `public` pointers. A string that
    /// stands both in a public and in another place is a secret.
    pub fn add_value(&mut self, value: &str, public: &[String]) {
        let mut strings = BTreeSet::new();
        let public: Vec<_> = public.iter().map(String::as_str).collect();
        match serde_json::from_str::<Value>(value) {
            Ok(json) => collect(&json, &mut String::new(), &public, &mut strings),
            Err(_) => drop(strings.insert(value.to_owned())),
        }
        strings.insert(value.trim().to_owned());
        for string in strings {
            self.add(&string);
        }
    }

    /// Adds one secret, such as a generated password.
    pub fn add(&mut self, secret: &str) {
        if secret.len() < SECRET_BYTES_MIN {
            return;
        }
        for spelling in spellings(secret) {
            if !self.needles.iter().any(|known| **known == spelling) {
                self.needles.push(Zeroizing::new(spelling));
            }
        }
        // A needle inside a longer one must not break the longer one up.
        self.needles
            .sort_by_key(|needle| std::cmp::Reverse(needle.len()));
    }

    /// The text without secrets.
    pub fn scrub(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for needle in &self.needles {
            if clean.contains(needle.as_str()) {
                clean = clean.replace(needle.as_str(), REPLACEMENT);
            }
        }
        clean
    }

    /// Scrubbed, then escaped and cut. In this order: an escape or a cut could hide half a secret.
    pub fn line(&self, text: &str, bytes_max: usize) -> String {
        crate::text::line(&self.scrub(text), bytes_max)
    }

    /// Like [`line`](Self::line), with line feeds kept.
    pub fn block(&self, text: &str, bytes_max: usize) -> String {
        crate::text::block(&self.scrub(text), bytes_max)
    }
}

fn collect(json: &Value, path: &mut String, public: &[&str], strings: &mut BTreeSet<String>) {
    if public.contains(&path.as_str()) {
        return;
    }
    let length = path.len();
    match json {
        Value::String(text) => drop(strings.insert(text.clone())),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push_str(&format!("/{index}"));
                collect(item, path, public, strings);
                path.truncate(length);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                path.push('/');
                path.push_str(&name.replace('~', "~0").replace('/', "~1"));
                collect(member, path, public, strings);
                path.truncate(length);
            }
        }
        // Numbers, as secrets, are shorter than any that is worth hiding.
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    // A value may hold another document as text, as AWS's console does.
    if let Value::String(text) = json
        && text.trim_start().starts_with(['{', '['])
        && let Ok(inner) = serde_json::from_str::<Value>(text)
    {
        collect(&inner, &mut String::from("\0"), &[], strings);
    }
}

fn spellings(secret: &str) -> BTreeSet<String> {
    let bytes = secret.as_bytes();
    let json = Value::String(secret.to_owned()).to_string();
    let escaped = json.get(1..json.len() - 1).unwrap_or_default();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    BTreeSet::from([
        secret.to_owned(),
        // Unpadded, so that the padded spelling is found too.
        STANDARD_NO_PAD.encode(bytes),
        URL_SAFE_NO_PAD.encode(bytes),
        hex.to_uppercase(),
        hex,
        percent_encoded(
            bytes,
            |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte),
            true,
        ),
        percent_encoded(
            bytes,
            |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte),
            false,
        ),
        // A form's spelling, and encodeURIComponent's.
        percent_encoded(
            bytes,
            |byte| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte),
            true,
        )
        .replace("%20", "+"),
        percent_encoded(
            bytes,
            |byte| byte.is_ascii_alphanumeric() || b"-._~!*'()".contains(&byte),
            true,
        ),
        escaped.replace('/', "\\/"),
        escaped.to_owned(),
        crate::text::line(secret, usize::MAX),
    ])
}

fn percent_encoded(bytes: &[u8], keep: impl Fn(u8) -> bool, upper: bool) -> String {
    let encode = |byte: &u8| match *byte {
        byte if keep(byte) => char::from(byte).to_string(),
        byte if upper => format!("%{byte:02X}"),
        byte => format!("%{byte:02x}"),
    };
    bytes.iter().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = r#"{"host":"db.internal","username":"festival_app",
        "password":"canary/Pa\"ss wörd+1","nested":[{"token":"nested-canary"}]}"#;

    fn check(text: &str, expected: &str) {
        let mut scrubber = Scrubber::default();
        scrubber.add_value(VALUE, &["/host".into(), "/username".into()]);
        assert_eq!(scrubber.scrub(text), expected);
    }

    #[test]
    fn secrets_go_wherever_they_stand() {
        check("got canary/Pa\"ss wörd+1.", "got [secret].");
        check("deep: nested-canary", "deep: [secret]");
        check(VALUE, "[secret]");
    }

    #[test]
    fn public_places_stay() {
        check("festival_app at db.internal", "festival_app at db.internal");
    }

    #[test]
    fn common_spellings_go() {
        let secret = "canary/Pa\"ss wörd+1";
        check(&STANDARD_NO_PAD.encode(secret), "[secret]");
        check(
            &base64::engine::general_purpose::STANDARD.encode(secret),
            "[secret]=",
        );
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        check(&hex, "[secret]");
        check(&hex.to_uppercase(), "[secret]");
        check("canary%2FPa%22ss%20w%C3%B6rd%2B1", "[secret]");
        check("canary%2fPa%22ss%20w%c3%b6rd%2b1", "[secret]");
        check("canary%2FPa%22ss+w%C3%B6rd%2B1", "[secret]");
        check(r#"canary/Pa\"ss wörd+1"#, "[secret]");
        check(r#"canary\/Pa\"ss wörd+1"#, "[secret]");
    }

    #[test]
    fn a_public_string_that_is_also_the_password_is_a_secret() {
        let mut scrubber = Scrubber::default();
        let value = r#"{"username":"same-string","password":"same-string"}"#;
        scrubber.add_value(value, &["/username".into()]);
        assert_eq!(scrubber.scrub("same-string"), "[secret]");
    }

    #[test]
    fn a_value_that_is_no_json_is_a_secret() {
        let mut scrubber = Scrubber::default();
        scrubber.add_value("plain-opaque-key\n", &[]);
        assert_eq!(scrubber.scrub("key plain-opaque-key!"), "key [secret]!");
    }
}
