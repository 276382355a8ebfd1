//! The operator's settings of this plugin, and the two JSON schemas that it publishes.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    pub(crate) persistence: Persistence,
}

/// What to do with a server that cannot write its users and passwords to disk.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Persistence {
    /// It is refused: a restart would bring the old password back and forget the new one.
    #[default]
    Required,
    /// The operator knows it and takes care of restarts.
    IfPossible,
}

pub(crate) const SETTINGS_SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "persistence": {
      "enum": ["required", "if-possible"],
      "default": "required",
      "description": "Whether a server that has neither an ACL file nor a configuration file is refused, or changed all the same: a restart brings its old password back"
    }
  }
}"#;

pub(crate) const SECRET_SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "required": ["password"],
  "properties": {
    "host": { "type": "string", "minLength": 1 },
    "port": { "type": ["integer", "string"] },
    "nodes": { "type": "array" },
    "username": { "type": ["string", "null"] },
    "password": { "type": "string", "minLength": 1, "maxLength": 512 },
    "previous_password": { "type": "string" },
    "rotation_timestamp": { "type": "string" },
    "masterarn": { "type": "string" },
    "user_arn": { "type": "string" },
    "replication_group_id": { "type": "string" }
  },
  "examples": [
    { "host": "redis.example.com", "port": 6379, "username": "app", "password": "made-up-password-1" }
  ]
}"#;
