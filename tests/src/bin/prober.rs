//! `keyturn-prober`: a process of its own that reads AWSCURRENT from an embedded store and logs in
//! without pause. It prints `ready` after the first success of every secret, a JSON report when it
//! is told to stop, and nothing else on standard output. It never prints a value.

use std::io::{BufRead as _, ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use harness::prober::{Kind, Prober, Report};
use keyturn_store::embedded::{EmbeddedStore, MasterKey};
use keyturn_store::{SecretName, SecretStore, SystemClock};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

const USAGE: &str = "\
Usage: keyturn-prober --store FILE --master-key-file FILE [--stdin] [--cache-ms N]
                      [--postgres NAME]... [--redis NAME]... [--jwt NAME]... [--api-key NAME=WINDOW_SECONDS]...
                      [--webhook NAME=WINDOW_SECONDS]... [--key-ring NAME]...

Reads AWSCURRENT of each secret and logs in without pause, until SIGTERM or Ctrl-C.
With --cache-ms, each application keeps what it read for so long and is excused for nothing.
With --stdin, each line on standard input asks for a report and its end stops the prober.
Exit status: 0 no login failed, 1 some did, 2 wrong arguments or no store.";

struct Arguments {
    store: PathBuf,
    master_key_file: PathBuf,
    stdin: bool,
    cache: Duration,
    targets: Vec<(Kind, SecretName)>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let report = match parse(std::env::args().skip(1)) {
        Ok(arguments) => probe(arguments).await,
        Err(message) => Err(format!("{message}\n{USAGE}")),
    };
    match report {
        Ok(report) if report.failed == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(message) => {
            // Nobody to tell where standard error is closed.
            let _ = writeln!(std::io::stderr(), "keyturn-prober: {message}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let (mut store, mut master_key_file, mut stdin, mut targets) = (None, None, false, Vec::new());
    let mut cache = Duration::ZERO;
    while let Some(flag) = arguments.next() {
        if flag == "--stdin" {
            stdin = true;
            continue;
        }
        let value = arguments
            .next()
            .ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--store" => store = Some(PathBuf::from(value)),
            "--master-key-file" => master_key_file = Some(PathBuf::from(value)),
            "--cache-ms" => {
                let ms = value
                    .parse()
                    .map_err(|_| format!("{value:?} is not a number of milliseconds"))?;
                cache = Duration::from_millis(ms);
            }
            "--postgres" => targets.push((Kind::Postgres, name(&value)?)),
            "--redis" => targets.push((Kind::Redis, name(&value)?)),
            "--jwt" => targets.push((Kind::Jwt, name(&value)?)),
            "--key-ring" => targets.push((Kind::KeyRing, name(&value)?)),
            "--api-key" => {
                let (secret, window) = with_window(&flag, &value)?;
                targets.push((Kind::ApiKey { window }, secret));
            }
            "--webhook" => {
                let (secret, window) = with_window(&flag, &value)?;
                targets.push((Kind::Webhook { window }, secret));
            }
            _ => return Err(format!("unknown argument {flag}")),
        }
    }
    if targets.is_empty() {
        return Err("no secret to probe".to_owned());
    }
    Ok(Arguments {
        store: store.ok_or("--store is missing")?,
        master_key_file: master_key_file.ok_or("--master-key-file is missing")?,
        stdin,
        cache,
        targets,
    })
}

fn with_window(flag: &str, value: &str) -> Result<(SecretName, Duration), String> {
    let (secret, window) = value
        .split_once('=')
        .ok_or_else(|| format!("{flag} takes NAME=WINDOW_SECONDS"))?;
    let seconds = window
        .parse()
        .map_err(|_| format!("{window:?} is not a number of seconds"))?;
    Ok((name(secret)?, Duration::from_secs(seconds)))
}

fn name(text: &str) -> Result<SecretName, String> {
    SecretName::new(text).map_err(|error| error.to_string())
}

async fn probe(arguments: Arguments) -> Result<Report, String> {
    let key =
        MasterKey::from_file(&arguments.master_key_file).map_err(|error| error.to_string())?;
    let store = EmbeddedStore::open(&arguments.store, &key, Arc::new(SystemClock))
        .map_err(|error| error.to_string())?;
    let store: Arc<dyn SecretStore> = Arc::new(store);
    let mut terminated = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let (sender, mut requests) = mpsc::unbounded_channel();
    if arguments.stdin {
        std::thread::spawn(move || forward_lines(&sender));
    }

    let prober = Prober::start_cached(&store, arguments.targets, arguments.cache);
    let mut is_announced = false;
    let mut look = tokio::time::interval(Duration::from_millis(10));
    loop {
        tokio::select! {
            _ = look.tick(), if !is_announced => {
                if prober.is_ready() {
                    is_announced = true;
                    print_line("ready")?;
                }
            }
            request = requests.recv(), if arguments.stdin => match request {
                Some(()) => print_report(&prober.report())?,
                None => break,
            },
            _ = terminated.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    let report = prober.stop().await;
    print_report(&report)?;
    Ok(report)
}

/// Ends, and with it the channel, when standard input ends.
fn forward_lines(requests: &mpsc::UnboundedSender<()>) {
    for line in std::io::stdin().lock().lines() {
        if line.is_err() || requests.send(()).is_err() {
            return;
        }
    }
}

fn print_report(report: &Report) -> Result<(), String> {
    let line = serde_json::to_string(report).map_err(|error| error.to_string())?;
    print_line(&line)
}

fn print_line(line: &str) -> Result<(), String> {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
        // Whoever started us has gone and needs no report.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|error| format!("printing: {error}")),
    }
}
