//! `keyturn serve`: the store over AWS Secrets Manager's protocol, until a signal. What has arrived by then is answered.

mod request_log;
mod rotations;
mod trail;

use std::{convert::Infallible, fs, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Result;
use keyturn_config::{Access, Serve};
use keyturn_engine::RunFailure;
use keyturn_server::{
    Ended, Options, Place, Server, Service,
    access::{AccessKey, AccessKeys, Grant, KeyPair, Pattern},
    faults::{Fault, Faults},
};
use keyturn_store::{SystemClock, embedded::EmbeddedStore};
use serde_json::json;

use crate::{
    cli::{self, Global},
    exit::Failure,
    output,
    session::{Session, refuse},
    signals,
};
use request_log::Lines;
use rotations::Rotations;
use trail::AuditTrail;

/// For rotations under way when the signal comes. One that is cut off is continued, as after a crash.
const ROTATIONS_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a secret whose deletion is due may stay.
const PURGE_PAUSE: Duration = Duration::from_secs(60);

pub(crate) async fn run(
    global: &Global,
    session: &Session,
    arguments: &cli::Serve,
) -> Result<ExitCode> {
    let serve = session.config.serve.as_ref().ok_or_else(|| {
        refuse(
            "the configuration has no table [serve]: it says where to listen and who may read what",
        )
    })?;
    let keys = AccessKeys::new(keys(serve)?).map_err(refuse)?;
    let tls = serve.tls.as_ref();
    let tls = tls.map(|files| keyturn_server::tls(&files.certificate, &files.private_key));
    let tls = tls.transpose();
    let tls = tls.map_err(|error| refuse(format!("serve.tls: {error}")))?;
    let store = session.embedded()?;
    let rotations = Arc::new(Rotations::new(global, session, store).await?);
    let trail = Arc::new(AuditTrail::new(session.audit()?));
    let log = Lines::to_stderr();
    let service = Service::new(Options {
        store: Arc::clone(store),
        clock: Arc::new(SystemClock),
        keys,
        place: Place {
            region: serve.region.clone(),
            account: serve.account.clone(),
        },
        rotator: Arc::clone(&rotations) as _,
        trail: Arc::clone(&trail) as _,
        log: Arc::clone(&log) as _,
        faults: Arc::new(faults(arguments)?),
    });
    let cannot = |error| refuse(format!("{} cannot be listened on: {error}", serve.address));
    let scheme = if tls.is_some() { "https" } else { "http" };
    let server = Server::bind(serve.address, tls, service)
        .await
        .map_err(cannot)?;
    // Before anybody knows that there is something to stop.
    let stop = signals::interrupted();
    say_ready(global, scheme, server.local_addr()?)?;
    rotations.resume().await;
    let served = server.run(async {
        let _signal = stop.await;
    });
    let ended = tokio::select! {
        ended = served => ended,
        never = purge(store, trail.as_ref()) => match never {},
    };
    let rested = rotations.rest(ROTATIONS_TIMEOUT).await;
    log.close();
    if ended == Ended::CutShort {
        output::to_stderr(
            "keyturn: stopped before every request was answered; each took effect as a whole or not at all",
        );
    }
    if !rested {
        output::to_stderr(
            "keyturn: stopped with a rotation under way; nothing is lost, ask for it again and it continues",
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes secrets whose deletion is due. Until then clients are told nothing of them either.
async fn purge(store: &EmbeddedStore, trail: &AuditTrail) -> Infallible {
    loop {
        tokio::time::sleep(PURGE_PAUSE).await;
        match store.purge_due().await {
            Ok(names) => names.iter().for_each(|name| trail.purged(name)),
            Err(error) => {
                output::to_stderr(&json!({"purge_failed": error.to_string()}).to_string())
            }
        }
    }
}

/// For tests of clients: a JSON list of faults. Said loudly, because nobody else wants them.
fn faults(arguments: &cli::Serve) -> Result<Faults> {
    let faults = Faults::default();
    if let Some(path) = &arguments.faults {
        let wrong =
            |error: &dyn std::fmt::Display| refuse(format!("--faults {}: {error}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
        let list: Vec<Fault> = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
        list.into_iter().for_each(|fault| faults.aim(fault));
        output::to_stderr(
            "keyturn: this server makes faults on purpose (--faults); it is for tests alone",
        );
    }
    Ok(faults)
}

/// Whoever started the server waits for this line; with port 0 only it tells the address.
fn say_ready(global: &Global, scheme: &str, address: SocketAddr) -> Result<(), output::Unwritten> {
    let url = format!("{scheme}://{address}");
    output::to_stdout(&if global.json {
        json!({"serving": url}).to_string()
    } else {
        format!("serving {url}")
    })
}

fn keys(serve: &Serve) -> Result<Vec<AccessKey>, Failure> {
    serve
        .access
        .iter()
        .map(|(name, access)| key(name, access))
        .collect()
}

fn key(name: &str, access: &Access) -> Result<AccessKey, Failure> {
    let wrong = |problem: String| refuse(format!("serve.access.{name}: {problem}"));
    let pair = KeyPair::from_file(&access.credentials_file);
    let KeyPair { id, secret } = pair.map_err(|error| wrong(error.to_string()))?;
    let actions = patterns(&access.actions, Pattern::is_an_action).map_err(|action| {
        wrong(format!(
            "there is no action \"{action}\"; actions are called as in AWS, such as \"GetSecretValue\" or \"Get*\""
        ))
    })?;
    let secrets = patterns(&access.secrets, Pattern::is_of_secrets).map_err(|secret| {
        wrong(format!(
            "no secret can be called \"{secret}\"; give a name, or how names begin with * behind it: \"app-prod/*\""
        ))
    })?;
    Ok(AccessKey {
        name: name.to_owned(),
        id,
        secret,
        grant: Grant { secrets, actions },
    })
}

/// The patterns of a list, or the text of the first one that means nothing.
fn patterns<'t>(
    texts: &'t [String],
    means: fn(&Pattern) -> bool,
) -> Result<Vec<Pattern>, &'t String> {
    let pattern = |text: &'t String| Some(Pattern::new(text)).filter(means).ok_or(text);
    texts.iter().map(pattern).collect()
}

/// The client that asked for a rotation has its answer by now.
fn say_failed(failure: &RunFailure) {
    let line = json!({"rotation_failed": failure.name, "message": failure.to_string()});
    output::to_stderr(&line.to_string());
}
