//! One module a command; each is thin, the work is the engine's.

mod access_key;
mod assist;
mod history;
mod init;
mod operator;
mod plugin;
mod retire;
mod rotate;
mod run_report;
mod secret;
mod serve;
mod split;
mod status;
mod verify;

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory;

use crate::{
    cli::{Cli, Command, Global, OnStore, Plugin, Secret},
    lambda, output,
    session::Session,
};

/// Runs the command.
pub(crate) async fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { global, command } = cli;
    match command {
        Command::Init(arguments) => init::run(&global, &arguments).await,
        Command::Lambda => lambda::run(&global).await,
        Command::History(arguments) => history::run(&global, &arguments),
        Command::AccessKey(arguments) => access_key::run(&global, &arguments),
        Command::Plugin(command) => plugin::run(&global, command).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "keyturn", &mut script);
            output::to_stdout(String::from_utf8_lossy(&script).trim_end())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::OnStore(command) => {
            let session = Session::open(&global).await?;
            let code = on_store(&global, &session, command).await;
            session.close().await;
            code
        }
    }
}

/// What a command leaves where it is interrupted.
pub(crate) fn when_interrupted(command: &Command) -> &'static str {
    match command {
        Command::OnStore(OnStore::Assist(_)) => {
            "Before you had answered, nothing was changed. After that the rotation is not lost, and the target may have been \
             changed: run the same command again, it continues."
        }
        Command::OnStore(OnStore::Rotate(_) | OnStore::Retire(_)) => {
            "A rotation that was under way is not lost, and the target may have been changed: run the same command \
             again, it continues."
        }
        Command::OnStore(OnStore::Secret(Secret::Split(_))) => {
            "No application is locked out: run the same command again, it continues."
        }
        Command::OnStore(OnStore::Secret(Secret::Create { .. } | Secret::Put { .. })) => {
            "The value may have been written: `keyturn secret describe` shows the secret's versions."
        }
        Command::Lambda => "The next invocation continues a step that was under way.",
        Command::Init(_) | Command::AccessKey(_) => {
            "Look at what it has made so far before you run it again."
        }
        Command::Plugin(Plugin::Check(_)) => {
            "The check has not come to its end, so it says nothing about the plugin. The credentials of a --target may \
             be changed: make that server anew before the next check."
        }
        Command::Plugin(Plugin::Build(_)) => "No plugin was written.",
        Command::OnStore(
            OnStore::Secret(Secret::Get { .. } | Secret::List | Secret::Describe { .. })
            | OnStore::Verify(_)
            | OnStore::Status(_)
            // It ends in order by itself.
            | OnStore::Serve(_),
        )
        | Command::History(_)
        | Command::Plugin(Plugin::List | Plugin::Inspect { .. } | Plugin::New(_))
        | Command::Completions { .. } => "Nothing was changed.",
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
        OnStore::Serve(arguments) => serve::run(global, session, &arguments).await,
    }
}
