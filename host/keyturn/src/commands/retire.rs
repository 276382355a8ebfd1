//! `keyturn retire`: the end of what the last rotation replaced.

use std::process::ExitCode;

use anyhow::Result;
use keyturn_engine::Goal;

use super::run_report;
use crate::{
    cli::{Global, Retire},
    session::Session,
};

pub(crate) async fn run(global: &Global, arguments: &Retire) -> Result<ExitCode> {
    let session = Session::open(global).await?;
    let names = std::slice::from_ref(&arguments.name);
    let (engine, credentials) = session.engine(global, names, !global.json).await?;
    let mut worst = ExitCode::SUCCESS;
    for credential in &credentials {
        let ended = engine
            .run(credential, Goal::Retire { now: arguments.now })
            .await;
        if let Some(code) = run_report::show(global, ended)? {
            worst = code;
        }
    }
    Ok(worst)
}
