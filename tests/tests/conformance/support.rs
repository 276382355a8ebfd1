//! A stage of closures, and how a report is read.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use keyturn_conformance::{Answers, Report, Ruling, Scene, Stage, check};
use keyturn_runtime::{AwsIdentity, InputRequest};

pub(crate) type Switch = Box<dyn Fn(bool) + Send + Sync>;

/// What the suites check a plugin with.
pub(crate) struct Place {
    pub(crate) scene: Mutex<Scene>,
    /// Makes a scene of its own for each check.
    pub(crate) fresh: Option<Box<dyn Fn() -> Scene + Send + Sync>>,
    pub(crate) has_target: bool,
    pub(crate) answer: Box<dyn Fn(&InputRequest) -> Answers + Send + Sync>,
    pub(crate) end: Box<dyn Fn(&str) + Send + Sync>,
    pub(crate) open_to_all: Option<Switch>,
    pub(crate) lag: Option<Switch>,
    /// Checks that are not made.
    pub(crate) left_out: Vec<&'static str>,
    pub(crate) identity: Option<Arc<dyn AwsIdentity>>,
}

impl Place {
    pub(crate) fn of(scene: Scene, has_target: bool) -> Self {
        Self {
            scene: Mutex::new(scene),
            fresh: None,
            has_target,
            answer: Box::new(|_| Answers::new()),
            end: Box::new(|_| {}),
            open_to_all: None,
            lag: None,
            left_out: Vec::new(),
            identity: None,
        }
    }
}

#[async_trait]
impl Stage for Place {
    fn has_target(&self) -> bool {
        self.has_target
    }

    async fn scene(&self) -> Result<Scene, String> {
        match &self.fresh {
            Some(fresh) => Ok(fresh()),
            None => Ok(self.scene.lock().unwrap().clone()),
        }
    }

    fn answers(&self, asked: &InputRequest) -> Result<Answers, String> {
        Ok((self.answer)(asked))
    }

    fn identity(&self) -> Option<Arc<dyn AwsIdentity>> {
        self.identity.clone()
    }

    fn leave(&self, current: &str) {
        if self.has_target {
            current.clone_into(&mut self.scene.lock().unwrap().secret);
        }
    }

    fn end(&self, value: &str) -> bool {
        (self.end)(value);
        true
    }

    fn open_to_all(&self, on: bool) -> bool {
        if let Some(open_to_all) = &self.open_to_all {
            open_to_all(on);
        }
        self.open_to_all.is_some()
    }

    fn leaves_out(&self, check: &str) -> bool {
        self.left_out.contains(&check)
    }

    fn lag(&self, on: bool) -> bool {
        if let Some(lag) = &self.lag {
            lag(on);
        }
        self.lag.is_some()
    }
}

/// The component as it ships.
pub(crate) fn shipped(name: &str) -> Vec<u8> {
    let path = format!("{}/{name}.wasm", env!("KEYTURN_PLUGINS"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}; run `make plugins`"))
}

pub(crate) fn checked(name: &str, wasm: Vec<u8>, place: &Place) -> Report {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(check(name, wasm, place, &mut |entry| {
        println!(
            "{:2} {:18} {:6} ms  {:?}",
            entry.number, entry.id, entry.milliseconds, entry.ruling
        );
    }))
}

/// Every check that applies was made, and passed; `open` are those that nobody can make here.
#[track_caller]
pub(crate) fn is_fit(report: &Report, open: &[&str]) {
    let mut left: Vec<_> = Vec::new();
    for entry in &report.checks {
        match &entry.ruling {
            Ruling::Failed(why) => panic!("{} {}: {why}", entry.number, entry.id),
            Ruling::NotCovered(_) => left.push(entry.id),
            Ruling::Passed | Ruling::NotApplicable(_) => {}
        }
    }
    assert_eq!(left, open);
}
