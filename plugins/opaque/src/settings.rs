//! What the operator chooses: how a new value looks and what it is for. Nothing of it is guessed from the value in use.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyturn_sdk::{Context, Error, SecretText, random};
use serde::Deserialize;

use crate::keeping::Keeping;

const DAY_SECONDS: u64 = 86_400;

/// The plugin's settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    profile: Option<Profile>,
    #[serde(default = "bytes_default")]
    bytes: usize,
    #[serde(default)]
    encoding: Encoding,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Profile {
    WebhookSigning,
    Encryption,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    /// What every decoder reads without being told.
    #[default]
    Base64,
    Base64Url,
    Hex,
}

/// 256 bits: the key of AES-256, and more than enough for HMAC with SHA-256.
fn bytes_default() -> usize {
    32
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// `invalid-settings` if they do not fit, or the profile takes another strategy.
    pub(crate) fn of(ctx: &Context) -> Result<Self, Error> {
        let settings: Self = ctx.settings()?;
        let keeping = Keeping::of(ctx)?;
        match (settings.profile, keeping) {
            (Some(Profile::Encryption), Keeping::Previous) => Err(Error::invalid_settings(
                "the profile encryption takes the strategy key-ring: overlap drops a key when its grace is over, and \
                 what is encrypted with it would be lost; set `strategy = \"key-ring\"`",
            )),
            (Some(Profile::WebhookSigning), Keeping::Ring) => Err(Error::invalid_settings(
                "the profile webhook-signing takes the strategy overlap: in a key ring an old secret would verify for \
                 ever; set `strategy = \"overlap\"`",
            )),
            _ => Ok(settings),
        }
    }

    /// A new value.
    pub(crate) fn generate(&self) -> SecretText {
        let bytes = random::bytes(self.bytes);
        SecretText::from(match self.encoding {
            Encoding::Base64 => STANDARD.encode(bytes),
            Encoding::Base64Url => URL_SAFE_NO_PAD.encode(bytes),
            Encoding::Hex => hex(&bytes),
        })
    }

    /// How long a value of this profile serves, in seconds.
    pub(crate) fn lifetime_seconds(&self) -> Option<u64> {
        self.profile.map(|profile| match profile {
            Profile::WebhookSigning => 90 * DAY_SECONDS,
            Profile::Encryption => 365 * DAY_SECONDS,
        })
    }
}

/// A new key's id. Not a number that counts: one that was dropped must not come back with another key.
pub(crate) fn new_id() -> String {
    hex(&random::bytes(8))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
