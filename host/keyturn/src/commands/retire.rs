//! `keyturn retire`: the end of what the last rotation replaced.

use std::process::ExitCode;

use anyhow::Result;
use keyturn_engine::{Goal, VersionId};

use super::run_report;
use crate::{
    cli::{Global, Retire},
    session::{Record, Session},
};

pub(crate) async fn run(
    global: &Global,
    session: &Session,
    arguments: &Retire,
) -> Result<ExitCode> {
    let names = std::slice::from_ref(&arguments.name);
    let (engine, credentials, refused) = session.engine(global, names, Record::Everything).await?;
    let declared = arguments.declare_dead.clone().flatten().map(VersionId::new);
    let mut worst = refused;
    for credential in &credentials {
        let goal = Goal::Retire {
            now: arguments.now,
            vouched: arguments.declare_dead == Some(None),
            declared: declared.clone(),
        };
        let ended = engine.run(credential, goal).await;
        worst = worst.worse(run_report::show(global, ended, arguments.now)?);
    }
    Ok(worst.into())
}
