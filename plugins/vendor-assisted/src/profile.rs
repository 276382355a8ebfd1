//! What is known of a vendor: a file in `profiles/`. README.md explains its form; a new vendor is a new file and its
//! name in the list below.

use keyturn_sdk::{Context, Error};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

use crate::format::{Format, Text};

macro_rules! profiles {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../profiles/", $name, ".json")))),*]
    };
}

/// By name, which is what the setting `profile` says.
pub(crate) const PROFILES: &[(&str, &str)] =
    profiles!["apple" "facebook" "firebase" "google" "sendgrid" "sentry"];

/// The setting that chooses one.
pub(crate) const PROFILE: &str = "profile";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// For messages.
    pub(crate) vendor: String,
    /// Whom the endpoint `api` must lead to; absent, the vendor is not asked.
    pub(crate) host: Option<String>,
    /// Whether the old and the new value work side by side.
    pub(crate) coexist: bool,
    /// How the operator makes the new value.
    pub(crate) make: Steps,
    /// How the operator ends the old one; absent, no old value is kept, for its death could not be proven.
    pub(crate) end: Option<Steps>,
    /// The first is the secret, the others go with it.
    pub(crate) fields: Vec<Field>,
    /// Members that say whose the secret is, and that a request needs besides.
    #[serde(default)]
    pub(crate) reads: Vec<String>,
    #[serde(default)]
    pub(crate) same: Vec<Same>,
    /// JSON Schemas of the profile's own settings.
    #[serde(default)]
    pub(crate) settings: Map<String, Value>,
    pub(crate) sign: Option<Sign>,
    pub(crate) check: Option<Check>,
    pub(crate) trial: Option<Trial>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Steps {
    pub(crate) title: String,
    pub(crate) link: String,
    pub(crate) checklist: Vec<String>,
}

/// A member of the secret that the operator brings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Field {
    pub(crate) member: String,
    /// Old names of the member; where the value has one of them, that one is kept.
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    pub(crate) label: String,
    #[serde(default)]
    pub(crate) sensitive: bool,
    #[serde(default)]
    pub(crate) multiline: bool,
    /// An empty answer keeps what AWSCURRENT has.
    #[serde(default)]
    pub(crate) optional: bool,
    pub(crate) example: Option<String>,
    pub(crate) format: Format,
    /// The form of values that the vendor has switched off for good.
    pub(crate) switched_off: Option<Text>,
}

/// A part that must equal AWSCURRENT's, or the setting's where that is given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Same {
    pub(crate) part: String,
    pub(crate) setting: String,
    pub(crate) called: String,
}

/// A token of the operator's key that stands in for it: `{assertion}` in the check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sign {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: String,
    pub(crate) header: BTreeMap<String, String>,
    /// `iat` and `exp` are added.
    pub(crate) claims: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Algorithm {
    Es256,
    Rs256,
}

/// A harmless question that only the right secret answers well.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    pub(crate) request: Template,
    pub(crate) answers: Vec<Fits>,
    pub(crate) rights: Option<Rights>,
}

/// What is done once more with a new secret, where the operator has configured it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trial {
    /// For errors: "sending the test mail".
    pub(crate) does: String,
    /// The settings without which it is left out.
    pub(crate) needs: Vec<String>,
    pub(crate) request: Template,
    pub(crate) answers: Vec<Fits>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Template {
    pub(crate) method: String,
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) form: Option<BTreeMap<String, String>>,
    pub(crate) json: Option<Value>,
}

/// Which answers mean what; the first that fits counts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fits {
    pub(crate) status: Vec<u16>,
    /// JSON pointers into the answer, and what must stand there.
    #[serde(default)]
    pub(crate) r#where: BTreeMap<String, Value>,
    /// JSON pointers at which something must stand.
    #[serde(default)]
    pub(crate) has: Vec<String>,
    pub(crate) means: Meaning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Meaning {
    Live,
    /// It works, and lacks the right to do this.
    Forbidden,
    Dead,
}

/// What a live answer must list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rights {
    /// A JSON pointer.
    pub(crate) list: String,
    /// The setting that says what must be there instead of `all`.
    pub(crate) setting: String,
    pub(crate) all: Vec<String>,
}

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
    use std::collections::BTreeSet;

    #[test]
    fn every_file_is_a_profile_in_the_list() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let listed = PROFILES.iter().map(|(name, _)| format!("{name}.json"));
        assert_eq!(files, listed.collect());
        for (name, _) in PROFILES {
            let profile = Profile::named(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(profile.host.is_some(), profile.check.is_some(), "{name}");
            assert!(
                profile.check.is_some() || profile.end.is_none(),
                "{name}: an end that nothing can prove"
            );
        }
    }

    /// Two profiles may share a setting; to the host it is one.
    #[test]
    fn a_setting_of_two_profiles_is_the_same_in_both() {
        let mut known: BTreeMap<String, Value> = BTreeMap::new();
        for (name, _) in PROFILES {
            for (setting, schema) in Profile::named(name).unwrap().settings {
                let before = known.insert(setting.clone(), schema.clone());
                assert!(before.is_none_or(|before| before == schema), "{setting}");
            }
        }
    }

    /// A vendor that kills the old value when the new one is made: the operator reads it before doing so.
    #[test]
    fn where_both_cannot_live_together_the_title_says_so() {
        for (name, _) in PROFILES {
            let profile = Profile::named(name).unwrap();
            assert_eq!(
                profile.coexist,
                !profile.make.title.contains("dies"),
                "{name}"
            );
        }
    }

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
