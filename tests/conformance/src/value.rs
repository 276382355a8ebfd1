//! Looks into secret values and makes variants of them. A value is JSON text; what may be a credential in it is every
//! text that the manifest does not call public.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use keyturn_runtime::{EndpointSource, Manifest, ValueSource};
use serde_json::{Map, Value};

use crate::stage::Scene;

/// Shorter texts are found by chance: the host does not hide them either.
pub(crate) const SECRET_BYTES_MIN: usize = 8;

pub(crate) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

pub(crate) fn companion_secret(name: &str) -> String {
    format!("conformance/{name}")
}

/// A value that names its companions as they are named here.
pub(crate) fn with_companions(value: &str, scene: &Scene, manifest: &Manifest) -> String {
    let mut text = value.to_owned();
    for name in scene.companions.keys() {
        if let Some(described) = manifest.companions.get(name)
            && parse(&text).pointer(&described.pointer).is_some()
        {
            text = with(&text, &described.pointer, companion_secret(name).into());
        }
    }
    text
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

/// One server, as values, grants and the sandbox name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

impl Address {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        let host = host.to_ascii_lowercase();
        Self { host, port }
    }

    /// `host:port`, or a host alone.
    pub(crate) fn parse(text: &str, port_default: Option<u16>) -> Self {
        let parts = text.rsplit_once(':');
        match parts.and_then(|(host, port)| Some((host, port.parse().ok()?))) {
            Some((host, port)) => Self::new(host.trim_matches(['[', ']']), port),
            None => Self::new(text, port_default.unwrap_or(0)),
        }
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Every address that an endpoint takes from the text. `whose` is none for the secret itself, else the companion's
/// name.
pub(crate) fn addresses(text: &str, manifest: &Manifest, whose: Option<&str>) -> Vec<Address> {
    let mut value = parse(text);
    let mut found = Vec::new();
    each_address(&mut value, manifest, whose, &mut |place| {
        found.push(place.read())
    });
    let is_one = |address: &Address| !address.host.is_empty() && address.port > 0;
    found.into_iter().flatten().filter(is_one).collect()
}

/// The secret's text with this address wherever an endpoint takes one from it; where it has no place for a port, that
/// stays what it is.
pub(crate) fn redirect(text: &str, manifest: &Manifest, to: &Address) -> String {
    let mut value = parse(text);
    each_address(&mut value, manifest, None, &mut |mut place| place.write(to));
    value.to_string()
}

/// Where a value has an address.
enum Place<'a> {
    /// `host:port` or a host in one text.
    Text(&'a mut String, &'a ValueSource),
    Members(&'a mut Value, &'a ValueSource),
}

impl Place<'_> {
    fn read(&self) -> Option<Address> {
        match self {
            Self::Text(text, at) => Some(Address::parse(text, at.port_default)),
            Self::Members(value, at) => {
                let host = value.pointer(&at.host)?.as_str()?;
                let port = at.port.as_ref().and_then(|port| value.pointer(port));
                let port = port.and_then(|port| match port {
                    Value::String(text) => text.parse().ok(),
                    number => number
                        .as_u64()
                        .and_then(|number| u16::try_from(number).ok()),
                });
                Some(Address::new(host, port.or(at.port_default).unwrap_or(0)))
            }
        }
    }

    fn write(&mut self, address: &Address) {
        match self {
            Self::Text(text, _) => **text = address.to_string(),
            Self::Members(value, at) => {
                // Without a host the endpoint is not there.
                if value.pointer(&at.host).is_some_and(Value::is_string) {
                    set(value, &at.host, address.host.as_str().into());
                    if let Some(port) = &at.port {
                        set(value, port, address.port.into());
                    }
                }
            }
        }
    }
}

fn each_address(
    value: &mut Value,
    manifest: &Manifest,
    whose: Option<&str>,
    visit: &mut impl FnMut(Place<'_>),
) {
    for described in manifest.endpoints.values() {
        let at = match (&described.from, whose) {
            (EndpointSource::Secret(at), None) => at,
            (EndpointSource::Companion { companion, at }, Some(name)) if companion == name => at,
            _ => continue,
        };
        let list = at
            .list
            .as_ref()
            .filter(|list| value.pointer(list).is_some_and(Value::is_array));
        let Some(Value::Array(items)) = list.and_then(|list| value.pointer_mut(list)) else {
            visit(Place::Members(value, at));
            continue;
        };
        for item in items {
            visit(match item {
                Value::String(text) => Place::Text(text, at),
                item => Place::Members(item, at),
            });
        }
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
