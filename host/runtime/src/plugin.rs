//! A loaded plugin: verified, compiled, described, and not yet allowed anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use wasmtime::component::Component;

use crate::capability::Capability;
use crate::error::{GrantError, LoadError};
use crate::grant::Grant;
use crate::granted::GrantedPlugin;
use crate::loader;
use crate::manifest::Manifest;
use crate::outcome::Descriptor;
use crate::ownership;
use crate::runtime::Shared;

/// A plugin that passed every check of [`Runtime::load`](crate::Runtime::load). Cheap to clone.
#[derive(Clone)]
pub struct Plugin {
    pub(crate) inner: Arc<PluginInner>,
}

pub(crate) struct PluginInner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) component: Component,
    pub(crate) manifest: Manifest,
    pub(crate) descriptor: Descriptor,
    pub(crate) sha256: String,
    pub(crate) imports: BTreeSet<Capability>,
}

impl Plugin {
    pub fn manifest(&self) -> &Manifest {
        &self.inner.manifest
    }

    pub fn descriptor(&self) -> &Descriptor {
        &self.inner.descriptor
    }

    /// Has it describe itself once more. Nothing of an earlier call is left, so a sound plugin says the same again.
    ///
    /// # Errors
    /// Those of [`Runtime::load`](crate::Runtime::load) about `describe`.
    pub async fn describe_again(&self) -> Result<Descriptor, LoadError> {
        let PluginInner {
            shared,
            component,
            manifest,
            imports,
            ..
        } = &*self.inner;
        loader::described(shared, &manifest.name, component, manifest, imports).await
    }

    /// Of the component's bytes, lower-case hex.
    pub fn sha256(&self) -> &str {
        &self.inner.sha256
    }

    /// What the component really imports, which may be less than its manifest declares.
    pub fn imports(&self) -> &BTreeSet<Capability> {
        &self.inner.imports
    }

    /// A member of a secret that both plugins, under the settings of two credentials, want to write and that may be
    /// secret: the credentials cannot share one secret.
    pub fn contests(&self, settings: &Value, other: &Self, theirs: &Value) -> Option<String> {
        ownership::contested((self, settings), (other, theirs))
    }

    /// Checks the operator's grant against the manifest, the imports, the settings schema and the
    /// ceilings, and reads the CA files.
    pub fn grant(&self, grant: Grant) -> Result<GrantedPlugin, GrantError> {
        GrantedPlugin::new(self.clone(), grant)
    }
}
