//! Checks of the file itself: what the loader refuses, sorted by what is wrong, and what a plugin says of itself.

use keyturn_runtime::LoadError;
use serde_json::Value;

use crate::kit::{Checked, Kit, Stop};
use crate::sample::Sample;

/// Beyond this a plugin costs noticeable time to load: `describe` alone needs it compiled.
const BYTES_MAX: usize = 2 << 20;

/// The check that a file fails which cannot be loaded for this reason.
pub(crate) fn broken(error: &LoadError) -> &'static str {
    match error {
        LoadError::ContractVersion { .. } | LoadError::ContractMismatch { .. } => "contract",
        LoadError::ImportUndeclared { .. }
        | LoadError::ImportWasi { .. }
        | LoadError::ImportUnknown { .. } => "imports",
        LoadError::DescribeFailed { .. } | LoadError::Descriptor { .. } => "describe",
        _ => "component",
    }
}

pub(crate) fn component(kit: &Kit<'_>) -> Checked {
    if kit.bytes > BYTES_MAX {
        return Err(Stop::failed(format!(
            "it has {} bytes, and {BYTES_MAX} are bearable",
            kit.bytes
        )));
    }
    Ok(())
}

/// The loader has refused what is imported and not declared.
pub(crate) fn imports(kit: &Kit<'_>) -> Checked {
    let declared = &kit.plugin.manifest().capabilities;
    let unused: Vec<_> = declared
        .difference(kit.plugin.imports())
        .map(|capability| capability.name())
        .collect();
    if unused.is_empty() {
        return Ok(());
    }
    Err(Stop::failed(format!(
        "its manifest asks for {} and the component imports nothing of the kind; operators would grant it for nothing",
        unused.join(", ")
    )))
}

pub(crate) async fn describe(kit: &Kit<'_>) -> Checked {
    let descriptor = kit.plugin.descriptor();
    let again = kit.plugin.describe_again().await;
    let again = again.map_err(|error| Stop::failed(error.to_string()))?;
    if again != *descriptor {
        return Err(Stop::failed(
            "it describes itself differently the second time",
        ));
    }
    if descriptor.version.is_empty() || descriptor.summary.is_empty() {
        return Err(Stop::failed("version or summary is empty"));
    }
    for (name, schema) in [
        ("settings", &descriptor.settings_schema),
        ("secret", &descriptor.secret_schema),
    ] {
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err(Stop::failed(format!(
                "the {name} schema describes no object (`\"type\": \"object\"`)"
            )));
        }
    }
    Ok(())
}

pub(crate) fn example(kit: &Kit<'_>) -> Checked {
    let schema = &kit.plugin.descriptor().secret_schema;
    let properties = schema.get("properties").and_then(Value::as_object);
    let Some(properties) = properties.filter(|properties| !properties.is_empty()) else {
        return Err(Stop::failed(
            "its secret schema has no `properties`, so it owns the whole value and can share a secret with nobody",
        ));
    };
    let example = Sample::example(&kit.plugin).map_err(|error| Stop::failed(error.to_string()))?;
    let members = serde_json::from_str::<Value>(&example);
    let Ok(Value::Object(members)) = members else {
        return Err(Stop::failed("the example of a secret is no object"));
    };
    let required = schema.get("required").and_then(Value::as_array);
    let missing = required
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .find(|name| !members.contains_key(*name));
    if let Some(missing) = missing {
        return Err(Stop::failed(format!(
            "the example of a secret lacks the member `{missing}`, which the schema requires"
        )));
    }
    let unknown = members.keys().find(|name| !properties.contains_key(*name));
    if let Some(unknown) = unknown {
        return Err(Stop::failed(format!(
            "the example of a secret has the member `{unknown}`, which is not among `properties`"
        )));
    }
    Ok(())
}
