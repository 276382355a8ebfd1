//! The members of a request, read by name with AWS's types and bounds. serde's derived readers would quote what they
//! did not expect, and that may be a secret; here an error names the member and never its value.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use keyturn_store::limits;
use secrecy::SecretString;
use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::error::{Answer, ApiError};

/// One JSON object. A member that is null is absent, and members that nobody asks for are ignored, as on AWS.
#[derive(Default)]
pub(crate) struct Members(Map<String, Value>);

impl Members {
    /// # Errors
    /// SerializationException if the text is not a JSON object.
    pub(crate) fn parse(body: &[u8]) -> Answer<Self> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(ApiError::serialization("The body is not a JSON object.")),
            Err(_) => Err(ApiError::serialization("The body is not valid JSON.")),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A string of so many characters.
    pub(crate) fn text(&self, name: &str, chars: RangeInclusive<usize>) -> Answer<Option<&str>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => {
                check_length(name, text.chars().count(), &chars)?;
                Ok(Some(text))
            }
            Some(other) => Err(mistyped(name, other, "a string")),
        }
    }

    pub(crate) fn required_text(&self, name: &str, chars: RangeInclusive<usize>) -> Answer<&str> {
        self.text(name, chars)?.ok_or_else(|| missing(name))
    }

    /// Takes a value out, so that no other copy of it stays in the request.
    pub(crate) fn take_secret(&mut self, name: &str) -> Answer<Option<SecretString>> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(SecretString::from(text))),
            Some(other) => Err(mistyped(name, &other, "a string")),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn flag(&self, name: &str) -> Answer<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(mistyped(name, other, "a boolean")),
        }
    }

    pub(crate) fn integer(&self, name: &str, bounds: &RangeInclusive<i64>) -> Answer<Option<i64>> {
        let Some(number) = self.any_integer(name)? else {
            return Ok(None);
        };
        if number < *bounds.start() {
            let least = format!("have value greater than or equal to {}", bounds.start());
            return Err(ApiError::constraint(name, &least));
        }
        if number > *bounds.end() {
            let most = format!("have value less than or equal to {}", bounds.end());
            return Err(ApiError::constraint(name, &most));
        }
        Ok(Some(number))
    }

    /// An integer whose bounds the operation itself has words for.
    pub(crate) fn any_integer(&self, name: &str) -> Answer<Option<i64>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => number
                .as_i64()
                .map(Some)
                .ok_or_else(|| mistyped(name, &Value::Number(number.clone()), "an integer")),
            Some(other) => Err(mistyped(name, other, "an integer")),
        }
    }

    /// A list of strings, each of so many characters.
    pub(crate) fn texts(
        &self,
        name: &str,
        count: &RangeInclusive<usize>,
        chars: &RangeInclusive<usize>,
    ) -> Answer<Option<Vec<String>>> {
        let Some(list) = self.list(name, count)? else {
            return Ok(None);
        };
        let text = |value: &Value| match value {
            Value::String(text) => {
                check_length(name, text.chars().count(), chars)?;
                Ok(text.clone())
            }
            other => Err(mistyped(name, other, "a list of strings")),
        };
        list.iter().map(text).collect::<Answer<_>>().map(Some)
    }

    /// A list of objects.
    pub(crate) fn objects(
        &self,
        name: &str,
        count: &RangeInclusive<usize>,
    ) -> Answer<Option<Vec<Members>>> {
        let Some(list) = self.list(name, count)? else {
            return Ok(None);
        };
        let object = |value: &Value| match value {
            Value::Object(members) => Ok(Members(members.clone())),
            other => Err(mistyped(name, other, "a list of objects")),
        };
        list.iter().map(object).collect::<Answer<_>>().map(Some)
    }

    pub(crate) fn object(&self, name: &str) -> Answer<Option<Members>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Members(members.clone()))),
            Some(other) => Err(mistyped(name, other, "an object")),
        }
    }

    /// `[{"Key": …, "Value": …}, …]` with AWS's bounds.
    pub(crate) fn tags(&self, name: &str) -> Answer<Option<BTreeMap<String, String>>> {
        let Some(list) = self.objects(name, &(0..=limits::TAGS_MAX))? else {
            return Ok(None);
        };
        let mut tags = BTreeMap::new();
        for tag in &list {
            let key = tag.required_text("Key", 1..=limits::TAG_KEY_CHARS_MAX)?;
            let value = tag.text("Value", 0..=limits::TAG_VALUE_CHARS_MAX)?;
            let value = value.unwrap_or_default().to_owned();
            if tags.insert(key.to_owned(), value).is_some() {
                return Err(ApiError::parameter(
                    "You can't specify the same tag key twice in one request.",
                ));
            }
        }
        Ok(Some(tags))
    }

    fn list(&self, name: &str, count: &RangeInclusive<usize>) -> Answer<Option<&Vec<Value>>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(list)) => {
                check_length(name, list.len(), count)?;
                Ok(Some(list))
            }
            Some(other) => Err(mistyped(name, other, "a list")),
        }
    }
}

impl Drop for Members {
    /// A request that failed before its value was taken out leaves nothing behind either.
    fn drop(&mut self) {
        for name in ["SecretString", "SecretBinary"] {
            if let Some(Value::String(text)) = self.0.get_mut(name) {
                text.zeroize();
            }
        }
    }
}

pub(crate) fn missing(name: &str) -> ApiError {
    ApiError::constraint(name, "not be null")
}

fn check_length(name: &str, length: usize, bounds: &RangeInclusive<usize>) -> Answer<()> {
    if length < *bounds.start() {
        let least = format!("have length greater than or equal to {}", bounds.start());
        return Err(ApiError::constraint(name, &least));
    }
    if length > *bounds.end() {
        let most = format!("have length less than or equal to {}", bounds.end());
        return Err(ApiError::constraint(name, &most));
    }
    Ok(())
}

fn mistyped(name: &str, found: &Value, wanted: &str) -> ApiError {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    ApiError::serialization(format!("{name} is {found}; it has to be {wanted}."))
}
