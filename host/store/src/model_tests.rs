//! Random sequences of calls on both stores: the embedded one has to answer and to look exactly like the one in
//! memory, whose few lines are the model.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Runtime;

use crate::clock::ManualClock;
use crate::embedded::{EmbeddedStore, MasterKey};
use crate::error::StoreError;
use crate::labels::{CURRENT, PENDING, PREVIOUS};
use crate::memory::MemoryStore;
use crate::store::SecretStore;
use crate::types::{NewSecret, SecretName, VersionId, Which};

const LABELS: [&str; 6] = [
    CURRENT,
    PREVIOUS,
    PENDING,
    "KEYTURN_INDOUBT",
    "MINE",
    // Whatever is made of labels on the way must not take this for AWSCURRENT.
    "AWSCURRENT\0\"\\é",
];
/// Enough sequences to meet each pair of calls often, in about a second.
const SEQUENCES: u32 = 64;
const CALLS_MAX: usize = 40;

#[derive(Debug, Clone)]
enum Call {
    Create {
        id: u8,
        value: u8,
    },
    Put {
        id: u8,
        value: u8,
        labels: Vec<&'static str>,
    },
    Move {
        label: &'static str,
        from: Option<u8>,
        to: Option<u8>,
    },
    /// The move that the present holder allows: random ids alone would seldom hit it.
    MoveFromHolder {
        label: &'static str,
        to: Option<u8>,
    },
    Reserve {
        id: u8,
    },
    WriteNotes {
        revision: u64,
        note: u8,
    },
    /// Without a value the tag is removed.
    Tag {
        key: u8,
        value: Option<u8>,
    },
    GetByLabel {
        label: &'static str,
    },
    GetByBoth {
        id: u8,
        label: &'static str,
    },
}

fn call() -> impl Strategy<Value = Call> {
    let id = || 1..7_u8;
    let label = || select(&LABELS[..]);
    prop_oneof![
        1 => (id(), 1..3_u8).prop_map(|(id, value)| Call::Create { id, value }),
        4 => (id(), 1..3_u8, subsequence(&LABELS[..], 0..3))
            .prop_map(|(id, value, labels)| Call::Put { id, value, labels }),
        2 => (label(), prop::option::of(id()), prop::option::of(id()))
            .prop_map(|(label, from, to)| Call::Move { label, from, to }),
        4 => (label(), prop::option::weighted(0.7, id()))
            .prop_map(|(label, to)| Call::MoveFromHolder { label, to }),
        1 => id().prop_map(|id| Call::Reserve { id }),
        1 => (0..4_u64, any::<u8>())
            .prop_map(|(revision, note)| Call::WriteNotes { revision, note }),
        1 => (0..4_u8, prop::option::weighted(0.7, any::<u8>()))
            .prop_map(|(key, value)| Call::Tag { key, value }),
        1 => label().prop_map(|label| Call::GetByLabel { label }),
        1 => (id(), label()).prop_map(|(id, label)| Call::GetByBoth { id, label }),
    ]
}

fn id(number: u8) -> VersionId {
    VersionId::new(format!("{number:032}")).unwrap()
}

fn value(number: u8) -> SecretString {
    SecretString::from(format!("value {number}"))
}

enum Store {
    Embedded(EmbeddedStore),
    Memory(MemoryStore),
}

impl Store {
    fn calls(&self) -> &dyn SecretStore {
        match self {
            Self::Embedded(store) => store,
            Self::Memory(store) => store,
        }
    }

    /// The answer as text, errors by their whole message.
    async fn perform(&self, name: &SecretName, call: &Call) -> String {
        let store = self.calls();
        let said = |result: Result<String, StoreError>| match result {
            Ok(answer) => answer,
            Err(error) => format!("{} {error}", error.code()),
        };
        let done = |result: Result<(), StoreError>| said(result.map(|()| "done".to_owned()));
        match call {
            Call::Create {
                id: number,
                value: v,
            } => {
                let new = NewSecret {
                    id: id(*number),
                    value: value(*v),
                    description: None,
                };
                done(store.create_secret(name, new).await)
            }
            Call::Put {
                id: number,
                value: v,
                labels,
            } => {
                let put = store.put(name, &id(*number), &value(*v), labels).await;
                said(put.map(|put| format!("{put:?}")))
            }
            Call::Move { label, from, to } => {
                let (from, to) = (from.map(id), to.map(id));
                done(
                    store
                        .move_label(name, label, from.as_ref(), to.as_ref())
                        .await,
                )
            }
            Call::MoveFromHolder { label, to } => {
                let described = store.describe(name).await.ok();
                let from = described.and_then(|secret| Some(secret.holder(label)?.id.clone()));
                let to = to.map(id);
                done(
                    store
                        .move_label(name, label, from.as_ref(), to.as_ref())
                        .await,
                )
            }
            Call::Reserve { id: number } => done(match self {
                Self::Embedded(store) => store.reserve(name, &id(*number)).await,
                Self::Memory(store) => store.reserve(name, &id(*number)).await,
            }),
            Call::WriteNotes { revision, note } => {
                let json = format!(r#"{{"note":{note}}}"#);
                let written = store.write_notes(name, *revision, &json).await;
                said(written.map(|revision| revision.to_string()))
            }
            Call::Tag { key, value } => done(self.tag(name, key.to_string(), *value).await),
            Call::GetByLabel { label } => {
                said(self.read(name, &Which::Label((*label).to_owned())).await)
            }
            Call::GetByBoth { id: number, label } => said(
                self.read(name, &Which::IdWithLabel(id(*number), (*label).to_owned()))
                    .await,
            ),
        }
    }

    async fn tag(&self, name: &SecretName, key: String, to: Option<u8>) -> Result<(), StoreError> {
        let tags = to.map(|value| [(key.clone(), value.to_string())].into());
        match (self, tags) {
            (Self::Embedded(store), Some(tags)) => store.tag(name, &tags).await,
            (Self::Memory(store), Some(tags)) => store.tag(name, &tags).await,
            (Self::Embedded(store), None) => store.untag(name, &[key]).await,
            (Self::Memory(store), None) => store.untag(name, &[key]).await,
        }
    }

    async fn read(&self, name: &SecretName, which: &Which) -> Result<String, StoreError> {
        let version = self.calls().get(name, which).await?;
        let value = version.value.expose_secret();
        Ok(format!(
            "{} {value} {:?} {}",
            version.id, version.labels, version.created_at_ms
        ))
    }

    async fn look(&self, name: &SecretName) -> String {
        let mut described = self.calls().describe(name).await;
        if let Ok(described) = &mut described {
            // One in memory counts no rotations.
            described.last_rotated_at_ms = None;
        }
        let notes = self.calls().notes(name).await;
        format!("{described:?} {notes:?}")
    }

    async fn assert_one_current(&self, name: &SecretName) {
        if let Ok(secret) = self.calls().describe(name).await {
            let labels = secret.versions.iter().flat_map(|version| &version.labels);
            assert_eq!(
                labels.filter(|label| *label == CURRENT).count(),
                1,
                "{secret:?}"
            );
            assert!(
                self.calls().get(name, &Which::current()).await.is_ok(),
                "{secret:?}"
            );
        }
    }
}

#[test]
fn the_embedded_store_is_the_store_in_memory() {
    let runtime = Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at_ms(1_700_000_000_000));
    let path = dir.path().join("store.db");
    let master = MasterKey::generate().unwrap();
    let embedded = EmbeddedStore::create(&path, &master, clock.clone()).unwrap();
    let embedded = Store::Embedded(embedded);
    let memory = Store::Memory(MemoryStore::new(clock.clone()));
    // One file for all sequences, and a secret of its own for each.
    let sequence = AtomicU32::new(0);

    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(SEQUENCES)
    };
    proptest!(config, |(calls in prop::collection::vec(call(), 1..CALLS_MAX))| {
        let number = sequence.fetch_add(1, Ordering::Relaxed);
        let name = SecretName::new(format!("sequence/{number}")).unwrap();
        runtime.block_on(async {
            let first = Call::Create { id: 1, value: 1 };
            for call in std::iter::once(&first).chain(&calls) {
                clock.advance_ms(7);
                let answers = (embedded.perform(&name, call).await, memory.perform(&name, call).await);
                assert_eq!(answers.0, answers.1, "{call:?}");
                assert_eq!(embedded.look(&name).await, memory.look(&name).await, "{call:?}");
                embedded.assert_one_current(&name).await;
            }
        });
    });
    let sequences = sequence.load(Ordering::Relaxed);
    println!("evidence: store, against its model: {sequences} sequences of calls");
}
