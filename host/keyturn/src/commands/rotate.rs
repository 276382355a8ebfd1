//! `keyturn rotate`: one credential after the other; one failure does not keep the others waiting.

use std::process::ExitCode;

use anyhow::Result;
use keyturn_engine::{Credential, Engine, Goal};

use super::run_report;
use crate::{
    cli::{Global, Rotate},
    session::{Record, Session},
};

pub(crate) async fn run(
    global: &Global,
    session: &Session,
    arguments: &Rotate,
) -> Result<ExitCode> {
    let (engine, credentials) = session
        .engine(global, &arguments.names, Record::Everything)
        .await?;
    let mut worst = ExitCode::SUCCESS;
    for credential in &credentials {
        if let Some(code) = rotate(global, &engine, credential, arguments.now).await? {
            worst = code;
        }
    }
    Ok(worst)
}

async fn rotate(
    global: &Global,
    engine: &Engine,
    credential: &Credential,
    now: bool,
) -> Result<Option<ExitCode>> {
    let goal = Goal::Rotate {
        now,
        lead_ms: credential.lead_seconds.saturating_mul(1000),
        unstick: false,
    };
    run_report::show(global, engine.run(credential, goal).await)
}
