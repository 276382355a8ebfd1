//! Checks an operator's settings against the plugin's JSON Schema (2020-12). Only the keywords
//! that a settings table needs: a full validator brings two dozen crates and runs the plugin's
//! regular expressions in the host, so a `pattern` is left to the plugin. A schema with any other
//! keyword that would not be checked is refused when the plugin is loaded.

use serde_json::{Map, Value};

use crate::text;

/// Keywords that the host does not act on: for people, or left to the plugin.
const ANNOTATIONS: [&str; 10] = [
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "format",
    "pattern",
];
const DEPTH_MAX: usize = 16;
const AT_BYTES_MAX: usize = 256;
const CAUSE_BYTES_MAX: usize = 512;

/// Refuses a schema that holds what [`check`] does not know.
pub fn check_schema(schema: &Value) -> Result<(), String> {
    // Keywords and names are the plugin's words.
    schema_at(schema, "", 0).map_err(|cause| text::line(&cause, CAUSE_BYTES_MAX))
}

fn schema_at(schema: &Value, at: &str, depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!(
            "the schema is nested deeper than {DEPTH_MAX} levels at {at}"
        ));
    }
    let keywords = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(keywords) => keywords,
        _ => return Err(format!("{}: a schema is an object or a boolean", shown(at))),
    };
    for (keyword, value) in keywords {
        let at = format!("{at}/{keyword}");
        match keyword.as_str() {
            keyword if ANNOTATIONS.contains(&keyword) => {}
            "type" | "enum" | "const" | "required" | "minimum" | "maximum" | "exclusiveMinimum"
            | "exclusiveMaximum" | "minLength" | "maxLength" | "minItems" | "maxItems" => {}
            "items" | "additionalProperties" | "not" => schema_at(value, &at, depth + 1)?,
            "properties" => {
                for (name, schema) in value.as_object().into_iter().flatten() {
                    schema_at(schema, &format!("{at}/{name}"), depth + 1)?;
                }
            }
            "anyOf" | "allOf" | "oneOf" => {
                for schema in value.as_array().into_iter().flatten() {
                    schema_at(schema, &at, depth + 1)?;
                }
            }
            _ => {
                return Err(format!(
                    "{at}: the host does not check the keyword \"{keyword}\"; check it in the plugin instead"
                ));
            }
        }
    }
    Ok(())
}

/// Where settings break the schema, and how. Both are one line, escaped and cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub at: String,
    pub cause: String,
}

pub fn check(schema: &Value, value: &Value) -> Result<(), Violation> {
    check_at(schema, value, "").map_err(|violation| Violation {
        at: text::line(&violation.at, AT_BYTES_MAX),
        // What the schema demands is said in the plugin's words.
        cause: text::line(&violation.cause, CAUSE_BYTES_MAX),
    })
}

fn check_at(schema: &Value, value: &Value, at: &str) -> Result<(), Violation> {
    let fail = |cause: String| {
        Err(Violation {
            at: shown(at).into(),
            cause,
        })
    };
    let keywords = match schema {
        Value::Bool(false) => return fail("not allowed; remove it".into()),
        Value::Object(keywords) => keywords,
        _ => return Ok(()),
    };
    if let Some(types) = keywords.get("type")
        && !one_or_many(types).any(|name| has_type(value, name))
    {
        let names: Vec<_> = one_or_many(types).collect();
        return fail(format!("must be of type {}", names.join(" or ")));
    }
    if let Some(Value::Array(allowed)) = keywords.get("enum")
        && !allowed.contains(value)
    {
        let allowed: Vec<_> = allowed.iter().map(Value::to_string).collect();
        return fail(format!("must be one of {}", allowed.join(", ")));
    }
    if let Some(constant) = keywords.get("const")
        && constant != value
    {
        return fail(format!("must be {constant}"));
    }
    if let Err(cause) = check_bounds(keywords, value) {
        return fail(cause);
    }
    check_combined(keywords, value, at)?;
    match value {
        Value::Object(members) => check_members(keywords, members, at),
        Value::Array(items) => {
            let Some(schema) = keywords.get("items") else {
                return Ok(());
            };
            items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| check_at(schema, item, &format!("{at}/{index}")))
        }
        _ => Ok(()),
    }
}

fn check_bounds(keywords: &Map<String, Value>, value: &Value) -> Result<(), String> {
    let bound = |keyword: &str| keywords.get(keyword).and_then(Value::as_f64);
    let (measure, unit, least, most) = match value {
        Value::Number(number) => (number.as_f64(), "", "minimum", "maximum"),
        Value::String(text) => (
            Some(text.chars().count() as f64),
            " characters",
            "minLength",
            "maxLength",
        ),
        Value::Array(items) => (Some(items.len() as f64), " items", "minItems", "maxItems"),
        _ => return Ok(()),
    };
    let measure = measure.unwrap_or_default();
    if let Some(least) = bound(least).filter(|least| measure < *least) {
        return Err(format!("must be at least {least}{unit}"));
    }
    if let Some(most) = bound(most).filter(|most| measure > *most) {
        return Err(format!("must be at most {most}{unit}"));
    }
    if value.is_number() {
        if let Some(least) = bound("exclusiveMinimum").filter(|least| measure <= *least) {
            return Err(format!("must be more than {least}"));
        }
        if let Some(most) = bound("exclusiveMaximum").filter(|most| measure >= *most) {
            return Err(format!("must be less than {most}"));
        }
    }
    Ok(())
}

fn check_combined(keywords: &Map<String, Value>, value: &Value, at: &str) -> Result<(), Violation> {
    let fail = |cause: &str| {
        Err(Violation {
            at: shown(at).into(),
            cause: cause.into(),
        })
    };
    let list = |keyword: &str| keywords.get(keyword).and_then(Value::as_array);
    let fits = |schema: &&Value| check_at(schema, value, at).is_ok();
    for schema in list("allOf").into_iter().flatten() {
        check_at(schema, value, at)?;
    }
    if let Some(schemas) = list("anyOf")
        && !schemas.iter().any(|schema| fits(&schema))
    {
        return fail("fits none of the forms that the plugin takes; see `keyturn plugin inspect`");
    }
    if let Some(schemas) = list("oneOf")
        && schemas.iter().filter(fits).count() != 1
    {
        return fail(
            "must fit exactly one of the forms that the plugin takes; see `keyturn plugin inspect`",
        );
    }
    if keywords.get("not").is_some_and(|schema| fits(&schema)) {
        return fail("has a form that the plugin does not take; see `keyturn plugin inspect`");
    }
    Ok(())
}

fn check_members(
    keywords: &Map<String, Value>,
    members: &Map<String, Value>,
    at: &str,
) -> Result<(), Violation> {
    for name in keywords.get("required").into_iter().flat_map(one_or_many) {
        if !members.contains_key(name) {
            let cause = "missing; add it".into();
            return Err(Violation {
                at: format!("{at}/{name}"),
                cause,
            });
        }
    }
    let properties = keywords.get("properties").and_then(Value::as_object);
    for (name, member) in members {
        let at = format!("{at}/{name}");
        match properties.and_then(|properties| properties.get(name)) {
            Some(schema) => check_at(schema, member, &at)?,
            None => match keywords.get("additionalProperties") {
                Some(Value::Bool(false)) => {
                    let known: Vec<_> = properties
                        .into_iter()
                        .flatten()
                        .map(|(name, _)| name.as_str())
                        .collect();
                    let known = if known.is_empty() {
                        "no settings".into()
                    } else {
                        known.join(", ")
                    };
                    let cause = format!("unknown; the plugin takes {known}");
                    return Err(Violation { at, cause });
                }
                Some(schema) => check_at(schema, member, &at)?,
                None => {}
            },
        }
    }
    Ok(())
}

fn one_or_many(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter().filter_map(Value::as_str)),
        value => Box::new(value.as_str().into_iter()),
    }
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => false,
    }
}

fn shown(at: &str) -> &str {
    if at.is_empty() { "/" } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["algorithm"],
            "properties": {
                "algorithm": { "enum": ["HS256", "HS512"] },
                "lead": { "type": "integer", "minimum": 0, "maximum": 10 },
                "prefix": { "type": ["string", "null"], "maxLength": 4 },
                "tags": { "type": "array", "items": { "type": "string" }, "maxItems": 2 },
            },
        })
    }

    fn refused(settings: Value, at: &str, cause: &str) {
        let expected = Violation {
            at: at.into(),
            cause: cause.into(),
        };
        assert_eq!(check(&schema(), &settings), Err(expected));
    }

    #[test]
    fn what_fits_passes() {
        let settings = json!({"algorithm": "HS256", "lead": 3, "prefix": null, "tags": ["a"]});
        assert_eq!(check(&schema(), &settings), Ok(()));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        refused(json!({}), "/algorithm", "missing; add it");
        refused(
            json!({"algorithm": "none"}),
            "/algorithm",
            r#"must be one of "HS256", "HS512""#,
        );
        let with = |key: &str, value: Value| json!({"algorithm": "HS256", key: value});
        refused(with("lead", json!(-1)), "/lead", "must be at least 0");
        refused(with("lead", json!(1.5)), "/lead", "must be of type integer");
        refused(
            with("prefix", json!("abcde")),
            "/prefix",
            "must be at most 4 characters",
        );
        refused(
            with("tags", json!(["a", 1])),
            "/tags/1",
            "must be of type string",
        );
        refused(
            with("tags", json!(["a", "b", "c"])),
            "/tags",
            "must be at most 2 items",
        );
        refused(
            with("typo", json!(1)),
            "/typo",
            "unknown; the plugin takes algorithm, lead, prefix, tags",
        );
    }

    #[test]
    fn a_keyword_that_would_not_be_checked_is_refused() {
        assert_eq!(
            check_schema(&json!({"properties": {"a": {"dependentRequired": {}}}})).unwrap_err(),
            "/properties/a/dependentRequired: the host does not check the keyword \"dependentRequired\"; check it in the plugin instead"
        );
    }
}
