//! The spellings in which a secret commonly leaks. Each is found wherever it stands in a longer text
//! of the same spelling.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

pub(super) fn spellings(secret: &str) -> BTreeSet<String> {
    let bytes = secret.as_bytes();
    let json = Value::String(secret.to_owned()).to_string();
    let escaped = json.get(1..json.len() - 1).unwrap_or_default();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut spellings = BTreeSet::from([
        secret.to_owned(),
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
        ascii_only(escaped),
        ascii_only(escaped).replace('/', "\\/"),
        escaped.replace('/', "\\/"),
        escaped.to_owned(),
        crate::text::line(secret, usize::MAX),
        debug_bytes(bytes),
    ]);
    for alphabet in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for before in 0..3 {
            spellings.extend(base64_behind(alphabet, bytes, before));
        }
    }
    spellings
}

/// Base64 of a text that holds these bytes behind `before` others (three make a whole group), with
/// what depends on its neighbours left out: `user:password` in an HTTP header, say. Twice, because
/// at the end of a text the last character belongs to the secret as well.
fn base64_behind(alphabet: &GeneralPurpose, bytes: &[u8], before: usize) -> Vec<String> {
    let text = [vec![0; before], bytes.to_vec()].concat();
    let encoded = alphabet.encode(&text);
    let from = (before * 8).div_ceil(6);
    let to = text.len() * 8 / 6;
    [encoded.get(from..), encoded.get(from..to)]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect()
}

/// JSON as writers spell it that keep to ASCII.
fn ascii_only(json: &str) -> String {
    let mut spelled = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            spelled.push(character);
        } else {
            let units = character.encode_utf16(&mut [0; 2]).to_vec();
            spelled.extend(units.into_iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    spelled
}

/// A byte slice in Rust's `Debug`, Python's or JavaScript's, without its brackets.
fn debug_bytes(bytes: &[u8]) -> String {
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    numbers.join(", ")
}

fn percent_encoded(bytes: &[u8], keep: impl Fn(u8) -> bool, upper: bool) -> String {
    let digits = if upper {
        b"0123456789ABCDEF"
    } else {
        b"0123456789abcdef"
    };
    let digit = |half: u8| char::from(digits[usize::from(half)]);
    // Around each call of a plugin this runs over all of its secrets: a text of its own for every byte cost most of it.
    let mut encoded = String::with_capacity(3 * bytes.len());
    for &byte in bytes {
        if keep(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}
