//! GetRandomPassword: AWS's options over the generator that plugins' passwords come from.

use keyturn_policy::password::{Constraints, PasswordPolicy, RandomUnavailable, SecureRandom};
use serde_json::json;

use super::Call;
use crate::error::{Answer, ApiError};

const LENGTH_MAX: u32 = 4096;
const LENGTH: i64 = 32;
const PUNCTUATION: &str = r##"!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"##;

struct OperatingSystem;

impl SecureRandom for OperatingSystem {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        getrandom::fill(bytes).map_err(|_| RandomUnavailable)
    }
}

pub(super) async fn random(call: &mut Call<'_>) -> Answer {
    let members = &call.members;
    let length = members.integer("PasswordLength", &(1..=i64::from(LENGTH_MAX)))?;
    let exclude = members.text("ExcludeCharacters", 0..=LENGTH_MAX as usize)?;
    let flag = |name, absent| Answer::Ok(members.flag(name)?.unwrap_or(absent));
    let policy = PasswordPolicy {
        length: u32::try_from(length.unwrap_or(LENGTH)).unwrap_or(LENGTH_MAX),
        exclude: exclude.unwrap_or_default().to_owned(),
        exclude_lowercase: flag("ExcludeLowercase", false)?,
        exclude_uppercase: flag("ExcludeUppercase", false)?,
        exclude_numbers: flag("ExcludeNumbers", false)?,
        exclude_punctuation: flag("ExcludePunctuation", false)?,
        include_space: flag("IncludeSpace", false)?,
        punctuation: PUNCTUATION.to_owned(),
        require_each_included_type: flag("RequireEachIncludedType", true)?,
    };
    let any = Constraints {
        length_min: 1,
        length_max: LENGTH_MAX,
        exclude: String::new(),
    };
    let password = policy.generate(&any, &OperatingSystem).map_err(|_| {
        ApiError::parameter(
            "No password fits these options: too many characters are excluded, or the length is too short for one of \
             every included type.",
        )
    })?;
    Ok(json!({"RandomPassword": password}))
}
