//! Looks into secret values and makes variants of them. A value is JSON text; what may be a credential in it is every
//! text that the manifest does not call public.

use std::collections::{BTreeMap, BTreeSet};

use keyturn_runtime::{EndpointSource, Manifest, ValueSource};
use serde_json::{Map, Value};

/// Shorter texts are found by chance: the host does not hide them either.
pub(crate) const SECRET_BYTES_MIN: usize = 8;

pub(crate) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// The texts of a value that the manifest does not call public, by JSON pointer. Times are nobody's credential.
pub(crate) fn credentials(text: &str, manifest: &Manifest) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    texts(&parse(text), String::new(), &mut |at, text| {
        let public = |of: &String| at == *of || at.starts_with(&format!("{of}/"));
        if !text.is_empty() && !is_time(text) && !manifest.secret.public.iter().any(public) {
            found.insert(at, text.to_owned());
        }
    });
    found
}

/// As RFC 3339 begins.
fn is_time(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00";
    let fits = |(form, byte): (&u8, u8)| match form {
        b'0' => byte.is_ascii_digit(),
        form => *form == byte,
    };
    text.len() >= FORM.len() && FORM.iter().zip(text.bytes()).all(fits)
}

/// Those that are long enough to be told from chance where all that was said is looked through.
pub(crate) fn secrets(text: &str, manifest: &Manifest) -> impl Iterator<Item = String> {
    let all = credentials(text, manifest).into_values();
    all.filter(|text| text.len() >= SECRET_BYTES_MIN)
}

/// Text and number leaves of a value, by JSON pointer.
pub(crate) fn leaves(text: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    each_leaf(&parse(text), String::new(), &mut |at, leaf| {
        if !leaf.as_str().is_some_and(is_time) {
            found.insert(at, leaf.clone());
        }
    });
    found
}

fn texts(value: &Value, at: String, found: &mut impl FnMut(String, &str)) {
    each_leaf(value, at, &mut |at, leaf| {
        if let Value::String(text) = leaf {
            found(at, text);
        }
    });
}

fn each_leaf(value: &Value, at: String, found: &mut impl FnMut(String, &Value)) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                each_leaf(item, format!("{at}/{index}"), found);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                each_leaf(member, format!("{at}/{name}"), found);
            }
        }
        leaf => found(at, leaf),
    }
}

/// The secret texts of `old` that `new` has another text for, or none, at the same place: what a rotation replaced.
pub(crate) fn replaced(old: &str, new: &str, manifest: &Manifest) -> BTreeSet<String> {
    let new = credentials(new, manifest);
    credentials(old, manifest)
        .into_iter()
        .filter(|(at, text)| new.get(at) != Some(text))
        .map(|(_, text)| text)
        .collect()
}

/// The secret texts of `new` that stand where `old` has another text.
pub(crate) fn replacing(old: &str, new: &str, manifest: &Manifest) -> BTreeSet<String> {
    let old = credentials(old, manifest);
    credentials(new, manifest)
        .into_iter()
        .filter(|(at, text)| old.get(at).is_some_and(|before| before != text))
        .map(|(_, text)| text)
        .collect()
}

/// Whether any text of the value contains this; a short one has to be all of it.
pub(crate) fn holds(value: &str, text: &str) -> bool {
    let mut found = false;
    texts(&parse(value), String::new(), &mut |_, member| {
        found |= member == text || text.len() >= SECRET_BYTES_MIN && member.contains(text);
    });
    found
}

/// `value` with the secret texts that differ between it and `other` taken from `other`: of the right form, and wrong.
pub(crate) fn wrong(value: &str, other: &str, manifest: &Manifest) -> String {
    let mut made = parse(value);
    let others = credentials(other, manifest);
    for (at, text) in credentials(value, manifest) {
        let place = made.pointer_mut(&at);
        if let (Some(place), Some(other)) = (place, others.get(&at).filter(|other| **other != text))
        {
            *place = Value::String(other.clone());
        }
    }
    made.to_string()
}

/// `value` with another end of each secret text.
pub(crate) fn spoiled(value: &str, manifest: &Manifest) -> String {
    let mut made = parse(value);
    for (at, text) in credentials(value, manifest) {
        if let Some(place) = made.pointer_mut(&at) {
            *place = Value::String(format!("{text}-spoiled"));
        }
    }
    made.to_string()
}

/// `value` with this at the pointer, whose last part may be new.
pub(crate) fn with(value: &str, pointer: &str, member: Value) -> String {
    let mut made = parse(value);
    set(&mut made, pointer, member);
    made.to_string()
}

fn set(value: &mut Value, pointer: &str, member: Value) {
    if let Some(place) = value.pointer_mut(pointer) {
        *place = member;
    } else if let Some((parent, name)) = pointer.rsplit_once('/')
        && let Some(Value::Object(members)) = value.pointer_mut(parent)
    {
        members.insert(name.replace("~1", "/").replace("~0", "~"), member);
    }
}

/// The value's text with these raw members before its end: whoever reads numbers into numbers changes them.
pub(crate) fn with_foreign_members(value: &str, members: &str) -> String {
    match value.trim_end().strip_suffix('}') {
        Some(body) if parse(value).as_object().is_some_and(Map::is_empty) => {
            format!("{body}{members}}}")
        }
        Some(body) => format!("{body},{members}}}"),
        None => value.to_owned(),
    }
}

/// The text with every address in it that an endpoint takes from it replaced. `whose` is none for the secret itself,
/// else the companion's name.
pub(crate) fn redirect(
    text: &str,
    manifest: &Manifest,
    whose: Option<&str>,
    to: &mut impl FnMut(&str, &str, u16) -> Option<(String, u16)>,
) -> String {
    let mut value = parse(text);
    let mut changed = false;
    for (endpoint, described) in &manifest.endpoints {
        let at = match (&described.from, whose) {
            (EndpointSource::Secret(at), None) => at,
            (EndpointSource::Companion { companion, at }, Some(name)) if companion == name => at,
            _ => continue,
        };
        changed |= redirect_endpoint(&mut value, endpoint, at, to);
    }
    if changed {
        value.to_string()
    } else {
        text.to_owned()
    }
}

fn redirect_endpoint(
    value: &mut Value,
    endpoint: &str,
    at: &ValueSource,
    to: &mut impl FnMut(&str, &str, u16) -> Option<(String, u16)>,
) -> bool {
    let listed = at.list.as_ref().and_then(|list| value.pointer_mut(list));
    let Some(Value::Array(items)) = listed else {
        return redirect_one(value, endpoint, at, to);
    };
    let mut changed = false;
    for item in items {
        changed |= match item {
            Value::String(text) => {
                let (host, port) = split(text, at.port_default);
                let new = to(endpoint, &host, port);
                if let Some((host, port)) = &new {
                    *text = format!("{host}:{port}");
                }
                new.is_some()
            }
            item => redirect_one(item, endpoint, at, to),
        };
    }
    changed
}

fn redirect_one(
    value: &mut Value,
    endpoint: &str,
    at: &ValueSource,
    to: &mut impl FnMut(&str, &str, u16) -> Option<(String, u16)>,
) -> bool {
    let Some(host) = value.pointer(&at.host).and_then(Value::as_str) else {
        return false;
    };
    let port = at.port.as_ref().and_then(|port| value.pointer(port));
    let port = match port {
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number
            .as_u64()
            .and_then(|number| u16::try_from(number).ok()),
        None => None,
    };
    let Some((host, port)) = to(endpoint, host, port.or(at.port_default).unwrap_or(0)) else {
        return false;
    };
    set(value, &at.host, Value::String(host));
    if let Some(pointer) = &at.port {
        set(value, pointer, Value::from(port));
    }
    true
}

/// `host:port`, or a host alone.
pub(crate) fn split(address: &str, port_default: Option<u16>) -> (String, u16) {
    let parts = address.rsplit_once(':');
    match parts.and_then(|(host, port)| Some((host, port.parse().ok()?))) {
        Some((host, port)) => (host.trim_matches(['[', ']']).to_owned(), port),
        None => (address.to_owned(), port_default.unwrap_or(0)),
    }
}

/// The pointers that say where an endpoint of the secret is, host first.
pub(crate) fn steering(manifest: &Manifest) -> Vec<String> {
    let mut pointers = Vec::new();
    for endpoint in manifest.endpoints.values() {
        if let EndpointSource::Secret(at) = &endpoint.from {
            pointers.push(at.host.clone());
            pointers.extend(at.port.clone());
        }
    }
    pointers.dedup();
    pointers
}
