//! The texts that a request is filled with, by name: members of the secret, their parts, settings. There is no
//! `Debug`, for most of them are secret.

use keyturn_sdk::Error;
use std::collections::BTreeMap;

#[derive(Default, Clone)]
pub(crate) struct Values(BTreeMap<String, String>);

impl Values {
    pub(crate) fn add(&mut self, name: &str, text: String) {
        self.0.insert(name.to_owned(), text);
    }

    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn get(&self, name: &str) -> Result<&str, Error> {
        self.find(name)
            .ok_or_else(|| Error::internal(format!("the profile has no value `{name}`")))
    }

    /// The template with each `{NAME}` replaced.
    pub(crate) fn fill(&self, template: &str) -> Result<String, Error> {
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, behind)) = rest.split_once('{') {
            let (name, after) = behind
                .split_once('}')
                .ok_or_else(|| Error::internal("a placeholder of the profile has no end"))?;
            filled += before;
            filled += self.get(name)?;
            rest = after;
        }
        Ok(filled + rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_once() {
        let mut values = Values::default();
        values.add("a", "{b}".into());
        values.add("b.c", "x".into());
        assert_eq!(values.fill("1{a}2{b.c}{b.c}").unwrap(), "1{b}2xx");
        assert!(values.fill("{d}").is_err() && values.fill("{a").is_err());
    }
}
