//! `{"action": "retire_due"}`, on a schedule: kills the values whose grace is over, and puts announced keys into use
//! whose lead is. What is due stands with each secret, so whichever invocation comes first does it, and the next one
//! continues what was cut off.

use keyturn_engine::{Credential, Engine, Goal, Outcome, Status};
use keyturn_store::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::time::timeout_at;

use super::{
    event::RetireDue,
    failure::Failure,
    function::{Function, Invocation},
    notify,
};

/// What became of one credential.
enum Became {
    /// Nothing was due.
    Nothing,
    Done(&'static str),
    /// A person has something to do first, and nothing is broken.
    Waits(Failure),
    Failed(Failure),
}

/// Answers a line for each secret; an error if anything that was due could not be done, so that alarms hear of it.
pub(super) async fn run(
    function: &Function<'_>,
    invocation: &Invocation,
    event: &RetireDue,
) -> Result<Value, Failure> {
    let ids = match event.secrets.as_slice() {
        [] => {
            let names = invocation.store.tagged().await?;
            names.into_iter().map(String::from).collect()
        }
        listed => listed.to_vec(),
    };
    let mut lines = Vec::new();
    let mut failed: Option<Failure> = None;
    for id in ids {
        let work = of_secret(function, invocation, &id);
        let became = match timeout_at(invocation.deadline.into(), work).await {
            Ok(Ok(became)) => became,
            // A tag of ours on a secret that nobody has asked about, such as one's admin secret.
            Ok(Err(failure)) if event.secrets.is_empty() && failure.is_unknown_kind() => {
                vec![(id, Became::Nothing)]
            }
            Ok(Err(failure)) => vec![(id, Became::Failed(failure))],
            Err(_) => vec![(id, Became::Failed(Failure::out_of_time()))],
        };
        for (name, became) in became {
            lines.push(became.line(&name));
            if let Became::Failed(failure) = became {
                // Nobody's notification is worth the answer.
                let telling = notify::of_due(function, &name, &failure);
                let _ = timeout_at(invocation.end.into(), telling).await;
                failed.get_or_insert(failure);
            }
        }
    }
    for line in &lines {
        // They are the answer, too.
        let _ = function.log.line(line.clone());
    }
    match failed {
        Some(failure) => Err(Failure {
            message: Value::from(lines).to_string(),
            ..failure
        }),
        None => Ok(json!({"statusCode": 200, "body": Value::from(lines).to_string()})),
    }
}

async fn of_secret(
    function: &Function<'_>,
    invocation: &Invocation,
    id: &str,
) -> Result<Vec<(String, Became)>, Failure> {
    let secret = function.described(invocation, id).await?;
    let engine = function.engine(invocation);
    let mut all = Vec::new();
    for credential in function.credentials(&secret).await? {
        let became = of_credential(&engine, &credential).await;
        all.push((credential.display_name(), became));
    }
    Ok(all)
}

async fn of_credential(engine: &Engine, credential: &Credential) -> Became {
    let status = match engine.status(credential).await {
        Ok(status) => status,
        Err(error) => return Became::Failed(error.into()),
    };
    let Some(goal) = due(&status, credential, SystemClock.now_ms()) else {
        return Became::Nothing;
    };
    match engine.run(credential, goal).await {
        Ok((Outcome::Retired { .. }, _)) => Became::Done("retired"),
        Ok((Outcome::Promoted { .. }, _)) => Became::Done("activated"),
        Ok(_) => Became::Nothing,
        Err(failure) => {
            let by_operator = status.retirement.is_some_and(|owed| owed.by_operator);
            let failure = Failure::from(failure);
            match by_operator && failure.is_owed_by_operator() {
                true => Became::Waits(failure),
                false => Became::Failed(failure),
            }
        }
    }
}

/// What ends by an operator's word alone is never due.
fn due(status: &Status, credential: &Credential, now_ms: u64) -> Option<Goal> {
    let lead_ms = credential.lead_seconds.saturating_mul(1000);
    let announced = status.announced_at_ms;
    if announced.is_some_and(|at_ms| at_ms.saturating_add(lead_ms) <= now_ms) {
        return Some(Goal::Rotate {
            now: false,
            lead_ms,
            unstick: false,
            anew: false,
        });
    }
    let owed = status.retirement.as_ref();
    owed.filter(|owed| !owed.by_word && owed.due_at_ms <= now_ms)?;
    Some(Goal::Retire {
        now: false,
        vouched: false,
        declared: None,
    })
}

impl Became {
    fn line(&self, name: &str) -> Value {
        match self {
            Self::Nothing => json!({"secret": name, "outcome": "nothing-due"}),
            Self::Done(outcome) => json!({"secret": name, "outcome": outcome}),
            Self::Waits(failure) => json!({
                "secret": name, "outcome": "waiting-for-operator", "message": failure.message,
            }),
            Self::Failed(failure) => json!({
                "secret": name, "outcome": "failed", "error_type": failure.error_type, "message": failure.message,
            }),
        }
    }
}
