//! `keyturn-bench`, run by `make bench`: what Keyturn costs, each figure as a ratio against a floor that does the same
//! work without Keyturn, in the same run. It prints a table and, given a file, writes it there. It judges nothing:
//! a missed mark is shown, and the exit status says only whether everything could be measured.
//! The floors that have to be processes are this program again, with their names as the first argument.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command-line tool

mod apart;
mod bare_store;
mod cache;
mod crowd;
mod database;
mod lambda;
mod machine;
mod measure;
mod plain_conversation;
mod plain_rotation;
mod plugins;
mod recording;
mod report;
mod sandbox;
mod start;
mod tokens;
mod workspace;

use std::process::ExitCode;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str = "\
Usage: keyturn-bench [FILE]

Measures everything, prints the table and writes it into FILE.";

/// Values in the plugins' shapes.
const JWT: &str = r#"{"secret":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","refresh_secret":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","algorithm":"HS256","access_token_expiry":"15m","refresh_token_expiry":"6h"}"#;
const API_KEY: &str = r#"{"internal_api_key":"festival_sk_live_kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk","key_version":4}"#;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((part, rest)) if part == start::PLAIN_START => start::plain(rest),
        Some((part, rest)) if part == plain_rotation::PLAIN_ROTATION => plain_rotation::plain(rest),
        Some((part, rest)) if part == plain_conversation::PLAIN_CONVERSATION => {
            plain_conversation::plain(rest)
        }
        Some((part, rest)) if part == crowd::CROWD => crowd::child(rest),
        Some((part, [])) if part == tokens::TOKENS => tokens::child(),
        None => measure_everything(None),
        Some((file, [])) if !file.starts_with('-') => measure_everything(Some(file)),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(printed) => {
            if !printed.is_empty() {
                println!("{printed}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("keyturn-bench: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  {error}");
                cause = error.source();
            }
            ExitCode::from(2)
        }
    }
}

fn measure_everything(file: Option<&String>) -> Result<String> {
    let mut rows = sandbox::rows()?;
    rows.extend(start::rows()?);
    rows.extend(lambda::rows()?);
    let (of_database, parts) = database::measure()?;
    rows.extend(of_database);
    rows.extend(cache::rows()?);
    let (row, of_tokens) = tokens::measure()?;
    rows.push(row);
    let mut figures = crowd::figures()?;
    figures.extend(of_tokens);
    let date = OffsetDateTime::now_utc()
        .replace_nanosecond(0)?
        .format(&Rfc3339)?;
    let table = report::markdown(&rows, &parts, &figures, &date);
    if let Some(file) = file {
        std::fs::write(file, &table)?;
    }
    Ok(table)
}
