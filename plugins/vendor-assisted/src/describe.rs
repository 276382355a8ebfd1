//! `describe`: the schemas come from the profiles, so that a new vendor changes no code.

use keyturn_sdk::{Descriptor, Error, Purpose, Strategy, TargetEffect};
use serde_json::{Map, Value, json};

use crate::profile::{PROFILE, PROFILES, Profile};

pub(crate) fn describe() -> Descriptor {
    // The build has read every one of them.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_its_profiles_alone_and_so_is_what_stood_there_before() {
        let schema: Value = serde_json::from_str(&describe().secret_schema).unwrap();
        for (member, profile) in [
            ("sendgrid_api_key", "sendgrid"),
            ("previous_sendgrid_api_key", "sendgrid"),
            ("previous_firebase_server_key", "firebase"),
            ("google_client_id", "google"),
        ] {
            let property = &schema["properties"][member];
            assert_eq!(property["x-keyturn-when"]["profile"], profile, "{member}");
        }
        // Nobody could prove its end, so it is not kept.
        assert!(schema["properties"]["previous_sentry_dsn"].is_null());
    }
}
