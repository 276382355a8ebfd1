//! From plugin.toml's text to a checked [`Manifest`]. Each check that fails says the line, the key
//! and what to write instead.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;

use super::raw::{RawEndpoint, RawFrom, RawFromTable, RawManifest, RawPort};
use super::{
    CompanionManifest, EndpointManifest, EndpointSource, Manifest, ManifestError, PreTlsBytesMax,
    Protocol, SecretManifest, ValueSource,
};
use crate::capability::Capability;
use crate::text;

/// Nodes of one endpoint, unless the manifest says otherwise.
const MEMBERS_MAX_DEFAULT: u32 = 64;
const MEMBERS_MAX_CEILING: u32 = 1024;
const NAME_BYTES_MAX: usize = 64;
const POINTER_BYTES_MAX: usize = 256;
const KEY_BYTES_MAX: usize = 256;
const CAUSE_BYTES_MAX: usize = 512;
/// In-band upgrades of known protocols ask in a few bytes (PostgreSQL 8, SMTP 10, LDAP 31).
const PRE_TLS_BYTES_CEILING: u32 = 256;

pub(super) fn parse(text: &str) -> Result<Manifest, ManifestError> {
    let raw: RawManifest = toml::from_str(text)
        .map_err(|error| manifest_error(text, error.span(), "", error.message()))?;
    let reader = Reader { text };
    let secret = SecretManifest {
        identity: reader.pointers("secret.identity", raw.secret.identity)?,
        public: reader.pointers("secret.public", raw.secret.public)?,
    };
    let companions = raw.companion.into_iter().map(|(name, companion)| {
        reader.word("companion", &name, &companion.pointer.span(), "-_")?;
        let key = format!("companion.{name}.pointer");
        let pointer = reader.pointer(&key, companion.pointer)?;
        Ok((
            name,
            CompanionManifest {
                pointer,
                optional: companion.optional,
            },
        ))
    });
    let companions = companions.collect::<Result<BTreeMap<_, _>, _>>()?;
    let capabilities = reader.capabilities(raw.capabilities)?;
    let endpoints = reader.endpoints(raw.endpoint, &companions)?;
    Ok(Manifest {
        name: reader.name(raw.name)?,
        contract: reader.contract(raw.contract)?,
        capabilities,
        secret,
        companions,
        endpoints,
        limits: raw.limits,
    })
}

/// Key and cause quote the manifest, and so the plugin.
fn manifest_error(text: &str, at: Option<Range<usize>>, key: &str, cause: &str) -> ManifestError {
    ManifestError {
        line: at.map(|span| line_of(text, &span)),
        key: text::line(key, KEY_BYTES_MAX),
        cause: text::line(cause, CAUSE_BYTES_MAX),
    }
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    let before = text.as_bytes().get(..span.start).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn error(&self, span: &Range<usize>, key: &str, cause: String) -> ManifestError {
        manifest_error(self.text, Some(span.clone()), key, &cause)
    }

    fn name(&self, name: Spanned<String>) -> Result<String, ManifestError> {
        self.word("name", name.as_ref(), &name.span(), "-")?;
        Ok(name.into_inner())
    }

    fn contract(&self, contract: Spanned<String>) -> Result<String, ManifestError> {
        self.word("contract", contract.as_ref(), &contract.span(), "-+.")?;
        Ok(contract.into_inner())
    }

    /// Names stand in errors, in logs and in the grant, so they are plain words.
    fn word(
        &self,
        key: &str,
        word: &str,
        span: &Range<usize>,
        marks: &str,
    ) -> Result<(), ManifestError> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || marks.contains(c);
        if word.is_empty() || word.len() > NAME_BYTES_MAX || !word.chars().all(fits) {
            let marks: Vec<_> = marks.chars().map(String::from).collect();
            let cause = format!(
                "use 1 to {NAME_BYTES_MAX} of a-z, 0-9 and {}",
                marks.join(" ")
            );
            return Err(self.error(span, key, cause));
        }
        Ok(())
    }

    fn capabilities(
        &self,
        names: Vec<Spanned<String>>,
    ) -> Result<BTreeSet<Capability>, ManifestError> {
        let known = || Capability::ALL.map(Capability::name).join(", ");
        let read = |name: Spanned<String>| {
            Capability::from_name(name.as_ref()).ok_or_else(|| {
                let cause = format!("no capability \"{}\"; there are {}", name.as_ref(), known());
                self.error(&name.span(), "capabilities", cause)
            })
        };
        names.into_iter().map(read).collect()
    }

    fn pointers(
        &self,
        key: &str,
        pointers: Vec<Spanned<String>>,
    ) -> Result<Vec<String>, ManifestError> {
        pointers
            .into_iter()
            .map(|pointer| self.pointer(key, pointer))
            .collect()
    }

    fn pointer(&self, key: &str, pointer: Spanned<String>) -> Result<String, ManifestError> {
        check_pointer(pointer.as_ref()).map_err(|cause| self.error(&pointer.span(), key, cause))?;
        Ok(pointer.into_inner())
    }

    fn endpoints(
        &self,
        raw: BTreeMap<String, Spanned<RawEndpoint>>,
        companions: &BTreeMap<String, CompanionManifest>,
    ) -> Result<BTreeMap<String, EndpointManifest>, ManifestError> {
        let default = self.default_protocol(&raw)?;
        let mut endpoints = BTreeMap::new();
        for (name, endpoint) in raw {
            let read = self.endpoint(&name, endpoint, default, companions)?;
            endpoints.insert(name, read);
        }
        Ok(endpoints)
    }

    /// The protocol of endpoints that name none: the one that all others agree on.
    fn default_protocol(
        &self,
        raw: &BTreeMap<String, Spanned<RawEndpoint>>,
    ) -> Result<Option<(Protocol, PreTlsBytesMax)>, ManifestError> {
        let mut declared = Vec::new();
        for (name, endpoint) in raw {
            let endpoint = endpoint.as_ref();
            if let Some(protocol) = &endpoint.protocol {
                declared.push(self.protocol(name, protocol, endpoint)?);
            }
        }
        let first = declared.first().copied();
        Ok(first.filter(|first| declared.iter().all(|other| other == first)))
    }

    fn protocol(
        &self,
        name: &str,
        protocol: &Spanned<String>,
        endpoint: &RawEndpoint,
    ) -> Result<(Protocol, PreTlsBytesMax), ManifestError> {
        let fail = |cause| {
            Err(self.error(
                &protocol.span(),
                &format!("endpoint.{name}.protocol"),
                cause,
            ))
        };
        let parsed = match protocol.as_ref().as_str() {
            "tcp+upgrade" => Protocol::TcpUpgrade,
            "tcp|tls" => Protocol::TcpOrTls,
            "https" => Protocol::Https,
            other => {
                let known = "write \"tcp+upgrade\", \"tcp|tls\" or \"https\"";
                return fail(format!("no protocol \"{other}\"; {known}"));
            }
        };
        let pre_tls = match (parsed, endpoint.pre_tls_bytes_max) {
            (Protocol::TcpUpgrade, Some(max)) => {
                if max.out.max(max.into) > PRE_TLS_BYTES_CEILING {
                    return fail(format!(
                        "pre_tls_bytes_max may be at most {PRE_TLS_BYTES_CEILING}"
                    ));
                }
                PreTlsBytesMax {
                    out: max.out,
                    into: max.into,
                }
            }
            (Protocol::TcpUpgrade, None) => {
                let fix = "add pre_tls_bytes_max = { out = …, in = … }";
                return fail(format!(
                    "\"tcp+upgrade\" needs a byte cap before TLS; {fix}"
                ));
            }
            (_, Some(_)) => {
                return fail(
                    "pre_tls_bytes_max belongs to \"tcp+upgrade\" alone; remove it".into(),
                );
            }
            (_, None) => PreTlsBytesMax::default(),
        };
        Ok((parsed, pre_tls))
    }

    fn endpoint(
        &self,
        name: &str,
        raw: Spanned<RawEndpoint>,
        default: Option<(Protocol, PreTlsBytesMax)>,
        companions: &BTreeMap<String, CompanionManifest>,
    ) -> Result<EndpointManifest, ManifestError> {
        let span = raw.span();
        self.word("endpoint", name, &span, "-_")?;
        let raw = raw.into_inner();
        let (protocol, pre_tls_bytes_max) = match &raw.protocol {
            Some(protocol) => self.protocol(name, protocol, &raw)?,
            None => default.ok_or_else(|| {
                let cause = "missing, and the other endpoints do not agree on one; add it".into();
                self.error(&span, &format!("endpoint.{name}.protocol"), cause)
            })?,
        };
        let from_span = raw.from.span();
        let from = source(raw.from.into_inner(), companions)
            .map_err(|cause| self.error(&from_span, &format!("endpoint.{name}.from"), cause))?;
        let members_max = raw.members_max.unwrap_or(MEMBERS_MAX_DEFAULT);
        if members_max == 0 || members_max > MEMBERS_MAX_CEILING {
            let cause = format!("use 1 to {MEMBERS_MAX_CEILING}");
            return Err(self.error(&span, &format!("endpoint.{name}.members_max"), cause));
        }
        let sign = raw
            .sign
            .map(|service| self.service(name, service, protocol))
            .transpose()?;
        let optional = raw.optional;
        Ok(EndpointManifest {
            from,
            protocol,
            pre_tls_bytes_max,
            optional,
            members_max,
            sign,
        })
    }

    /// Only what the host itself puts on the wire can be signed by it.
    fn service(
        &self,
        endpoint: &str,
        service: Spanned<String>,
        protocol: Protocol,
    ) -> Result<String, ManifestError> {
        let key = format!("endpoint.{endpoint}.sign");
        self.word(&key, service.as_ref(), &service.span(), "-")?;
        if protocol != Protocol::Https {
            let cause = "belongs to \"https\" alone; remove it".into();
            return Err(self.error(&service.span(), &key, cause));
        }
        Ok(service.into_inner())
    }
}

fn check_pointer(pointer: &str) -> Result<(), String> {
    if !pointer.starts_with('/') {
        return Err(format!(
            "\"{pointer}\" is not a JSON pointer; begin with /, as in \"/host\""
        ));
    }
    if pointer.len() > POINTER_BYTES_MAX || !text::is_line(pointer) {
        return Err(format!(
            "\"{pointer}\" is longer than {POINTER_BYTES_MAX} bytes or holds invisible characters"
        ));
    }
    Ok(())
}

fn source(
    from: RawFrom,
    companions: &BTreeMap<String, CompanionManifest>,
) -> Result<EndpointSource, String> {
    let table = match from {
        RawFrom::Word(word) if word == "grant" => return Ok(EndpointSource::Grant),
        RawFrom::Word(word) => {
            return Err(format!("no source \"{word}\"; write \"grant\" or a table"));
        }
        RawFrom::Table(table) => table,
    };
    match (&table.secret, &table.companion) {
        (Some(_), Some(_)) => Err("give `secret` or `companion`, not both".into()),
        (Some(version), None) if version != "current" => Err(format!(
            "secret = \"{version}\": endpoints come from \"current\" alone"
        )),
        (Some(_), None) => Ok(EndpointSource::Secret(value_source(table)?)),
        (None, Some(companion)) => {
            let companion = companion.clone();
            if !companions.contains_key(&companion) {
                let fix = format!("add [companion.{companion}] with its pointer");
                return Err(format!("no companion \"{companion}\" is declared; {fix}"));
            }
            Ok(EndpointSource::Companion {
                companion,
                at: value_source(table)?,
            })
        }
        (None, None) => fixed(table),
    }
}

fn value_source(table: RawFromTable) -> Result<ValueSource, String> {
    let host = table
        .host
        .ok_or("`host` is missing; give the pointer to it, as in \"/host\"")?;
    check_pointer(&host)?;
    let port = match table.port {
        Some(RawPort::Pointer(pointer)) => Some(pointer),
        Some(RawPort::Number(_)) => {
            return Err("`port` is a pointer here; write the number as `port_default`".into());
        }
        None => None,
    };
    for pointer in port.iter().chain(&table.list) {
        check_pointer(pointer)?;
    }
    if port.is_none() && table.port_default.is_none() {
        return Err("give `port`, `port_default` or both".into());
    }
    Ok(ValueSource {
        list: table.list,
        host,
        port,
        port_default: table.port_default,
    })
}

fn fixed(table: RawFromTable) -> Result<EndpointSource, String> {
    match (table.host, table.port) {
        (Some(host), Some(RawPort::Number(port)))
            if !host.starts_with('/') && text::is_line(&host) && port > 0 =>
        {
            Ok(EndpointSource::Fixed { host, port })
        }
        _ => Err("a table needs `secret = \"current\"`, `companion = \"…\"`, or a fixed `host` and a numeric `port`".into()),
    }
}
