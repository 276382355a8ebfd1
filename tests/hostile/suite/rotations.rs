//! What a lie costs under the real engine. Keyturn speaks no protocol of a target, so a plugin that
//! connects, says nothing true and claims that all went well is believed: its version is promoted, and
//! applications that read it fail to log in. What Keyturn promises even then is that the way back is
//! whole: the value before stands under AWSPREVIOUS and KEYTURN_RETIRING as it was, where the login
//! points is unchanged, other credentials' members are, and nothing is killed before its grace is over.

use std::io;
use std::sync::{Arc, Mutex};

use harness::listeners;
use keyturn_engine::{
    Credential, Engine, EngineOptions, Event, EventSink, Goal, RandomIds, Reason, RunFailure, What,
};
use keyturn_store::memory::MemoryStore;
use keyturn_store::{
    NewSecret, SecretDescription, SecretName, SecretStore, SystemClock, VersionId, Which,
};
use secrecy::ExposeSecret;

use crate::stage::visitors;
use crate::support::*;

const FIRST: &str = "keyturn-00000000-0000-4000-8000-000000000001";

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Event>>>);

impl EventSink for Events {
    fn record(&self, event: &Event) -> io::Result<()> {
        self.0.lock().unwrap().push(event.clone());
        Ok(())
    }
}

impl Events {
    /// How often an effect of that name was begun.
    fn intents(&self, name: &str) -> usize {
        let events = self.0.lock().unwrap();
        let began =
            |event: &&Event| matches!(&event.what, What::Intent { effect, .. } if effect == name);
        events.iter().filter(began).count()
    }
}

struct Rotation {
    ended: Result<(), Box<RunFailure>>,
    events: Events,
    described: SecretDescription,
    store: MemoryStoreAt,
    visitors: usize,
}

struct MemoryStoreAt(Arc<MemoryStore>, SecretName);

impl MemoryStoreAt {
    async fn labelled(&self, described: &SecretDescription, label: &str) -> (String, String) {
        let id = described.holder(label).unwrap().id.clone();
        let stored = self.0.get(&self.1, &Which::Id(id.clone())).await.unwrap();
        (id.to_string(), stored.value.expose_secret().to_owned())
    }
}

/// Rotates once with a guest that does this.
async fn rotate(does: &str, with: &str) -> Rotation {
    let sandbox = Sandbox::new(Arc::new(Names::default()));
    let plugin = sandbox.hostile().await;
    let listener = listeners::echo().await;
    let toml = format!(
        "endpoint.primary = {{ hosts = [\"127.0.0.1\"], ports = [{}], tls = \"disable\" }}",
        listener.port
    );
    let strategy = plugin.descriptor().strategies[0].clone();
    let secret = SecretName::new("festival-prod/database").unwrap();
    let credential = Credential {
        secret: secret.clone(),
        name: String::new(),
        environment: "prod".into(),
        plugin: plugin.grant(grant(&toml, does, with)).unwrap(),
        strategy,
        grace_seconds: Some(3600),
        lead_seconds: 0,
        rotate_after_days: None,
        beside: Vec::new(),
    };
    let store = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
    let new = NewSecret {
        id: VersionId::new(FIRST).unwrap(),
        value: current("127.0.0.1", listener.port).into(),
        description: None,
    };
    store.create_secret(&secret, new).await.unwrap();
    let events = Events::default();
    let engine = Engine::new(EngineOptions {
        store: store.clone(),
        sink: Arc::new(events.clone()),
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds),
        actor: "test".into(),
    });
    let goal = Goal::Rotate {
        now: false,
        lead_ms: 0,
        unstick: false,
        anew: false,
    };
    let ended = engine.run(&credential, goal).await.map(drop);
    let described = store.describe(&secret).await.unwrap();
    Rotation {
        ended,
        events,
        described,
        store: MemoryStoreAt(store, secret),
        visitors: visitors(&listener).await,
    }
}

impl Rotation {
    /// The first version is AWSCURRENT, as it was, and the run ended for the plugin's fault.
    fn kept_current_after_a_fault(&self) {
        self.kept_current(|reason| matches!(reason, Reason::Plugin(_)));
    }

    fn kept_current(&self, why: impl Fn(&Reason) -> bool) {
        let failure = self.ended.as_ref().unwrap_err();
        assert!(why(&failure.failure.reason), "{failure:?}");
        let current = self.described.holder("AWSCURRENT").unwrap();
        assert_eq!(current.id.to_string(), FIRST);
    }
}

/// The boundary of what Keyturn can promise, see above.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_yes_to_everything_with_a_connection_is_believed_and_the_way_back_stays() {
    let rotation = rotate("nod", "").await;
    rotation.ended.as_ref().unwrap();
    let (store, described) = (&rotation.store, &rotation.described);
    let (id, promoted) = store.labelled(described, "AWSCURRENT").await;
    let (previous, before) = store.labelled(described, "AWSPREVIOUS").await;
    assert_ne!(id, FIRST);
    assert_eq!(previous, FIRST);
    assert!(before.contains(PASSWORD));
    assert_eq!(store.labelled(described, "KEYTURN_RETIRING").await.0, FIRST);
    assert_eq!(promoted.replace("fresh-password", PASSWORD), before);
    assert_eq!(rotation.events.intents("retire"), 0);
    assert!(rotation.visitors >= 2, "`set` and `test` both connect");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_yes_to_everything_without_a_connection_is_not_believed() {
    let rotation = rotate("yes", "").await;
    rotation.kept_current_after_a_fault();
    assert_eq!(rotation.visitors, 0);
    // What `set` claims to have applied stays under a label until it is proven dead.
    let (id, value) = rotation
        .store
        .labelled(&rotation.described, "KEYTURN_INDOUBT")
        .await;
    assert_ne!(id, FIRST);
    assert!(value.contains("fresh-password"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn another_credentials_member_is_never_stored_changed() {
    let rotation = rotate("make", "other-credential").await;
    rotation.kept_current_after_a_fault();
    assert_eq!(rotation.described.versions.len(), 1, "nothing was stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn pending_for_ever_is_asked_a_bounded_number_of_times() {
    let rotation = rotate("stall", "0").await;
    rotation.kept_current(|reason| *reason == Reason::StillPending);
    assert_eq!(rotation.events.intents("set"), 31);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn try_again_for_ever_is_tried_a_bounded_number_of_times() {
    let rotation = rotate("ask-again", "0").await;
    rotation.kept_current_after_a_fault();
    assert_eq!(rotation.events.intents("create"), 3);
}
