//! The forms that vendors' secrets have, and the parts that can be read from them without asking anybody.

use p256::pkcs8::DecodePrivateKey as _;
use serde::Deserialize;

use crate::profile::{Format, Text};
use crate::sign;

/// Name and text.
pub(crate) type Parts = Vec<(&'static str, String)>;

/// The members of a service account's JSON that are used.
#[derive(Deserialize)]
struct ServiceAccount {
    r#type: String,
    project_id: String,
    private_key_id: String,
    private_key: String,
    client_email: String,
}

impl Format {
    /// The parts of a text of this form; else what it should be. Never the text itself.
    pub(crate) fn parts(&self, text: &str) -> Result<Parts, String> {
        match self {
            Self::Text(form) if form.fits(text) => Ok(Vec::new()),
            Self::Text(form) => Err(form.in_words()),
            Self::EcKey => match p256::ecdsa::SigningKey::from_pkcs8_pem(text) {
                Ok(_) => Ok(Vec::new()),
                Err(_) => Err("a P-256 private key in PEM (-----BEGIN PRIVATE KEY-----)".into()),
            },
            Self::ServiceAccount => service_account(text),
            Self::Dsn => dsn(text).ok_or_else(|| "a DSN such as https://KEY@HOST/PROJECT".into()),
        }
    }

    /// A regular expression for people and their tools, where there is one.
    pub(crate) fn pattern(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.pattern()),
            Self::EcKey | Self::ServiceAccount | Self::Dsn => None,
        }
    }
}

impl Text {
    pub(crate) fn fits(&self, text: &str) -> bool {
        let Some(rest) = text.strip_prefix(&self.starts_with) else {
            return false;
        };
        (self.least..=self.most).contains(&rest.chars().count())
            && rest.chars().all(|character| self.allows(character))
    }

    pub(crate) fn allows(&self, character: char) -> bool {
        let mut rest = self.characters.as_str();
        while let Some(first) = rest.chars().next() {
            let mut behind = rest[first.len_utf8()..].chars();
            let last = match (behind.next(), behind.next()) {
                (Some('-'), Some(last)) => last,
                _ => first,
            };
            if (first..=last).contains(&character) {
                return true;
            }
            let width = if last == first {
                first.len_utf8()
            } else {
                first.len_utf8() + 1 + last.len_utf8()
            };
            rest = &rest[width..];
        }
        false
    }

    fn in_words(&self) -> String {
        let length = if self.least == self.most {
            self.least.to_string()
        } else {
            format!("{} to {}", self.least, self.most)
        };
        let begins = if self.starts_with.is_empty() {
            String::new()
        } else {
            format!("{} and ", self.starts_with)
        };
        format!("{begins}{length} characters of {}", self.characters)
    }

    fn pattern(&self) -> String {
        let prefix = self.starts_with.replace('.', "\\.");
        let (least, most) = (self.least, self.most);
        format!("^{prefix}[{}]{{{least},{most}}}$", self.characters)
    }
}

fn service_account(text: &str) -> Result<Parts, String> {
    let wrong = || "the JSON file of a service account's key, as it was downloaded".to_owned();
    // serde_json's own words may quote the text.
    let account: ServiceAccount = serde_json::from_str(text).map_err(|_| wrong())?;
    if account.r#type != "service_account" {
        return Err(wrong());
    }
    if !sign::is_rsa_key(&account.private_key) {
        return Err("the JSON file of a service account with an RSA key of 2048 bits".into());
    }
    Ok(vec![
        ("project_id", account.project_id),
        ("private_key_id", account.private_key_id),
        ("private_key", account.private_key),
        ("client_email", account.client_email),
    ])
}

/// The public key may be followed by the secret one of old DSNs.
fn dsn(text: &str) -> Option<Parts> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))?;
    let (keys, address) = rest.split_once('@')?;
    let (host, path) = address.split_once('/')?;
    let project = path.rsplit('/').next()?;
    let is_key =
        |key: &str| key.len() >= 16 && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte));
    let is_project = !project.is_empty() && project.bytes().all(|byte| byte.is_ascii_digit());
    let whole = keys.split(':').all(is_key) && is_host && is_project;
    whole.then(|| vec![("host", host.to_owned()), ("project", project.to_owned())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(starts_with: &str, characters: &str, least: usize, most: usize) -> Text {
        Text {
            starts_with: starts_with.into(),
            characters: characters.into(),
            least,
            most,
        }
    }

    #[test]
    fn a_word_is_its_beginning_its_characters_and_its_length() {
        let key = text("SG.", "A-Za-z0-9._-", 4, 8);
        for good in ["SG.abcd", "SG.A-_.09zZ"] {
            assert!(key.fits(good), "{good}");
        }
        for bad in [
            "",
            "SG.",
            "SG.abc",
            "SG.abcdefghi",
            "sg.abcd",
            "SG.ab d",
            "SG.abcdé",
        ] {
            assert!(!key.fits(bad), "{bad}");
        }
        assert_eq!(key.pattern(), r"^SG\.[A-Za-z0-9._-]{4,8}$");
        assert_eq!(key.in_words(), "SG. and 4 to 8 characters of A-Za-z0-9._-");
        let hex = text("", "0-9a-f", 2, 2);
        assert!(hex.fits("a0") && !hex.fits("g0") && !hex.fits("A0") && !hex.fits("a-"));
        assert_eq!(hex.in_words(), "2 characters of 0-9a-f");
    }

    #[test]
    fn a_dsn_tells_host_and_project() {
        let key = "0123456789abcdef0123456789abcdef";
        let parts = |dsn: &str| Format::Dsn.parts(dsn);
        let expected = vec![
            ("host", "o1.ingest.sentry.io".to_owned()),
            ("project", "42".to_owned()),
        ];
        assert_eq!(
            parts(&format!("https://{key}@o1.ingest.sentry.io/42")),
            Ok(expected.clone())
        );
        let old = format!("https://{key}:{key}@o1.ingest.sentry.io/prefix/42");
        assert_eq!(parts(&old), Ok(expected));
        for bad in [
            "".to_owned(),
            format!("https://{key}@o1.ingest.sentry.io"),
            format!("https://{key}@o1.ingest.sentry.io/"),
            format!("https://{key}@o1.ingest.sentry.io/a"),
            format!("ftp://{key}@o1.ingest.sentry.io/42"),
            "https://short@o1.ingest.sentry.io/42".to_owned(),
            format!("https://{key}@/42"),
        ] {
            let cause = parts(&bad).unwrap_err();
            assert!(!cause.contains(key), "{cause}");
        }
    }

    #[test]
    fn files_of_another_form_are_refused_and_not_shown() {
        for format in [Format::EcKey, Format::ServiceAccount] {
            for bad in [
                "",
                "{}",
                "a secret that is none",
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            ] {
                let cause = format.parts(bad).unwrap_err();
                assert!(
                    !cause.contains("AAAA") && !cause.contains("is none"),
                    "{cause}"
                );
            }
        }
    }
}
