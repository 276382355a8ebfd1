//! The stored form of a key: SHA-256 in hexadecimal, bare or behind `sha256:`. Both are read; new
//! ones are written in the form that the secret uses, because its validators compare texts.

use sha2::{Digest, Sha256};

const LABEL: &str = "sha256:";

/// How a hash is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// 64 hexadecimal digits.
    Bare,
    /// `sha256:` and 64 hexadecimal digits.
    Labelled,
}

impl Form {
    /// The form of a stored hash.
    pub(crate) fn of(hash: &str) -> Self {
        if hash.starts_with(LABEL) {
            Self::Labelled
        } else {
            Self::Bare
        }
    }

    /// The hash of `key` in this form, in lower-case digits.
    pub(crate) fn hash(self, key: &str) -> String {
        let label = match self {
            Self::Bare => "",
            Self::Labelled => LABEL,
        };
        let digest = Sha256::digest(key.as_bytes());
        digest
            .iter()
            .fold(label.to_owned(), |text, byte| text + &format!("{byte:02x}"))
    }
}

/// Is `hash`, in whichever form, that of `key`?
pub(crate) fn matches(hash: &str, key: &str) -> bool {
    let digits = hash.strip_prefix(LABEL).unwrap_or(hash);
    // No constant time: this runs where both are known, not where a stranger asks.
    digits.eq_ignore_ascii_case(&Form::Bare.hash(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn writes_both_forms() {
        assert_eq!(Form::Bare.hash("abc"), ABC);
        assert_eq!(Form::Labelled.hash("abc"), format!("sha256:{ABC}"));
    }

    #[test]
    fn reads_both_forms_and_no_other_key() {
        for hash in [ABC.to_owned(), format!("sha256:{ABC}"), ABC.to_uppercase()] {
            assert!(matches(&hash, "abc"));
            assert!(!matches(&hash, "abd"));
        }
        assert!(!matches("", "abc"));
        assert_eq!(Form::of(&format!("sha256:{ABC}")), Form::Labelled);
        assert_eq!(Form::of(ABC), Form::Bare);
    }
}
