//! `keyturn-demo`, run by `make demo`: rotates a PostgreSQL role, a Redis password, a JWT secret, an API key, a webhook's
//! secret and an encryption key three times each, and a vendor's key once, with the real `keyturn` binary, while a
//! prober in another process logs in without pause, and prints what happened. It decides nothing itself: Keyturn says
//! whether it rotated, the prober says whether anybody was locked out. It writes into its scratch folder only.

mod cache;
mod database;
mod keyturn;
mod prober;
mod rounds;
mod screen;
mod secrets;
mod vendor;

use std::path::PathBuf;
use std::process::ExitCode;

use harness::scratch::Scratch;

use crate::cache::Cache;
use crate::database::Database;
use crate::keyturn::Keyturn;
use crate::prober::Prober;
use crate::screen::Screen;
use crate::vendor::Vendor;

/// Why the demo could not go on; what failed *in* it is counted instead.
type Failure = String;

fn main() -> ExitCode {
    let screen = Screen::new();
    match run(&screen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            screen.line(&format!("\ndemo: stopped: {failure}"));
            ExitCode::FAILURE
        }
    }
}

/// Answers whether nothing failed.
fn run(screen: &Screen) -> Result<bool, Failure> {
    screen.line(
        "Keyturn demo: three rotations of each secret while an application logs in without pause\n",
    );
    let beside =
        std::env::current_exe().map_err(|error| format!("finding this program: {error}"))?;
    let binary = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => beside.with_file_name("keyturn"),
    };
    let scratch =
        Scratch::new("keyturn-demo").map_err(|error| format!("making a folder: {error}"))?;
    screen.event(
        "folder",
        &format!("{} (removed at the end)", scratch.path().display()),
    );

    let database = Database::start(screen)?;
    let cache = Cache::start(screen)?;
    let vendor = Vendor::start(screen)?;
    let keyturn = Keyturn::init(&binary, scratch.path())?;
    let secrets = secrets::create(
        &keyturn,
        scratch.path(),
        database.as_ref(),
        cache.as_ref(),
        &vendor,
    )?;
    let names: Vec<&str> = secrets.iter().map(|secret| secret.name).collect();
    screen.event("secrets", &names.join(", "));
    let mut prober = Prober::start(&beside.with_file_name("keyturn-prober"), &keyturn, &secrets)?;
    screen.event(
        "prober",
        "another process; has logged in with each and goes on without pause",
    );
    secrets::explain_settings(screen, &secrets);

    let mut rotations = rounds::run(screen, &keyturn, &mut prober, &secrets)?;
    rotations.announce(screen, vendor::TITLE);
    rotations.count(screen, vendor.rotate(screen, &keyturn, scratch.path())?);
    let logins = prober.finish()?;
    Ok(rounds::conclude(screen, &rotations, &logins))
}
