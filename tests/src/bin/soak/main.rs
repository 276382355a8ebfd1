//! `keyturn-soak`, run by `make soak`: real rotators against a real server, killed at random
//! moments, their connections cut, delayed, held and swallowed at random, two at once, while a
//! witness logs in without pause. One seed decides everything that is decided; how the processes
//! interleave is the machine's. It ends with exit status 1 and the schedule at the first broken
//! invariant. It writes into scratch folders only.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command-line tool

mod dice;
mod plan;
mod rotator;
mod round;
mod scan;
mod site;
mod trail;
mod witness;

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::plan::Round;
use crate::round::Crew;
use crate::site::Site;
use crate::witness::{Watched, Witness};

const USAGE: &str = "\
Usage: keyturn-soak [--seconds N] [--rounds N] [--seed S]

Rotates under random kills and faults until the time or the number of rounds is over (60 s if neither
is given). Exit status: 0 no invariant was broken, 1 one was, 2 the soak itself failed.";

/// The rounds that are printed with a finding: the last ones led to it.
const SCHEDULE_KEPT: usize = 4;

/// What is wrong, with Keyturn or with the soak itself.
type Failure = String;

struct Options {
    seconds: Option<u64>,
    rounds: Option<usize>,
    seed: u64,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("keyturn-soak: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    println!("soak: seed {}", options.seed);
    let site = match Site::start() {
        Ok(site) => site,
        Err(message) => {
            eprintln!("keyturn-soak: {message}");
            return ExitCode::from(2);
        }
    };
    match soak(&site, &options) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(finding) => {
            println!("soak: FINDING: {finding}\nsoak: seed {}", options.seed);
            ExitCode::from(1)
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut options = Options {
        seconds: None,
        rounds: None,
        // Another one in each run; it is printed.
        seed: since_1970.map_or(0, |since| u64::from(since.subsec_nanos()) ^ since.as_secs()),
    };
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or(format!("{flag} needs a value"))?;
        let number: u64 = value
            .parse()
            .map_err(|_| format!("{value:?} is no number"))?;
        match flag.as_str() {
            "--seconds" => options.seconds = Some(number),
            "--rounds" => options.rounds = usize::try_from(number).ok(),
            "--seed" => options.seed = number,
            _ => return Err(format!("unknown argument {flag}")),
        }
    }
    if options.seconds.is_none() && options.rounds.is_none() {
        options.seconds = Some(60);
    }
    Ok(options)
}

/// Answers the summary; an error is a finding.
fn soak(site: &Site, options: &Options) -> Result<String, Failure> {
    let watched = Watched::default();
    let applications = Witness::new(site)?;
    let mut crew = Crew::new(site)?;
    let mut schedule = VecDeque::new();
    let began = Instant::now();
    let played = std::thread::scope(|scope| {
        scope.spawn(|| applications.watch(&watched));
        let mut play = || {
            let mut dice = Dice::new(options.seed);
            for number in 1.. {
                let over = options
                    .seconds
                    .is_some_and(|s| began.elapsed() >= Duration::from_secs(s))
                    || options.rounds.is_some_and(|rounds| number > rounds);
                if over {
                    break;
                }
                let round = Round::roll(&mut dice);
                schedule.push_back(format!("  round {number}: {round}"));
                if schedule.len() > SCHEDULE_KEPT {
                    schedule.pop_front();
                }
                crew.play(&round)?;
                let findings = watched.findings.lock();
                let findings = findings.unwrap_or_else(std::sync::PoisonError::into_inner);
                if let Some(finding) = findings.first() {
                    return Err(finding.clone());
                }
            }
            Ok(())
        };
        let played = play();
        watched.stop.store(true, Ordering::Relaxed);
        played
    });
    let schedule: Vec<_> = schedule.into();
    played.map_err(|finding| {
        let log = site.cluster.log().unwrap_or_default();
        let tail: Vec<_> = log.lines().rev().take(60).collect();
        let tail: Vec<_> = tail.into_iter().rev().collect();
        format!(
            "{finding}\nafter {:?}, the last rounds were:\n{}\nthe server's log ends:\n{}",
            crew.tally,
            schedule.join(""),
            tail.join("\n")
        )
    })?;
    let passwords = crew.witness.passwords()?;
    let scan = scan::scan(site, &passwords)?;
    let (tally, logins) = (&crew.tally, watched.logins.load(Ordering::Relaxed));
    Ok(format!(
        "soak: {} passwords in {} files\nevidence: soak: {} rounds, {} kills, {} kills within an effect, \
         {} broken connections, {} rotations, {logins} logins, {} bytes searched, 0 found, \
         0 broken invariants (seed {}, {} s)",
        passwords.len(),
        scan.files,
        tally.rounds,
        tally.kills,
        tally.kills_within_an_effect,
        tally.faults,
        tally.rotations,
        scan.bytes,
        options.seed,
        began.elapsed().as_secs()
    ))
}
