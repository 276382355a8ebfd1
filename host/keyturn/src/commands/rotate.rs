//! `keyturn rotate`: one credential after the other; one failure does not keep the others waiting.

use std::process::ExitCode;

use anyhow::Result;
use keyturn_engine::Goal;

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
    let (engine, credentials, refused) = session
        .engine(global, &arguments.names, Record::Everything)
        .await?;
    let mut worst = refused;
    let mut unsaid = Ok(());
    for credential in &credentials {
        let goal = Goal::Rotate {
            now: arguments.now,
            lead_ms: credential.lead_seconds.saturating_mul(1000),
            unstick: false,
            anew: false,
        };
        let ended = engine.run(credential, goal).await;
        // A reader that went away must not keep the other credentials from being rotated.
        match run_report::show(global, ended) {
            Ok(code) => worst = worst.worse(code),
            Err(error) => unsaid = unsaid.and(Err(error)),
        }
    }
    unsaid?;
    Ok(worst.into())
}
