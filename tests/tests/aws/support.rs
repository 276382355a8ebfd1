//! A store on AWS's API: through the SDK and HTTP, to Keyturn's own endpoint.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Config, Credentials, Region};
use aws_smithy_async::time::TimeSource;
use harness::endpoint::{Endpoint, REGION};
use keyturn_store::aws::{AwsStore, Invocation};
use keyturn_store::{Clock, ManualClock, NewSecret, SecretName, SecretStore as _, VersionId};

pub(crate) struct OnAws {
    pub(crate) endpoint: Endpoint,
    pub(crate) store: AwsStore,
}

impl OnAws {
    /// Makes a secret, and answers the end of its ARN.
    pub(crate) async fn create(&self, name: &str) -> String {
        let name = SecretName::new(name).unwrap();
        let new = NewSecret {
            id: VersionId::new("00000000-0000-4000-8000-000000000001").unwrap(),
            value: "value".into(),
            description: None,
        };
        self.store.create_secret(&name, new).await.unwrap();
        self.endpoint.store.arn_suffix(&name).await.unwrap()
    }
}

/// The client signs for the endpoint's time, which the cases move.
#[derive(Debug)]
struct EndpointTime(Arc<ManualClock>);

impl TimeSource for EndpointTime {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.0.now_ms())
    }
}

pub(crate) async fn on_aws() -> OnAws {
    let endpoint = Endpoint::start().await.unwrap();
    let key = &endpoint.key;
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(endpoint.url())
        .credentials_provider(Credentials::new(&key.id, &key.secret, None, None, "test"))
        .time_source(EndpointTime(endpoint.clock.clone()))
        .disable_clock_skew_correction(true)
        .build();
    // A version that was announced is known to be empty.
    let store = AwsStore::new(Client::from_conf(config)).within(Invocation {
        pending_patience: Duration::ZERO,
        ..Invocation::default()
    });
    OnAws { endpoint, store }
}
