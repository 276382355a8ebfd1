//! The demo's Redis: a throwaway server with TLS and the users of the redis plugin's README. Where none can be had,
//! it says how to get one, and the demo goes on without.

use harness::redis::{HOW_TO_GET_ONE, Program, Server, ServerOptions, documented_user, sha256};
use harness::tls::Authority;

use crate::Failure;
use crate::screen::Screen;

pub(crate) const APPLICATION: &str = "festival";
pub(crate) const ADMIN: &str = "rotation";

/// A running server with its first passwords.
pub(crate) struct Cache {
    pub(crate) server: Server,
    pub(crate) ca_pem: String,
    pub(crate) application_password: String,
    pub(crate) admin_password: String,
}

impl Cache {
    /// `None` where no server can be had; the remedy is printed.
    pub(crate) fn start(screen: &Screen) -> Result<Option<Self>, Failure> {
        if Program::newest().is_err() {
            screen.event("Redis", "none: going on without.");
            screen.detail("", HOW_TO_GET_ONE);
            return Ok(None);
        }
        let authority = Authority::new("Keyturn demo").map_err(|error| error.to_string())?;
        let identity = authority
            .issue(&["127.0.0.1"])
            .map_err(|error| error.to_string())?;
        let application_password = crate::secrets::random_text(24)?;
        let admin_password = crate::secrets::random_text(24)?;
        let user = |name, password: &str| documented_user(name, &format!("#{}", sha256(password)));
        let server = ServerOptions::new()
            .user(user(APPLICATION, &application_password))
            .user(user(ADMIN, &admin_password))
            .tls(identity.certificate_pem, identity.key_pem)
            .start()
            .map_err(|error| error.to_string())?;
        screen.event(
            "Redis",
            &format!(
                "{} on {}:{}, TLS with a certificate made for this run",
                server.program().version_major,
                server.host(),
                server.tls_port()
            ),
        );
        Ok(Some(Self {
            server,
            ca_pem: authority.certificate_pem(),
            application_password,
            admin_password,
        }))
    }
}
