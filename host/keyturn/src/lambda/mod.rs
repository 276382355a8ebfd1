//! `keyturn lambda`: the rotation function that AWS Secrets Manager invokes, and what belongs around it. Everything is
//! read anew in each invocation, because the next one may come to another process.

mod connectivity;
mod due;
mod environment;
mod event;
mod failure;
mod function;
mod health;
mod kind;
mod log;
mod metrics;
mod notify;
mod step;
mod unlisted;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Instant,
};

use anyhow::Result;
use keyturn_config::Config;
use lambda_runtime::{Context, LambdaEvent, Runtime, service_fn};
use serde_json::{Map, Value, json};
use tokio::time::timeout_at;

use crate::{
    cli::{CONFIG_DEFAULT, Global},
    session::refuse,
};
use environment::{Environment, TASK_ROOT};
use event::Event;
use failure::Failure;
use function::{Function, Invocation};
use log::Log;

/// Without these nobody would invoke it.
const SET_BY_LAMBDA: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
];

/// Answers one invocation after the other, until Lambda ends the process. What is wrong with its surroundings is the
/// answer to each.
pub(crate) async fn run(global: &Global) -> Result<ExitCode> {
    if let Some(name) = SET_BY_LAMBDA
        .into_iter()
        .find(|name| env::var_os(name).is_none())
    {
        return Err(refuse(format!(
            "{name} is not set: AWS Lambda sets it where it starts `keyturn lambda`, and nobody else does"
        ))
        .into());
    }
    let log = Arc::new(Log::default());
    let (environment, mut config) = (Environment::read(), configuration(global));
    if let (Ok(environment), Ok(config)) = (&environment, &mut config) {
        config.password = environment.password.clone();
    }
    let function = match (&environment, &config) {
        (Ok(environment), Ok(config)) => Function::start(global, environment, config, &log).await,
        (Err(failure), _) | (_, Err(failure)) => Err(failure.clone()),
    };
    let (function, log) = (&function, log.as_ref());
    let answering = service_fn(|event: LambdaEvent<Value>| async move {
        let (payload, context) = event.into_parts();
        let began = Instant::now();
        log.begin(about(&payload, &context));
        let answer = answer(function.as_ref(), &payload, &context).await;
        say(log, &answer, began);
        answer
    });
    let ended = Runtime::new(answering).run().await;
    ended.map_err(|error| refuse(format!("Lambda's Runtime API: {error}")))?;
    Ok(ExitCode::SUCCESS)
}

/// keyturn.toml beside the binary, if it is there, or the file that is named. What it does not say, tags, names and
/// variables do.
fn configuration(global: &Global) -> Result<Config, Failure> {
    let path = if global.config == Path::new(CONFIG_DEFAULT) {
        let root = env::var_os(TASK_ROOT).map(PathBuf::from);
        root.unwrap_or_default().join(CONFIG_DEFAULT)
    } else {
        global.config.clone()
    };
    if global.config == Path::new(CONFIG_DEFAULT) && !path.exists() {
        return Ok(Config::parse(&path, String::new())?);
    }
    Ok(Config::read(&path)?)
}

async fn answer(
    function: Result<&Function<'_>, &Failure>,
    payload: &Value,
    context: &Context,
) -> Result<Value, Failure> {
    let function = function.map_err(Clone::clone)?;
    let event = Event::read(payload)?;
    let invocation = function.invocation(context, event.as_step());
    let end = invocation.end;
    // On the heap, because the futures around it nest as deep as the compiler allows already.
    let work = Box::pin(carry_out(function, &invocation, &event));
    match timeout_at(end.into(), work).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::out_of_time()),
    }
}

async fn carry_out(
    function: &Function<'_>,
    invocation: &Invocation,
    event: &Event,
) -> Result<Value, Failure> {
    match event {
        Event::Step(event) => step::run(function, invocation, event).await,
        Event::HealthCheck(event) => health::check(function, invocation, event).await,
        Event::TestConnectivity(event) => connectivity::test(function, invocation, event).await,
        Event::RetireDue(event) => due::run(function, invocation, event).await,
    }
}

/// What every line of an invocation's log says. Of an event that cannot be read, only who has sent it.
fn about(payload: &Value, context: &Context) -> Map<String, Value> {
    let mut about = Map::new();
    about.insert("request_id".to_owned(), json!(context.request_id));
    if let Ok(event) = Event::read(payload) {
        let kind = event.as_step().map_or("action", |_| "step");
        about.insert(kind.to_owned(), json!(event.name()));
        if let Some(event) = event.as_step() {
            about.insert("secret_id".to_owned(), json!(event.secret_id));
            about.insert("version".to_owned(), json!(event.token));
        }
    }
    about
}

/// The last line of an invocation. A log that cannot be written is no reason to fail what is done.
fn say(log: &Log, answer: &Result<Value, Failure>, began: Instant) {
    let mut line = json!({
        "outcome": "done",
        "duration_ms": began.elapsed().as_secs_f64() * 1000.0,
    });
    if let Err(failure) = answer {
        line["outcome"] = json!("failed");
        line["error_type"] = json!(failure.error_type);
        line["message"] = json!(failure.message);
        line["retryable"] = json!(failure.retryable);
    }
    let _ = log.line(line);
}
