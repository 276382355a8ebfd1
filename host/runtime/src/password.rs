//! Passwords under the operator's policy, intersected with what the target can bear.

use serde::{Deserialize, Serialize};

/// The operator's policy. The fields are those of AWS's GetRandomPassword; the defaults are
/// Keyturn's own: 32 characters of `A–Z a–z 0–9 - . _ ~` with a lower-case letter, a capital and
/// a digit among them, about 190 bits, nothing to URL-encode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PasswordPolicy {
    /// Characters, 8 to 4,096.
    pub length: u32,
    /// Characters that must not appear.
    pub exclude: String,
    pub exclude_lowercase: bool,
    pub exclude_uppercase: bool,
    pub exclude_numbers: bool,
    pub exclude_punctuation: bool,
    pub include_space: bool,
    /// The punctuation to draw from, before exclusions. `-._~` unless told; AWS's whole set is
    /// ``!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~``.
    pub punctuation: String,
    /// At least one character of every included class. Punctuation counts as a class only if it
    /// was set in this policy: a password of letters and digits is as strong.
    pub require_each_included_type: bool,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            length: 32,
            exclude: String::new(),
            exclude_lowercase: false,
            exclude_uppercase: false,
            exclude_numbers: false,
            exclude_punctuation: false,
            include_space: false,
            punctuation: DEFAULT_PUNCTUATION.into(),
            require_each_included_type: true,
        }
    }
}

/// RFC 3986's unreserved marks: they survive a URL, a shell word and a DSN unchanged.
pub(crate) const DEFAULT_PUNCTUATION: &str = "-._~";
