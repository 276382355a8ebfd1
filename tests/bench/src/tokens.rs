//! Ten thousand rotations of a JWT secret on the embedded store, against the bare SQLite transactions that they
//! need: the same writes with the same durability, by the same driver, without anything around them. Which writes
//! those are is recorded in one rotation. The clock jumps a day ahead between two rotations, so that each finds the
//! grace of the one before over.

use std::io;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::scratch::Scratch;
use keyturn_engine::{Credential, Engine, EngineOptions, Event, EventSink, Goal, RandomIds};
use keyturn_runtime::{Grant, RuntimeOptions};
use keyturn_store::embedded::{EmbeddedStore, MasterKey};
use keyturn_store::{
    Clock, ManualClock, NewSecret, SecretName, SecretStore, SystemClock, VersionId,
};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::bare_store::BareStore;
use crate::measure::Pair;
use crate::recording::Recording;
use crate::report::{Figure, Row, mebibytes};
use crate::{machine, plugins};

pub(crate) const TOKENS: &str = "tokens";
/// Both sides take turns of so many.
const TURN: usize = 100;
const CHECKPOINTS: [usize; 3] = [100, 1_000, 10_000];
const DAY_MS: u64 = 86_400_000;
const GRACE_SECONDS: u64 = 7 * 3_600;

#[derive(Debug, Serialize, Deserialize)]
struct Counted {
    /// Of one rotation.
    writes: usize,
    ours: Duration,
    floor: Duration,
    checkpoints: Vec<Checkpoint>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint {
    rotations: usize,
    /// Of the rotations since the checkpoint before.
    ours: Duration,
    bytes: Option<u64>,
}

/// # Errors
/// A rotation that fails.
pub(crate) fn measure() -> Result<(Row, Vec<Figure>)> {
    let output = Command::new(std::env::current_exe()?)
        .arg(TOKENS)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let counted: Counted = serde_json::from_slice(&output.stdout)?;
    let rotations = CHECKPOINTS[CHECKPOINTS.len() - 1];
    let pair = Pair {
        ours: counted.ours / u32::try_from(rotations)?,
        floor: counted.floor / u32::try_from(rotations)?,
    };
    let what = format!(
        "jwt: one of {rotations} rotations ({} writes), mean",
        counted.writes
    );
    let row = Row::new(what, &pair)
        .against("its writes as bare SQLite transactions, mean")
        .mark(1.5);
    let mut before = 0;
    let figures = counted.checkpoints.into_iter().map(|checkpoint| {
        let rotations = checkpoint.rotations - before;
        before = checkpoint.rotations;
        Figure {
            what: format!("jwt: rotations up to number {}", checkpoint.rotations),
            throughput: format!(
                "{:.1} rotations/s",
                rotations as f64 / checkpoint.ours.as_secs_f64()
            ),
            memory: mebibytes(checkpoint.bytes),
        }
    });
    Ok((row, figures.collect()))
}

/// The child's part: answers what is to be printed.
pub(crate) fn child() -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let counted = runtime.block_on(rotate_and_compare())?;
    Ok(serde_json::to_string(&counted)?)
}

async fn rotate_and_compare() -> Result<Counted> {
    let folder = Scratch::new("keyturn-bench")?;
    let clock = Arc::new(ManualClock::at_ms(SystemClock.now_ms()));
    let key = MasterKey::generate()?;
    let path = folder.path().join("store.db");
    let store = EmbeddedStore::create(&path, &key, clock.clone())?;
    let store = Arc::new(Recording::new(store));
    let secret = SecretName::new("bench/jwt")?;
    let first = NewSecret {
        id: VersionId::new("keyturn-00000000-0000-4000-8000-000000000001")?,
        value: crate::JWT.to_owned().into(),
        description: None,
    };
    store.create_secret(&secret, first).await?;
    let options = RuntimeOptions {
        clock: Arc::new(PluginClock(clock.clone())),
        ..RuntimeOptions::default()
    };
    let plugin = plugins::granted(options, "jwt", Grant::default()).await?;
    let strategy = plugin.plugin().descriptor().strategies.first().cloned();
    let rotator = Rotator {
        credential: Credential {
            secret,
            name: String::new(),
            environment: "bench".to_owned(),
            plugin,
            strategy: strategy.ok_or("a plugin without a strategy")?,
            grace_seconds: Some(GRACE_SECONDS),
            lead_seconds: 0,
            rotate_after_days: None,
            beside: Vec::new(),
        },
        engine: Engine::new(EngineOptions {
            store: store.clone(),
            sink: Arc::new(NoSink),
            clock: clock.clone(),
            ids: Arc::new(RandomIds),
            actor: "bench".to_owned(),
        }),
        clock,
    };
    // The first has no predecessor whose end it would write down.
    rotator.rotate(2).await?;
    store.record();
    rotator.rotate(1).await?;
    let writes = store.recorded();
    let mut bare = BareStore::create(&folder.path().join("bare.db"))?;
    compare(&rotator, &mut bare, &writes).await
}

async fn compare(
    rotator: &Rotator,
    bare: &mut BareStore,
    writes: &[crate::recording::Write],
) -> Result<Counted> {
    let mut counted = Counted {
        writes: writes.len(),
        ours: Duration::ZERO,
        floor: Duration::ZERO,
        checkpoints: Vec::new(),
    };
    let (mut done, mut before) = (0, Duration::ZERO);
    for checkpoint in CHECKPOINTS {
        while done < checkpoint {
            let began = Instant::now();
            rotator.rotate(TURN).await?;
            counted.ours += began.elapsed();
            let began = Instant::now();
            for _ in 0..TURN {
                bare.write(writes)?;
            }
            counted.floor += began.elapsed();
            done += TURN;
        }
        counted.checkpoints.push(Checkpoint {
            rotations: done,
            ours: counted.ours - before,
            bytes: machine::resident_bytes(),
        });
        before = counted.ours;
    }
    Ok(counted)
}

struct Rotator {
    engine: Engine,
    credential: Credential,
    clock: Arc<ManualClock>,
}

impl Rotator {
    async fn rotate(&self, times: usize) -> Result<()> {
        for _ in 0..times {
            self.clock.advance_ms(DAY_MS);
            let goal = Goal::Rotate {
                now: false,
                lead_ms: 0,
                unstick: false,
                anew: false,
            };
            self.engine
                .run(&self.credential, goal)
                .await
                .map_err(|failure| failure.to_string())?;
        }
        Ok(())
    }
}

struct PluginClock(Arc<ManualClock>);

impl keyturn_runtime::Clock for PluginClock {
    fn now_ms(&self) -> u64 {
        self.0.now_ms()
    }
}

/// The store is what is measured here; the audit trail is part of the database rotation.
struct NoSink;

impl EventSink for NoSink {
    fn record(&self, _: &Event) -> io::Result<()> {
        Ok(())
    }
}
