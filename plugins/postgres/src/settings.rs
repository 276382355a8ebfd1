//! The operator's settings of this plugin, and the two JSON schemas that it publishes.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    pub(crate) previous_members: PreviousMembers,
}

/// Whether a new value carries `previous_username` and `previous_password`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PreviousMembers {
    /// If AWSCURRENT carries them, or has not the shape of AWS's templates (which name `engine`
    /// and know no previous members).
    #[default]
    Auto,
    Always,
    Never,
}

pub(crate) const SETTINGS_SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "previous_members": {
      "enum": ["auto", "always", "never"],
      "default": "auto",
      "description": "Whether a new value carries previous_username and previous_password"
    }
  }
}"#;

pub(crate) const SECRET_SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "required": ["host", "username", "password"],
  "properties": {
    "engine": { "enum": ["postgres", "postgresql", "aurora-postgresql"] },
    "host": { "type": "string", "minLength": 1 },
    "port": { "type": ["integer", "string"] },
    "dbname": { "type": "string", "minLength": 1 },
    "username": { "type": "string", "minLength": 1, "maxLength": 63 },
    "password": { "type": "string", "minLength": 1 },
    "masterarn": { "type": "string" },
    "previous_username": { "type": "string" },
    "previous_password": { "type": "string" }
  },
  "examples": [
    { "engine": "postgres", "host": "db.example.com", "port": 5432, "dbname": "app", "username": "app", "password": "made-up-password-1" }
  ]
}"#;
