//! The shape of a key: a prefix that tells people and scanners what it is, then 43 random letters
//! and digits.

use keyturn_sdk::{Context, Error, SecretText, random};
use serde::Deserialize;

/// 62^43 is just above 2^256.
const BODY_CHARACTERS: usize = 43;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The operator's settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    prefix: Option<String>,
}

/// The prefix of new keys: the operator's, else that of the key in use.
///
/// # Errors
/// `invalid-settings` if the prefix does not fit or names an environment that is not known.
pub(crate) fn prefix(ctx: &Context, key_in_use: &str) -> Result<String, Error> {
    match ctx.settings::<Settings>()?.prefix {
        Some(template) => expand(&template, &ctx.environment),
        None => Ok(prefix_of(key_in_use).to_owned()),
    }
}

/// A new key.
pub(crate) fn generate(prefix: &str) -> SecretText {
    let mut key = prefix.to_owned();
    let mut missing = BODY_CHARACTERS;
    while missing > 0 {
        for byte in random::bytes(missing) {
            // Six bits index 64 letters; the two that do not exist are drawn again, so none is
            // more likely than another.
            if let Some(&letter) = ALPHABET.get(usize::from(byte >> 2)) {
                key.push(char::from(letter));
                missing -= 1;
            }
        }
    }
    SecretText::from(key)
}

/// What a key begins with. A body of 43 characters behind a `_` is what generators of 32 random
/// bytes write (it may itself hold a `_`); otherwise the last `_` ends the prefix.
fn prefix_of(key: &str) -> &str {
    let body_start = key.len().checked_sub(BODY_CHARACTERS);
    if let Some((prefix, _)) = body_start.and_then(|at| key.split_at_checked(at))
        && prefix.ends_with('_')
    {
        return prefix;
    }
    key.rfind('_').map_or("", |at| &key[..=at])
}

fn expand(template: &str, environment: &str) -> Result<String, Error> {
    let mode = match environment {
        "prod" | "production" => "live",
        _ => "test",
    };
    let prefix = template
        .replace("{mode}", mode)
        .replace("{environment}", environment);
    if prefix != template && environment.is_empty() {
        return Err(Error::invalid_settings(
            "the prefix names the environment, which is not known; set the secret's environment or a fixed prefix",
        ));
    }
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if prefix.len() > 64 || !prefix.chars().all(fits) {
        return Err(Error::invalid_settings(
            "the prefix may have 64 characters of A-Z, a-z, 0-9, _ . and -, and the words {mode} and {environment}",
        ));
    }
    Ok(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyturn_sdk::fake;

    fn check_prefix_of(key: &str, expected: &str) {
        assert_eq!(prefix_of(key), expected, "{key}");
    }

    #[test]
    fn finds_the_prefix_in_use() {
        check_prefix_of("festival_sk_live_abc123", "festival_sk_live_");
        check_prefix_of(
            "festival_sk_aB_dEfGhIjKlMnOpQrStUvWxYz0123456789-_aBcDe",
            "festival_sk_",
        );
        check_prefix_of("abc123", "");
        check_prefix_of("", "");
        check_prefix_of("clé_äöüäöüäöüäöüäöüäöüäöüäöüäöü", "clé_");
    }

    #[test]
    fn names_the_environment() {
        assert_eq!(
            expand("festival_sk_{mode}_", "prod").unwrap(),
            "festival_sk_live_"
        );
        assert_eq!(
            expand("festival_sk_{mode}_", "staging").unwrap(),
            "festival_sk_test_"
        );
        assert_eq!(expand("k_{environment}_", "staging").unwrap(), "k_staging_");
        assert_eq!(expand("fixed_", "").unwrap(), "fixed_");
        for (template, environment) in [("{mode}_", ""), ("a b", "prod"), ("{other}", "prod")] {
            assert!(expand(template, environment).is_err(), "{template}");
        }
    }

    #[test]
    fn generates_keys_of_its_own_shape() {
        let _host = fake::Host::new().install();
        let keys: Vec<SecretText> = (0..50).map(|_| generate("p_")).collect();
        for key in &keys {
            assert_eq!(prefix_of(key.expose()), "p_");
            assert_eq!(key.expose().len(), 45);
        }
        let mut texts: Vec<&str> = keys.iter().map(SecretText::expose).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), 50);
    }
}
