//! Which members of a secret a credential owns: those that its plugin's secret schema names under `properties`. A
//! property may be restricted to settings (`"x-keyturn-when": {"profile": "sendgrid"}`), so that credentials of one
//! plugin can share a secret. A plugin that names none owns the whole value.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::outcome::Descriptor;
use crate::plugin::Plugin;
use crate::text;

/// The annotation of a property: the settings, by name, under which it belongs to the credential.
const WHEN: &str = "x-keyturn-when";
const NAME_BYTES_MAX: usize = 64;

/// The members that a credential with these settings may change; None if its plugin's schema names none.
pub(crate) fn owned<'a>(descriptor: &'a Descriptor, settings: &Value) -> Option<BTreeSet<&'a str>> {
    let properties = properties(&descriptor.secret_schema)?;
    let applies = |property: &Value| {
        let when = property.get(WHEN).and_then(Value::as_object);
        when.into_iter()
            .flatten()
            .all(|(setting, wanted)| settings.get(setting) == Some(wanted))
    };
    let own = properties.iter().filter(|(_, property)| applies(property));
    Some(own.map(|(name, _)| name.as_str()).collect())
}

/// Refuses an annotation that could not be meant: one that names no setting, or an unknown one, would give a member to
/// everybody or to nobody.
pub(crate) fn check_schema(descriptor: &Descriptor) -> Result<(), String> {
    let settings = properties(&descriptor.settings_schema);
    for (name, property) in properties(&descriptor.secret_schema).into_iter().flatten() {
        let Some(when) = property.get(WHEN) else {
            continue;
        };
        let fail = |cause: String| {
            let name = text::line(name, NAME_BYTES_MAX);
            Err(format!("/properties/{name}/{WHEN}: {cause}"))
        };
        let Some(when) = when.as_object().filter(|when| !when.is_empty()) else {
            return fail("must be an object of settings and their values".into());
        };
        for (setting, wanted) in when {
            let setting_shown = text::line(setting, NAME_BYTES_MAX);
            if settings.is_none_or(|settings| !settings.contains_key(setting)) {
                return fail(format!(
                    "the settings schema has no property \"{setting_shown}\""
                ));
            }
            if !(wanted.is_string() || wanted.is_boolean() || wanted.is_number()) {
                return fail(format!(
                    "the value of \"{setting_shown}\" must be a string, a number or a boolean"
                ));
            }
        }
    }
    Ok(())
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

/// A member that both credentials own and that may be secret, so that they cannot share a secret: either could
/// overwrite the other's. Dates and the like, which both manifests call public, are nobody's credential.
pub(crate) fn contested(one: (&Plugin, &Value), other: (&Plugin, &Value)) -> Option<String> {
    let ours = owned(one.0.descriptor(), one.1)?;
    let theirs = owned(other.0.descriptor(), other.1)?;
    let contested = |member: &&&str| !(is_public(one.0, member) && is_public(other.0, member));
    let member = ours.intersection(&theirs).find(contested)?;
    Some(text::line(member, NAME_BYTES_MAX))
}

/// Whether the manifest calls a member public.
pub(crate) fn is_public(plugin: &Plugin, member: &str) -> bool {
    let pointer = format!("/{}", member.replace('~', "~0").replace('/', "~1"));
    plugin.manifest().secret.public.contains(&pointer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn descriptor(members: Value) -> Descriptor {
        Descriptor {
            name: "vendor".into(),
            version: "1".into(),
            summary: String::new(),
            strategies: Vec::new(),
            settings_schema: json!({"properties": {"profile": {}, "strict": {}}}),
            secret_schema: json!({"type": "object", "properties": members}),
        }
    }

    #[track_caller]
    fn owns(settings: Value, expected: &[&str]) {
        let descriptor = descriptor(json!({
            "always": {},
            "mail": {"x-keyturn-when": {"profile": "mail"}},
            "push": {"x-keyturn-when": {"profile": "push"}},
            "strict_push": {"x-keyturn-when": {"profile": "push", "strict": true}},
        }));
        let owned = owned(&descriptor, &settings).unwrap();
        assert_eq!(owned.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn settings_say_which_members_are_owned() {
        owns(json!({}), &["always"]);
        owns(json!({"profile": "mail"}), &["always", "mail"]);
        owns(json!({"profile": "push"}), &["always", "push"]);
        let strict = json!({"profile": "push", "strict": true});
        owns(strict, &["always", "push", "strict_push"]);
        // The type counts, too.
        let text = json!({"profile": "push", "strict": "true"});
        owns(text, &["always", "push"]);
    }

    #[test]
    fn a_plugin_that_names_no_members_owns_the_whole_value() {
        let mut descriptor = descriptor(json!({}));
        descriptor.secret_schema = json!({"type": "object"});
        assert_eq!(owned(&descriptor, &json!({})), None);
    }

    #[track_caller]
    fn refused(when: Value, part: &str) {
        let descriptor = descriptor(json!({"mail": {"x-keyturn-when": when}}));
        let cause = check_schema(&descriptor).unwrap_err();
        assert!(cause.starts_with("/properties/mail/x-keyturn-when: "));
        assert!(cause.contains(part), "{cause}");
    }

    #[test]
    fn an_annotation_that_could_not_be_meant_is_refused() {
        refused(json!("mail"), "must be an object");
        refused(json!({}), "must be an object");
        refused(json!({"profil": "mail"}), "no property \"profil\"");
        refused(json!({"profile": ["mail"]}), "must be a string");
        let good = descriptor(json!({"mail": {"x-keyturn-when": {"profile": "mail"}}, "any": {}}));
        assert_eq!(check_schema(&good), Ok(()));
    }
}
