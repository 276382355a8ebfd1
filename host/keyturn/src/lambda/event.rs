//! What the function is invoked with: a step of a rotation, as AWS's service sends it, or an action of ours. Whatever
//! is wrong with an event is said before anything is done, and no word of it is repeated that could be a secret.

use keyturn_engine::Step;
use keyturn_store::{VersionId, aws::RotationToken};
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::failure::Failure;

/// AWS's bound.
const SECRET_ID_BYTES_MAX: usize = 2048;
const STEPS: [Step; 4] = [Step::Create, Step::Set, Step::Test, Step::Finish];

#[derive(Debug)]
pub(crate) enum Event {
    Step(StepEvent),
    HealthCheck(HealthCheck),
    TestConnectivity(TestConnectivity),
    RetireDue(RetireDue),
}

/// One step of a rotation that AWS's service has started.
#[derive(Debug)]
pub(crate) struct StepEvent {
    pub(crate) step: Step,
    /// An ARN.
    pub(crate) secret_id: String,
    /// The id of the pending version.
    pub(crate) token: VersionId,
    /// Absent where the service needs none to know who writes.
    pub(crate) rotation_token: Option<RotationToken>,
}

#[derive(Debug)]
pub(crate) struct HealthCheck {
    /// Names or ARNs; empty: all that keyturn knows of.
    pub(crate) secrets: Vec<String>,
    /// Whether the answer goes to the topic, too; it does unless the event says no.
    pub(crate) report: bool,
}

#[derive(Debug)]
pub(crate) struct TestConnectivity {
    /// A secret's name or ARN.
    pub(crate) target: String,
}

#[derive(Debug)]
pub(crate) struct RetireDue {
    /// Names or ARNs; empty: all that keyturn knows of.
    pub(crate) secrets: Vec<String>,
}

impl Event {
    /// # Errors
    /// `Keyturn.InvalidEvent`, which names the member.
    pub(crate) fn read(payload: &Value) -> Result<Self, Failure> {
        let Value::Object(members) = payload else {
            return Err(Failure::invalid_event("it is no JSON object"));
        };
        if !members.contains_key("action") {
            return StepEvent::read(members).map(Self::Step);
        }
        match text(members, "action")? {
            "health_check" => Ok(Self::HealthCheck(HealthCheck {
                secrets: secrets(members)?,
                report: flag(members, "report", true)?,
            })),
            "test_connectivity" => Ok(Self::TestConnectivity(TestConnectivity {
                target: secret_id(members, "target")?,
            })),
            "retire_due" => Ok(Self::RetireDue(RetireDue {
                secrets: secrets(members)?,
            })),
            _ => Err(Failure::invalid_event(
                "its action is none of health_check, test_connectivity and retire_due",
            )),
        }
    }

    /// What it asks for, in its own word.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Step(event) => event.step.as_str(),
            Self::HealthCheck(_) => "health_check",
            Self::TestConnectivity(_) => "test_connectivity",
            Self::RetireDue(_) => "retire_due",
        }
    }

    /// The step, if it is one.
    pub(crate) fn as_step(&self) -> Option<&StepEvent> {
        match self {
            Self::Step(event) => Some(event),
            Self::HealthCheck(_) | Self::TestConnectivity(_) | Self::RetireDue(_) => None,
        }
    }
}

impl StepEvent {
    fn read(members: &Map<String, Value>) -> Result<Self, Failure> {
        let asked = text(members, "Step")?;
        let step = STEPS.into_iter().find(|step| step.as_str() == asked);
        let step = step.ok_or_else(|| {
            Failure::invalid_event(
                "its Step is none of createSecret, setSecret, testSecret and finishSecret",
            )
        })?;
        let token = VersionId::new(text(members, "ClientRequestToken")?);
        let token = token.map_err(|error| Failure::invalid_member("ClientRequestToken", &error))?;
        let rotation_token = match members.get("RotationToken") {
            None | Some(Value::Null) => None,
            Some(_) => {
                let given = SecretString::from(text(members, "RotationToken")?);
                let read = RotationToken::new(given);
                Some(read.map_err(|error| Failure::invalid_member("RotationToken", &error))?)
            }
        };
        Ok(Self {
            step,
            secret_id: secret_id(members, "SecretId")?,
            token,
            rotation_token,
        })
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, Failure> {
    match members.get(name) {
        None | Some(Value::Null) => Err(Failure::invalid_event(&format!("it has no {name}"))),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Failure::invalid_event(&format!("its {name} is no text"))),
    }
}

fn flag(members: &Map<String, Value>, name: &str, default: bool) -> Result<bool, Failure> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Failure::invalid_event(&format!(
            "its {name} is neither true nor false"
        ))),
    }
}

fn secret_id(members: &Map<String, Value>, name: &str) -> Result<String, Failure> {
    let id = text(members, name)?;
    check_secret_id(id, name)?;
    Ok(id.to_owned())
}

fn secrets(members: &Map<String, Value>) -> Result<Vec<String>, Failure> {
    let wrong = || Failure::invalid_event("its secrets are no list of names and ARNs");
    let listed = match members.get("secrets") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(listed) => listed.as_array().ok_or_else(wrong)?,
    };
    let id = |listed: &Value| {
        let id = listed.as_str().ok_or_else(wrong)?;
        check_secret_id(id, "secrets")?;
        Ok(id.to_owned())
    };
    listed.iter().map(id).collect()
}

fn check_secret_id(id: &str, member: &str) -> Result<(), Failure> {
    if (1..=SECRET_ID_BYTES_MAX).contains(&id.len()) {
        return Ok(());
    }
    Err(Failure::invalid_event(&format!(
        "its {member} names a secret with {} bytes, and 1 to {SECRET_ID_BYTES_MAX} name one",
        id.len()
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOKEN: &str = "11111111-2222-4333-8444-555555555555";

    fn step() -> Value {
        json!({
            "Step": "setSecret", "SecretId": "festival-prod/jwt", "ClientRequestToken": TOKEN,
            "RotationToken": "0123abcd-0123-0123-0123-0123456789ab", "More": {"later": 1},
        })
    }

    fn check(change: impl FnOnce(&mut Value), expected: &str) {
        let mut event = step();
        change(&mut event);
        let failure = Event::read(&event).unwrap_err();
        assert_eq!(failure.error_type, "Keyturn.InvalidEvent");
        assert!(failure.message.contains(expected), "{failure:?}");
        assert!(!failure.message.contains("0123abcd"), "{failure:?}");
    }

    #[test]
    fn a_step_is_read_whatever_else_the_event_holds() {
        let event = Event::read(&step()).unwrap();
        let step = event.as_step().unwrap();
        assert_eq!((step.step, step.token.as_str()), (Step::Set, TOKEN));
        assert!(step.rotation_token.is_some());
        assert!(!format!("{event:?}").contains("0123abcd"));
    }

    #[test]
    fn what_is_wrong_is_named_and_not_repeated() {
        check(|event| *event = json!([1]), "no JSON object");
        check(
            |event| event["Step"] = json!("dropSecret"),
            "its Step is none of",
        );
        check(|event| event["Step"] = json!(null), "no Step");
        check(|event| event["Step"] = json!(4), "its Step is no text");
        check(
            |event| event["SecretId"] = json!(["a"]),
            "its SecretId is no text",
        );
        check(|event| event["SecretId"] = json!(""), "0 bytes");
        check(
            |event| event["SecretId"] = json!("a".repeat(2049)),
            "2049 bytes",
        );
        check(
            |event| event["ClientRequestToken"] = json!("0123abcd"),
            "its ClientRequestToken",
        );
        check(
            |event| event["RotationToken"] = json!("0123abcd"),
            "its RotationToken",
        );
        check(
            |event| event["action"] = json!("reboot"),
            "its action is none of",
        );
        check(
            |event| *event = json!({"action": "health_check", "secrets": "a"}),
            "its secrets",
        );
        check(
            |event| *event = json!({"action": "health_check", "report": 1}),
            "its report",
        );
        check(
            |event| *event = json!({"action": "retire_due", "secrets": [1]}),
            "its secrets",
        );
        check(
            |event| *event = json!({"action": "test_connectivity"}),
            "no target",
        );
        check(|event| *event = json!({}), "no Step");
    }
}
