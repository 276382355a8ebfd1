//! Which secrets a list shows: the filters of ListSecrets and BatchGetSecretValue. Pure.
//!
//! Source: the AWS Secrets Manager API reference (Filter) and user guide ("Find secrets").

use std::str::FromStr;

use crate::error::{ErrorKind, StoreError};
use crate::types::SecretDescription;

/// Most filters of one list, and most values of one filter.
const FILTERS_MAX: usize = 10;
/// Longest value, in characters.
const VALUE_CHARS_MAX: usize = 512;

/// One filter. Of its values one has to match, and every one that begins with `!` must not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub key: FilterKey,
    pub values: Vec<String>,
}

/// What a filter looks at. All but `all` compare the beginning, and all but `description` and `all` the case as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterKey {
    Description,
    Name,
    TagKey,
    TagValue,
    PrimaryRegion,
    /// No secret here is owned by a service, so that only negations match.
    OwningService,
    /// Any word of the value, at the beginning of any word of name, description and tags.
    All,
}

impl FromStr for FilterKey {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        Ok(match text {
            "description" => Self::Description,
            "name" => Self::Name,
            "tag-key" => Self::TagKey,
            "tag-value" => Self::TagValue,
            "primary-region" => Self::PrimaryRegion,
            "owning-service" => Self::OwningService,
            "all" => Self::All,
            _ => {
                return Err(refused(
                    "there is no filter of this name",
                    "filter by description, name, tag-key, tag-value, primary-region, owning-service or all",
                ));
            }
        })
    }
}

/// Checks filters, all of which a secret has to pass.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] for too many, for none or too many values, and for other characters than AWS's.
pub fn check(filters: &[Filter]) -> Result<(), StoreError> {
    if filters.len() > FILTERS_MAX {
        return Err(refused(
            format!("there are {} filters", filters.len()),
            "use at most 10",
        ));
    }
    for Filter { values, .. } in filters {
        if values.is_empty() || values.len() > FILTERS_MAX {
            return Err(refused(
                format!("a filter has {} values", values.len()),
                "give 1 to 10",
            ));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || " :_@/+=.-!".contains(c);
        let wrong =
            |value: &String| value.chars().count() > VALUE_CHARS_MAX || !value.chars().all(allowed);
        if values.iter().any(wrong) {
            return Err(refused(
                "the value of a filter is too long or has a character that is not allowed",
                "use at most 512 of the characters A-Z a-z 0-9 space : _ @ / + = . - !",
            ));
        }
    }
    Ok(())
}

/// Whether a secret passes all filters, in a service that runs in `region`.
pub(crate) fn pass(filters: &[Filter], secret: &SecretDescription, region: &str) -> bool {
    filters.iter().all(|filter| {
        let (refused, wanted): (Vec<_>, Vec<_>) = filter
            .values
            .iter()
            .partition(|value| value.starts_with('!'));
        let is = |value: &str| matches(filter.key, value, secret, region);
        refused.iter().all(|value| !is(&value[1..]))
            && (wanted.is_empty() || wanted.iter().any(|value| is(value)))
    })
}

fn matches(key: FilterKey, value: &str, secret: &SecretDescription, region: &str) -> bool {
    let description = secret.description.as_deref().unwrap_or_default();
    match key {
        FilterKey::Description => description
            .to_lowercase()
            .starts_with(&value.to_lowercase()),
        FilterKey::Name => secret.name.as_str().starts_with(value),
        FilterKey::TagKey => secret.tags.keys().any(|key| key.starts_with(value)),
        FilterKey::TagValue => secret.tags.values().any(|held| held.starts_with(value)),
        FilterKey::PrimaryRegion => region.starts_with(value),
        FilterKey::OwningService => false,
        FilterKey::All => {
            let tags = secret.tags.iter().flat_map(|(key, value)| [key, value]);
            let texts = [secret.name.as_str(), description]
                .into_iter()
                .chain(tags.map(String::as_str));
            let held: Vec<String> = texts.flat_map(words).collect();
            let wanted = words(value);
            wanted
                .iter()
                .any(|word| held.iter().any(|text| text.starts_with(word.as_str())))
        }
    }
}

/// Letters and digits, in lower case, parted by anything else, between letter and digit, and where a capital follows a
/// small letter.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before = None;
    for c in text.chars() {
        let parts = before.is_some_and(|before: char| {
            before.is_numeric() != c.is_numeric() || (before.is_lowercase() && c.is_uppercase())
        });
        if (parts || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before = Some(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn refused(what: impl Into<String>, next: impl Into<String>) -> StoreError {
    StoreError::new(ErrorKind::InvalidParameter, what, next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SecretName;

    fn secret() -> SecretDescription {
        SecretDescription {
            name: SecretName::new("festival-prod/credsDatabase892").unwrap(),
            description: Some("The Main one, f\u{fc}r Gr\u{fc}\u{df}e".to_owned()),
            created_at_ms: 0,
            changed_at_ms: 0,
            tags: [
                ("Team".to_owned(), "Blue".to_owned()),
                ("keyturn:plugin".to_owned(), "postgres".to_owned()),
            ]
            .into(),
            rotation_enabled: None,
            last_rotated_at_ms: None,
            next_rotation_at_ms: None,
            versions: Vec::new(),
        }
    }

    fn check_one(key: &str, values: &[&str], expected: bool) {
        let filter = Filter {
            key: key.parse().unwrap(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        check(std::slice::from_ref(&filter)).unwrap();
        let found = pass(&[filter], &secret(), "eu-central-1");
        assert_eq!(found, expected, "{key} {values:?}");
    }

    #[test]
    fn beginnings_are_compared_and_mostly_their_case() {
        check_one("name", &["festival-prod/"], true);
        check_one("name", &["Festival"], false);
        check_one("name", &["prod"], false);
        check_one("name", &[""], true);
        check_one("description", &["the MAIN"], true);
        check_one("description", &["main"], false);
        check_one("tag-key", &["Te"], true);
        check_one("tag-key", &["te"], false);
        check_one("tag-value", &["post"], true);
        check_one("tag-value", &["Post"], false);
        check_one("primary-region", &["eu-"], true);
        check_one("primary-region", &["us-"], false);
        check_one("owning-service", &["rds"], false);
    }

    #[test]
    fn of_several_values_one_has_to_match_and_no_refused_one() {
        check_one("name", &["other", "festival"], true);
        check_one("name", &["!festival"], false);
        check_one("name", &["!other"], true);
        check_one("name", &["!other", "!festival"], false);
        check_one("name", &["festival", "!festival-prod/x"], true);
        check_one("name", &["festival", "!festival-prod/c"], false);
        check_one("tag-key", &["!Team"], false);
        check_one("owning-service", &["!rds"], true);
    }

    #[test]
    fn all_looks_for_words_everywhere() {
        check_one("all", &["DATABASE"], true);
        check_one("all", &["892"], true);
        check_one("all", &["creds"], true);
        check_one("all", &["base"], false);
        check_one("all", &["nothing main"], true);
        check_one("all", &["blue"], true);
        check_one("all", &["plugin"], true);
        check_one("all", &["nothing"], false);
        check_one("all", &["!blue"], false);
        check_one("all", &["--"], false);
        assert_eq!(words("credsDatabase#892"), ["creds", "database", "892"]);
        assert_eq!(words("My_Secret"), ["my", "secret"]);
        assert_eq!(words("HTTPServer2b"), ["httpserver", "2", "b"]);
    }

    #[test]
    fn every_filter_has_to_pass() {
        let filter = |key, value: &str| Filter {
            key,
            values: vec![value.to_owned()],
        };
        let name = filter(FilterKey::Name, "festival");
        let tag = filter(FilterKey::TagKey, "Nobody");
        assert!(pass(&[], &secret(), ""));
        assert!(pass(std::slice::from_ref(&name), &secret(), ""));
        assert!(!pass(&[name, tag], &secret(), ""));
    }

    #[test]
    fn filters_are_checked() {
        let filter = |value: &str| Filter {
            key: FilterKey::Name,
            values: vec![value.to_owned()],
        };
        assert!(check(&vec![filter("!a b:_@/+=.-!"); 10]).is_ok());
        let none = Filter {
            key: FilterKey::Name,
            values: Vec::new(),
        };
        let many = Filter {
            key: FilterKey::Name,
            values: vec!["a".to_owned(); 11],
        };
        for bad in [
            vec![filter("a"); 11],
            vec![none],
            vec![many],
            vec![filter("a*")],
            vec![filter("\u{f6}")],
            vec![filter(&"a".repeat(513))],
        ] {
            assert_eq!(check(&bad).unwrap_err().code(), "InvalidParameterException");
        }
        assert!("Name".parse::<FilterKey>().is_err());
    }
}
