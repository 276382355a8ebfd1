//! A key by its text: kind and mode stand in its prefix (Stripe's documentation, "API keys"). Nothing here asks Stripe.

use keyturn_sdk::{Context, Error, SecretText};
use serde::Deserialize;

/// The shortest keys that Stripe has handed out have 24 characters behind the prefix.
const REST_LENGTH_MIN: usize = 16;
const LENGTH_MAX: usize = 255;

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: SecretText,
    pub(crate) mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    Live,
    Test,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Live => "live",
            Mode::Test => "test",
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    mode: Option<Mode>,
    pub(crate) account: Option<String>,
}

impl Key {
    /// `whose` names it in errors, which never show it: "AWSCURRENT", "the new key".
    pub(crate) fn parse(text: SecretText, whose: &str) -> Result<Key, Error> {
        let malformed = || {
            Error::invalid_secret(format!(
                "{whose} is no secret key of Stripe's: it begins with sk_live_, sk_test_, rk_live_ or rk_test_ and goes \
                 on with letters and digits (publishable keys, pk_…, are no secret)"
            ))
        };
        let parts = [
            ("sk_live_", Mode::Live),
            ("sk_test_", Mode::Test),
            // Restricted ones.
            ("rk_live_", Mode::Live),
            ("rk_test_", Mode::Test),
        ];
        let exposed = text.expose();
        let mut found = parts
            .iter()
            .filter_map(|(prefix, mode)| Some((exposed.strip_prefix(prefix)?, *mode)));
        let (rest, mode) = found.next().ok_or_else(malformed)?;
        let fits = (REST_LENGTH_MIN..=LENGTH_MAX).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !fits {
            return Err(malformed());
        }
        Ok(Key { mode, text })
    }

    /// A live key in a test environment takes real money, a test key in production takes none.
    pub(crate) fn must_fit(&self, ctx: &Context, current: &Key) -> Result<(), Error> {
        let settings: Settings = ctx.settings()?;
        let (wanted, because) = match (settings.mode, ctx.environment.as_str()) {
            (Some(mode), _) => (mode, "the setting `mode`".to_owned()),
            (None, "") => (current.mode, "AWSCURRENT's own".to_owned()),
            (None, environment) => {
                let is_live = matches!(environment, "prod" | "production" | "live");
                let because = format!(
                    "the environment {environment} (from the secret's name, unless `environment` or settings.mode says \
                     otherwise)"
                );
                (if is_live { Mode::Live } else { Mode::Test }, because)
            }
        };
        if self.mode == wanted && self.mode == current.mode {
            return Ok(());
        }
        let wanted_name = wanted.name();
        let why = if current.mode == wanted {
            let name = self.mode.name();
            format!("this is a {name} key, and {because} demands a {wanted_name} key")
        } else {
            // No answer could fit both.
            let name = current.mode.name();
            format!(
                "AWSCURRENT is a {name} key, and {because} demands a {wanted_name} key: where a {name} key is right, set \
                 settings.mode to \"{name}\"; where it is not, put a {wanted_name} key in by hand"
            )
        };
        Err(Error::invalid_secret(format!("{why}; nothing was stored")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyturn_sdk::{ErrorKind, fake};

    fn key(text: &str) -> Result<Key, Error> {
        Key::parse(text.into(), "the new key")
    }

    #[test]
    fn the_prefix_says_the_mode() {
        let mode = |prefix: &str| {
            key(&format!("{prefix}0123456789abcdefABCDEF"))
                .unwrap()
                .mode
        };
        assert_eq!(mode("sk_live_"), Mode::Live);
        assert_eq!(mode("rk_test_"), Mode::Test);
    }

    #[test]
    fn other_texts_are_refused_and_not_shown() {
        for text in [
            "",
            "sk_live_",
            "sk_live_short",
            "pk_live_0123456789abcdefABCDEF",
            "whsec_0123456789abcdefABCDEF",
            "sk_live_0123456789abcdef ABCDEF",
            "sk_live_0123456789abcdef\nABCDEF",
        ] {
            let error = key(text).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidSecret);
            assert!(!error.message.contains("0123456789"), "{error}");
        }
    }

    #[track_caller]
    fn check(settings: &str, environment: &str, current: &str, new: &str, fits: bool) {
        let mut ctx = fake::context("assisted", "{}");
        ctx.settings_json = settings.into();
        ctx.environment = environment.into();
        let of = |mode: &str| key(&format!("sk_{mode}_0123456789abcdefABCDEF")).unwrap();
        assert_eq!(of(new).must_fit(&ctx, &of(current)).is_ok(), fits);
    }

    #[test]
    fn the_mode_must_fit_setting_environment_and_current() {
        check("{}", "prod", "live", "live", true);
        check("{}", "prod", "live", "test", false);
        check("{}", "staging", "test", "live", false);
        check("{}", "staging", "test", "test", true);
        check("{}", "", "test", "test", true);
        check("{}", "", "test", "live", false);
        check(r#"{"mode":"live"}"#, "staging", "live", "live", true);
        check(r#"{"mode":"live"}"#, "staging", "test", "live", false);
    }

    #[test]
    fn where_no_answer_could_fit_the_way_out_is_named() {
        let test = key("sk_test_0123456789abcdefABCDEF").unwrap();
        let mut ctx = fake::context("assisted", "{}");
        ctx.environment = "prod".into();
        let refused = test.must_fit(&ctx, &test).unwrap_err();
        for words in ["AWSCURRENT is a test key", "settings.mode to \"test\""] {
            assert!(refused.message.contains(words), "{}", refused.message);
        }
    }
}
