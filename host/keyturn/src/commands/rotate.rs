//! `keyturn rotate`: one credential after the other; one failure does not keep the others waiting.

use std::process::ExitCode;

use anyhow::Result;
use keyturn_engine::{Goal, Outcome};

use super::{operator, run_report};
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
            unstick: arguments.unstick,
            anew: false,
        };
        let ended = engine.run(credential, goal).await;
        let promoted = matches!(ended, Ok((Outcome::Promoted { .. }, _)));
        // A reader that went away must not keep the other credentials from being rotated.
        match run_report::show(global, ended, arguments.now) {
            Ok(code) => worst = worst.worse(code),
            Err(error) => unsaid = unsaid.and(Err(error)),
        }
        // It has gone on with an answer that was stored earlier. What cannot be read now, `retire` says in its time.
        if promoted
            && credential.strategy.needs_operator
            && !global.json
            && let Ok(status) = engine.status(credential).await
        {
            operator::show_what_remains(&status);
        }
    }
    unsaid?;
    Ok(worst.into())
}
