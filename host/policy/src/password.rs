//! Passwords under the operator's policy, intersected with what the target can bear.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The source could not deliver; the call that asked ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub struct RandomUnavailable;

/// Cryptographic randomness.
pub trait SecureRandom: Send + Sync {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomUnavailable>;
}

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
pub const DEFAULT_PUNCTUATION: &str = "-._~";

/// What the target can bear, as the plugin knows it.
#[derive(Clone, Debug)]
pub struct Constraints {
    pub length_min: u32,
    pub length_max: u32,
    pub exclude: String,
}

const LENGTH_MIN: u32 = 8;
const LENGTH_MAX: u32 = 4096;
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
/// Whole passwords are drawn until one has every class; the default needs 1.01 on average.
const DRAWS_MAX: usize = 10_000;

impl PasswordPolicy {
    /// Whether the policy can be met at all.
    pub fn check(&self) -> Result<(), String> {
        if !(LENGTH_MIN..=LENGTH_MAX).contains(&self.length) {
            let length = self.length;
            return Err(format!(
                "length = {length}, but it must be {LENGTH_MIN} to {LENGTH_MAX}"
            ));
        }
        let strange = |c: &char| !c.is_ascii_punctuation();
        if let Some(strange) = self.punctuation.chars().find(strange) {
            return Err(format!(
                "punctuation holds {strange:?}, which is no ASCII punctuation"
            ));
        }
        self.classes("").map(drop)
    }

    /// A password for this policy and this target, every fitting one equally likely.
    pub fn generate(
        &self,
        target: &Constraints,
        random: &dyn SecureRandom,
    ) -> Result<String, String> {
        let Constraints {
            length_min,
            length_max,
            exclude,
        } = target;
        if !(*length_min..=*length_max).contains(&self.length) {
            return Err(format!(
                "the policy's length {} does not fit the target, which takes {length_min} to \
                 {length_max} characters; set password.length",
                self.length
            ));
        }
        let classes = self.classes(exclude)?;
        let alphabet: Vec<char> = classes
            .iter()
            .flat_map(|class| &class.characters)
            .copied()
            .collect();
        for _ in 0..DRAWS_MAX {
            let drawn = draw(&alphabet, self.length, random)?;
            let has = |class: &Class| class.characters.iter().any(|c| drawn.contains(*c));
            if classes.iter().filter(|class| class.required).all(has) {
                return Ok(drawn);
            }
        }
        Err(
            "hardly any password of this length has a character of every required class; raise \
             password.length or set password.require_each_included_type = false"
                .into(),
        )
    }

    fn classes(&self, also_exclude: &str) -> Result<Vec<Class>, String> {
        let own_punctuation = self.punctuation != DEFAULT_PUNCTUATION;
        let all = [
            ("lower-case letters", LOWER, !self.exclude_lowercase, true),
            ("capitals", UPPER, !self.exclude_uppercase, true),
            ("digits", DIGITS, !self.exclude_numbers, true),
            (
                "punctuation",
                &self.punctuation,
                !self.exclude_punctuation,
                own_punctuation,
            ),
            ("spaces", " ", self.include_space, true),
        ];
        let mut classes = Vec::new();
        for (name, characters, included, required) in all {
            let allowed = |c: &char| !self.exclude.contains(*c) && !also_exclude.contains(*c);
            let mut characters: Vec<char> = characters.chars().filter(allowed).collect();
            characters.sort_unstable();
            characters.dedup();
            let required = required && self.require_each_included_type;
            if included && required && characters.is_empty() {
                return Err(format!(
                    "{name} are required, but all of them are excluded; exclude fewer or drop the \
                     class from the policy"
                ));
            }
            if included && !characters.is_empty() {
                classes.push(Class {
                    characters,
                    required,
                });
            }
        }
        if classes
            .iter()
            .map(|class| class.characters.len())
            .sum::<usize>()
            < 2
        {
            return Err("fewer than two characters are left to draw from; exclude fewer".into());
        }
        Ok(classes)
    }
}

struct Class {
    characters: Vec<char>,
    required: bool,
}

/// Uniform by rejection: a byte past the last whole multiple of the alphabet is thrown away.
fn draw(alphabet: &[char], length: u32, random: &dyn SecureRandom) -> Result<String, String> {
    let size = alphabet.len();
    let fair = 256 - 256 % size;
    let mut drawn = String::with_capacity(length as usize);
    let mut bytes = Zeroizing::new([0; 64]);
    while drawn.len() < length as usize {
        random
            .fill(bytes.as_mut())
            .map_err(|error| error.to_string())?;
        let picked = bytes
            .iter()
            .map(|byte| usize::from(*byte))
            .filter(|byte| *byte < fair);
        let missing = length as usize - drawn.len();
        drawn.extend(
            picked
                .filter_map(|byte| alphabet.get(byte % size))
                .take(missing),
        );
    }
    Ok(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Os;
    impl SecureRandom for Os {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
            getrandom::fill(bytes).map_err(|_| RandomUnavailable)
        }
    }

    fn any() -> Constraints {
        Constraints {
            length_min: 1,
            length_max: 4096,
            exclude: String::new(),
        }
    }

    fn generate(policy: &PasswordPolicy) -> String {
        policy.generate(&any(), &Os).unwrap()
    }

    #[test]
    fn the_default_needs_no_encoding() {
        for _ in 0..200 {
            let password = generate(&PasswordPolicy::default());
            assert_eq!(password.len(), 32);
            assert!(
                password
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c))
            );
            assert!(password.chars().any(|c| c.is_ascii_lowercase()));
            assert!(password.chars().any(|c| c.is_ascii_uppercase()));
            assert!(password.chars().any(|c| c.is_ascii_digit()));
        }
    }

    #[test]
    fn policy_and_target_both_exclude() {
        let policy = PasswordPolicy {
            length: 400,
            exclude: "aB".into(),
            ..Default::default()
        };
        let target = Constraints {
            exclude: "9~".into(),
            ..any()
        };
        let password = policy.generate(&target, &Os).unwrap();
        assert!(!password.contains(['a', 'B', '9', '~']));
    }

    #[test]
    fn every_character_is_equally_likely() {
        let policy = PasswordPolicy {
            length: 4096,
            ..Default::default()
        };
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..50 {
            generate(&policy)
                .chars()
                .for_each(|c| *counts.entry(c).or_insert(0_u32) += 1);
        }
        let mean = f64::from(4096 * 50) / 66.0;
        assert_eq!(counts.len(), 66);
        // Six standard deviations: about one false alarm in ten million runs.
        let bound = 6.0 * mean.sqrt();
        assert!(
            counts
                .values()
                .all(|count| (f64::from(*count) - mean).abs() < bound),
            "{counts:?}"
        );
    }

    fn refused(policy: PasswordPolicy, target: Constraints, expected: &str) {
        assert_eq!(policy.generate(&target, &Os).unwrap_err(), expected);
    }

    #[test]
    fn what_cannot_fit_says_why() {
        refused(
            PasswordPolicy::default(),
            Constraints {
                length_max: 30,
                ..any()
            },
            "the policy's length 32 does not fit the target, which takes 1 to 30 characters; set password.length",
        );
        refused(
            PasswordPolicy::default(),
            Constraints {
                exclude: "0123456789".into(),
                ..any()
            },
            "digits are required, but all of them are excluded; exclude fewer or drop the class from the policy",
        );
        assert_eq!(
            PasswordPolicy {
                length: 4,
                ..Default::default()
            }
            .check()
            .unwrap_err(),
            "length = 4, but it must be 8 to 4096"
        );
    }

    #[test]
    fn without_randomness_there_is_no_password() {
        struct Dry;
        impl SecureRandom for Dry {
            fn fill(&self, _: &mut [u8]) -> Result<(), RandomUnavailable> {
                Err(RandomUnavailable)
            }
        }
        assert_eq!(
            PasswordPolicy::default()
                .generate(&any(), &Dry)
                .unwrap_err(),
            "the operating system gives no random bytes"
        );
    }
}
