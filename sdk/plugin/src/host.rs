//! The one seam between this crate and whoever hosts it: the contract's imports in WebAssembly, the
//! thread's [`fake`](crate::fake) host natively. The capability modules call these functions and
//! know no difference.

#[cfg(target_arch = "wasm32")]
pub(crate) use guest::*;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::*;

#[cfg(target_arch = "wasm32")]
mod guest {
    use crate::bindings::keyturn::rotation as imports;
    use crate::endpoint::{Binding, Member, NetError, Security};
    use crate::http::{Request, Response};
    use crate::log::Severity;
    use crate::password::Constraints;

    pub(crate) struct Stream(imports::endpoint::Connection);

    impl Stream {
        pub(crate) fn security(&self) -> Security {
            self.0.security()
        }

        pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, NetError> {
            let wanted = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
            let bytes = self.0.read(wanted)?;
            // The contract promises at most `wanted` bytes; a host that breaks it must not panic us.
            let count = bytes.len().min(buffer.len());
            buffer[..count].copy_from_slice(&bytes[..count]);
            Ok(count)
        }

        pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), NetError> {
            self.0.write(bytes)
        }

        pub(crate) fn start_tls(&mut self) -> Result<(), NetError> {
            self.0.start_tls()
        }

        pub(crate) fn channel_binding(&self, kind: Binding) -> Option<Vec<u8>> {
            self.0.channel_binding(kind)
        }

        pub(crate) fn shutdown(&mut self) -> Result<(), NetError> {
            self.0.shutdown()
        }
    }

    pub(crate) fn members(endpoint: &str) -> Result<Vec<Member>, NetError> {
        imports::endpoint::members(endpoint)
    }

    pub(crate) fn connect(endpoint: &str, member: u32) -> Result<Stream, NetError> {
        imports::endpoint::connect(endpoint, member).map(Stream)
    }

    pub(crate) fn http_send(endpoint: &str, request: &Request) -> Result<Response, NetError> {
        let request = imports::http::Request {
            method: request.method.clone(),
            path: request.path.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
        };
        let response = imports::http::send(endpoint, &request)?;
        Ok(Response {
            status: response.status,
            headers: response.headers,
            body: response.body,
        })
    }

    pub(crate) fn random_bytes(length: u32) -> Vec<u8> {
        imports::random::bytes(length)
    }

    pub(crate) fn generate_password(target: &Constraints) -> Result<String, String> {
        imports::password::generate(target)
    }

    pub(crate) fn pbkdf2_hmac_sha256(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
        let mut key = [0; 32];
        let derived = imports::key_derivation::pbkdf2_hmac_sha256(password, salt, iterations);
        // The contract promises 32 bytes.
        key.copy_from_slice(&derived);
        key
    }

    pub(crate) fn now_ms() -> u64 {
        imports::clock::now_ms()
    }

    pub(crate) fn elapsed_ns() -> u64 {
        imports::clock::elapsed_ns()
    }

    pub(crate) fn log(severity: Severity, message: &str, fields: &[(String, String)]) {
        imports::log::write(severity, message, fields);
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use crate::endpoint::{Binding, Member, NetError, Security};
    use crate::fake;
    use crate::http::{Request, Response};
    use crate::key_derivation::ITERATIONS_MAX;
    use crate::log::Severity;
    use crate::password::Constraints;
    use pbkdf2::sha2::Sha256;

    pub(crate) struct Stream(Box<dyn fake::Stream>);

    impl Stream {
        pub(crate) fn security(&self) -> Security {
            self.0.security()
        }

        pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, NetError> {
            self.0.read(buffer)
        }

        pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), NetError> {
            self.0.write(bytes)
        }

        pub(crate) fn start_tls(&mut self) -> Result<(), NetError> {
            self.0.start_tls()
        }

        pub(crate) fn channel_binding(&self, kind: Binding) -> Option<Vec<u8>> {
            self.0.channel_binding(kind)
        }

        pub(crate) fn shutdown(&mut self) -> Result<(), NetError> {
            self.0.shutdown()
        }
    }

    pub(crate) fn members(endpoint: &str) -> Result<Vec<Member>, NetError> {
        fake::with_host(|host| host.members(endpoint))
    }

    pub(crate) fn connect(endpoint: &str, member: u32) -> Result<Stream, NetError> {
        // The connector is taken out first: it may take long, and may itself log.
        let connector = fake::with_host(|host| host.connector(endpoint))?;
        connector.connect(member).map(Stream)
    }

    pub(crate) fn http_send(endpoint: &str, request: &Request) -> Result<Response, NetError> {
        let server = fake::with_host(|host| host.http_server(endpoint))?;
        let request = fake::with_host(|host| host.signed(endpoint, request))?;
        server.send(&request)
    }

    pub(crate) fn random_bytes(length: u32) -> Vec<u8> {
        fake::with_host(|host| host.random_bytes(length))
    }

    pub(crate) fn generate_password(target: &Constraints) -> Result<String, String> {
        fake::with_host(|host| host.generate_password(target))
    }

    /// Nothing that a fake host could change about it, so it needs none.
    pub(crate) fn pbkdf2_hmac_sha256(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
        assert!(
            (1..=ITERATIONS_MAX).contains(&iterations),
            "the host takes 1 to {ITERATIONS_MAX} iterations"
        );
        pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations)
    }

    pub(crate) fn now_ms() -> u64 {
        fake::with_host(|host| host.now_ms())
    }

    pub(crate) fn elapsed_ns() -> u64 {
        fake::with_host(|host| host.elapsed_ns())
    }

    pub(crate) fn log(severity: Severity, message: &str, fields: &[(String, String)]) {
        fake::with_host(|host| host.log(severity, message, fields));
    }
}
