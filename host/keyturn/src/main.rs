//! The keyturn binary: a thin entry point over the engine.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cli;
mod commands;
mod credential;
mod exit;
mod identity;
mod lambda;
mod opened;
mod output;
mod plugins;
mod session;
mod signals;
mod sinks;
mod value;

use std::{env, ffi::OsString, path::Path, process::ExitCode};

use clap::Parser;
use cli::{Command, OnStore};
use tokio::runtime::Builder;

/// What Lambda calls the program of a function.
const BOOTSTRAP: &str = "bootstrap";

fn main() -> ExitCode {
    let cli = cli::Cli::parse_from(arguments());
    let json = cli.global.json;
    let left_behind = commands::when_interrupted(&cli.command);
    // A server answers many at once, and ends in order by itself; every other command is one thing that is cut off.
    let serves = matches!(cli.command, Command::OnStore(OnStore::Serve(_)));
    let mut builder = if serves {
        Builder::new_multi_thread()
    } else {
        Builder::new_current_thread()
    };
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&anyhow::Error::new(error), json),
    };
    let code = runtime.block_on(async {
        tokio::select! {
            ended = commands::run(cli) => match ended {
                Ok(code) => code,
                Err(error) => exit::report(&error, json),
            },
            signal = signals::interrupted(), if !serves => exit::interrupted(signal, left_behind),
        }
    });
    // Whoever interrupts does not wait for a write that waits for another process; cut off, it is what a crash is.
    runtime.shutdown_background();
    code
}

/// Lambda starts the program `bootstrap` of a function, and gives it no arguments.
fn arguments() -> Vec<OsString> {
    let mut arguments: Vec<_> = env::args_os().collect();
    let program = arguments.first().map(Path::new);
    if arguments.len() == 1 && program.and_then(Path::file_name) == Some(BOOTSTRAP.as_ref()) {
        arguments.push("lambda".into());
    }
    arguments
}
