//! The imports, each a few lines over the module that does the work. An outer error is a trap; an
//! inner one is the plugin's to handle.

use wasmtime::component::{Resource, ResourceTableError};
use wasmtime::{Error, Result, bail};
use zeroize::Zeroizing;

use super::{HostState, key_derivation};
use crate::bindings::keyturn::rotation as wit;
use crate::bindings::keyturn::rotation::types as t;
use crate::endpoint::{Binding, Connection, NetError, NetErrorKind, Security};
use crate::http;
use crate::invoke::{HANDLES_MAX, PASSWORDS_MAX};
use crate::log::Severity;
use crate::password::Constraints;
use crate::sandbox::LimitHit;
use crate::signature::Signer;

/// One request; more is a mistake or an attack.
const RANDOM_BYTES_MAX: u32 = 65_536;

impl t::Host for HostState {}

impl wit::random::Host for HostState {
    async fn bytes(&mut self, len: u32) -> Result<Vec<u8>> {
        self.enter("random.bytes").await;
        if len > RANDOM_BYTES_MAX {
            bail!(
                "random.bytes gives at most {RANDOM_BYTES_MAX} bytes at a time, {len} were asked for"
            );
        }
        let mut bytes = vec![0; len as usize];
        self.random.fill(&mut bytes).map_err(Error::new)?;
        Ok(bytes)
    }
}

impl wit::password::Host for HostState {
    async fn generate(
        &mut self,
        target: wit::password::Constraints,
    ) -> Result<Result<String, String>> {
        self.enter("password.generate").await;
        self.passwords_left = match self.passwords_left.checked_sub(1) {
            Some(left) => left,
            None => bail!("password.generate answers at most {PASSWORDS_MAX} times in one call"),
        };
        let wit::password::Constraints {
            length_min,
            length_max,
            exclude,
        } = target;
        let target = Constraints {
            length_min,
            length_max,
            exclude,
        };
        let generated = self.password.generate(&target, self.random.as_ref());
        if let Ok(password) = &generated {
            self.scrubber.add(password);
        }
        Ok(generated)
    }
}

impl wit::key_derivation::Host for HostState {
    async fn pbkdf2_hmac_sha256(
        &mut self,
        password: Vec<u8>,
        salt: Vec<u8>,
        iterations: u32,
    ) -> Result<Vec<u8>> {
        self.enter("key-derivation.pbkdf2-hmac-sha256").await;
        key_derivation::pbkdf2_hmac_sha256(Zeroizing::new(password), salt, iterations).await
    }
}

impl wit::clock::Host for HostState {
    async fn now_ms(&mut self) -> Result<u64> {
        self.enter("clock.now-ms").await;
        Ok(self.clock.now_ms())
    }

    async fn elapsed_ns(&mut self) -> Result<u64> {
        self.enter("clock.elapsed-ns").await;
        Ok(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl wit::log::Host for HostState {
    async fn write(
        &mut self,
        severity: wit::log::Severity,
        message: String,
        fields: Vec<(String, String)>,
    ) -> Result<()> {
        self.enter("log.write").await;
        let severity = match severity {
            wit::log::Severity::Debug => Severity::Debug,
            wit::log::Severity::Info => Severity::Info,
            wit::log::Severity::Warn => Severity::Warn,
            wit::log::Severity::Error => Severity::Error,
        };
        self.log.write(&self.scrubber, severity, &message, &fields);
        Ok(())
    }
}

impl wit::endpoint::Host for HostState {
    async fn members(
        &mut self,
        endpoint: String,
    ) -> Result<Result<Vec<wit::endpoint::Member>, t::NetError>> {
        self.enter("endpoint.members").await;
        let members = self.network.members(&endpoint).map(|labels| {
            let numbered = (0..).zip(labels);
            numbered
                .map(|(index, label)| wit::endpoint::Member { index, label })
                .collect()
        });
        Ok(members.map_err(to_net_error))
    }

    async fn connect(
        &mut self,
        endpoint: String,
        member: u32,
    ) -> Result<Result<Resource<Connection>, t::NetError>> {
        self.enter("endpoint.connect").await;
        match self.network.connect(&endpoint, member).await {
            Ok(connection) => match self.table.push(connection) {
                Ok(handle) => Ok(Ok(handle)),
                Err(ResourceTableError::Full) => Err(Error::new(LimitHit::Handles {
                    handles_max: HANDLES_MAX,
                })),
                Err(error) => Err(error.into()),
            },
            Err(error) => Ok(Err(to_net_error(error))),
        }
    }
}

impl wit::endpoint::HostConnection for HostState {
    async fn security(&mut self, this: Resource<Connection>) -> Result<wit::endpoint::Security> {
        self.enter("connection.security").await;
        Ok(match self.table.get(&this)?.security() {
            Security::Plaintext => wit::endpoint::Security::Plaintext,
            Security::UpgradeRequired => wit::endpoint::Security::UpgradeRequired,
            Security::Encrypted => wit::endpoint::Security::Encrypted,
        })
    }

    async fn read(
        &mut self,
        this: Resource<Connection>,
        max: u32,
    ) -> Result<Result<Vec<u8>, t::NetError>> {
        self.enter("connection.read").await;
        Ok(self
            .table
            .get_mut(&this)?
            .read(max)
            .await
            .map_err(to_net_error))
    }

    async fn write(
        &mut self,
        this: Resource<Connection>,
        bytes: Vec<u8>,
    ) -> Result<Result<(), t::NetError>> {
        self.enter("connection.write").await;
        let bytes = Zeroizing::new(bytes);
        Ok(self
            .table
            .get_mut(&this)?
            .write(&bytes)
            .await
            .map_err(to_net_error))
    }

    async fn start_tls(&mut self, this: Resource<Connection>) -> Result<Result<(), t::NetError>> {
        self.enter("connection.start-tls").await;
        Ok(self
            .table
            .get_mut(&this)?
            .start_tls()
            .await
            .map_err(to_net_error))
    }

    async fn channel_binding(
        &mut self,
        this: Resource<Connection>,
        kind: wit::endpoint::Binding,
    ) -> Result<Option<Vec<u8>>> {
        self.enter("connection.channel-binding").await;
        let kind = match kind {
            wit::endpoint::Binding::TlsServerEndPoint => Binding::TlsServerEndPoint,
            wit::endpoint::Binding::TlsExporter => Binding::TlsExporter,
        };
        Ok(self.table.get(&this)?.channel_binding(kind))
    }

    async fn shutdown(&mut self, this: Resource<Connection>) -> Result<Result<(), t::NetError>> {
        self.enter("connection.shutdown").await;
        Ok(self
            .table
            .get_mut(&this)?
            .shutdown()
            .await
            .map_err(to_net_error))
    }

    async fn drop(&mut self, this: Resource<Connection>) -> Result<()> {
        self.enter("connection.drop").await;
        self.table.delete(this)?;
        Ok(())
    }
}

impl wit::http::Host for HostState {
    async fn send(
        &mut self,
        endpoint: String,
        request: wit::http::Request,
    ) -> Result<Result<wit::http::Response, t::NetError>> {
        self.enter("http.send").await;
        let wit::http::Request {
            method,
            path,
            headers,
            body,
        } = request;
        let request = http::HttpRequest {
            method,
            path,
            headers,
            body: body.unwrap_or_default(),
        };
        let (patience, body_bytes_max) = (self.io_patience(), self.limits.http_body_bytes);
        let signer = Signer {
            identity: self.identity.clone(),
            now_ms: self.clock.now_ms(),
        };
        let answer = http::send(
            &mut self.network,
            &endpoint,
            request,
            &signer,
            body_bytes_max,
            patience,
        )
        .await;
        Ok(answer
            .map(
                |http::HttpResponse {
                     status,
                     headers,
                     body,
                 }| wit::http::Response {
                    status,
                    headers,
                    body,
                },
            )
            .map_err(to_net_error))
    }
}

fn to_net_error(error: NetError) -> t::NetError {
    let kind = match error.kind {
        NetErrorKind::Denied => t::NetErrorKind::Denied,
        NetErrorKind::UnknownEndpoint => t::NetErrorKind::UnknownEndpoint,
        NetErrorKind::Dns => t::NetErrorKind::Dns,
        NetErrorKind::Refused => t::NetErrorKind::Refused,
        NetErrorKind::Reset => t::NetErrorKind::Reset,
        NetErrorKind::Timeout => t::NetErrorKind::Timeout,
        NetErrorKind::Tls => t::NetErrorKind::Tls,
        NetErrorKind::Closed => t::NetErrorKind::Closed,
        NetErrorKind::Limit => t::NetErrorKind::Limit,
        NetErrorKind::Other => t::NetErrorKind::Other,
    };
    t::NetError {
        kind,
        message: error.message,
        sent: error.sent,
    }
}
