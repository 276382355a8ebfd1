//! A secret's JSON object as a list of raw members. A plugin reads and changes the members that it
//! owns; the text of every other member (spelling of numbers, escapes in keys and values, order)
//! survives byte for byte, which a detour through numbers and maps cannot promise. White space
//! between members is not kept. Nothing here ever puts a value into an error or into `Debug`.

use std::fmt;

use serde::Serialize;
use serde::de::{DeserializeOwned, Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::secret::SecretText;

/// The members of a JSON object, in order, with their raw text.
#[derive(Clone, Default)]
pub struct Members(Vec<Entry>);

#[derive(Clone)]
struct Entry {
    /// The key as JSON decodes it; the raw text where it decodes to no Unicode string.
    name: String,
    /// The key's text, quotes included.
    key: Box<RawValue>,
    value: Box<RawValue>,
}

impl Members {
    /// No members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the text of a JSON object.
    ///
    /// # Errors
    /// `invalid-secret` if the text is no JSON object or has a member twice (readers differ in
    /// which of the two they believe).
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members = deserializer
            .deserialize_map(MembersVisitor)
            .and_then(|members| deserializer.end().map(|()| members))
            // serde_json's own words may quote the value.
            .map_err(|error| {
                Error::invalid_secret(format!(
                    "the secret's value is no JSON object (line {}, column {}); store one",
                    error.line(),
                    error.column()
                ))
            })?;
        members.refuse_duplicates()?;
        Ok(members)
    }

    /// Is there a member of that name?
    pub fn contains(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// The names in order, decoded.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|entry| entry.name.as_str())
    }

    /// The raw text of a member's value.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|entry| entry.name == name)
            .map(|entry| entry.value.get())
    }

    /// A member as a type; absent and `null` are `None`.
    ///
    /// # Errors
    /// `invalid-secret` if the member has another type.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        self.raw(name).map_or(Ok(None), |raw| {
            serde_json::from_str(raw).map_err(|_| {
                Error::invalid_secret(format!(
                    "the member `{name}` of the secret is not of the expected type; correct it"
                ))
            })
        })
    }

    /// A member that must be there.
    ///
    /// # Errors
    /// `invalid-secret` if it is absent, `null` or of another type.
    pub fn require<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        self.get(name)?.ok_or_else(|| {
            Error::invalid_secret(format!(
                "the member `{name}` of the secret is missing; add it"
            ))
        })
    }

    /// A text that may not be shown; absent and `null` are `None`.
    ///
    /// # Errors
    /// `invalid-secret` if it is no string.
    pub fn get_secret(&self, name: &str) -> Result<Option<SecretText>, Error> {
        Ok(self.get::<String>(name)?.map(SecretText::from))
    }

    /// A member that is an object itself; absent and `null` are `None`.
    ///
    /// # Errors
    /// `invalid-secret` if it is no object, or has a member twice.
    pub fn get_members(&self, name: &str) -> Result<Option<Self>, Error> {
        match self.raw(name) {
            None | Some("null") => Ok(None),
            Some(raw) => Self::parse(raw).map(Some).map_err(|_| {
                Error::invalid_secret(format!(
                    "the member `{name}` of the secret is no JSON object, or has a member twice; correct it"
                ))
            }),
        }
    }

    /// Sets a member to an object, whose members keep their text.
    ///
    /// # Errors
    /// `internal` if the object has no JSON form.
    pub fn set_members(&mut self, name: &str, members: &Self) -> Result<(), Error> {
        let raw = RawValue::from_string(members.to_secret().into_exposed());
        let raw = raw.map_err(|_| Error::internal("a member's new value has no JSON form"))?;
        self.set(name, &*raw)
    }

    /// Sets a member: in place if it is there, else at the end.
    ///
    /// # Errors
    /// `internal` if the value has no JSON form.
    pub fn set<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        let value = to_raw(value)?;
        match self.0.iter_mut().find(|entry| entry.name == name) {
            Some(entry) => entry.value = value,
            None => self.0.push(Entry {
                name: name.to_owned(),
                key: to_raw(name)?,
                value,
            }),
        }
        Ok(())
    }

    /// Copies a member of another object with its raw text; removes it here if it is absent there.
    pub fn copy_from(&mut self, other: &Self, name: &str) {
        let Some(theirs) = other.0.iter().find(|entry| entry.name == name) else {
            self.remove(name);
            return;
        };
        match self.0.iter_mut().find(|entry| entry.name == name) {
            Some(ours) => ours.value = theirs.value.clone(),
            None => self.0.push(theirs.clone()),
        }
    }

    /// Removes a member; says whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|entry| entry.name != name);
        self.0.len() != before
    }

    /// The object's text, without white space between members.
    pub fn to_secret(&self) -> SecretText {
        let mut text = String::from("{");
        for (index, entry) in self.0.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(entry.key.get());
            text.push(':');
            text.push_str(entry.value.get());
        }
        text.push('}');
        SecretText::from(text)
    }

    fn refuse_duplicates(&self) -> Result<(), Error> {
        let mut names: Vec<&str> = self.names().collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(()),
            Some(pair) => Err(Error::invalid_secret(format!(
                "the secret's value has the member `{}` twice; keep one",
                pair[0].escape_debug()
            ))),
        }
    }
}

impl fmt::Debug for Members {
    /// Names only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Members")?;
        f.debug_set().entries(self.names()).finish()
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Box<RawValue>, Box<RawValue>>()? {
            // A key with half a surrogate pair has no Unicode form: it keeps its text as its name,
            // which begins with a quote and so equals no name that a plugin asks for.
            let name = serde_json::from_str(key.get()).unwrap_or_else(|_| key.get().to_owned());
            entries.push(Entry { name, key, value });
        }
        Ok(Members(entries))
    }
}

fn to_raw<T: Serialize + ?Sized>(value: &T) -> Result<Box<RawValue>, Error> {
    serde_json::value::to_raw_value(value)
        .map_err(|_| Error::internal("a member's new value has no JSON form"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use proptest::prelude::*;

    fn parse(text: &str) -> Members {
        Members::parse(text).unwrap()
    }

    #[test]
    fn keeps_the_text_of_what_is_not_owned() {
        let text = r#"{"n":1.50e+07,"\u0061b":"\/\u00e9","secret":"old","big":123456789012345678901234567890,"o":{ "x" : [1, 2 ] }}"#;
        let mut members = parse(text);
        assert_eq!(members.to_secret().expose(), text);
        members.set("secret", "new").unwrap();
        members.set("added", &7).unwrap();
        let kept = text.replace("\"old\"", "\"new\"");
        let expected = format!("{},\"added\":7}}", kept.strip_suffix('}').unwrap());
        assert_eq!(members.to_secret().expose(), expected);
        assert_eq!(members.get::<String>("ab").unwrap().unwrap(), "/é");
    }

    #[test]
    fn refuses_duplicates_in_any_spelling() {
        let error = Members::parse(r#"{"a":1,"\u0061":2}"#).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSecret);
        assert!(error.message.contains("`a` twice"), "{error}");
    }

    #[test]
    fn errors_do_not_quote_the_value() {
        for text in [
            r#""hunter2""#,
            r#"{"a":"hunter2""#,
            r#"["hunter2"]"#,
            r#"{"a":1} hunter2"#,
            "hunter2",
            "",
        ] {
            let error = Members::parse(text).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidSecret);
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        let members = parse(r#"{"a":"hunter2"}"#);
        let error = members.get::<u64>("a").unwrap_err();
        assert!(!format!("{error:?} {members:?}").contains("hunter2"));
        assert_eq!(
            members.require::<u64>("b").unwrap_err().kind,
            ErrorKind::InvalidSecret
        );
    }

    #[test]
    fn half_a_surrogate_pair_survives() {
        let text = r#"{"\ud800":"\udfff","a":1}"#;
        assert_eq!(parse(text).to_secret().expose(), text);
    }

    #[test]
    fn copies_and_removes() {
        let mut members = parse(r#"{"a":1,"b":2}"#);
        members.copy_from(&parse(r#"{"a":1.0,"\u0063":3}"#), "a");
        members.copy_from(&parse(r#"{"\u0063":3}"#), "c");
        members.copy_from(&Members::new(), "b");
        assert_eq!(members.to_secret().expose(), r#"{"a":1.0,"\u0063":3}"#);
        assert!(!members.remove("b"));
    }

    #[test]
    fn objects_within_keep_their_text() {
        let mut members = parse(r#"{"a":{ "n" : 1.50e3,"s":"\u0061"},"b":null,"c":[1]}"#);
        let mut inner = members.get_members("a").unwrap().unwrap();
        inner.set("t", &true).unwrap();
        members.set_members("d", &inner).unwrap();
        let expected = r#"{"a":{ "n" : 1.50e3,"s":"\u0061"},"b":null,"c":[1],"d":{"n":1.50e3,"s":"\u0061","t":true}}"#;
        assert_eq!(members.to_secret().expose(), expected);
        assert!(members.get_members("b").unwrap().is_none());
        let error = members.get_members("c").unwrap_err();
        assert!(
            error
                .message
                .contains("`c` of the secret is no JSON object")
        );
    }

    /// The raw text of a JSON value in one of its many spellings.
    fn raw_value() -> impl Strategy<Value = String> {
        let string = proptest::collection::vec(
            prop_oneof![
                "[a-zA-Z0-9 ._é-]{1,6}",
                Just("\\u00e9".to_owned()),
                Just("\\/".to_owned()),
                Just("\\\"".to_owned()),
                Just("\\\\".to_owned()),
                Just("\\ud83d\\ude00".to_owned()),
            ],
            0..4,
        )
        .prop_map(|parts| format!("\"{}\"", parts.concat()));
        let leaf = prop_oneof![
            string,
            "-?[1-9][0-9]{0,30}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
            Just("null".to_owned()),
            Just("true".to_owned()),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[{}]", items.join(" , "))),
                proptest::collection::vec(inner, 0..4).prop_map(|items| {
                    let members: Vec<String> = items
                        .iter()
                        .enumerate()
                        .map(|(index, item)| format!("\"k{index}\" :{item}"))
                        .collect();
                    format!("{{{}}}", members.join(", "))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn round_trip_keeps_every_byte(values in proptest::collection::vec(raw_value(), 0..8), spaced in any::<bool>()) {
            let (colon, comma) = if spaced { (" : ", " ,\n") } else { (":", ",") };
            let join = |colon: &str, comma: &str| {
                let members: Vec<String> =
                    values.iter().enumerate().map(|(index, value)| format!("\"\\u006b{index}\"{colon}{value}")).collect();
                format!("{{{}}}", members.join(comma))
            };
            let members = parse(&join(colon, comma));
            prop_assert_eq!(members.to_secret().into_exposed(), join(":", ","));
        }

        #[test]
        fn setting_one_changes_no_other(values in proptest::collection::vec(raw_value(), 1..8), pick in any::<prop::sample::Index>(), text in ".*") {
            let join = |values: &[String]| {
                let members: Vec<String> =
                    values.iter().enumerate().map(|(index, value)| format!("\"k{index}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            };
            let picked = pick.index(values.len());
            let mut members = parse(&join(&values));
            members.set(&format!("k{picked}"), text.as_str()).unwrap();
            let mut expected = values.clone();
            expected[picked] = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(members.to_secret().into_exposed(), join(&expected));
            prop_assert_eq!(members.get::<String>(&format!("k{picked}")).unwrap().unwrap(), text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = Members::parse(&text);
        }
    }
}
