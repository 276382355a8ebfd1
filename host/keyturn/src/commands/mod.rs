//! One module a command; each is thin, the work is the engine's.

mod assist;
mod history;
mod init;
mod operator;
mod plugin;
mod retire;
mod rotate;
mod run_report;
mod secret;
mod split;
mod status;
mod verify;

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory;

use crate::{
    cli::{Cli, Command, Global, OnStore},
    output,
    session::Session,
};

/// Runs the command.
pub(crate) async fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { global, command } = cli;
    match command {
        Command::Init(arguments) => init::run(&global, &arguments).await,
        Command::History(arguments) => history::run(&global, &arguments),
        Command::Plugin(command) => plugin::run(&global, command).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "keyturn", &mut script);
            output::to_stdout(String::from_utf8_lossy(&script).trim_end())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::OnStore(command) => {
            let session = Session::open(&global)?;
            let code = on_store(&global, &session, command).await;
            session.close().await;
            code
        }
    }
}

async fn on_store(global: &Global, session: &Session, command: OnStore) -> Result<ExitCode> {
    match command {
        OnStore::Secret(command) => secret::run(global, session, command).await,
        OnStore::Rotate(arguments) => rotate::run(global, session, &arguments).await,
        OnStore::Assist(arguments) => assist::run(global, session, &arguments).await,
        OnStore::Retire(arguments) => retire::run(global, session, &arguments).await,
        OnStore::Verify(names) => verify::run(global, session, &names).await,
        OnStore::Status(names) => status::run(global, session, &names).await,
    }
}
