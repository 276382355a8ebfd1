//! TLS in band and from the first byte, and everything that must stop it.

use crate::support::servers::{Authority, Server};
use crate::support::*;

const SCRIPT: &str =
    "connect primary 0;security;write 8 bytes!;read 1;tls;security;write ping;read 4;binding";

fn secured(server: &Server, more: &str) -> String {
    format!(
        "endpoint.primary = {{ hosts = [\"127.0.0.1\"], ports = [{}], {more} }}",
        server.port
    )
}

async fn upgraded(server: &Server, more: &str, value: &str) -> Vec<String> {
    let (plugin, _) = load().await;
    steps(&plugin, &secured(server, more), SCRIPT, value).await
}

#[tokio::test]
async fn in_band_tls_with_channel_binding() {
    let ca = Authority::new();
    let server = servers::upgrade(ca.acceptor("127.0.0.1", false), b"").await;
    let found = upgraded(
        &server,
        &format!("ca = \"{}\"", ca.path()),
        &current(server.port),
    )
    .await;
    assert_eq!(
        found,
        [
            "ok",
            "Security::UpgradeRequired",
            "ok",
            "S",
            "ok",
            "Security::Encrypted",
            "ok",
            "ping",
            "32 32"
        ]
    );
}

#[tokio::test]
async fn a_server_name_of_the_grant_is_verified() {
    let ca = Authority::new();
    let server = servers::upgrade(ca.acceptor("db.example", false), b"").await;
    let more = format!("ca = \"{}\", server_name = \"db.example\"", ca.path());
    assert_eq!(
        upgraded(&server, &more, &current(server.port)).await[4],
        "ok"
    );
}

#[tokio::test]
async fn certificates_that_do_not_hold_are_refused() {
    let (ca, other) = (Authority::new(), Authority::new());
    let check = async |acceptor, trusted: &Authority, expected: &str| {
        let server = servers::upgrade(acceptor, b"").await;
        let found = upgraded(
            &server,
            &format!("ca = \"{}\"", trusted.path()),
            &current(server.port),
        )
        .await;
        let expected = expected.replace("LABEL", &format!("127.0.0.1:{}", server.port));
        assert_eq!(
            found[4],
            format!("NetErrorKind::Tls, sent true: {expected}")
        );
        assert!(found[6].contains("is closed"), "{found:?}");
    };
    check(ca.acceptor("127.0.0.1", false), &other, "the certificate of LABEL comes from an authority that is not trusted; set grant.endpoint.primary.ca to the file with its CA").await;
    check(ca.acceptor("db.example", false), &ca, "the certificate of LABEL is not valid for \"127.0.0.1\"; set grant.endpoint.primary.server_name to a name that it carries").await;
    check(
        ca.acceptor("127.0.0.1", true),
        &ca,
        "the certificate of LABEL has expired; renew it on the server",
    )
    .await;
}

#[tokio::test]
async fn weaker_checks_are_spelled_out_and_no_weaker() {
    let (ca, other) = (Authority::new(), Authority::new());
    let server = servers::upgrade(ca.acceptor("db.example", false), b"").await;
    let with =
        async |more: String, value: String| upgraded(&server, &more, &value).await[4].clone();
    let value = || current(server.port);
    assert_eq!(
        with(
            format!("tls = \"verify-ca\", ca = \"{}\"", ca.path()),
            value()
        )
        .await,
        "ok"
    );
    assert!(
        with(
            format!("tls = \"verify-ca\", ca = \"{}\"", other.path()),
            value()
        )
        .await
        .contains("not trusted")
    );
    assert_eq!(with("tls = \"require\"".into(), value()).await, "ok");
    let raised = value().replace('}', ",\"sslmode\":\"verify-full\"}");
    let full = with(format!("tls = \"require\", ca = \"{}\"", ca.path()), raised).await;
    assert!(full.contains("is not valid for"), "{full}");
    let lowered = value().replace('}', ",\"sslmode\":\"disable\",\"ssl\":false}");
    let floor = with(format!("ca = \"{}\"", ca.path()), lowered).await;
    assert!(floor.contains("is not valid for"), "{floor}");
}

#[tokio::test]
async fn nothing_more_than_the_manifests_bytes_passes_in_plaintext() {
    let server = servers::echo().await;
    let (plugin, _) = load().await;
    let script = "connect primary 0;write 9 bytes!!;write 8 bytes!;write x;read 9;read 1";
    let found = steps(
        &plugin,
        &secured(&server, ""),
        script,
        &current(server.port),
    )
    .await;
    let denied = |what: &str| {
        format!(
            "NetErrorKind::Denied, sent false: {what} refused: the grant demands TLS on 127.0.0.1:{}, and only the manifest's pre_tls_bytes_max pass before start-tls; call start-tls first",
            server.port
        )
    };
    assert_eq!(
        found,
        [
            "ok".into(),
            denied("write"),
            "ok".into(),
            denied("write"),
            "8".to_owned(),
            denied("read")
        ]
    );
}

#[tokio::test]
async fn plaintext_before_tls_is_an_attack() {
    let ca = Authority::new();
    let server = servers::upgrade(ca.acceptor("127.0.0.1", false), b"injected").await;
    let found = upgraded(
        &server,
        &format!("ca = \"{}\"", ca.path()),
        &current(server.port),
    )
    .await;
    let expected = format!(
        "NetErrorKind::Tls, sent false: 127.0.0.1:{} sent plaintext after it agreed to TLS, as an attacker in between would; the connection is closed",
        server.port
    );
    assert_eq!(found[4], expected);
}

#[tokio::test]
async fn a_server_without_tls_is_named() {
    let (plugin, _) = load().await;
    let server = servers::serve(|mut stream| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        // A record's header is enough to see that this is not Redis.
        let mut hello = [0; 5];
        stream.read_exact(&mut hello).await?;
        stream.write_all(b"-ERR unknown command\r\n").await
    })
    .await;
    let toml = format!(
        "endpoint.nodes = {{ members = [\"127.0.0.1:{}\"] }}",
        server.port
    );
    let ca = Authority::new();
    let toml = toml.replace(" }", &format!(", ca = \"{}\" }}", ca.path()));
    let found = steps(&plugin, &toml, "connect nodes 0", "{}").await;
    let expected = format!(
        "NetErrorKind::Tls, sent true: 127.0.0.1:{} does not answer in TLS; check that the server has TLS switched on",
        server.port
    );
    assert_eq!(found, [expected]);
}

#[tokio::test]
async fn tls_from_the_first_byte() {
    let ca = Authority::new();
    let server = servers::tls(ca.acceptor("127.0.0.1", false)).await;
    let (plugin, _) = load().await;
    let toml = format!(
        "endpoint.nodes = {{ members = [\"127.0.0.1:{}\"], ca = \"{}\" }}",
        server.port,
        ca.path()
    );
    let found = steps(
        &plugin,
        &toml,
        "connect nodes 0;security;write ping;read 4;tls",
        "{}",
    )
    .await;
    assert_eq!(
        found,
        [
            "ok",
            "Security::Encrypted",
            "ok",
            "ping",
            "NetErrorKind::Denied, sent false: the connection is encrypted already"
        ]
    );
}

#[tokio::test]
async fn tls_that_the_grant_switched_off_stays_off() {
    let server = servers::echo().await;
    let (plugin, _) = load().await;
    let found = steps(
        &plugin,
        &plain(server.port),
        "connect primary 0;tls",
        &current(server.port),
    )
    .await;
    assert_eq!(
        found[1],
        "NetErrorKind::Denied, sent false: grant.endpoint.primary.tls is \"disable\"; set it to \"verify-full\" to use TLS"
    );
}
