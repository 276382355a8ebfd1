//! Where a plugin's bytes may go. Each denial also shows that the listener saw nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyturn_runtime::{Companion, ErrorKind, Resolver, Resolving, RuntimeOptions};

use crate::support::*;

#[tokio::test]
async fn a_granted_endpoint_is_reached() {
    let server = servers::echo().await;
    let (plugin, _) = load().await;
    let script =
        "members primary;connect primary 0;security;write ping;read 10;binding;close;read 10";
    let found = steps(&plugin, &plain(server.port), script, &current(server.port)).await;
    let label = format!("0=127.0.0.1:{}", server.port);
    assert_eq!(
        found,
        [
            &label,
            "ok",
            "Security::Plaintext",
            "ok",
            "ping",
            "0 0",
            "ok",
            ""
        ]
    );
}

#[tokio::test]
async fn hosts_and_ports_need_the_grant() {
    let (plugin, _) = load().await;
    let refused = async |toml: &str, expected: &str| {
        let error = set(&plugin, grant(toml, "connect primary 0"), &current(1))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::Denied, expected)
        );
    };
    refused("endpoint.primary = { hosts = [\"db.internal\"], ports = [1] }", "endpoint \"primary\": the host \"127.0.0.1\" of CURRENT is not granted; if it is right, add it to grant.endpoint.primary.hosts").await;
    refused("endpoint.primary = { hosts = [\"127.0.0.1\"] }", "endpoint \"primary\": port 1 of CURRENT is not granted; if it is right, add it to grant.endpoint.primary.ports").await;
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_unknown() {
    let (plugin, _) = load().await;
    let found = steps(
        &plugin,
        &plain(1),
        "connect readers 0;members nodes;connect primary 7",
        &current(1),
    )
    .await;
    assert_eq!(
        found,
        [
            "NetErrorKind::UnknownEndpoint, sent false: endpoint \"readers\" is not there (there is: primary); it needs the manifest, the grant and a host in the value",
            "NetErrorKind::UnknownEndpoint, sent false: endpoint \"nodes\" is not there (there is: primary); it needs the manifest, the grant and a host in the value",
            "NetErrorKind::UnknownEndpoint, sent false: endpoint \"primary\" has 1 members, no number 7",
        ]
    );
}

#[tokio::test]
async fn a_candidate_never_steers_a_connection() {
    let server = servers::echo().await;
    let (plugin, _) = load().await;
    let granted = plugin
        .grant(grant(
            "endpoint.primary = { hosts = [\"*\"], ports = [1], tls = \"disable\" }",
            "connect primary 0",
        ))
        .unwrap();
    let candidate = version("v2", &current(server.port));
    for error in [
        granted
            .set(&call(&current(1)), &candidate)
            .await
            .unwrap_err(),
        granted
            .test(&call(&current(1)), &candidate)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::IdentityChanged);
        assert_eq!(
            error.message,
            "its /port differs from CURRENT's, and only where CURRENT points a connection is made"
        );
    }
    assert_eq!(server.seen(), 0);
}

#[tokio::test]
async fn the_admin_must_be_the_same_server() {
    let (plugin, _) = load().await;
    let admin = |same: &str| {
        format!(
            "companion.admin = [\"db-admin\"]\nendpoint.primary = {{ hosts = [\"db.internal\"] }}\nendpoint.admin = {{ hosts = [\"*\"]{same} }}"
        )
    };
    let mut call = call(r#"{"host":"db.internal","masterarn":"db-admin"}"#);
    call.companions.push(Companion {
        name: "admin".into(),
        secret: "db-admin".into(),
        version: version("a1", r#"{"host":"other.internal"}"#),
    });
    let granted = plugin.grant(grant(&admin(""), "members admin")).unwrap();
    let error = granted.check(&call).await.unwrap_err();
    assert_eq!(
        error.message,
        "endpoint \"admin\": the admin secret points to \"other.internal\", CURRENT to \"db.internal\"; if both are the same server, set grant.endpoint.admin.same_server_as = [\"db.internal\"]"
    );
    let granted = plugin
        .grant(grant(
            &admin(", same_server_as = [\"db.internal\"]"),
            "members admin",
        ))
        .unwrap();
    assert_eq!(
        granted.check(&call).await.unwrap()[0].summary,
        "0=other.internal:5432"
    );
}

/// Answers any name with its next answer.
struct Answers(Vec<&'static str>, AtomicUsize);

impl Resolver for Answers {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> Resolving<'a> {
        let asked = self.1.fetch_add(1, Ordering::SeqCst);
        let answer = self.0[asked.min(self.0.len() - 1)];
        Box::pin(async move { Ok(vec![SocketAddr::new(answer.parse().unwrap(), port)]) })
    }
}

async fn resolving(answers: &[&'static str], toml: &str, script: &str, value: &str) -> Vec<String> {
    let resolver = Arc::new(Answers(answers.to_vec(), AtomicUsize::new(0)));
    let (plugin, _) = load_with(
        RuntimeOptions {
            resolver,
            ..Default::default()
        },
        MANIFEST,
    )
    .await;
    steps(&plugin, toml, script, value).await
}

/// The host program itself stands in the place of a server.
struct InPlaceOf(&'static str, SocketAddr);

impl Resolver for InPlaceOf {
    fn resolve<'a>(&'a self, host: &'a str, _: u16) -> Resolving<'a> {
        Box::pin(async move { Err(std::io::Error::other(format!("{host} was looked up"))) })
    }

    fn stands_in(&self, host: &str, port: u16) -> Option<SocketAddr> {
        (format!("{host}:{port}") == self.0).then_some(self.1)
    }
}

#[tokio::test]
async fn who_stands_in_for_a_server_is_reached_under_its_name() {
    let server = servers::echo().await;
    let address = SocketAddr::from(([127, 0, 0, 1], server.port));
    let (plugin, _) = load_with(
        RuntimeOptions {
            resolver: Arc::new(InPlaceOf("db.internal:5432", address)),
            ..Default::default()
        },
        MANIFEST,
    )
    .await;
    let toml = r#"endpoint.primary = { hosts = ["*"], ports = [5432, 5433], tls = "disable" }"#;
    let script = "members primary;connect primary 0;write ping;read 10";
    let found = steps(
        &plugin,
        toml,
        script,
        r#"{"host":"db.internal","port":5432}"#,
    )
    .await;
    assert_eq!(found, ["0=db.internal:5432", "ok", "ok", "ping"]);
    // Its other port is another server, and is looked up.
    let other = r#"{"host":"db.internal","port":5433}"#;
    let found = steps(&plugin, toml, "connect primary 0", other).await;
    assert_eq!(
        found,
        [
            "NetErrorKind::Dns, sent false: the name of db.internal:5433 does not resolve (db.internal was looked up); check the host and the name server"
        ]
    );
    assert_eq!(server.seen(), 1);
}

async fn denied(answer: &'static str, toml: &str, cause: &str) {
    let found = resolving(
        &[answer],
        toml,
        "connect primary 0",
        r#"{"host":"db.internal","port":1}"#,
    )
    .await;
    let expected = format!(
        "NetErrorKind::Denied, sent false: endpoint \"primary\": db.internal:1 resolves to an address that is refused: {cause}"
    );
    assert_eq!(found, [expected]);
}

#[tokio::test]
async fn forbidden_addresses_are_refused_whatever_the_name() {
    let most = "endpoint.primary = { hosts = [\"*\"], ports = [1], private = true }";
    denied(
        "169.254.169.254",
        most,
        "169.254.169.254 is a cloud metadata address, which no plugin may reach; correct the host",
    )
    .await;
    denied("::ffff:169.254.169.254", most, "::ffff:169.254.169.254 (that is, 169.254.169.254) is a cloud metadata address, which no plugin may reach; correct the host").await;
    denied(
        "fe80::1",
        most,
        "fe80::1 is a link-local address, which no plugin may reach; correct the host",
    )
    .await;
    denied("127.0.0.1", most, "127.0.0.1 is a loopback address; if the server is meant to run on this machine, write the address itself or localhost into the endpoint's grant and value").await;
    let public = "endpoint.primary = { hosts = [\"*\"], ports = [1] }";
    denied("10.0.0.1", public, "10.0.0.1 is a private address; if the server is meant to be there, set private = true in the endpoint's grant").await;
}

#[tokio::test]
async fn a_wildcard_does_not_grant_loopback() {
    let server = servers::echo().await;
    let (plugin, _) = load().await;
    let toml = format!(
        "endpoint.primary = {{ hosts = [\"*\"], ports = [{}], private = true, tls = \"disable\" }}",
        server.port
    );
    let found = steps(&plugin, &toml, "connect primary 0", &current(server.port)).await;
    assert!(found[0].contains("is a loopback address"), "{found:?}");
    assert_eq!(server.seen(), 0);
}

#[tokio::test]
async fn rebinding_changes_nothing_within_a_call() {
    let server = servers::echo().await;
    let toml = format!(
        "endpoint.primary = {{ hosts = [\"localhost\"], ports = [{}], tls = \"disable\" }}",
        server.port
    );
    let value = format!(r#"{{"host":"localhost","port":{}}}"#, server.port);
    let found = resolving(
        &["127.0.0.1", "169.254.169.254"],
        &toml,
        "connect primary 0;write a;read 1;connect primary 0;write b;read 1",
        &value,
    )
    .await;
    assert_eq!(found, ["ok", "ok", "a", "ok", "ok", "b"]);
    assert_eq!(server.seen(), 2);
}

#[tokio::test]
async fn connections_and_bytes_are_limited() {
    let server = servers::echo().await;
    let (plugin, _) = load().await;
    let toml = format!(
        "limits = {{ connections = 2, connection_bytes = 6 }}\n{}",
        plain(server.port)
    );
    let label = format!("127.0.0.1:{}", server.port);
    let found = steps(
        &plugin,
        &toml,
        "connect primary 0;connect primary 0;connect primary 0;write ping;write ping",
        &current(server.port),
    )
    .await;
    assert_eq!(
        found,
        [
            "ok",
            "ok",
            "NetErrorKind::Limit, sent false: more than 2 connections in one call; raise grant.limits.connections if that is expected",
            "ok",
            &format!(
                "NetErrorKind::Limit, sent false: {label} received more bytes than a connection may carry; raise grant.limits.connection_bytes if that is expected"
            ),
        ]
    );
}

#[tokio::test]
async fn a_silent_server_is_a_timeout_and_the_plugin_can_say_so() {
    let server = servers::silent().await;
    let (plugin, _) = load().await;
    let toml = format!("limits.wall_seconds = 1\n{}", plain(server.port));
    let found = steps(
        &plugin,
        &toml,
        "connect primary 0;write ping;read 1",
        &current(server.port),
    )
    .await;
    let expected = format!(
        "NetErrorKind::Timeout, sent false: an answer of 127.0.0.1:{} took too long; check that the server answers, and the network between",
        server.port
    );
    assert_eq!(found[2], expected);
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (plugin, _) = load().await;
    let found = steps(&plugin, &plain(free), "connect primary 0", &current(free)).await;
    assert_eq!(
        found,
        [format!(
            "NetErrorKind::Refused, sent false: 127.0.0.1:{free} refused the connection; check the port, and that the server runs"
        )]
    );
}

#[tokio::test]
async fn members_come_from_the_grant() {
    let (one, two) = (servers::echo().await, servers::echo().await);
    let (plugin, _) = load().await;
    let toml = format!(
        "endpoint.nodes = {{ members = [\"127.0.0.1:{}\", \"localhost:{}\"], tls = \"disable\" }}",
        one.port, two.port
    );
    let found = steps(
        &plugin,
        &toml,
        "members nodes;connect nodes 1;write a;read 1",
        "{}",
    )
    .await;
    assert_eq!(
        found,
        [
            &format!("0=127.0.0.1:{},1=localhost:{}", one.port, two.port),
            "ok",
            "ok",
            "a"
        ]
    );
    assert_eq!((one.seen(), two.seen()), (0, 1));
}

#[tokio::test]
async fn where_the_value_names_no_host_the_grants_members_stand_in() {
    let (one, two) = (servers::echo().await, servers::echo().await);
    let (plugin, _) = load().await;
    let member = format!("members = [\"127.0.0.1:{}\"], tls = \"disable\"", one.port);
    let toml = format!("endpoint.primary = {{ {member} }}");
    let script = "members primary;connect primary 0;write a;read 1";
    let label = format!("0=127.0.0.1:{}", one.port);
    let found = steps(&plugin, &toml, script, "{}").await;
    assert_eq!(found, [&label, "ok", "ok", "a"]);
    // A value that names one goes there or nowhere.
    let error = set(&plugin, grant(&toml, script), &current(two.port))
        .await
        .unwrap_err();
    assert!(
        error.message.contains("is not granted"),
        "{}",
        error.message
    );
    let port = two.port;
    let both =
        format!("endpoint.primary = {{ {member}, hosts = [\"127.0.0.1\"], ports = [{port}] }}");
    let found = steps(&plugin, &both, script, &current(two.port)).await;
    assert_eq!(found[0], format!("0=127.0.0.1:{port}"));
    assert_eq!((one.seen(), two.seen()), (1, 1));
    // The floor of TLS is the value's wish, too.
    let asked = steps(
        &plugin,
        &toml,
        "connect primary 0;security",
        r#"{"ssl":true}"#,
    )
    .await;
    assert_eq!(asked, ["ok", "Security::UpgradeRequired"]);
}

#[tokio::test]
async fn http_goes_to_the_granted_origin_alone() {
    let server = servers::http(
        "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 4\r\n\r\nHOST"
            .into(),
    )
    .await;
    let (plugin, _) = load().await;
    let toml = format!(
        "endpoint.api = {{ hosts = [\"127.0.0.1\"], ports = [{}], tls = \"disable\" }}",
        server.port
    );
    let script =
        "http api GET /v1;http api GET http://evil/;http api CONNECT /x;http api GET / host";
    let found = steps(&plugin, &toml, script, "{}").await;
    assert_eq!(
        found,
        [
            "302 127.",
            "NetErrorKind::Denied, sent false: the request's path must begin with /; the origin is the grant's",
            "NetErrorKind::Denied, sent false: CONNECT is refused: an endpoint is not a proxy",
            "NetErrorKind::Denied, sent false: the header host is the host's to set; leave it out",
        ]
    );
    assert_eq!(server.seen(), 1);
}
