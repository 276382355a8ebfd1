//! `describe`: the schemas come from the profiles, so that a new vendor changes no code.

use keyturn_sdk::{Descriptor, Error, Purpose, Strategy, TargetEffect};
use serde_json::{Map, Value, json};

use crate::holding;
use crate::profile::{PROFILE, PROFILES, Profile};

pub(crate) fn describe() -> Descriptor {
    // The profiles are part of the plugin, and its tests read every one of them.
    let Schemas { settings, members } = schemas().unwrap_or_default();
    let names: Vec<_> = PROFILES.iter().map(|(name, _)| *name).collect();
    let mut properties = json!({ PROFILE: {
        "enum": names,
        "description": "The vendor",
    }});
    if let Value::Object(properties) = &mut properties {
        properties.extend(settings);
    }
    Descriptor {
        name: "vendor-assisted".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        summary: format!("keys that an operator makes at {}", names.join(", ")),
        strategies: vec![Strategy {
            name: "assisted".to_owned(),
            effect: TargetEffect::None,
            purposes: vec![Purpose::Replace, Purpose::Retire, Purpose::Restore],
            needs_operator: true,
            summary: "the old key works until the operator ends it at the vendor, where the vendor lets both live"
                .to_owned(),
        }],
        settings_schema: json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "additionalProperties": false,
            "required": [PROFILE],
            "properties": properties,
            "examples": [{ PROFILE: "sendgrid" }],
        })
        .to_string(),
        secret_schema: json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": members,
            "examples": [{ "sendgrid_api_key": "SG.made-up-key-0123456789" }],
        })
        .to_string(),
    }
}

/// The properties of all profiles, each member restricted to its own.
#[derive(Default)]
struct Schemas {
    settings: Map<String, Value>,
    members: Map<String, Value>,
}

fn schemas() -> Result<Schemas, Error> {
    let Schemas {
        mut settings,
        mut members,
    } = Schemas::default();
    for (name, _) in PROFILES {
        let profile = Profile::named(name)?;
        for member in profile.members() {
            let property = json!({ "type": "string", "x-keyturn-when": { PROFILE: name } });
            members.insert(member, property);
        }
        settings.extend(profile.settings);
    }
    Ok(Schemas { settings, members })
}

impl Profile {
    /// Every member of a secret that is this profile's.
    fn members(&self) -> Vec<String> {
        let mut members = Vec::new();
        for field in &self.fields {
            for name in std::iter::once(&field.member).chain(&field.aliases) {
                members.push(name.clone());
                if self.end.is_some() {
                    members.push(holding::previous(name));
                }
            }
        }
        members.extend(self.reads.iter().cloned());
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_profile_has_members_of_its_own() {
        let mut known = BTreeSet::new();
        for (name, _) in PROFILES {
            for member in Profile::named(name).unwrap().members() {
                assert!(known.insert(member.clone()), "{member} is of two profiles");
            }
        }
        let schema: Value = serde_json::from_str(&describe().secret_schema).unwrap();
        assert_eq!(schema["properties"].as_object().unwrap().len(), known.len());
        let sendgrid = &schema["properties"]["previous_sendgrid_api_key"];
        assert_eq!(sendgrid["x-keyturn-when"]["profile"], "sendgrid");
    }
}
