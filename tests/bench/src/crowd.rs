//! A thousand calls at once. Two questions: how many calls a second when so many want one (short calls, which the
//! machine's cores share), and what a thousand cost that are all alive at the same moment (calls that wait for a
//! server which answers nobody before the last one is there). Each is asked in a process of its own, so that its
//! memory is its own.

use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use keyturn_runtime::{EndpointGrant, Grant, RuntimeOptions, TlsMode};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Result;
use crate::report::{Figure, mebibytes};
use crate::{machine, plugins};

pub(crate) const CROWD: &str = "crowd";
const CALLS: usize = 20_000;

#[derive(Debug, Serialize, Deserialize)]
struct Counted {
    calls_per_second: f64,
    /// At rest, with the plugin loaded.
    before_bytes: Option<u64>,
    most_bytes: Option<u64>,
}

/// # Errors
/// A child that fails, with what it said.
pub(crate) fn figures() -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for at_once in [1, 1_000] {
        let counted = in_a_child(&["short", &at_once.to_string()])?;
        figures.push(Figure {
            what: format!("sandbox: {CALLS} short calls by {at_once} tasks, as many at work as there are cores"),
            throughput: format!("{:.0} calls/s", counted.calls_per_second),
            memory: format!("{} at most", mebibytes(counted.most_bytes)),
        });
    }
    for at_once in [1, 1_000] {
        let counted = in_a_child(&["waiting", &at_once.to_string()])?;
        let grown = counted
            .most_bytes
            .zip(counted.before_bytes)
            .map(|(most, before)| most.saturating_sub(before));
        figures.push(Figure {
            what: format!("sandbox: {at_once} calls alive, each waiting for its server"),
            throughput: String::new(),
            memory: format!(
                "{} when all are alive, {} above rest",
                mebibytes(counted.most_bytes),
                mebibytes(grown)
            ),
        });
    }
    Ok(figures)
}

fn in_a_child(arguments: &[&str]) -> Result<Counted> {
    let output = Command::new(std::env::current_exe()?)
        .arg(CROWD)
        .args(arguments)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The child's part: answers what is to be printed.
pub(crate) fn child(arguments: &[String]) -> Result<String> {
    let [kind, at_once] = arguments else {
        return Err("crowd needs a kind and a number".into());
    };
    let at_once: usize = at_once.parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let counted = match kind.as_str() {
        "short" => runtime.block_on(short(at_once))?,
        _ => runtime.block_on(waiting(at_once))?,
    };
    Ok(serde_json::to_string(&counted)?)
}

async fn short(at_once: usize) -> Result<Counted> {
    let (options, grant) = (places(at_once)?, Grant::default());
    let plugin = plugins::granted(options, "api-key", grant).await?;
    let before_bytes = machine::resident_bytes();
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..at_once {
        let plugin = plugin.clone();
        tasks.spawn(async move {
            let call = plugins::call("overlap", crate::API_KEY);
            let candidate = plugins::version("candidate", crate::API_KEY);
            for _ in 0..CALLS / at_once {
                plugin.finish(&call, &candidate).await?;
            }
            Ok::<(), keyturn_runtime::CallError>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(Counted {
        calls_per_second: CALLS as f64 / began.elapsed().as_secs_f64(),
        before_bytes,
        most_bytes: machine::resident_bytes_max(),
    })
}

async fn waiting(at_once: usize) -> Result<Counted> {
    // Two ends of each connection, and some to spare.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let plugin = plugins::granted(places(at_once)?, "postgres", endpoint(port)).await?;
    let value = format!(
        r#"{{"engine":"postgres","host":"127.0.0.1","port":{port},"dbname":"d","username":"u","password":"a-long-password"}}"#
    );
    let before_bytes = machine::resident_bytes();
    let began = Instant::now();
    let all_alive = Arc::new(Semaphore::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..at_once {
        let (plugin, value, all_alive) = (plugin.clone(), value.clone(), Arc::clone(&all_alive));
        tasks.spawn(async move {
            let call = plugins::call("single", &value);
            let ended = plugin.probe(&call, &call.current).await;
            // The server hung up on everybody at once; before that nobody was served.
            match ended {
                Err(_) if all_alive.is_closed() => Ok(()),
                other => Err(format!("not the expected end: {other:?}")),
            }
        });
    }
    let mut held = Vec::with_capacity(at_once);
    while held.len() < at_once {
        held.push(listener.accept().await?.0);
    }
    // Every plugin has sent its greeting and waits for the answer.
    for connection in &held {
        connection.readable().await?;
    }
    let most_bytes = machine::resident_bytes();
    all_alive.close();
    drop(held);
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(Counted {
        calls_per_second: at_once as f64 / began.elapsed().as_secs_f64(),
        before_bytes,
        most_bytes,
    })
}

fn places(calls: usize) -> Result<RuntimeOptions> {
    Ok(RuntimeOptions {
        calls_at_once: u32::try_from(calls)?.try_into()?,
        ..RuntimeOptions::default()
    })
}

fn endpoint(port: u16) -> Grant {
    let endpoint = EndpointGrant {
        hosts: vec!["127.0.0.1".to_owned()],
        ports: vec![port],
        tls: TlsMode::Disable,
        ..EndpointGrant::default()
    };
    Grant {
        endpoints: [("primary".to_owned(), endpoint)].into(),
        limits: keyturn_runtime::LimitsOverride {
            connect_seconds: Some(30),
            ..Default::default()
        },
        ..Grant::default()
    }
}
