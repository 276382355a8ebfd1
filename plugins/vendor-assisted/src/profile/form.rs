//! The form of a profile, which README.md explains. The plugin's build script reads it, too: a file that is no profile
//! does not become part of a plugin.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

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

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    Text(Text),
    /// A P-256 private key, PKCS#8 in PEM: Apple's .p8.
    EcKey,
    /// The JSON file of a Google service account's key; its members are the parts.
    ServiceAccount,
    /// Sentry's address of a project, `https://KEY@HOST/PROJECT`; parts `host` and `project`.
    Dsn,
}

/// A word: how it begins, which characters follow, and how many.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Text {
    pub(crate) starts_with: String,
    /// Single characters and ranges: `A-Za-z0-9_-`.
    pub(crate) characters: String,
    pub(crate) least: usize,
    pub(crate) most: usize,
}

impl Profile {
    /// Every member of a secret that is this profile's.
    pub(crate) fn members(&self) -> Vec<String> {
        let mut members = Vec::new();
        for field in &self.fields {
            for name in std::iter::once(&field.member).chain(&field.aliases) {
                members.push(name.clone());
                if self.end.is_some() {
                    members.push(previous(name));
                }
            }
        }
        members.extend(self.reads.iter().cloned());
        members
    }
}

/// The member that keeps the value before.
pub(crate) fn previous(member: &str) -> String {
    format!("previous_{member}")
}
