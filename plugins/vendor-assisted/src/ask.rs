//! Asks the vendor what a secret is worth, by the profile's request, and reads the answer by the profile's table. A
//! wrong secret must be refused on the same way, or the answers prove nothing.

use form_urlencoded::Serializer;
use keyturn_sdk::endpoint::NetErrorKind;
use keyturn_sdk::http::{self, Request, Response};
use keyturn_sdk::{Error, ErrorKind, random};
use serde_json::Value;

use crate::profile::{Check, Field, Fits, Format, Meaning, Profile, Template, Trial};
use crate::sign;
use crate::values::Values;

const ENDPOINT: &str = "api";

/// What the vendor said, and the whole answer.
pub(crate) type Answer = (Meaning, Value);

/// `whose` is for errors.
pub(crate) fn check(
    profile: &Profile,
    check: &Check,
    values: &Values,
    whose: &str,
) -> Result<Answer, Error> {
    let doing = format!("asking {} about {whose}", profile.vendor);
    let mut values = values.clone();
    if let Some(sign) = &profile.sign {
        let assertion = sign::assertion(sign, &values, false)?;
        values.add("assertion", assertion);
    }
    ask(profile, &check.request, &check.answers, &values, &doing)
}

pub(crate) fn trial(profile: &Profile, trial: &Trial, values: &Values) -> Result<Answer, Error> {
    let doing = format!("{} at {}", trial.does, profile.vendor);
    ask(profile, &trial.request, &trial.answers, values, &doing)
}

/// A secret of the same shape that nobody has must be refused.
pub(crate) fn wrong_is_refused(
    profile: &Profile,
    check: &Check,
    values: &Values,
) -> Result<(), Error> {
    let mut wrong = values.clone();
    match &profile.sign {
        Some(sign) => wrong.add("assertion", sign::assertion(sign, values, true)?),
        None => {
            for field in profile.fields.iter().filter(|field| field.sensitive) {
                wrong.add(&field.member, like(field, values.get(&field.member)?));
            }
        }
    }
    let doing = format!("asking {} about a secret that nobody has", profile.vendor);
    match ask(profile, &check.request, &check.answers, &wrong, &doing)? {
        (Meaning::Dead, _) => Ok(()),
        (Meaning::Live | Meaning::Forbidden, _) => Err(Error::unprotected(format!(
            "the endpoint `{ENDPOINT}` accepts a secret that nobody has, so it proves nothing: is it {}?",
            profile.vendor
        ))),
    }
}

/// The same shape with other letters and digits, behind what all such secrets begin with. Never the genuine one.
fn like(field: &Field, genuine: &str) -> String {
    let form = match &field.format {
        Format::Text(form) => Some(form),
        Format::EcKey | Format::ServiceAccount | Format::Dsn => None,
    };
    let start = form.map_or(0, |form| form.starts_with.len());
    let (start, rest) = genuine.split_at(start.min(genuine.len()));
    let is_allowed = |one: &char| form.is_none_or(|form| form.allows(*one));
    let other = |character: char| {
        let class: Vec<char> = match character {
            '0'..='9' => ('0'..='9').collect(),
            'a'..='z' => ('a'..='z').collect(),
            'A'..='Z' => ('A'..='Z').collect(),
            _ => return character,
        };
        let is_other = |one: &char| *one != character && is_allowed(one);
        let class: Vec<_> = class.into_iter().filter(is_other).collect();
        // The slight bias of the remainder does not matter: the result is nobody's.
        let at = usize::from(random::bytes(1)[0]) % class.len().max(1);
        class.get(at).copied().unwrap_or(character)
    };
    let mut wrong: String = start.chars().chain(rest.chars().map(other)).collect();
    if wrong == genuine {
        // It has neither letters nor digits. Without its last character it is another one, too.
        let last = wrong.pop();
        wrong.extend(('!'..='~').find(|one| Some(*one) != last && is_allowed(one)));
    }
    wrong
}

fn ask(
    profile: &Profile,
    template: &Template,
    answers: &[Fits],
    values: &Values,
    doing: &str,
) -> Result<Answer, Error> {
    let request = request(template, values)?;
    let response = http::send(ENDPOINT, &request).map_err(|error| {
        if error.kind == NetErrorKind::UnknownEndpoint {
            return not_granted(profile);
        }
        Error::from(error).context(&format!("{doing} failed"))
    })?;
    // An answer without a body, or of another kind, says as much as its status.
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let fits = |fits: &&Fits| {
        let matches = |(pointer, wanted): (&String, &Value)| body.pointer(pointer) == Some(wanted);
        fits.status.contains(&response.status)
            && fits.r#where.iter().all(matches)
            && fits
                .has
                .iter()
                .all(|pointer| body.pointer(pointer).is_some())
    };
    match answers.iter().find(fits) {
        Some(fits) => Ok((fits.means, body)),
        None => Err(no_verdict(profile, &response, doing)),
    }
}

fn no_verdict(profile: &Profile, response: &Response, doing: &str) -> Error {
    let vendor = &profile.vendor;
    let error = match response.status {
        429 => Error::throttled(format!("{doing} failed: too many requests; try again")),
        500..=599 => Error::unreachable(format!(
            "{doing} failed: {vendor} has trouble of its own; try again"
        )),
        _ => Error::new(
            ErrorKind::Protocol,
            format!(
                "{doing} failed: the answer is none that is known of {vendor}; look at grant.endpoint.{ENDPOINT}"
            ),
        ),
    };
    error.code(response.status.to_string())
}

fn not_granted(profile: &Profile) -> Error {
    let host = profile.host.as_deref().unwrap_or_default();
    Error::invalid_settings(format!(
        "whether the secret works can only be asked of {host}, and no way there is granted: set \
         grant.endpoint.{ENDPOINT} = {{ members = [\"{host}:443\"] }}"
    ))
}

fn request(template: &Template, values: &Values) -> Result<Request, Error> {
    let mut request = Request::new(&template.method, &template.path);
    // Apple's token endpoint refuses those who do not say who they are.
    request = request
        .header("User-Agent", concat!("keyturn/", env!("CARGO_PKG_VERSION")))
        .header("Accept", "application/json");
    for (name, text) in &template.headers {
        request = request.header(name, values.fill(text)?);
    }
    if let Some(form) = &template.form {
        let mut body = Serializer::new(String::new());
        for (name, text) in form {
            body.append_pair(name, &values.fill(text)?);
        }
        request.body = Some(body.finish().into_bytes());
        request = request.header("Content-Type", "application/x-www-form-urlencoded");
    }
    if let Some(json) = &template.json {
        request.body = Some(filled(json, values)?.to_string().into_bytes());
        request = request.header("Content-Type", "application/json");
    }
    Ok(request)
}

fn filled(json: &Value, values: &Values) -> Result<Value, Error> {
    Ok(match json {
        Value::String(text) => values.fill(text)?.into(),
        Value::Array(items) => {
            let items = items.iter().map(|item| filled(item, values));
            items.collect::<Result<Vec<_>, _>>()?.into()
        }
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, member)| Ok((name.clone(), filled(member, values)?)));
            Value::Object(members.collect::<Result<_, Error>>()?)
        }
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyturn_sdk::fake;

    #[test]
    fn what_nobody_has_is_never_what_somebody_has() {
        let profile = Profile::named("sendgrid").unwrap();
        let field = &profile.fields[0];
        let Format::Text(form) = &field.format else {
            panic!("a key of SendGrid's is a word")
        };
        for seed in 0..20 {
            let _host = fake::Host::new().seed(seed).install();
            for genuine in ["SG.aB3-_aB3-_aB3-_aB3-_", &format!("SG.{}", "-".repeat(20))] {
                let wrong = like(field, genuine);
                assert!(wrong != genuine && form.fits(&wrong), "{wrong}");
            }
            // Not by chance either.
            let one = like(field, "SG.a");
            assert!(one.starts_with("SG.") && one != "SG.a", "{one}");
        }
    }
}
