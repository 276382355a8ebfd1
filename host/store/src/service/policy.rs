//! The form of a resource policy, and whether it lets everybody in. Pure: it decides no request.
//!
//! Source: the IAM policy grammar
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>). What AWS calls public it finds
//! by reasoning about all conditions; here a condition counts as a restriction if one of its keys names who asks or
//! from where, and not everything is allowed for it.

use serde_json::{Map, Value};

use crate::error::{ErrorKind, StoreError};

/// Longest policy, in characters.
pub const POLICY_CHARS_MAX: usize = 20_480;

const MEMBERS: &[&str] = &["Version", "Id", "Statement"];
const VERSIONS: &[&str] = &["2012-10-17", "2008-10-17"];
const STATEMENT_MEMBERS: &[&str] = &[
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];
/// Keys that tell who asks or from where.
const RESTRICTING_KEYS: &[&str] = &[
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "aws:viaawsservice",
];

/// What a policy of sound form says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyFacts {
    /// It allows something to everybody.
    pub is_public: bool,
}

/// Checks the form of a policy.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] if it is empty or too long, [`ErrorKind::MalformedPolicy`] if it is no policy.
pub fn check(policy: &str) -> Result<PolicyFacts, StoreError> {
    let chars = policy.chars().count();
    if chars == 0 || chars > POLICY_CHARS_MAX {
        return Err(StoreError::new(
            ErrorKind::InvalidParameter,
            format!("the policy has {chars} characters"),
            format!("use 1 to {POLICY_CHARS_MAX}"),
        ));
    }
    let is_public = look(policy).map_err(|wrong| {
        StoreError::new(
            ErrorKind::MalformedPolicy,
            format!("this is not a resource policy: {wrong}"),
            "see the grammar of IAM policies",
        )
        .for_clients("This resource policy contains a syntax error.")
    })?;
    Ok(PolicyFacts { is_public })
}

/// What AWS says of a policy that `BlockPublicPolicy` keeps out.
pub(crate) fn public() -> StoreError {
    StoreError::new(
        ErrorKind::PublicPolicy,
        "the policy lets everybody in",
        "name principals, restrict it by a condition, or do not block public policies",
    )
    .for_clients("The BlockPublicPolicy parameter is set to true, and the resource policy did not prevent broad access to the secret.")
}

fn look(policy: &str) -> Result<bool, String> {
    let Ok(Value::Object(policy)) = serde_json::from_str(policy) else {
        return Err("it is not a JSON object".to_owned());
    };
    known(&policy, MEMBERS)?;
    if let Some(version) = policy.get("Version") {
        one_of(version, VERSIONS).ok_or("its Version is unknown")?;
    }
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => statements.as_slice(),
        Some(statement @ Value::Object(_)) => std::slice::from_ref(statement),
        Some(_) | None => return Err("it has no Statement".to_owned()),
    };
    let mut is_public = false;
    for statement in statements {
        let Value::Object(statement) = statement else {
            return Err("a Statement is not an object".to_owned());
        };
        is_public |= look_at_statement(statement)?;
    }
    Ok(is_public)
}

fn look_at_statement(statement: &Map<String, Value>) -> Result<bool, String> {
    known(statement, STATEMENT_MEMBERS)?;
    let effect = statement
        .get("Effect")
        .and_then(|effect| one_of(effect, &["Allow", "Deny"]));
    let effect = effect.ok_or("the Effect of a Statement is neither Allow nor Deny")?;
    let (_, actions) = one_member(statement, "Action", "NotAction")?;
    let (_, resources) = one_member(statement, "Resource", "NotResource")?;
    for listed in [actions, resources] {
        if texts(listed).is_none_or(|texts| texts.is_empty()) {
            return Err("actions and resources are texts".to_owned());
        }
    }
    let (named, principal) = one_member(statement, "Principal", "NotPrincipal")?;
    let everybody = principals(principal)?.contains(&"*");
    let restricted = match statement.get("Condition") {
        None => false,
        Some(condition) => restricts(condition)?,
    };
    // Whoever is not named is everybody else.
    let broad = everybody || named == "NotPrincipal";
    Ok(effect == "Allow" && broad && !restricted)
}

fn principals(principal: &Value) -> Result<Vec<&str>, String> {
    const WRONG: &str = "a Principal is neither * nor an object of texts";
    match principal {
        Value::String(all) if all == "*" => Ok(vec![all]),
        Value::Object(kinds) if !kinds.is_empty() => {
            let lists: Option<Vec<_>> = kinds
                .iter()
                .map(|(kind, list)| {
                    let known = ["AWS", "Service", "Federated", "CanonicalUser"];
                    known
                        .contains(&kind.as_str())
                        .then(|| texts(list))
                        .flatten()
                })
                .collect();
            Ok(lists.ok_or(WRONG)?.concat())
        }
        _ => Err(WRONG.to_owned()),
    }
}

/// Whether a condition leaves only some out of everybody.
fn restricts(condition: &Value) -> Result<bool, String> {
    const WRONG: &str = "a Condition is not an object of operators, keys and texts";
    let operators = condition.as_object().ok_or(WRONG)?;
    let mut restricts = false;
    for (operator, keys) in operators {
        let inclusive = !operator.contains("Not")
            && !operator.ends_with("IfExists")
            && operator != "Null"
            && !operator.starts_with("ForAllValues:");
        for (key, values) in keys.as_object().ok_or(WRONG)? {
            let values = match values {
                Value::Bool(_) | Value::Number(_) => Vec::new(),
                values => texts(values).ok_or(WRONG)?,
            };
            let everything = |value: &&str| ["*", "0.0.0.0/0", "::/0"].contains(value);
            let names_who = RESTRICTING_KEYS.contains(&key.to_ascii_lowercase().as_str());
            restricts |= inclusive && names_who && !values.iter().any(everything);
        }
    }
    Ok(restricts)
}

/// The one of two members that excludes the other, with its name.
fn one_member<'a>(
    statement: &'a Map<String, Value>,
    name: &'a str,
    opposite: &'a str,
) -> Result<(&'a str, &'a Value), String> {
    match (statement.get(name), statement.get(opposite)) {
        (Some(value), None) => Ok((name, value)),
        (None, Some(value)) => Ok((opposite, value)),
        _ => Err(format!("a Statement needs one of {name} and {opposite}")),
    }
}

fn known(object: &Map<String, Value>, members: &[&str]) -> Result<(), String> {
    match object.keys().find(|key| !members.contains(&key.as_str())) {
        Some(_) => Err("it has a member that no policy has".to_owned()),
        None => Ok(()),
    }
}

fn one_of<'a>(value: &'a Value, known: &[&str]) -> Option<&'a str> {
    value.as_str().filter(|text| known.contains(text))
}

/// A text, or a list of them.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(list) => list.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(statement: &str) -> String {
        format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#)
    }

    fn allow(principal: &str, condition: &str) -> String {
        policy(&format!(
            r#"{{"Effect":"Allow",{principal},"Action":"secretsmanager:*","Resource":"*"{condition}}}"#
        ))
    }

    fn is_public(principal: &str, condition: &str) -> bool {
        check(&allow(principal, condition)).unwrap().is_public
    }

    #[test]
    fn whoever_lets_everybody_in_is_public() {
        assert!(is_public(r#""Principal":"*""#, ""));
        assert!(is_public(r#""Principal":{"AWS":"*"}"#, ""));
        assert!(is_public(r#""Principal":{"AWS":["arn:x","*"]}"#, ""));
        assert!(is_public(r#""NotPrincipal":{"AWS":"arn:x"}"#, ""));
        let one = r#""Principal":{"AWS":"arn:aws:iam::123456789012:root"}"#;
        assert!(!is_public(one, ""));
        let deny = allow(r#""Principal":"*""#, "").replace("Allow", "Deny");
        assert!(!check(&deny).unwrap().is_public);
    }

    #[test]
    fn a_condition_on_who_asks_restricts() {
        for (condition, expected) in [
            (r#"{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#, false),
            (
                r#"{"ArnLike":{"aws:sourceArn":["arn:aws:iam::1:x"]}}"#,
                false,
            ),
            (r#"{"Bool":{"aws:ViaAWSService":true}}"#, false),
            (r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#, false),
            (r#"{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}"#, true),
            (r#"{"StringLike":{"aws:PrincipalOrgID":"*"}}"#, true),
            (r#"{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}"#, true),
            (r#"{"StringEqualsIfExists":{"aws:SourceVpc":"v"}}"#, true),
            (
                r#"{"ForAllValues:StringEquals":{"aws:SourceVpc":"v"}}"#,
                true,
            ),
            (r#"{"Bool":{"aws:SecureTransport":"true"}}"#, true),
            ("{}", true),
        ] {
            let condition = format!(r#","Condition":{condition}"#);
            let found = is_public(r#""Principal":"*""#, &condition);
            assert_eq!(found, expected, "{condition}");
        }
    }

    #[test]
    fn the_form_is_checked() {
        let sound = r#"{"Sid":"a","Effect":"Deny","Principal":{"Service":["x"]},"NotAction":["a","b"],"NotResource":["r"]}"#;
        assert!(check(&policy(sound)).is_ok());
        assert!(check(&format!(r#"{{"Statement":{sound}}}"#)).is_ok());
        for bad in [
            "policy".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            r#"{"Statement":[]}"#.to_owned(),
            format!(r#"{{"Version":"2020-01-01","Statement":{sound}}}"#),
            format!(r#"{{"Other":1,"Statement":{sound}}}"#),
            policy("1"),
            policy(&sound.replace("Deny", "deny")),
            policy(&sound.replace("Effect", "effect")),
            policy(&sound.replace("NotAction", "Actions")),
            policy(&sound.replace(r#"["a","b"]"#, "[]")),
            policy(&sound.replace(r#"["r"]"#, "1")),
            policy(&sound.replace(r#"{"Service":["x"]}"#, r#""x""#)),
            policy(&sound.replace("Service", "Nobody")),
            policy(&sound.replace("\"NotResource\"", "\"Resource\":\"*\",\"NotResource\"")),
            policy(&sound.replace("\"Sid\":\"a\"", "\"Condition\":{\"Bool\":1}")),
        ] {
            let error = check(&bad).unwrap_err();
            assert_eq!(error.code(), "MalformedPolicyDocumentException", "{bad}");
        }
    }

    #[test]
    fn a_policy_has_1_to_20480_characters() {
        let sound = allow(r#""Principal":"*""#, "");
        assert_eq!(check("").unwrap_err().code(), "InvalidParameterException");
        let longest = format!("{sound}{}", " ".repeat(20_480 - sound.len()));
        assert!(check(&longest).is_ok());
        let too_long = check(&format!("{longest} ")).unwrap_err();
        assert_eq!(too_long.code(), "InvalidParameterException");
    }
}
