//! The store that the configuration or the command line names, opened.

use std::{env, sync::Arc};

use keyturn_config::StoreConfig;
use keyturn_store::{
    ErrorKind, SecretStore, StoreError, SystemClock,
    aws::{AwsOptions, AwsStore},
    embedded::{EmbeddedStore, MasterKey, OpenError},
};

use crate::{
    exit::{Code, Failure},
    session::refuse,
};

/// Names the endpoint for AWS's own rotation functions, so for their successor too.
const ENDPOINT_VARIABLE: &str = "SECRETS_MANAGER_ENDPOINT";

/// What commands reach as a store, and what only an embedded one offers.
pub(crate) enum Opened {
    Embedded(Arc<EmbeddedStore>),
    Aws(Arc<AwsStore>),
}

impl Opened {
    pub(crate) async fn open(config: &StoreConfig) -> Result<Self, Failure> {
        match config {
            StoreConfig::Embedded {
                path,
                master_key_file,
            } => {
                let key = match master_key_file {
                    Some(file) => MasterKey::from_file(file),
                    None => MasterKey::from_env(),
                };
                let key = key.map_err(refuse)?;
                let store = EmbeddedStore::open(path, &key, Arc::new(SystemClock));
                let store = store.map_err(not_opened)?;
                Ok(Self::Embedded(Arc::new(store)))
            }
            StoreConfig::Aws {
                region,
                endpoint_url,
                profile,
            } => {
                let named = env::var(ENDPOINT_VARIABLE).ok();
                let options = AwsOptions {
                    region: region.clone(),
                    endpoint_url: endpoint_url.clone().or(named.filter(|url| !url.is_empty())),
                    profile: profile.clone(),
                };
                let store = AwsStore::connect(&options).await.map_err(not_reached)?;
                Ok(Self::Aws(Arc::new(store)))
            }
        }
    }

    pub(crate) fn store(&self) -> Arc<dyn SecretStore> {
        match self {
            Self::Embedded(store) => Arc::clone(store) as _,
            Self::Aws(store) => Arc::clone(store) as _,
        }
    }
}

fn not_opened(error: OpenError) -> Failure {
    let way_out = match &error {
        OpenError::Missing { .. } => {
            ". A new and empty one comes from `keyturn init DIR` in an empty folder: take its store.db and its master.key"
        }
        _ => "",
    };
    Failure::new(Code::Store, format!("{error}{way_out}"))
}

/// What is wrong with the options is a matter of the configuration.
fn not_reached(error: StoreError) -> Failure {
    match error.kind() {
        ErrorKind::InvalidParameter => refuse(error),
        _ => Failure::new(Code::Store, error.to_string()),
    }
}
