//! What is known of a vendor: a file in `profiles/`. The build script gathers them, so that a new vendor is a new file and
//! no code.

mod form;

use keyturn_sdk::{Context, Error};
use serde_json::{Map, Value};

pub(crate) use form::{
    Algorithm, Check, Field, Fits, Format, Meaning, Profile, Sign, Template, Text, Trial, previous,
};

// By name, which is what the setting `profile` says.
include!(concat!(env!("OUT_DIR"), "/profiles.rs"));

/// The setting that chooses one.
pub(crate) const PROFILE: &str = "profile";

impl Profile {
    /// The profile of that name.
    pub(crate) fn named(name: &str) -> Result<Self, Error> {
        let Some((_, text)) = PROFILES.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = PROFILES.iter().map(|(name, _)| *name).collect();
            return Err(Error::invalid_settings(format!(
                "the setting `{PROFILE}` names none of the vendors {}",
                known.join(", ")
            )));
        };
        serde_json::from_str(text)
            .map_err(|error| Error::internal(format!("the profile {name} does not parse: {error}")))
    }
}

/// A vendor as one secret uses it.
pub(crate) struct Vendor {
    pub(crate) profile: Profile,
    settings: Map<String, Value>,
}

impl Vendor {
    pub(crate) fn of(ctx: &Context) -> Result<Self, Error> {
        let settings: Map<String, Value> = ctx.settings()?;
        let name = settings.get(PROFILE).and_then(Value::as_str);
        let profile = Profile::named(name.unwrap_or_default())?;
        // The schema knows the settings of every profile.
        let stray = |name: &&String| *name != PROFILE && !profile.settings.contains_key(*name);
        if let Some(stray) = settings.keys().find(stray) {
            return Err(Error::invalid_settings(format!(
                "the profile of {} has no setting `{stray}`; remove it",
                profile.vendor
            )));
        }
        Ok(Self { profile, settings })
    }

    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name)?.as_str()
    }

    /// A setting that is a list of texts.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<&str>> {
        let items = self.settings.get(name)?.as_array()?;
        Some(items.iter().filter_map(Value::as_str).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_another_profile_are_refused() {
        let of = |settings: &str| {
            let mut ctx = keyturn_sdk::fake::context("assisted", "{}");
            ctx.settings_json = settings.into();
            Vendor::of(&ctx)
        };
        assert!(of(r#"{"profile":"sendgrid","sender":"a@example.org"}"#).is_ok());
        for wrong in [
            "{}",
            r#"{"profile":"nobody"}"#,
            r#"{"profile":"google","sender":"a@example.org"}"#,
            // Whose secret it is changes with the secret, and so stands beside it.
            r#"{"profile":"google","client_id":"a"}"#,
        ] {
            let refused = of(wrong).err().unwrap();
            assert_eq!(refused.kind, keyturn_sdk::ErrorKind::InvalidSettings);
        }
    }
}
