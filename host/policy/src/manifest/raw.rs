//! plugin.toml as it is written, before any check. Every table refuses unknown keys.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use toml::Spanned;

use crate::limits::LimitsOverride;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawManifest {
    pub(super) name: Spanned<String>,
    pub(super) contract: Spanned<String>,
    pub(super) capabilities: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) secret: RawSecret,
    #[serde(default)]
    pub(super) companion: BTreeMap<String, RawCompanion>,
    #[serde(default)]
    pub(super) endpoint: BTreeMap<String, Spanned<RawEndpoint>>,
    #[serde(default)]
    pub(super) limits: LimitsOverride,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSecret {
    pub(super) identity: Vec<Spanned<String>>,
    pub(super) public: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCompanion {
    pub(super) pointer: Spanned<String>,
    #[serde(default)]
    pub(super) optional: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEndpoint {
    pub(super) from: Spanned<RawFrom>,
    pub(super) protocol: Option<Spanned<String>>,
    pub(super) pre_tls_bytes_max: Option<RawPreTls>,
    #[serde(default)]
    pub(super) optional: bool,
    pub(super) members_max: Option<u32>,
    pub(super) sign: Option<Spanned<String>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPreTls {
    pub(super) out: u32,
    #[serde(rename = "in")]
    pub(super) into: u32,
}

/// `from`: the word `grant`, or a table. Written by hand because serde's untagged enums answer
/// every mistake with "data did not match any variant".
pub(super) enum RawFrom {
    Word(String),
    Table(RawFromTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFromTable {
    pub(super) secret: Option<String>,
    pub(super) companion: Option<String>,
    pub(super) list: Option<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<RawPort>,
    pub(super) port_default: Option<u16>,
}

/// A pointer, or for a fixed endpoint the number.
pub(super) enum RawPort {
    Pointer(String),
    Number(u16),
}

impl<'de> Deserialize<'de> for RawFrom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct From;
        impl<'de> Visitor<'de> for From {
            type Value = RawFrom;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"grant\" or a table with `secret`, `companion` or `host`")
            }
            fn visit_str<E: Error>(self, word: &str) -> Result<RawFrom, E> {
                Ok(RawFrom::Word(word.into()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawFrom, A::Error> {
                RawFromTable::deserialize(MapAccessDeserializer::new(map)).map(RawFrom::Table)
            }
        }
        deserializer.deserialize_any(From)
    }
}

impl<'de> Deserialize<'de> for RawPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Port;
        impl Visitor<'_> for Port {
            type Value = RawPort;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON pointer or a port number")
            }
            fn visit_str<E: Error>(self, pointer: &str) -> Result<RawPort, E> {
                Ok(RawPort::Pointer(pointer.into()))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<RawPort, E> {
                u16::try_from(number)
                    .map(RawPort::Number)
                    .map_err(|_| E::custom(format!("{number} is not a port; ports are 1 to 65535")))
            }
        }
        deserializer.deserialize_any(Port)
    }
}
