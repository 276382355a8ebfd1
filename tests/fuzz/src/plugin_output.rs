//! What the host does with a plugin's words. An input has up to four sections between lines of `===`: a
//! secret's value (also the operator's settings), a message in which `{}` is where a secret may stand, a
//! settings schema, a manifest. It panics if a planted secret comes through in a spelling that the scrubber
//! promises to find, or text that is not one harmless, bounded line.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use keyturn_policy::manifest::Manifest;
use keyturn_policy::scrub::Scrubber;
use keyturn_policy::settings;
use serde_json::Value;
use serde_json::value::RawValue;

const REPLACEMENT: &str = "[secret]";
/// Shorter texts are words.
const SECRET_BYTES_MIN: usize = 8;
/// The caps of names, of texts, and one that cuts everything.
const BYTES_MAX: [usize; 3] = [24, 256, 2048];
/// Of one value; more would only repeat.
const SECRETS_MAX: usize = 4;
/// Text from a plugin that is part of an error of the host.
const CAUSE_BYTES_MAX: usize = 1024;
const PUBLIC: [&str; 2] = ["/username", "/host"];

pub(crate) fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut sections = text.split("\n===\n");
    let mut next = || sections.next().unwrap_or_default();
    let (value, message, schema, manifest) = (next(), next(), next(), next());
    check_scrubbing(value, message);
    check_schema(schema, value);
    check_manifest(manifest);
}

fn check_scrubbing(value: &str, message: &str) {
    let mut scrubber = Scrubber::default();
    scrubber.add_value(value, &PUBLIC.map(str::to_owned));
    let secrets: Vec<Vec<String>> = secrets(value).iter().map(|text| spellings(text)).collect();
    let spelled = secrets.concat();
    for bytes_max in BYTES_MAX {
        check_text(&scrubber, message, bytes_max, &spelled);
    }
    for spellings in secrets {
        let text = message.replace("{}", &spellings.join(", "));
        check_text(&scrubber, &text, usize::MAX >> 1, &spelled);
    }
}

fn check_text(scrubber: &Scrubber, text: &str, bytes_max: usize, spelled: &[String]) {
    check_line(&scrubber.line(text, bytes_max), bytes_max, spelled);
    let block = scrubber.block(text, bytes_max);
    check_line(&block.replace('\n', " "), bytes_max, &[]);
    check_secrets(&block, spelled);
}

fn check_line(line: &str, bytes_max: usize, spelled: &[String]) {
    assert!(
        line.len() <= bytes_max + '…'.len_utf8(),
        "{} bytes of {bytes_max}: {line}",
        line.len()
    );
    if let Some(harmful) = line.chars().find(|character| is_harmful(*character)) {
        panic!("{harmful:?} came through: {line:?}");
    }
    check_secrets(line, spelled);
}

fn check_secrets(shown: &str, spelled: &[String]) {
    // What stands on both sides of a replacement was not one text before.
    for part in shown.split(REPLACEMENT) {
        for spelled in spelled {
            assert!(
                !part.contains(spelled),
                "{spelled:?} came through: {shown:?}"
            );
        }
    }
}

/// Unicode's control characters, and what is invisible or turns the direction of text.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(u32::from(character),
            0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff
                | 0xfff9..=0xfffb | 0xe_0000..=0xe_007f)
}

/// Every text of the value that is no member's name, whether or not the rest can be read; those at
/// public places only if they stand elsewhere too.
fn secrets(value: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut rest = value;
    while let Some(start) = rest.find('"') {
        let length = literal_length(&rest[start..]);
        let literal = &rest[start..start + length];
        rest = &rest[start + length..];
        if !rest.trim_start().starts_with(':') {
            let inner = literal.trim_matches('"').to_owned();
            found.push(serde_json::from_str(literal).unwrap_or(inner));
        }
    }
    // In what is no JSON at all, quotes mean nothing: it is one secret.
    if serde_json::from_str::<&RawValue>(value).is_err() {
        found.clear();
    }
    let json = serde_json::from_str::<Value>(value).ok();
    for public in PUBLIC
        .iter()
        .filter_map(|at| json.as_ref()?.pointer(at)?.as_str())
    {
        if found.iter().filter(|text| *text == public).count() < 2 {
            found.retain(|text| text != public);
        }
    }
    found.push(value.trim().to_owned());
    // A text that the replacement or the cut could spell by chance proves nothing.
    found.retain(|text| {
        text.len() >= SECRET_BYTES_MIN
            && !text.contains('…')
            && !REPLACEMENT.contains(text.as_str())
    });
    found.truncate(SECRETS_MAX);
    found
}

/// Up to the quote that ends the literal, or all of it.
fn literal_length(text: &str) -> usize {
    let mut escaped = true;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !escaped => return at + 1,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// The spellings that SECURITY.md promises to find, made by other code than the scrubber's.
fn spellings(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let mut json = serde_json::to_string(secret).expect("a text has a JSON form");
    json.pop();
    json.remove(0);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let url: String = url(bytes, "-._~");
    let spellings = [
        secret.to_owned(),
        STANDARD.encode(bytes).trim_end_matches('=').to_owned(),
        URL_SAFE.encode(bytes).trim_end_matches('=').to_owned(),
        hex.to_uppercase(),
        hex,
        url,
        self::url(bytes, "-._*").replace("%20", "+"),
        json.replace('/', "\\/"),
        json,
    ];
    spellings
        .into_iter()
        .filter(|spelled| spelled.len() >= SECRET_BYTES_MIN)
        .collect()
}

fn url(bytes: &[u8], marks: &str) -> String {
    let encode = |byte: &u8| {
        let character = char::from(*byte);
        if character.is_ascii_alphanumeric() || marks.contains(character) {
            character.to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    bytes.iter().map(encode).collect()
}

fn check_schema(schema: &str, value: &str) {
    let Ok(schema) = serde_json::from_str::<Value>(schema) else {
        return;
    };
    if let Err(cause) = settings::check_schema(&schema) {
        return check_line(&cause, CAUSE_BYTES_MAX, &[]);
    }
    let Ok(value) = serde_json::from_str::<Value>(value) else {
        return;
    };
    match settings::check(&schema, &value) {
        Ok(()) => assert!(schema != Value::Bool(false), "nothing fits `false`"),
        Err(violation) => {
            check_line(&violation.at, CAUSE_BYTES_MAX, &[]);
            check_line(&violation.cause, CAUSE_BYTES_MAX, &[]);
        }
    }
}

fn check_manifest(text: &str) {
    let manifest = match Manifest::parse(text) {
        Ok(manifest) => manifest,
        Err(error) => {
            let lines = text.matches('\n').count() + 1;
            assert!(
                error.line.is_none_or(|line| (1..=lines).contains(&line)),
                "{error}"
            );
            return check_line(&error.to_string(), CAUSE_BYTES_MAX, &[]);
        }
    };
    // All of these are shown to operators and stand in errors.
    let pointers = manifest
        .secret
        .identity
        .iter()
        .chain(&manifest.secret.public);
    let pointers = pointers.chain(
        manifest
            .companions
            .values()
            .map(|companion| &companion.pointer),
    );
    for pointer in pointers {
        assert!(pointer.starts_with('/'), "{pointer}");
        check_line(pointer, CAUSE_BYTES_MAX, &[]);
    }
    for name in manifest.companions.keys().chain(manifest.endpoints.keys()) {
        check_line(name, 64, &[]);
    }
    check_line(&manifest.name, 64, &[]);
    let shown = serde_json::to_string(&manifest).expect("a manifest has a JSON form");
    assert!(!shown.chars().any(is_harmful), "{shown}");
}
