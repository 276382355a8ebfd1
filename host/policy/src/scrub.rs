//! Removes secrets from text that a plugin wrote. Whatever string of eight bytes or more stands in
//! any value that the call saw is a secret, in every spelling in which it commonly leaks, unless
//! the manifest calls its place public. A plugin cannot declare too little by mistake. What it
//! spells in a way of its own, on purpose, is not found: see SECURITY.md.

mod spellings;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::OnceLock;

use serde_json::Value;
use zeroize::Zeroizing;

use spellings::spellings;

use crate::text;

/// Shorter strings are words; scrubbing them would make every message unreadable.
const SECRET_BYTES_MIN: usize = 8;
/// Longer secrets are looked for in pieces of this size: it bounds what one comparison costs, so
/// that a value which a plugin made cannot keep the host from its deadline.
const PIECE_BYTES_MAX: usize = 1024;
const REPLACEMENT: &str = "[secret]";

/// The secrets of one call. Most calls answer without any text, so they are spelled out only when the first text
/// comes.
#[derive(Default)]
pub struct Scrubber {
    added: Vec<Added>,
    index: OnceLock<Index>,
}

enum Added {
    Value {
        text: Zeroizing<String>,
        public: Vec<String>,
    },
    Secret(Zeroizing<String>),
}

/// The same secrets in every spelling.
#[derive(Default)]
struct Index {
    /// Sorted, distinct.
    needles: Vec<Zeroizing<String>>,
    /// For each needle the longest other one that it begins with.
    shorter: Vec<Option<usize>>,
    /// How needles begin: at most places of a text one look tells that none stands there.
    beginnings: HashSet<[u8; SECRET_BYTES_MIN]>,
}

impl Scrubber {
    /// Adds a whole value and every string in it, except under `public` pointers. A string that
    /// stands both in a public and in another place is a secret. Where the value cannot be read as
    /// JSON, or has a member twice, every quoted text in it is a secret: others may read what this
    /// host cannot.
    pub fn add_value(&mut self, value: &str, public: &[String]) {
        self.push(Added::Value {
            text: value.to_owned().into(),
            public: public.to_owned(),
        });
    }

    /// Adds one secret, such as a generated password.
    pub fn add(&mut self, secret: &str) {
        self.push(Added::Secret(secret.to_owned().into()));
    }

    fn push(&mut self, added: Added) {
        match self.index.get_mut() {
            Some(index) => index.add([&added]),
            None => self.added.push(added),
        }
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            let mut index = Index::default();
            index.add(&self.added);
            index
        })
    }

    /// The text without secrets. Where several overlap or touch, all of them go. The time grows
    /// with the text and hardly with the number of secrets.
    pub fn scrub(&self, text: &str) -> String {
        if text.len() < SECRET_BYTES_MIN {
            return text.to_owned();
        }
        self.index().scrub(text)
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

impl Index {
    fn add<'a>(&mut self, added: impl IntoIterator<Item = &'a Added>) {
        for added in added {
            match added {
                Added::Value { text, public } => self.spell_value(text, public),
                Added::Secret(secret) => self.spell([secret.as_str()]),
            }
        }
        self.sort();
    }

    fn spell_value(&mut self, value: &str, public: &[String]) {
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
        self.spell(strings.iter().map(String::as_str));
    }

    fn spell<'a>(&mut self, secrets: impl IntoIterator<Item = &'a str>) {
        for secret in secrets {
            if secret.len() < SECRET_BYTES_MIN {
                continue;
            }
            for piece in pieces(secret) {
                let spelled = spellings(piece)
                    .into_iter()
                    .filter(|spelling| spelling.len() >= SECRET_BYTES_MIN);
                self.needles.extend(spelled.map(Zeroizing::new));
            }
        }
    }

    fn sort(&mut self) {
        self.needles
            .sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        self.needles
            .dedup_by(|one, other| one.as_str() == other.as_str());
        self.shorter.clear();
        // Those that the needle at hand may begin with, each a beginning of the next.
        let mut open: Vec<usize> = Vec::new();
        for (number, needle) in self.needles.iter().enumerate() {
            while open
                .last()
                .and_then(|last| self.needles.get(*last))
                .is_some_and(|last| !needle.starts_with(last.as_str()))
            {
                open.pop();
            }
            self.shorter.push(open.last().copied());
            open.push(number);
            self.beginnings
                .extend(needle.as_bytes().first_chunk::<SECRET_BYTES_MIN>());
        }
    }

    fn scrub(&self, text: &str) -> String {
        if self.needles.is_empty() {
            return text.to_owned();
        }
        let mut clean = String::with_capacity(text.len());
        // Up to where the text is copied, and up to where it is secret.
        let (mut copied, mut hidden) = (0, 0);
        for at in 0..text.len() {
            let Some(length) = self.longest_at(&text.as_bytes()[at..]) else {
                continue;
            };
            if at > hidden || hidden == 0 {
                clean.push_str(text.get(copied..at).unwrap_or_default());
                clean.push_str(REPLACEMENT);
            }
            hidden = hidden.max(at + length);
            copied = hidden;
        }
        clean.push_str(text.get(copied..).unwrap_or_default());
        clean
    }

    /// The length of the longest needle that this text begins with.
    fn longest_at(&self, text: &[u8]) -> Option<usize> {
        if !self
            .beginnings
            .contains(text.first_chunk::<SECRET_BYTES_MIN>()?)
        {
            return None;
        }
        // Whatever the text begins with sorts before it, and everything between the two begins
        // with the same: so the last needle that is not greater leads to the one that is sought.
        let greater = self
            .needles
            .partition_point(|needle| needle.as_bytes() <= text);
        let mut candidate = greater.checked_sub(1);
        let nearest = self.needles.get(candidate?)?.as_bytes();
        let common = nearest.iter().zip(text).take_while(|(a, b)| a == b).count();
        while let Some(number) = candidate {
            let length = self.needles.get(number)?.len();
            if length <= common {
                return Some(length);
            }
            candidate = *self.shorter.get(number)?;
        }
        None
    }
}

/// A long secret in pieces that cover it, the last of them full as well.
fn pieces(secret: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = secret;
    while rest.len() > PIECE_BYTES_MAX {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES_MAX));
        pieces.push(piece);
        rest = after;
    }
    let last = secret.ceil_char_boundary(secret.len().saturating_sub(PIECE_BYTES_MAX));
    pieces.extend(secret.get(last..));
    pieces
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

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

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
        check(&STANDARD.encode(secret), "[secret]=");
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

    #[test]
    fn base64_is_found_at_every_alignment() {
        let secret = "canary/Pa\"ss wörd+1";
        for (before, after) in [
            ("u", ""),
            ("us", ""),
            ("usr", "x"),
            ("a:", "yz"),
            ("ab:", "x"),
        ] {
            let mut scrubber = Scrubber::default();
            scrubber.add(secret);
            let header = STANDARD.encode(format!("{before}{secret}{after}"));
            let clean = scrubber.scrub(&header);
            assert!(clean.len() < 16, "{before}|{after}: {clean}");
        }
    }

    #[test]
    fn what_overlaps_or_touches_goes_whole() {
        let mut scrubber = Scrubber::default();
        for secret in ["abcdefgh", "efghijklmnop", "abcdefghij", "12345678"] {
            scrubber.add(secret);
        }
        assert_eq!(scrubber.scrub("abcdefghijklmnop!"), "[secret]!");
        assert_eq!(scrubber.scrub("abcdefgh12345678"), "[secret]");
        assert_eq!(scrubber.scrub("abcdefgx"), "abcdefgx");
        assert_eq!(scrubber.scrub("abcdefghi"), "[secret]i");
    }

    #[test]
    fn a_long_secret_goes_whole_and_in_parts() {
        let secret: String = (0..900).map(|number| format!("é{number}")).collect();
        let mut scrubber = Scrubber::default();
        scrubber.add(&secret);
        assert_eq!(scrubber.scrub(&format!("<{secret}>")), "<[secret]>");
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(scrubber.scrub(&hex), "[secret]");
    }

    /// A value that a hostile plugin made: thousands of strings, many of which begin alike, and a text
    /// that nearly repeats them. With a search per string this takes minutes.
    #[test]
    fn many_alike_secrets_cost_no_more_than_few() {
        let strings: Vec<String> = (8..300)
            .map(|length| "a".repeat(length))
            .chain((0..3000).map(|number| format!("aaaaaaaab{number:06}")))
            .collect();
        let mut scrubber = Scrubber::default();
        scrubber.add_value(&serde_json::to_string(&strings).unwrap(), &[]);
        let text = "aaaaaaaab".repeat(20_000);
        assert_eq!(scrubber.scrub(&text).matches("[secret]").count(), 20_000);
    }
}
