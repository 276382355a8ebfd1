//! One module a command; each is thin, the work is the engine's.

mod history;
mod init;
mod plugin;
mod retire;
mod rotate;
mod run_report;
mod secret;
mod status;
mod verify;

use std::{io, process::ExitCode};

use anyhow::Result;
use clap::CommandFactory;

use crate::cli::{Cli, Command};

/// Runs the command.
pub(crate) async fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { global, command } = cli;
    match command {
        Command::Init(arguments) => init::run(&global, &arguments).await,
        Command::Secret(command) => secret::run(&global, command).await,
        Command::Rotate(arguments) => rotate::run(&global, &arguments).await,
        Command::Retire(arguments) => retire::run(&global, &arguments).await,
        Command::Verify(names) => verify::run(&global, &names).await,
        Command::Status(names) => status::run(&global, &names).await,
        Command::History(arguments) => history::run(&global, &arguments),
        Command::Plugin(command) => plugin::run(&global, command).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "keyturn", &mut io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}
