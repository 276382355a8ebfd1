//! One step of a rotation that AWS's service has started. Nothing is remembered from the step before it: the engine
//! reads from the labels where the rotation stands.

use keyturn_engine::{
    Credential, Engine, Goal, Outcome, Reason, Report, RunFailure, Step, VersionId,
};
use keyturn_runtime::{Finding, Level};
use keyturn_store::{Clock, SecretDescription, SecretName, SecretStore, SystemClock, Which};
use serde_json::{Value, json};
use tokio::time::timeout_at;

use super::{
    event::StepEvent,
    failure::Failure,
    function::{Function, Invocation},
    kind::STRATEGY_TAG,
    metrics, notify,
};

/// The finding of a preflight that says whose rights do not suffice.
const PRIVILEGES: &str = "privileges";

/// How a step ended, for metrics and notifications.
pub(crate) struct Stepped<'a> {
    pub(crate) secret: &'a SecretName,
    pub(crate) environment: &'a str,
    pub(crate) step: Step,
    /// The pending version.
    pub(crate) version: &'a str,
    /// This very invocation has stored its value.
    pub(crate) created: bool,
    /// This very invocation has made it AWSCURRENT.
    pub(crate) promoted: bool,
    /// Known where it was promoted.
    pub(crate) version_created_at_ms: Option<u64>,
    pub(crate) now_ms: u64,
    pub(crate) result: Result<(), &'a Failure>,
}

/// What became of the engine's run, if it came to one.
struct Ended {
    result: Result<(), Failure>,
    report: Report,
    /// The version that a run has promoted before it failed.
    promoted: Option<String>,
}

/// A status and a sentence, as callers of such functions expect; the service looks at neither.
pub(super) async fn run(
    function: &Function<'_>,
    invocation: &Invocation,
    event: &StepEvent,
) -> Result<Value, Failure> {
    let secret = function.described(invocation, &event.secret_id).await?;
    function.log.know("secret", secret.name.as_str());
    let work = carry_out(function, invocation, event, &secret);
    let Ended {
        result,
        report,
        promoted,
    } = match timeout_at(invocation.deadline.into(), work).await {
        Ok(ended) => ended,
        Err(_) => Failure::out_of_time().into(),
    };
    let token = event.token.as_str();
    let is_token = |version: &Option<String>| version.as_deref() == Some(token);
    let created = report
        .steps
        .iter()
        .any(|step| step.step == Step::Create.as_str());
    let promoted =
        is_token(&promoted) || is_token(&report.version.after) && !is_token(&report.version.before);
    let stepped = Stepped {
        secret: &secret.name,
        environment: &function.environment_of(&secret),
        step: event.step,
        version: token,
        created: created && result.is_ok(),
        promoted,
        version_created_at_ms: match promoted {
            true => created_at_ms(invocation, event, &secret).await,
            false => None,
        },
        now_ms: SystemClock.now_ms(),
        result: result.as_ref().copied(),
    };
    metrics::of_step(function, &stepped);
    // Nobody's notification is worth the answer.
    let _ = timeout_at(invocation.end.into(), notify::of_step(function, &stepped)).await;
    result.map(|()| {
        let body = format!("Step {} completed", event.step.as_str());
        json!({"statusCode": 200, "body": body})
    })
}

/// When the version was announced. Where versions may not be listed, all seem to be as old as the secret; then its value
/// tells when it was stored.
async fn created_at_ms(
    invocation: &Invocation,
    event: &StepEvent,
    secret: &SecretDescription,
) -> Option<u64> {
    let listed_ms = secret.version(&event.token)?.created_at_ms;
    if listed_ms > secret.created_at_ms {
        return Some(listed_ms);
    }
    let which = Which::Id(event.token.clone());
    let stored = invocation.store.get(&secret.name, &which).await;
    stored.ok().map(|stored| stored.created_at_ms)
}

async fn carry_out(
    function: &Function<'_>,
    invocation: &Invocation,
    event: &StepEvent,
    secret: &SecretDescription,
) -> Ended {
    let engine = function.engine(invocation);
    let credential = match prepare(function, invocation, &engine, event, secret).await {
        Ok(credential) => credential,
        Err(failure) => return failure.into(),
    };
    match engine.run(&credential, goal(event.step, event)).await {
        Ok((outcome, report)) => Ended {
            result: Ok(()),
            report,
            promoted: match outcome {
                Outcome::Promoted { version, .. } => Some(version.to_string()),
                _ => None,
            },
        },
        Err(failure) => Ended {
            promoted: failure
                .promoted
                .as_ref()
                .map(|done| done.version.to_string()),
            report: failure.report.clone(),
            result: Err(failure.into()),
        },
    }
}

/// The credential that is meant, if the step may begin.
async fn prepare(
    function: &Function<'_>,
    invocation: &Invocation,
    engine: &Engine,
    event: &StepEvent,
    secret: &SecretDescription,
) -> Result<Credential, Failure> {
    let credential = the_one(function.credentials(secret).await?)?;
    if credential.lead_seconds > 0 {
        return Err(Failure::configuration(format!(
            "{}: lead_seconds has a key published before it is used, which takes two rounds, and a rotation of the \
             service is one; nothing was changed; rotate it by `keyturn rotate --store aws`, or set lead_seconds = 0",
            secret.name
        )));
    }
    let pending = secret.version(&event.token);
    let is_empty = pending.is_some_and(|version| !version.has_value);
    if event.step == Step::Create && is_empty && !function.is_strategy_named(secret) {
        try_default_strategy(engine, invocation, &credential, event).await?;
    }
    Ok(credential)
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self {
            result: Err(failure),
            report: Report::default(),
            promoted: None,
        }
    }
}

/// Which of a secret's credentials the service's rotations are about: the one that needs nobody.
fn the_one(mut credentials: Vec<Credential>) -> Result<Credential, Failure> {
    if credentials.len() > 1 {
        credentials.retain(|credential| !credential.strategy.needs_operator);
    }
    match (credentials.pop(), credentials.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(other), false) => Err(Failure::configuration(format!(
            "{} holds several credentials that rotate by themselves, and the service cannot say which it means; nothing \
             was changed; give each a secret of its own (`keyturn secret split`)",
            other.secret
        ))),
        (None, _) => Err(Failure::new(
            "WaitingForOperator",
            "every credential of this secret needs an operator; nothing was changed; run `keyturn assist` for one",
        )),
    }
}

/// A strategy that nobody has named is tried before anything is made with it, where a value stands alone, as in the
/// single-user secrets of AWS's functions: their user often has no right over other users.
async fn try_default_strategy(
    engine: &Engine,
    invocation: &Invocation,
    credential: &Credential,
    event: &StepEvent,
) -> Result<(), Failure> {
    let descriptor = credential.plugin.plugin().descriptor();
    let others = descriptor.strategies.iter().skip(1);
    let others: Vec<_> = others
        .filter(|other| other.effect != keyturn_runtime::TargetEffect::None)
        .map(|other| format!("{} ({})", other.name, other.summary))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    let (store, current) = (&invocation.store, Which::current());
    let current = store.get(&credential.secret, &current).await?;
    let needed = credential.plugin.companions_needed(&current.value);
    if needed.is_ok_and(|needed| !needed.is_empty()) {
        return Ok(());
    }
    match engine.run(credential, goal(Step::Test, event)).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.failure.reason == Reason::CheckFailed => {
            Err(does_not_suit(&failure, credential, &others))
        }
        Err(failure) => Err(failure.into()),
    }
}

fn does_not_suit(failure: &RunFailure, credential: &Credential, others: &[String]) -> Failure {
    let findings = failure.report.findings.iter();
    let failed: Vec<&Finding> = findings
        .filter(|finding| finding.level == Level::Failure)
        .collect();
    let kind = match failed.iter().any(|finding| finding.id == PRIVILEGES) {
        true => "Permission",
        false => "CheckFailed",
    };
    let said: Vec<_> = failed.into_iter().map(sentence).collect();
    Failure::new(
        kind,
        format!(
            "{}: {}. Nothing was changed. Mend that, or choose another strategy than {}, which was taken because nobody \
             has named one: tag the secret {STRATEGY_TAG} with the name of {}",
            credential.display_name(),
            said.join("; "),
            credential.strategy.name,
            others.join(", ")
        ),
    )
}

fn sentence(finding: &Finding) -> String {
    match &finding.fix {
        Some(fix) => format!("{} ({fix})", finding.summary),
        None => finding.summary.clone(),
    }
}

fn goal(step: Step, event: &StepEvent) -> Goal {
    let token = VersionId::new(event.token.as_str());
    Goal::Step { step, token }
}
