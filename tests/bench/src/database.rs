//! A whole rotation of a PostgreSQL role, process for process: `keyturn rotate` against a plain program that makes
//! the same logins and the same ALTER. Which logins and statements these are is not written down here but read off
//! the server's own log of one rotation.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use harness::postgres::{Cluster, ClusterOptions, documented_setup};
use harness::tls::Authority;
use serde_json::{Value, json};

use crate::Result;
use crate::apart::{self, Part};
use crate::measure;
use crate::plain_rotation::{PLAIN_ROTATION, Plan, Visit};
use crate::report::Row;
use crate::workspace::{Workspace, timed, write_private};

const ROUNDS: usize = 25;
const DATABASE: &str = "festival";
const USER: &str = "festival_app";
const ADMIN: &str = "festival_rotation";
const NAME: &str = "bench/database";
const ADMIN_NAME: &str = "bench/admin";
const FIRST_PASSWORD: &str = "first-password-of-the-application";
const ADMIN_PASSWORD: &str = "password-of-the-rotation-admin";

/// The ratios, and what our side consists of.
///
/// # Errors
/// No server to be had, or a command that fails, with what it said.
pub(crate) fn measure() -> Result<(Vec<Row>, Vec<Part>)> {
    // Two of a kind: what one changes would lock the other out.
    let (site, plain_site) = (Site::start()?, Site::start()?);
    let plan = plain_site.record()?;
    let (visits, statements) = (plan.visits.len(), plan.statements());
    let plans = [
        (
            "the same logins and ALTERs",
            plain_site.write("alters.json", &plan.with_alters_only())?,
        ),
        (
            "the same logins and all statements",
            plain_site.write("all.json", &plan)?,
        ),
    ];
    let mut rows = Vec::new();
    let before = site.workspace.trail()?.len();
    let mut whole = Duration::ZERO;
    for ((floor, plan), mark) in plans.into_iter().zip([Some(1.10), None]) {
        let pair = measure::in_turn(
            ROUNDS,
            || {
                let took = timed(&mut site.workspace.command(&["rotate", NAME, "--now"]))?;
                whole += took;
                Ok(took)
            },
            || timed(Command::new(std::env::current_exe()?).args([PLAIN_ROTATION, &plan])),
        )?;
        let what = format!("postgres: a rotation ({visits} logins, {statements} statements)");
        let row = Row::new(what, &pair).against(floor);
        rows.push(match mark {
            Some(mark) => row.mark(mark),
            None => row,
        });
    }
    let trail = &site.workspace.trail()?[before..];
    let rotations = trail.matches("\"event\":\"started\"").count().max(1);
    Ok((rows, apart::parts(trail, whole / rotations as u32)))
}

struct Site {
    cluster: Cluster,
    workspace: Workspace,
    ca_pem: String,
}

impl Site {
    fn start() -> Result<Self> {
        let authority = Authority::new("the bench's authority")?;
        let identity = authority.issue(&["127.0.0.1"])?;
        let cluster = ClusterOptions::new()
            .tls(identity.certificate_pem, identity.key_pem)
            .conf("log_line_prefix = '[%p] '")
            .start()?;
        cluster.query_in("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
        let setup = documented_setup().ok_or("the plugin's README has lost its set-up")?;
        cluster.query_in(DATABASE, setup)?;
        cluster.query_in(
            DATABASE,
            &format!(
                "ALTER ROLE {USER} PASSWORD '{FIRST_PASSWORD}'; ALTER ROLE {ADMIN} PASSWORD '{ADMIN_PASSWORD}';"
            ),
        )?;
        let endpoint = format!(
            "{{ hosts = [\"127.0.0.1\"], ports = [{}], tls = \"verify-full\", ca = \"ca.pem\" }}",
            cluster.port()
        );
        let workspace = Workspace::new(&format!(
            "[secret.\"{NAME}\"]\nplugin = \"postgres\"\ngrant.companion.admin = [\"{ADMIN_NAME}\"]\n\
             grant.endpoint.primary = {endpoint}\ngrant.endpoint.admin = {endpoint}\n"
        ))?;
        let ca_pem = authority.certificate_pem();
        std::fs::write(workspace.path("ca.pem"), &ca_pem)?;
        let value = |user, password| {
            json!({
                "engine": "postgres", "host": "127.0.0.1", "port": cluster.port(), "dbname": DATABASE,
                "username": user, "password": password,
            })
        };
        workspace.create(ADMIN_NAME, &value(ADMIN, ADMIN_PASSWORD).to_string())?;
        let mut first = value(USER, FIRST_PASSWORD);
        first["masterarn"] = json!(ADMIN_NAME);
        workspace.create(NAME, &first.to_string())?;
        let site = Self {
            cluster,
            workspace,
            ca_pem,
        };
        // The first rotation has nothing to retire; the ones that count have.
        site.rotate()?;
        Ok(site)
    }

    fn rotate(&self) -> Result<()> {
        self.workspace
            .run(&["rotate", NAME, "--now", "--json"])
            .map(drop)
    }

    fn write(&self, name: &str, plan: &Plan) -> Result<String> {
        let folder = self.workspace.path("");
        let path = write_private(&folder, name, &serde_json::to_string(plan)?)?;
        Ok(path.display().to_string())
    }

    /// What one rotation does at the server, in the server's words.
    fn record(&self) -> Result<Plan> {
        let settings = ["log_connections", "log_disconnections", "log_statement"];
        for (setting, value) in settings.into_iter().zip(["on", "on", "all"]) {
            self.cluster
                .query(&format!("ALTER SYSTEM SET {setting} = '{value}'"))?;
        }
        self.cluster.query("SELECT pg_reload_conf()")?;
        // A new session sees what it was told; the log grows from here.
        while self.cluster.query("SHOW log_statement")? != "all" {
            std::thread::yield_now();
        }
        let before = self.cluster.log()?.len();
        self.rotate()?;
        let log = self.cluster.log()?;
        let visits = visits(&log[before..]);
        for setting in settings {
            self.cluster
                .query(&format!("ALTER SYSTEM RESET {setting}"))?;
        }
        self.cluster.query("SELECT pg_reload_conf()")?;
        let mut passwords = vec![(ADMIN.to_owned(), ADMIN_PASSWORD.to_owned())];
        for label in ["AWSCURRENT", "AWSPREVIOUS"] {
            let value: Value = serde_json::from_str(&self.workspace.value(NAME, label)?)?;
            let text = |member: &str| value[member].as_str().unwrap_or_default().to_owned();
            passwords.push((text("username"), text("password")));
        }
        Ok(Plan {
            port: self.cluster.port(),
            database: DATABASE.to_owned(),
            ca_pem: self.ca_pem.clone(),
            passwords: passwords.into_iter().collect(),
            visits,
        })
    }
}

/// One per connection, in the order in which they ended: a session that changed a role outlived those that were
/// opened before the change. Only those over TLS: what comes over the socket is the harness.
fn visits(log: &str) -> Vec<Visit> {
    let (mut open, mut ended) = (BTreeMap::new(), Vec::new());
    for line in log.lines() {
        let Some((pid, line)) = line
            .strip_prefix('[')
            .and_then(|line| line.split_once("] "))
        else {
            continue;
        };
        let line = line.split_once(":  ").map_or(line, |(_, message)| message);
        let visit = |user: &str, refused| Visit {
            user: user.to_owned(),
            refused,
            statements: Vec::new(),
        };
        if let Some(rest) = line.strip_prefix("connection authorized: user=") {
            if rest.contains("SSL enabled") {
                let user = rest.split(' ').next().unwrap_or_default();
                open.insert(pid, visit(user, false));
            }
        } else if let Some(rest) = line.strip_prefix("password authentication failed for user \"") {
            ended.push(visit(rest.trim_end_matches('"'), true));
        } else if let Some(statement) = line.strip_prefix("statement: ") {
            if let Some(visit) = open.get_mut(pid) {
                visit.statements.push(statement.to_owned());
            }
        } else if line.starts_with("disconnection: ") {
            ended.extend(open.remove(pid));
        }
    }
    ended.extend(open.into_values());
    ended
}
