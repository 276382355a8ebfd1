//! `{"action": "test_connectivity"}`: where the way from this function to a secret's servers breaks, if it does. DNS,
//! TCP, TLS and authentication are told apart, and seen on the very way that a rotation takes: resolver, grant, TLS and
//! login are those of the secret's plugin.

use keyturn_engine::{Credential, Engine, Reach};
use keyturn_runtime::{CallError, ErrorKind, Liveness, MemberReport, Stage, Verdict, Way};
use keyturn_store::{ErrorKind as Refusal, SecretDescription, SecretName, SecretStore as _};
use serde_json::{Value, json};

use super::{
    event::TestConnectivity,
    failure::Failure,
    function::{Function, Invocation},
};

/// One result for each credential of the secrets that the event's target names.
pub(super) async fn test(
    function: &Function<'_>,
    invocation: &Invocation,
    event: &TestConnectivity,
) -> Result<Value, Failure> {
    let mut results = Vec::new();
    let engine = function.engine(invocation);
    for description in named(function, invocation, &event.target).await? {
        for credential in function.credentials(&description).await? {
            results.push(of_credential(&engine, &credential).await);
        }
    }
    Ok(json!({"statusCode": 200, "body": Value::from(results).to_string()}))
}

/// The secret of that name or ARN, else every secret of the function's environment whose name ends so: `database` for
/// `festival-prod/database`.
async fn named(
    function: &Function<'_>,
    invocation: &Invocation,
    target: &str,
) -> Result<Vec<SecretDescription>, Failure> {
    if target.contains(['/', ':']) {
        return Ok(vec![function.described(invocation, target).await?]);
    }
    let missing = match invocation.store.describe(&SecretName::new(target)?).await {
        Ok(description) => return Ok(vec![description]),
        // To a role whose policy names its secrets, AWS does not say whether there is another one.
        Err(error) if matches!(error.kind(), Refusal::NotFound | Refusal::AccessDenied) => error,
        Err(error) => return Err(error.into()),
    };
    let own = function.environment.name.as_str();
    let mut found = match invocation.store.list().await {
        Err(error) if error.kind() == Refusal::AccessDenied => {
            return Err(Failure::new(
                "Permission",
                format!(
                    "which secrets end in /{target} the function may not ask (secretsmanager:ListSecrets); nothing was \
                     changed; give the secret's whole name or its ARN"
                ),
            ));
        }
        listed => listed?,
    };
    found.retain(|description| {
        let last = description.name.as_str().rsplit('/').next();
        last == Some(target) && (own.is_empty() || function.environment_of(description) == own)
    });
    if found.is_empty() {
        return Err(missing.into());
    }
    Ok(found)
}

async fn of_credential(engine: &Engine, credential: &Credential) -> Value {
    let mut result = json!({
        "secret": credential.display_name(),
        "plugin": credential.plugin.plugin().descriptor().name,
    });
    match engine.reach(credential).await {
        Ok(reach) => {
            result["version"] = reach.version.as_str().into();
            let endpoints = reach.ways.iter().map(|way| endpoint(way, &reach));
            result["endpoints"] = endpoints.collect::<Vec<_>>().into();
            // Where there is no server, nobody was logged in at.
            let is_asked = !reach.ways.is_empty() || reach.verdict.is_err();
            result["authentication"] = json!(match is_asked {
                true => authentication(&reach.verdict),
                false => Stage::NotTried,
            });
        }
        Err(failure) => {
            result["endpoints"] = json!([]);
            result["authentication"] = json!(Stage::Failed(failure.to_string()));
        }
    }
    result
}

/// What was seen on the way to one server, and what its plugin says of the login there.
fn endpoint(way: &Way, reach: &Reach) -> Value {
    let report = of_member(way, &reach.verdict);
    // Where the plugin gave up on the whole, it says so of no server; if there is only one, it is that one.
    let alone = reach
        .verdict
        .as_ref()
        .err()
        .filter(|_| reach.ways.len() == 1);
    let error = report.and_then(|report| report.error.as_ref()).or(alone);
    // A server that refuses TLS before any handshake says so in the plugin's protocol.
    let tls = match (&way.tls, error) {
        (Stage::NotTried, Some(error)) if error.kind == ErrorKind::Tls => {
            Stage::Failed(error.message.clone())
        }
        (tls, _) => tls.clone(),
    };
    let is_open = ![&way.dns, &way.tcp, &tls]
        .iter()
        .any(|stage| matches!(stage, Stage::Failed(_)));
    let authentication = match (error, report.map(|report| report.liveness)) {
        _ if !is_open => Stage::NotTried,
        (Some(error), _) => Stage::Failed(error.message.clone()),
        (None, Some(liveness)) => of_liveness(liveness),
        (None, None) => Stage::NotTried,
    };
    json!({
        "endpoint": way.endpoint,
        "member": way.member,
        "dns": way.dns,
        "tcp": way.tcp,
        "tls": tls,
        "authentication": authentication,
    })
}

fn of_member<'a>(way: &Way, verdict: &'a Result<Verdict, CallError>) -> Option<&'a MemberReport> {
    let mut members = verdict.as_ref().ok()?.members.iter();
    members.find(|known| known.endpoint == way.endpoint && known.member == way.member)
}

/// The plugin's word on the whole.
fn authentication(verdict: &Result<Verdict, CallError>) -> Stage {
    match verdict {
        Ok(verdict) => of_liveness(verdict.liveness),
        Err(error) => Stage::Failed(error.message.clone()),
    }
}

fn of_liveness(liveness: Liveness) -> Stage {
    let said = match liveness {
        Liveness::Live => return Stage::Passed,
        Liveness::Dead => "is refused",
        Liveness::Mixed => "works on some of the servers only",
        Liveness::Unknown => "could not be tried",
    };
    Stage::Failed(format!("AWSCURRENT {said}; nothing was changed"))
}
