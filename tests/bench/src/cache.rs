//! A whole rotation of a Redis password, process for process: `keyturn rotate` against a plain program that says the
//! same commands over the same number of connections. Which ones is read off one rotation without TLS, through a proxy
//! that keeps what passes.

use std::net::SocketAddr;
use std::process::Command;

use harness::proxy::{Direction, Proxy};
use harness::redis::{Server, ServerOptions, documented_user, sha256};
use harness::tls::Authority;
use serde_json::{Value, json};

use crate::Result;
use crate::measure;
use crate::plain_conversation::{PLAIN_CONVERSATION, Plan, commands};
use crate::report::Row;
use crate::workspace::{Workspace, timed, write_private};

const ROUNDS: usize = 25;
const NAME: &str = "bench/redis";
const ADMIN_NAME: &str = "bench/redis-admin";
const USER: &str = "festival";
const ADMIN: &str = "rotation";
const FIRST_PASSWORD: &str = "first-password-of-the-application";
const ADMIN_PASSWORD: &str = "password-of-the-rotation-admin";

/// # Errors
/// No server to be had, or a command that fails, with what it said.
pub(crate) fn rows() -> Result<Vec<Row>> {
    // Two of a kind: what one changes would meet the other in another state.
    let (site, plain_site) = (Site::start()?, Site::start()?);
    let visits = site.record()?;
    let said = visits.iter().map(Vec::len).sum::<usize>();
    let what = format!(
        "redis: a rotation ({} connections, {said} commands)",
        visits.len()
    );
    let plan = Plan {
        port: plain_site.server.tls_port(),
        ca_pem: plain_site.ca_pem.clone(),
        visits,
    };
    let file = write_private(
        &plain_site.workspace.path(""),
        "plan.json",
        &serde_json::to_string(&plan)?,
    )?;
    let pair = measure::in_turn(
        ROUNDS,
        || timed(&mut site.workspace.command(&["rotate", NAME, "--now"])),
        || {
            let mut floor = Command::new(std::env::current_exe()?);
            timed(floor.arg(PLAIN_CONVERSATION).arg(&file))
        },
    )?;
    Ok(vec![Row::new(what, &pair).against("the same commands")])
}

struct Site {
    server: Server,
    workspace: Workspace,
    ca_pem: String,
}

impl Site {
    fn start() -> Result<Self> {
        let authority = Authority::new("the bench's authority")?;
        let identity = authority.issue(&["127.0.0.1"])?;
        let user = |name, password: &str| documented_user(name, &format!("#{}", sha256(password)));
        let server = ServerOptions::new()
            .user(user(USER, FIRST_PASSWORD))
            .user(user(ADMIN, ADMIN_PASSWORD))
            .tls(identity.certificate_pem, identity.key_pem)
            .start()?;
        let workspace = Workspace::new("")?;
        let ca_pem = authority.certificate_pem();
        std::fs::write(workspace.path("ca.pem"), &ca_pem)?;
        let admin = json!({"username": ADMIN, "password": ADMIN_PASSWORD});
        workspace.create(ADMIN_NAME, &admin.to_string())?;
        let mut value =
            json!({"username": USER, "password": FIRST_PASSWORD, "masterarn": ADMIN_NAME});
        lead_to(&mut value, server.tls_port());
        workspace.create(NAME, &value.to_string())?;
        let site = Self {
            server,
            workspace,
            ca_pem,
        };
        site.grant(site.server.tls_port(), "verify-full")?;
        // The first rotation has nothing to retire; the ones that count have.
        site.rotate()?;
        Ok(site)
    }

    fn grant(&self, port: u16, tls: &str) -> Result<()> {
        self.workspace.configure(&format!(
            "[secret.\"{NAME}\"]\nplugin = \"redis\"\ngrant.companion.admin = [\"{ADMIN_NAME}\"]\n\
             grant.endpoint.nodes = {{ hosts = [\"127.0.0.1\"], ports = [{port}], tls = \"{tls}\", ca = \"ca.pem\" }}\n"
        ))
    }

    fn rotate(&self) -> Result<()> {
        self.workspace.run(&["rotate", NAME, "--now"]).map(drop)
    }

    /// What one rotation says, by connection.
    fn record(&self) -> Result<Vec<Vec<Vec<String>>>> {
        let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], self.server.port())))?;
        self.put(proxy.address().port())?;
        self.grant(proxy.address().port(), "disable")?;
        self.rotate()?;
        let visits = (0..proxy.connections())
            .map(|number| {
                let sent = proxy.transcript(number, Direction::ToServer);
                commands(&sent.ok_or("a connection that was forgotten")?)
            })
            .collect::<Result<_>>()?;
        self.put(self.server.tls_port())?;
        self.grant(self.server.tls_port(), "verify-full")?;
        self.rotate()?;
        Ok(visits)
    }

    fn put(&self, port: u16) -> Result<()> {
        let mut value: Value = serde_json::from_str(&self.workspace.value(NAME, "AWSCURRENT")?)?;
        lead_to(&mut value, port);
        self.workspace.put(NAME, &value.to_string())
    }
}

fn lead_to(value: &mut Value, port: u16) {
    value["nodes"] = json!([{"host": "127.0.0.1", "port": port}]);
}
