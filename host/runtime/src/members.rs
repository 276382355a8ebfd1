//! The members of a JSON object with their text as it stands: what a credential does not own survives byte for byte.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One member of a JSON object, with its text as it stands.
#[derive(PartialEq, Eq)]
pub(crate) struct Member<'a> {
    /// Decoded; the raw text where it decodes to no Unicode string.
    pub(crate) name: String,
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
}

/// The members in order; None for what is no JSON object.
pub(crate) fn members(text: &str) -> Option<Vec<Member<'_>>> {
    serde_json::from_str::<Members<'_>>(text)
        .ok()
        .map(|members| members.0)
}

struct Members<'a>(Vec<Member<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    let (key, value) = (key.get(), value.get());
                    let name = serde_json::from_str(key).unwrap_or_else(|_| key.to_owned());
                    members.push(Member { name, key, value });
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// The object of these members, without white space between them.
pub(crate) fn text_of<'a>(members: impl Iterator<Item = &'a Member<'a>>) -> String {
    let members: Vec<_> = members
        .map(|member| format!("{}:{}", member.key, member.value))
        .collect();
    format!("{{{}}}", members.join(","))
}
