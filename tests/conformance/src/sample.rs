//! What the command line checks a plugin with: the example of its secret schema, or a file of the author's, and the
//! servers of `--target`. Those are changed: they have to be made for this.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use keyturn_runtime::{
    AwsIdentity, EndpointManifest, EndpointSource, InputRequest, Manifest, Plugin, TlsMode,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::stage::{Answers, Scene, Stage, Tls};
use crate::value::{self, Address};

/// What a target looks like.
const FORM: &str = "it is scheme://user:password@host:port/name, with / as %2F, # as %23 and @ as %40 in the password";

/// Why a plugin cannot be checked with this.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    #[error("the secret schema has no example of a secret: add one under `examples`")]
    NoExample,
    #[error("{path}: {cause}")]
    File { path: PathBuf, cause: String },
    #[error("{path}: it has {unknown}, which nothing would look at; known {place} are {known}")]
    Unknown {
        path: PathBuf,
        unknown: String,
        place: &'static str,
        known: String,
    },
    #[error("the plugin has no strategy \"{strategy}\"; it has {known}")]
    Strategy { strategy: String, known: String },
    #[error("--target: {cause}")]
    Target { cause: String },
}

/// `scheme://user:password@host:port/name?tls=…&ca=…&server_name=…&connect=…`; the scheme is for people.
pub struct Target {
    url: Url,
    address: Address,
    tls: Tls,
    /// `host:port` where it is reached instead.
    connect: Option<String>,
}

impl Target {
    /// # Errors
    /// [`SampleError::Target`] for what is no such URL. It is not quoted: it holds a password.
    pub fn parse(text: &str) -> Result<Self, SampleError> {
        let wrong = |cause: &str| SampleError::Target {
            cause: cause.to_owned(),
        };
        let url = Url::parse(text).map_err(|error| wrong(&format!("{error}; {FORM}")))?;
        let host = url
            .host_str()
            .ok_or_else(|| wrong(&format!("it names no host; {FORM}")))?;
        let port = url
            .port_or_known_default()
            .ok_or_else(|| wrong(&format!("it names no port; {FORM}")))?;
        let address = Address::new(host.trim_matches(['[', ']']), port);
        let (mut tls, mut connect) = (Tls::default(), None);
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "tls" => {
                    tls.mode = serde_json::from_value::<TlsMode>(json!(value)).map_err(|_| {
                        wrong("tls is one of disable, require, verify-ca, verify-full")
                    })?;
                }
                "ca" => {
                    let path = PathBuf::from(value.as_ref());
                    if let Err(error) = std::fs::metadata(&path) {
                        return Err(wrong(&format!("ca={}: {error}", path.display())));
                    }
                    tls.ca = Some(path);
                }
                "server_name" => tls.server_name = Some(value.into_owned()),
                "connect" => connect = Some(value.into_owned()),
                _ => {
                    return Err(wrong(
                        "known are tls, ca, server_name and connect behind the question mark",
                    ));
                }
            }
        }
        Ok(Self {
            url,
            address,
            tls,
            connect,
        })
    }

    fn reached_at(&self) -> String {
        let elsewhere = self.connect.clone();
        elsewhere.unwrap_or_else(|| self.address.to_string())
    }
}

/// The author's file: what the plugin is checked with instead of its schema's example.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    secret: Option<Value>,
    strategy: Option<String>,
    settings: Option<Value>,
    /// By the manifest's names.
    companions: BTreeMap<String, Value>,
    /// `host:port` of the nodes, by the manifest's names.
    endpoints: BTreeMap<String, Vec<String>>,
    /// In turn, for plugins that ask an operator.
    answers: Vec<Answers>,
    unprivileged: Option<Value>,
    unprotected: Option<Value>,
}

/// The members of [`Written`].
const MEMBERS: [&str; 8] = [
    "secret",
    "strategy",
    "settings",
    "companions",
    "endpoints",
    "answers",
    "unprivileged",
    "unprotected",
];

/// The stage of the command line.
pub struct Sample {
    has_target: bool,
    /// None: there is no secret.
    scene: Mutex<Option<Scene>>,
    /// Given in turn, from the first again after the last.
    answers: Mutex<VecDeque<Answers>>,
    identity: Option<Arc<dyn AwsIdentity>>,
}

impl Sample {
    /// No secret at all: the file alone is checked.
    pub fn none() -> Self {
        Self {
            has_target: false,
            scene: Mutex::default(),
            answers: Mutex::default(),
            identity: None,
        }
    }

    /// Signs with this what the plugin's manifest wants signed.
    #[must_use]
    pub fn signing_with(mut self, identity: Arc<dyn AwsIdentity>) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The example of the plugin's secret schema.
    ///
    /// # Errors
    /// [`SampleError::NoExample`].
    pub fn example(plugin: &Plugin) -> Result<String, SampleError> {
        let schema = &plugin.descriptor().secret_schema;
        let example = schema.get("examples").and_then(|examples| examples.get(0));
        example.map(Value::to_string).ok_or(SampleError::NoExample)
    }

    /// From the plugin's own example or the file, and the servers.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub fn new(
        plugin: &Plugin,
        file: Option<&Path>,
        targets: &[Target],
    ) -> Result<Self, SampleError> {
        let written = match file {
            Some(path) => read(path, plugin.manifest())?,
            None => Written::default(),
        };
        let secret = match &written.secret {
            Some(secret) => secret.to_string(),
            None => Self::example(plugin)?,
        };
        let descriptor = plugin.descriptor();
        if let Some(strategy) = &written.strategy
            && descriptor.strategy(strategy).is_none()
        {
            let known = descriptor
                .strategies
                .iter()
                .map(|known| known.name.as_str());
            return Err(SampleError::Strategy {
                strategy: strategy.clone(),
                known: known.collect::<Vec<_>>().join(", "),
            });
        }
        let settings = written.settings.or_else(|| {
            let examples = descriptor.settings_schema.get("examples")?;
            examples.get(0).cloned()
        });
        let mut scene = Scene {
            secret,
            strategy: written.strategy,
            settings: settings.unwrap_or_else(|| json!({})),
            companions: texts(written.companions),
            unprivileged: written.unprivileged.map(|value| value.to_string()),
            unprotected: written.unprotected.map(|value| value.to_string()),
            tls: Tls {
                mode: TlsMode::Disable,
                ..Tls::default()
            },
            ..Scene::default()
        };
        lead_to(targets, &mut scene, plugin)?;
        scene.endpoints.extend(written.endpoints);
        Ok(Self {
            has_target: !targets.is_empty(),
            scene: Mutex::new(Some(scene)),
            answers: Mutex::new(written.answers.into()),
            identity: None,
        })
    }
}

/// Puts the servers where the plugin looks for them.
fn lead_to(targets: &[Target], scene: &mut Scene, plugin: &Plugin) -> Result<(), SampleError> {
    let Some(first) = targets.first() else {
        return Ok(());
    };
    let refused = |cause: String| Err(SampleError::Target { cause });
    let manifest = plugin.manifest();
    let addresses: Vec<_> = targets
        .iter()
        .map(|target| target.address.to_string())
        .collect();
    if let Some(twice) = (1..addresses.len()).find(|at| addresses[..*at].contains(&addresses[*at]))
    {
        return refused(format!("{} is given twice", addresses[twice]));
    }
    let named_by_value = !value::steering(manifest).is_empty();
    if targets.len() > 1 && named_by_value && !lists_nodes(manifest) {
        return refused(format!(
            "{} takes one server, and several are given",
            manifest.name
        ));
    }
    scene.tls = first.tls.clone();
    scene.secret = at_targets(&scene.secret, plugin, targets);
    let values = [&mut scene.unprivileged, &mut scene.unprotected];
    for value in values.into_iter().flatten() {
        *value = value::redirect(value, manifest, &first.address);
    }
    scene.reached_at = reached_at(targets, &scene.secret, manifest);
    for (name, endpoint) in &manifest.endpoints {
        if !named_by_value && leads_where_it_is_granted(endpoint) {
            scene.endpoints.insert(name.clone(), addresses.clone());
        }
    }
    Ok(())
}

fn leads_where_it_is_granted(endpoint: &EndpointManifest) -> bool {
    matches!(
        endpoint.from,
        EndpointSource::Grant | EndpointSource::Fixed { .. }
    )
}

fn lists_nodes(manifest: &Manifest) -> bool {
    let mut endpoints = manifest.endpoints.values();
    endpoints
        .any(|endpoint| matches!(&endpoint.from, EndpointSource::Secret(at) if at.list.is_some()))
}

fn read(path: &Path, manifest: &Manifest) -> Result<Written, SampleError> {
    let wrong = |cause: String| SampleError::File {
        path: path.to_owned(),
        cause,
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    // serde_json may quote what it did not expect, and the file holds secrets.
    let unreadable = |error: serde_json::Error| {
        wrong(format!(
            "line {}, column {}: it is a JSON object with {}, each left out if not needed",
            error.line(),
            error.column(),
            MEMBERS.join(", ")
        ))
    };
    let members: Map<String, Value> = serde_json::from_str(&text).map_err(unreadable)?;
    are_known(path, "members", members.keys(), &MEMBERS)?;
    let written: Written = serde_json::from_str(&text).map_err(unreadable)?;
    let companions: Vec<_> = manifest.companions.keys().map(String::as_str).collect();
    are_known(path, "companions", written.companions.keys(), &companions)?;
    let endpoints: Vec<_> = manifest.endpoints.keys().map(String::as_str).collect();
    are_known(path, "endpoints", written.endpoints.keys(), &endpoints)?;
    Ok(written)
}

/// What nothing looks at would leave checks open, or have them made with something else than was meant.
fn are_known<'a>(
    path: &Path,
    place: &'static str,
    names: impl Iterator<Item = &'a String>,
    known: &[&str],
) -> Result<(), SampleError> {
    let unknown = names.filter(|name| !known.contains(&name.as_str()));
    let mut unknown: Vec<_> = unknown.map(|name| format!("{name:?}")).collect();
    unknown.sort();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(SampleError::Unknown {
        path: path.to_owned(),
        unknown: unknown.join(", "),
        place,
        known: match known {
            [] => "none".to_owned(),
            known => known.join(", "),
        },
    })
}

fn texts(values: BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let texts = values
        .into_iter()
        .map(|(name, value)| (name, value.to_string()));
    texts.collect()
}

/// The value at the first server; with several, as a list of nodes where the plugin takes one.
fn at_targets(secret: &str, plugin: &Plugin, targets: &[Target]) -> String {
    let manifest = plugin.manifest();
    let Some(first) = targets.first() else {
        return secret.to_owned();
    };
    let mut text = value::redirect(secret, manifest, &first.address);
    let members = plugin.descriptor().secret_schema.get("properties");
    let mut set = |name: &str, member: &str| {
        let known = members
            .and_then(Value::as_object)
            .is_some_and(|known| known.contains_key(name));
        if known && !member.is_empty() {
            text = value::with(&text, &format!("/{name}"), json!(member));
        }
    };
    set("username", &decoded(first.url.username()));
    set(
        "password",
        &decoded(first.url.password().unwrap_or_default()),
    );
    set("dbname", &decoded(first.url.path().trim_start_matches('/')));
    if targets.len() > 1 {
        for endpoint in manifest.endpoints.values() {
            if let EndpointSource::Secret(at) = &endpoint.from
                && let Some(list) = &at.list
            {
                let nodes: Vec<Value> = targets
                    .iter()
                    .map(|target| node(target, &at.host, at.port.as_deref()))
                    .collect();
                text = value::with(&text, list, Value::Array(nodes));
            }
        }
    }
    text
}

/// A user's name or password in a URL is percent-encoded.
fn decoded(part: &str) -> String {
    let form = part.replace('+', "%2B");
    url::form_urlencoded::parse(format!("x={form}").as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

fn node(target: &Target, host: &str, port: Option<&str>) -> Value {
    let name = |pointer: &str| pointer.trim_start_matches('/').to_owned();
    let mut node = Map::new();
    node.insert(name(host), json!(target.address.host()));
    if let Some(port) = port {
        node.insert(name(port), json!(target.address.port()));
    }
    Value::Object(node)
}

/// Where the servers are. A value that has no place for a port names the one that the manifest is for, and the server
/// may listen at another.
fn reached_at(targets: &[Target], secret: &str, manifest: &Manifest) -> BTreeMap<String, String> {
    let mut reached = BTreeMap::new();
    for named in value::addresses(secret, manifest, None) {
        let is_there = |target: &&Target| target.address.host() == named.host();
        if let Some(target) = targets.iter().find(is_there) {
            reached.insert(named.to_string(), target.reached_at());
        }
    }
    let own = targets
        .iter()
        .map(|target| (target.address.to_string(), target.reached_at()));
    reached.extend(own);
    reached
}

#[async_trait]
impl Stage for Sample {
    fn has_target(&self) -> bool {
        self.has_target
    }

    async fn scene(&self) -> Result<Scene, String> {
        let scene = self.scene.lock().unwrap_or_else(PoisonError::into_inner);
        scene.clone().ok_or_else(|| {
            "there is no secret to check it with: the secret schema has no example, and no --sample is given".to_owned()
        })
    }

    fn answers(&self, asked: &InputRequest) -> Result<Answers, String> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(answer) = answers.pop_front() else {
            let names: Vec<_> = asked
                .prompts
                .iter()
                .map(|prompt| prompt.name.as_str())
                .collect();
            return Err(format!(
                "the plugin asks an operator, and `answers` of the sample has no object with {}",
                names.join(", ")
            ));
        };
        answers.push_back(answer.clone());
        Ok(answer)
    }

    fn identity(&self) -> Option<Arc<dyn AwsIdentity>> {
        self.identity.clone()
    }

    /// The next check starts with what this one has left at the target.
    fn leave(&self, current: &str) {
        if self.has_target {
            let mut scene = self.scene.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(scene) = scene.as_mut() {
                current.clone_into(&mut scene.secret);
            }
        }
    }
}
