//! The function's environment variables: those of AWS's own rotation functions and of their usual surroundings are
//! honoured, as defaults for what neither the secret's tags nor a file says.

use std::{env, path::PathBuf};

use keyturn_runtime::PasswordPolicy;
use secrecy::SecretString;

use super::failure::Failure;

const NAMESPACE: &str = "Festival/Secrets";
/// The name under which AWS hands out the roots of its databases.
const CA_BUNDLE: &str = "global-bundle.pem";
/// Where Lambda has unpacked the function.
pub(super) const TASK_ROOT: &str = "LAMBDA_TASK_ROOT";

pub(crate) struct Environment {
    pub(crate) topic_arn: Option<String>,
    /// For emergencies; absent: they go to the other topic.
    pub(crate) security_topic_arn: Option<String>,
    /// It opens a door, so it is never shown.
    pub(crate) slack_webhook_url: Option<SecretString>,
    /// Of secrets whose tags and name do not tell theirs.
    pub(crate) name: String,
    pub(crate) metric_namespace: String,
    pub(crate) password: PasswordPolicy,
    /// To be trusted beside the system's roots.
    pub(crate) ca_bundle: Option<PathBuf>,
}

impl Environment {
    /// # Errors
    /// `Keyturn.Configuration` for a variable that says nothing that it could mean.
    pub(super) fn read() -> Result<Self, Failure> {
        Self::of(&|name| env::var(name).ok())
    }

    fn of(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let text = |name: &str| variable(name).filter(|text| !text.is_empty());
        let bundle = text(TASK_ROOT).map(|root| PathBuf::from(root).join(CA_BUNDLE));
        Ok(Self {
            topic_arn: text("SNS_TOPIC_ARN"),
            security_topic_arn: text("SECURITY_TOPIC_ARN"),
            slack_webhook_url: text("SLACK_WEBHOOK_URL").map(SecretString::from),
            name: text("ENVIRONMENT").unwrap_or_default(),
            metric_namespace: text("METRIC_NAMESPACE").unwrap_or_else(|| NAMESPACE.to_owned()),
            password: password(&text)?,
            ca_bundle: bundle.filter(|path| path.is_file()),
        })
    }
}

/// What is not said is keyturn's own default, not that of AWS's functions, whose punctuation has to be escaped in URLs.
fn password(text: &dyn Fn(&str) -> Option<String>) -> Result<PasswordPolicy, Failure> {
    let default = PasswordPolicy::default();
    let flag = |name: &str, default: bool| match text(name) {
        None => Ok(default),
        Some(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "y" | "1" => Ok(true),
            "false" | "no" | "n" | "0" => Ok(false),
            _ => Err(wrong(name, "give true or false")),
        },
    };
    let length = match text("PASSWORD_LENGTH") {
        None => default.length,
        Some(length) => length
            .parse()
            .map_err(|_| wrong("PASSWORD_LENGTH", "give a number"))?,
    };
    let policy = PasswordPolicy {
        length,
        exclude: text("EXCLUDE_CHARACTERS").unwrap_or_default(),
        exclude_lowercase: flag("EXCLUDE_LOWERCASE", default.exclude_lowercase)?,
        exclude_uppercase: flag("EXCLUDE_UPPERCASE", default.exclude_uppercase)?,
        exclude_numbers: flag("EXCLUDE_NUMBERS", default.exclude_numbers)?,
        exclude_punctuation: flag("EXCLUDE_PUNCTUATION", default.exclude_punctuation)?,
        require_each_included_type: flag(
            "REQUIRE_EACH_INCLUDED_TYPE",
            default.require_each_included_type,
        )?,
        ..default
    };
    let checked = policy.check();
    checked.map_err(|problem| wrong("PASSWORD_LENGTH or EXCLUDE_…", &problem))?;
    Ok(policy)
}

fn wrong(name: &str, problem: &str) -> Failure {
    Failure::configuration(format!(
        "the environment variable {name}: {problem}; nothing was changed"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Environment, Failure> {
        Environment::of(&|name| {
            let known = variables.iter().find(|(known, _)| *known == name);
            known.map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn variables_of_awss_functions_make_the_password_policy() {
        let given = [
            ("PASSWORD_LENGTH", "48"),
            ("EXCLUDE_CHARACTERS", "/@\"'\\"),
            ("EXCLUDE_NUMBERS", "True"),
            ("EXCLUDE_PUNCTUATION", "no"),
            ("EXCLUDE_UPPERCASE", "1"),
            ("EXCLUDE_LOWERCASE", ""),
            ("REQUIRE_EACH_INCLUDED_TYPE", "false"),
        ];
        let expected = PasswordPolicy {
            length: 48,
            exclude: "/@\"'\\".to_owned(),
            exclude_numbers: true,
            exclude_uppercase: true,
            require_each_included_type: false,
            ..PasswordPolicy::default()
        };
        assert_eq!(read(&given).ok().map(|read| read.password), Some(expected));
    }

    #[test]
    fn what_a_variable_cannot_mean_is_refused_by_its_name() {
        for (name, text) in [
            ("PASSWORD_LENGTH", "long"),
            ("PASSWORD_LENGTH", "4"),
            ("EXCLUDE_NUMBERS", "maybe"),
        ] {
            let failure = read(&[(name, text)]).err().unwrap();
            assert_eq!(failure.error_type, "Keyturn.Configuration");
            assert!(failure.message.contains(name), "{failure:?}");
        }
        let read = read(&[]).ok().unwrap();
        assert_eq!(read.password, PasswordPolicy::default());
        assert_eq!(
            (read.name.as_str(), read.metric_namespace.as_str()),
            ("", NAMESPACE)
        );
    }
}
