//! What can go wrong between Keyturn and a PostgreSQL: each cause has its own words, says that the
//! target is unchanged and what to do, and leaves the application's login as it was.

use std::net::{SocketAddr, TcpListener};

use harness::postgres::ClusterOptions;
use harness::proxy::{Direction, Fault, Proxy};
use harness::tls::Authority;
use serde_json::{Value, json};

use crate::support::Site as _;
use crate::support::festival::{ADMIN, ADMIN_SECRET, CLONE, Festival, SECRET, USER};
use crate::support::{Workspace, own_id};

const UNCHANGED: &str = "The target was not changed.";

/// The rotation fails with these words, kind and code, and everything is as it was.
#[track_caller]
fn fails_unchanged(festival: &Festival, kind: &str, code: Option<&str>, words: &[&str]) {
    let workspace = &festival.workspace;
    let (current, text) = (
        workspace.labels(SECRET)["AWSCURRENT"].clone(),
        workspace.text(SECRET, "AWSCURRENT"),
    );
    let roles =
        "SELECT string_agg(rolname || coalesce(rolpassword, ''), ',' ORDER BY 1) FROM pg_authid";
    let before = festival.cluster.query(roles).unwrap();
    workspace
        .run(&["rotate", SECRET])
        .failed(5, words)
        .failed(5, &[SECRET, UNCHANGED, "the same command again"]);
    let shown = workspace
        .run(&["rotate", SECRET, "--json"])
        .failed(5, &[])
        .json();
    assert_eq!(shown["outcome"], "failed");
    assert_eq!(shown["error"]["kind"], kind, "{shown}");
    assert_eq!(shown["error"]["code"], json!(code), "{shown}");
    assert_eq!(shown["error"]["applied"], "no");
    assert_eq!(workspace.labels(SECRET)["AWSCURRENT"], current);
    assert_eq!(workspace.text(SECRET, "AWSCURRENT"), text);
    assert_eq!(festival.cluster.query(roles).unwrap(), before);
}

/// After the cause is gone the same command goes through and leaves no label behind.
#[track_caller]
fn rotates_now(festival: &Festival) {
    festival.workspace.run(&["rotate", SECRET]).succeeded();
    festival.current_logs_in();
    let labels: Vec<_> = festival.workspace.labels(SECRET).into_keys().collect();
    assert_eq!(labels, ["AWSCURRENT", "AWSPREVIOUS", "KEYTURN_RETIRING"]);
}

/// A place where no database is, for causes that come before one answers.
fn nowhere(host: &str, port: u16) -> Workspace {
    let workspace = Workspace::with(&format!(
        "[secret.\"{SECRET}\"]\nplugin = \"postgres\"\n\
         grant.endpoint.primary = {{ hosts = [\"{host}\"], ports = [{port}] }}\n"
    ));
    let value = json!({"engine": "postgres", "host": host, "port": port, "username": "app", "password": "p4ssw0rd-of-nobody"});
    workspace.create(SECRET, &value.to_string());
    workspace
}

#[track_caller]
fn never_arrives(workspace: &Workspace, kind: &str, words: &[&str]) {
    let before = workspace.text(SECRET, "AWSCURRENT");
    workspace
        .run(&["rotate", SECRET])
        .failed(5, words)
        .failed(5, &[SECRET, UNCHANGED]);
    let shown = workspace
        .run(&["rotate", SECRET, "--json"])
        .failed(5, &[])
        .json();
    assert_eq!(shown["error"]["kind"], kind, "{shown}");
    assert_eq!(workspace.text(SECRET, "AWSCURRENT"), before);
}

#[test]
fn a_name_that_does_not_resolve() {
    never_arrives(
        &nowhere("database.keyturn.invalid", 5432),
        "dns",
        &[
            "database.keyturn.invalid",
            "does not resolve",
            "check the host and the name server",
        ],
    );
}

#[test]
fn a_port_on_which_nobody_listens() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    never_arrives(
        &nowhere("127.0.0.1", port),
        "unreachable",
        &[
            "refused the connection",
            "check the port, and that the server runs",
        ],
    );
}

#[test]
fn a_server_without_tls() {
    let festival = Festival::without_tls(ClusterOptions::new().start().unwrap());
    festival.trust(&Authority::new("festival's authority").unwrap());
    festival.configure("alternating", 1, "");
    fails_unchanged(
        &festival,
        "tls",
        None,
        &[
            "the server refuses TLS, which the grant demands",
            "ssl = on",
        ],
    );
}

#[test]
fn plaintext_only_where_it_is_spelled_out() {
    let festival = Festival::without_tls(ClusterOptions::new().start().unwrap());
    let endpoint = format!(
        "hosts = [\"127.0.0.1\"]\nports = [{}]\ntls = \"disable\"",
        festival.cluster.port()
    );
    festival.workspace.configure(&format!(
        "[secret.\"{SECRET}\"]\nplugin = \"postgres\"\ngrace_seconds = 1\n\
         grant.companion.admin = [\"{ADMIN_SECRET}\"]\n\
         [secret.\"{SECRET}\".grant.endpoint.primary]\n{endpoint}\n\
         [secret.\"{SECRET}\".grant.endpoint.admin]\n{endpoint}\n"
    ));
    rotates_now(&festival);
}

#[test]
fn a_certificate_of_another_authority() {
    let festival = Festival::start("alternating", 1);
    let authority = std::fs::read(festival.workspace.path("ca.pem")).unwrap();
    festival.trust(&Authority::new("somebody else's authority").unwrap());
    fails_unchanged(
        &festival,
        "tls",
        None,
        &[
            "comes from an authority that is not trusted",
            "grant.endpoint.",
            ".ca",
        ],
    );
    std::fs::write(festival.workspace.path("ca.pem"), authority).unwrap();
    rotates_now(&festival);
}

#[test]
fn an_expired_certificate() {
    let authority = Authority::new("festival's authority").unwrap();
    let identity = authority.issue_expired(&["127.0.0.1"]).unwrap();
    let cluster = ClusterOptions::new()
        .tls(identity.certificate_pem, identity.key_pem)
        .start()
        .unwrap();
    let festival = Festival::without_tls(cluster);
    festival.trust(&authority);
    festival.configure("alternating", 1, "");
    fails_unchanged(&festival, "tls", None, &["expired"]);
    festival.current_logs_in();
}

/// Silence says nothing about a password.
#[test]
fn a_server_that_never_answers() {
    let cluster = ClusterOptions::new().start().unwrap();
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], cluster.port()))).unwrap();
    let festival = Festival::reached_at(cluster, proxy.address().port());
    festival.trust(&Authority::new("festival's authority").unwrap());
    festival.configure("alternating", 1, "");
    proxy.break_all(Fault::BlackHoleAfter {
        direction: Direction::ToServer,
        bytes: 0,
    });
    // Neither dead (8) nor refused: nothing is known. A rotation does the same three times over.
    festival.workspace.run(&["verify", SECRET]).failed(
        5,
        &["took too long", "check that the server answers", UNCHANGED],
    );
    assert!(proxy.fired() > 0);
    festival.current_logs_in();
}

#[test]
fn a_certificate_for_another_name() {
    let authority = Authority::new("festival's authority").unwrap();
    let identity = authority.issue(&["db.elsewhere.example"]).unwrap();
    let cluster = ClusterOptions::new()
        .tls(identity.certificate_pem, identity.key_pem)
        .start()
        .unwrap();
    let festival = Festival::without_tls(cluster);
    festival.trust(&authority);
    festival.configure("alternating", 1, "");
    fails_unchanged(
        &festival,
        "tls",
        None,
        &["is not valid for \"127.0.0.1\"", "server_name"],
    );
}

#[test]
fn an_admin_password_that_is_wrong() {
    let festival = Festival::start("alternating", 1);
    let sql = |password: &str| {
        let sql = format!("ALTER ROLE {ADMIN} PASSWORD '{password}'");
        festival.cluster.query(&sql).unwrap();
    };
    sql("set-behind-the-back");
    fails_unchanged(
        &festival,
        "auth",
        Some("28P01"),
        &["the server refused the password", "admin", "[28P01]"],
    );
    festival.current_logs_in();
    sql(crate::support::festival::ADMIN_PASSWORD);
    rotates_now(&festival);
}

#[test]
fn a_single_user_whose_password_is_wrong() {
    let festival = Festival::start("single", 1);
    festival
        .cluster
        .query(&format!("ALTER ROLE {USER} PASSWORD 'set-behind-the-back'"))
        .unwrap();
    fails_unchanged(
        &festival,
        "auth",
        Some("28P01"),
        &[USER, "nothing changed", "[28P01]"],
    );
}

#[test]
fn an_admin_that_may_not_create_roles() {
    let festival = Festival::start("alternating", 1);
    festival
        .cluster
        .query(&format!("ALTER ROLE {ADMIN} NOCREATEROLE"))
        .unwrap();
    if festival.cluster.version_major() >= 16 {
        // From 16 on the ADMIN OPTION is a right of its own.
        let sql = format!("REVOKE ADMIN OPTION FOR {USER}, {CLONE} FROM {ADMIN}");
        festival.cluster.query(&sql).unwrap();
    }
    let mut words = vec!["ALTER ROLE \"festival_rotation\" CREATEROLE;", "[42501]"];
    if festival.cluster.version_major() >= 16 {
        words.push("GRANT \"festival_app_clone\" TO \"festival_rotation\" WITH ADMIN OPTION;");
    }
    fails_unchanged(&festival, "permission", Some("42501"), &words);
    festival.current_logs_in();
}

#[test]
fn a_server_that_asks_for_no_password() {
    let festival = Festival::start_with(
        ClusterOptions::new().hba("host all all all trust"),
        "alternating",
        1,
    );
    fails_unchanged(
        &festival,
        "unprotected",
        None,
        &["without a password", "pg_hba.conf", "scram-sha-256"],
    );
}

#[test]
fn a_second_user_that_is_let_in_without_a_password() {
    let festival = Festival::start_with(
        ClusterOptions::new().hba(format!("host all {CLONE} all trust")),
        "alternating",
        1,
    );
    fails_unchanged(
        &festival,
        "unprotected",
        None,
        &[CLONE, "without a password", "pg_hba.conf"],
    );
    festival.current_logs_in();
}

#[test]
fn two_users_that_differ_are_not_swapped() {
    let festival = Festival::start("alternating", 1);
    let sql = format!("ALTER ROLE {CLONE} RESET role; REVOKE festival_app_role FROM {CLONE}");
    festival.cluster.query(&sql).unwrap();
    let current = festival.workspace.labels(SECRET)["AWSCURRENT"].clone();
    // The second user has its new password by then, so the target did change.
    festival.workspace.run(&["rotate", SECRET]).failed(
        6,
        &[
            "the application would not see the same database",
            CLONE,
            "The target was changed.",
        ],
    );
    assert_eq!(festival.workspace.labels(SECRET)["AWSCURRENT"], current);
    festival.current_logs_in();
    let sql = format!(
        "GRANT festival_app_role TO {CLONE}; ALTER ROLE {CLONE} SET role = 'festival_app_role'"
    );
    festival.cluster.query(&sql).unwrap();
    rotates_now(&festival);
}

/// A pending value, as a half-done rotation or a tampering hand would leave it.
fn plant_pending(festival: &Festival, change: impl FnOnce(&mut Value)) -> String {
    let mut value = festival.value();
    value["username"] = json!(CLONE);
    value["password"] = json!("pending-password-of-the-test");
    change(&mut value);
    let id = own_id(1);
    let current = festival.workspace.labels(SECRET)["AWSCURRENT"].clone();
    festival.workspace.attach(SECRET, "KEYTURN_BASE", &current);
    festival
        .workspace
        .plant(SECRET, &id, &value.to_string(), &["AWSPENDING"]);
    id
}

#[test]
fn a_pending_value_that_points_elsewhere_is_refused_before_any_connection() {
    let festival = Festival::start("alternating", 1);
    let elsewhere = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    // The operator even granted the other port: the comparison comes first all the same.
    let config = std::fs::read_to_string(festival.workspace.path("keyturn.toml")).unwrap();
    let granted = config.replace("ports = [", &format!("ports = [{port}, "));
    std::fs::write(festival.workspace.path("keyturn.toml"), granted).unwrap();
    let id = plant_pending(&festival, |value| value["port"] = json!(port));

    let connections = || {
        let log = festival.cluster.log().unwrap();
        log.matches("connection authorized").count()
    };
    festival
        .cluster
        .append_conf("log_connections = on")
        .unwrap();
    festival.cluster.reload().unwrap();
    let before = connections();
    festival.workspace.run(&["rotate", SECRET]).failed(
        5,
        &[
            "names another place than AWSCURRENT",
            "no login was tried",
            &id,
            UNCHANGED,
        ],
    );
    let refused = elsewhere.accept().unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(connections(), before);
    festival.current_logs_in();
    assert_ne!(festival.workspace.labels(SECRET)["AWSCURRENT"], id);

    // The listener would have seen a connection.
    drop(std::net::TcpStream::connect(("127.0.0.1", port)).unwrap());
    assert!(harness::poll::until_true(
        std::time::Duration::from_secs(5),
        || elsewhere.accept().is_ok()
    ));
}

#[test]
fn a_pending_value_of_another_user_is_refused_before_its_login() {
    let festival = Festival::start_with(
        ClusterOptions::new().conf("log_connections = on"),
        "alternating",
        1,
    );
    let sql = "CREATE ROLE intruder LOGIN PASSWORD 'pending-password-of-the-test'";
    festival.cluster.query(sql).unwrap();
    let id = plant_pending(&festival, |value| value["username"] = json!("intruder"));
    festival
        .workspace
        .run(&["rotate", SECRET])
        .failed(5, &["intruder", UNCHANGED]);
    assert!(!festival.cluster.log().unwrap().contains("user=intruder"));
    assert_ne!(festival.workspace.labels(SECRET)["AWSCURRENT"], id);
    festival.current_logs_in();
}

#[test]
fn a_pending_value_of_the_service_is_not_ours_to_finish() {
    let festival = Festival::start("alternating", 1);
    let id = "00000000-0000-4000-8000-000000000001";
    let value = festival.value().to_string();
    festival
        .workspace
        .plant(SECRET, id, &value, &["AWSPENDING"]);
    festival
        .workspace
        .run(&["rotate", SECRET])
        .failed(7, &[id, "another rotation made", UNCHANGED]);
    assert_eq!(festival.workspace.labels(SECRET)["AWSPENDING"], id);
}
