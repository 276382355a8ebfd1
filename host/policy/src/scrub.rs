//! Removes secrets from text that a plugin wrote. Whatever string of eight bytes or more stands in
//! any value that the call saw is a secret, in every spelling in which it commonly leaks, unless
//! the manifest calls its place public. A plugin cannot declare too little by mistake.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::text;

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
    /// stands both in a public and in another place is a secret. Where the value cannot be read as
    /// JSON, or has a member twice, every quoted text in it is a secret: others may read what this
    /// host cannot.
    pub fn add_value(&mut self, value: &str, public: &[String]) {
        let mut strings = BTreeSet::from([value.trim().to_owned()]);
        let mut shown = BTreeMap::new();
        if let Ok(json) = serde_json::from_str::<Value>(value) {
            let public: Vec<_> = public.iter().map(String::as_str).collect();
            count_public(&json, &mut String::new(), &public, false, &mut shown);
        }
        for text in literals(value) {
            match shown.get_mut(&text) {
                Some(count) if *count > 0 => *count -= 1,
                _ => collect(text, &mut strings),
            }
        }
        for string in strings {
            self.push(&string);
        }
        self.sort();
    }

    /// Adds one secret, such as a generated password.
    pub fn add(&mut self, secret: &str) {
        self.push(secret);
        self.sort();
    }

    fn push(&mut self, secret: &str) {
        if secret.len() >= SECRET_BYTES_MIN {
            self.needles
                .extend(spellings(secret).into_iter().map(Zeroizing::new));
        }
    }

    /// A needle inside a longer one must not break the longer one up.
    fn sort(&mut self) {
        self.needles
            .sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.needles.dedup();
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
        self.shown(text, bytes_max, text::line)
    }

    /// Like [`line`](Self::line), with line feeds kept.
    pub fn block(&self, text: &str, bytes_max: usize) -> String {
        self.shown(text, bytes_max, text::block)
    }

    fn shown(&self, text: &str, bytes_max: usize, escape: fn(&str, usize) -> String) -> String {
        let clean = self.scrub(text);
        let escaped = escape(&clean, usize::MAX);
        // A secret may look like an escape, so that escaping spells it.
        let clean = if escaped == clean {
            clean
        } else {
            self.scrub(&escaped)
        };
        escape(&clean, bytes_max)
    }
}

/// How often each string stands at a public place.
fn count_public(
    json: &Value,
    path: &mut String,
    public: &[&str],
    is_public: bool,
    shown: &mut BTreeMap<String, usize>,
) {
    let is_public = is_public || public.contains(&path.as_str());
    let length = path.len();
    match json {
        Value::String(text) if is_public => *shown.entry(text.clone()).or_default() += 1,
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push_str(&format!("/{index}"));
                count_public(item, path, public, is_public, shown);
                path.truncate(length);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                path.push('/');
                path.push_str(&name.replace('~', "~0").replace('/', "~1"));
                count_public(member, path, public, is_public, shown);
                path.truncate(length);
            }
        }
        // Numbers, as secrets, are shorter than any that is worth hiding.
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A secret text, and what it holds if it is another document, as AWS's console writes it. This
/// ends: each level of quoting makes the text longer.
fn collect(text: String, strings: &mut BTreeSet<String>) {
    if text.trim_start().starts_with(['{', '[']) {
        for inner in literals(&text) {
            collect(inner, strings);
        }
    }
    strings.insert(text);
}

/// The quoted texts that are no member's name, decoded where they can be. This finds them as well
/// where serde_json gives up (half a surrogate pair, deep nesting) and keeps those that it drops (of
/// two members of one name, the first).
fn literals(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some(start) = rest.find('"') {
        let from_quote = &rest[start..];
        let mut escaped = false;
        let end = from_quote.bytes().skip(1).position(|byte| {
            let is_end = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            is_end
        });
        // `position` counts from behind the opening quote.
        let (literal, behind) = end.map_or((from_quote, ""), |end| from_quote.split_at(end + 2));
        if !behind.trim_start().starts_with(':') {
            let raw = literal.trim_matches('"');
            found.push(serde_json::from_str(literal).unwrap_or_else(|_| raw.to_owned()));
        }
        rest = behind;
    }
    found
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
        text::line(secret, usize::MAX),
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
    fn what_this_host_cannot_read_is_a_secret_too() {
        for (value, secret) in [
            (
                r#"{"host":"\ud800","password":"canary-surrogate"}"#,
                "canary-surrogate",
            ),
            (r#"{"a":{"b":"canary-first","b":1}}"#, "canary-first"),
            (r#"{"host":"canary-host","host":"db"}"#, "canary-host"),
        ] {
            let mut scrubber = Scrubber::default();
            scrubber.add_value(value, &["/host".into()]);
            assert_eq!(scrubber.scrub(secret), "[secret]");
        }
        let deep = format!(
            r#"{{"x":{}{},"password":"canary-deep"}}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        let mut scrubber = Scrubber::default();
        scrubber.add_value(&deep, &[]);
        assert_eq!(scrubber.scrub("canary-deep"), "[secret]");
    }

    #[test]
    fn a_secret_that_looks_like_an_escape_goes() {
        let mut scrubber = Scrubber::default();
        scrubber.add(r"\u{1b}[31m");
        assert_eq!(scrubber.line("a\u{1b}[31m", 100), "a[secret]");
    }

    #[test]
    fn many_secrets_take_no_time() {
        let many: Vec<_> = (0..20_000)
            .map(|index| format!("\"secret-{index:05}\""))
            .collect();
        let mut scrubber = Scrubber::default();
        scrubber.add_value(&format!("[{}]", many.join(",")), &[]);
        assert_eq!(scrubber.scrub("secret-19999"), "[secret]");
    }

    #[test]
    fn a_value_that_is_no_json_is_a_secret() {
        let mut scrubber = Scrubber::default();
        scrubber.add_value("plain-opaque-key\n", &[]);
        assert_eq!(scrubber.scrub("key plain-opaque-key!"), "key [secret]!");
    }
}
