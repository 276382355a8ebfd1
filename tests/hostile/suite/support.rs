//! The hostile guest in a runtime of its own, a good neighbour beside it, and what can be seen of a
//! call from outside: where it connected, what it logged, and how much memory the process took.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::guests;
use keyturn_runtime::*;
use serde_json::json;
use wasm_encoder::{CodeSection, Module, RawSection, RefType, TableSection, TableType};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

pub(crate) const PASSWORD: &str = "canary+current/pässwörd~1";
pub(crate) const CANDIDATE: &str = "canary+candidate/pässwörd~2";
pub(crate) const PREVIOUS: &str = "canary+previous/pässwörd~3";
/// Another credential's, in the same secret.
pub(crate) const VENDOR_KEY: &str = "canary+vendor/key~4";

/// `username` is an identity here, as it is for a kind whose users do not alternate.
const MANIFEST: &str = r#"
name = "hostile"
contract = "0.1.1"
capabilities = ["endpoint", "http", "random", "password", "key-derivation", "clock", "log"]
[secret]
identity = ["/host", "/port", "/username"]
public = ["/host", "/port", "/username"]
[endpoint.primary]
from = { secret = "current", host = "/host", port = "/port", port_default = 5432 }
protocol = "tcp+upgrade"
pre_tls_bytes_max = { out = 8, in = 1 }
[endpoint.api]
from = "grant"
protocol = "https"
optional = true
"#;

/// The budget that the engine gives each call: its deadline.
pub(crate) const BUDGET: Duration = Duration::from_secs(20);

/// Loads plugins into one runtime and keeps what they log.
pub(crate) struct Sandbox {
    pub(crate) runtime: Runtime,
    pub(crate) lines: Lines,
}

impl Sandbox {
    pub(crate) fn new(resolver: Arc<dyn Resolver>) -> Self {
        Self::with(RuntimeOptions {
            resolver,
            ..RuntimeOptions::default()
        })
    }

    pub(crate) fn with(options: RuntimeOptions) -> Self {
        let lines = Lines::default();
        let runtime = Runtime::new(RuntimeOptions {
            log: Arc::new(lines.clone()),
            ..options
        });
        Self {
            runtime: runtime.unwrap(),
            lines,
        }
    }

    pub(crate) async fn hostile(&self) -> Plugin {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile/guest");
        let core = with_table_grow(&guests::core(&folder, "hostile_guest"));
        let wasm = guests::with_manifest(guests::component(&core), MANIFEST);
        let name = "hostile".into();
        let loaded = self.runtime.load(PluginSource::Bytes { name, wasm }).await;
        loaded.unwrap()
    }

    /// The api-key plugin as it ships.
    pub(crate) async fn neighbour(&self) -> Neighbour {
        let file = |extension: &str| -> &'static [u8] {
            let path = format!("{}/api-key.{extension}", env!("KEYTURN_PLUGINS"));
            std::fs::read(&path)
                .unwrap_or_else(|error| panic!("{path}: {error}; run `make plugins`"))
                .leak()
        };
        let bundled = BundledPlugin {
            name: "api-key",
            wasm: file("wasm"),
            cwasm: file("cwasm"),
        };
        let source = PluginSource::Bundled(bundled);
        let plugin = self.runtime.load(source).await.unwrap();
        Neighbour(plugin.grant(Grant::default()).unwrap())
    }
}

/// A plugin that does its work while another does its worst.
#[derive(Clone)]
pub(crate) struct Neighbour(GrantedPlugin);

impl Neighbour {
    /// Makes a new key and checks it, as a rotation would.
    pub(crate) async fn answers(&self) {
        let old = r#"{"internal_api_key":"sk_old-and-long-enough","other":1.50}"#;
        let call = Call {
            strategy: "overlap".into(),
            ..call(old)
        };
        let created = self.0.create(&call, &replace()).await.unwrap();
        let Created::Value(value) = created else {
            panic!("no operator is needed")
        };
        use secrecy::ExposeSecret;
        let text = value.expose_secret();
        assert!(text.contains(r#""other":1.50"#));
        // The whole old key: among a hundred thousand new ones some begin like it.
        assert!(!text.contains(r#""internal_api_key":"sk_old-and-long-enough""#));
        let candidate = version("v2", text);
        let tested = self.0.test(&call, &candidate).await.unwrap();
        assert_ne!(tested.status, Status::Pending { after_ms: 0 });
    }
}

#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<LogRecord>>>);

impl LogSink for Lines {
    fn write(&self, record: LogRecord) {
        self.0.lock().unwrap().push(record);
    }
}

impl Lines {
    /// Those of the hostile plugin.
    pub(crate) fn hostile(&self) -> Vec<LogRecord> {
        let lines = self.0.lock().unwrap();
        let hostile = lines.iter().filter(|line| line.plugin == "hostile");
        hostile.cloned().collect()
    }
}

/// A name server that gives any name its next answer, the last for ever; an empty answer is none.
#[derive(Default)]
pub(crate) struct Names {
    answers: &'static [&'static [&'static str]],
    asked: AtomicUsize,
}

impl Names {
    pub(crate) fn new(answers: &'static [&'static [&'static str]]) -> Self {
        let asked = AtomicUsize::new(0);
        Self { answers, asked }
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let Some(last) = self.answers.len().checked_sub(1) else {
                return Ok(tokio::net::lookup_host((host, port)).await?.collect());
            };
            let answer = self.answers[asked.min(last)].iter();
            Ok(answer
                .map(|address| SocketAddr::new(address.parse().unwrap(), port))
                .collect())
        })
    }
}

pub(crate) fn grant(toml: &str, does: &str, with: &str) -> Grant {
    let mut grant: Grant = toml::from_str(toml).unwrap();
    grant.settings = json!({ "does": does, "with": with });
    grant
}

/// CURRENT at that place.
pub(crate) fn current(host: &str, port: u16) -> String {
    format!(
        r#"{{"host":"{host}","port":{port},"username":"festival_app","password":"{PASSWORD}","vendor_key":"{VENDOR_KEY}","limit":1.50}}"#
    )
}

pub(crate) fn call(current: &str) -> Call {
    Call {
        secret: "festival-prod/database".into(),
        credential: String::new(),
        environment: "prod".into(),
        rotation_id: "keyturn-1".into(),
        attempt: 1,
        budget: BUDGET,
        strategy: "only".into(),
        current: version("v1", current),
        others: vec![OtherVersion {
            standing: Standing::Previous,
            version: version("v0", &current.replace(PASSWORD, PREVIOUS)),
        }],
        companions: vec![],
    }
}

pub(crate) fn version(id: &str, value: &str) -> Version {
    Version {
        id: id.into(),
        value: value.to_owned().into(),
    }
}

pub(crate) fn replace() -> CreateRequest {
    CreateRequest {
        purpose: Purpose::Replace,
        inputs: vec![],
        overlap_seconds: 60,
        next_rotation: None,
        restore: None,
    }
}

/// The guest with `table.grow` in the body of its function of that name, and a table that may grow.
fn with_table_grow(core: &[u8]) -> Vec<u8> {
    let of = |range: std::ops::Range<u64>| &core[range.start as usize..range.end as usize];
    let mut module = Module::new();
    let (mut imported, mut wanted) = (0, None);
    let mut bodies = CodeSection::new();
    let mut bodies_left = 0;
    for payload in Parser::new(0).parse_all(core) {
        let payload = payload.unwrap();
        match &payload {
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    imported += u32::from(matches!(import.unwrap().ty, TypeRef::Func(_)));
                }
            }
            Payload::ExportSection(exports) => {
                let mut exports = exports.clone().into_iter().map(Result::unwrap);
                let grow = exports
                    .find(|export| export.name == "hostile_table_grow")
                    .unwrap();
                assert_eq!(grow.kind, ExternalKind::Func);
                wanted = Some(grow.index - imported);
            }
            Payload::TableSection(tables) => {
                let mut section = TableSection::new();
                for table in tables.clone() {
                    let minimum = table.unwrap().ty.initial;
                    section.table(TableType {
                        element_type: RefType::FUNCREF,
                        table64: false,
                        minimum,
                        maximum: None,
                        shared: false,
                    });
                }
                module.section(&section);
                continue;
            }
            Payload::CodeSectionStart { count, .. } => {
                bodies_left = *count;
                continue;
            }
            Payload::CodeSectionEntry(body) => {
                if Some(bodies.len()) == wanted {
                    // No locals; ref.null func, local.get 0, table.grow 0, end.
                    bodies.raw(&[0, 0xd0, 0x70, 0x20, 0, 0xfc, 0x0f, 0, 0x0b]);
                } else {
                    bodies.raw(of(body.range()));
                }
                bodies_left -= 1;
                if bodies_left == 0 {
                    module.section(&bodies);
                }
                continue;
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            let data = of(range);
            module.section(&RawSection { id, data });
        }
    }
    let replaced = wanted.is_some_and(|wanted| wanted < bodies.len());
    assert!(replaced, "no such function");
    module.finish()
}
