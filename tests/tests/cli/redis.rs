//! `keyturn rotate` on real Redis servers with TLS: one, and a primary with replicas; killed at every line of its
//! trail and anywhere in its conversations, as a PostgreSQL rotation is.

use std::net::SocketAddr;
use std::time::Duration;

use harness::poll;
use harness::prober::Kind;
use harness::proxy::{Direction, Fault, Proxy};
use harness::redis::text;
use serde_json::Value;

use crate::endurance::{nobody_is_refused, while_used};
use crate::interruption::{
    ALTERNATING, PATIENCE, SINGLE, continues_alternating, continues_alternating_by,
    continues_single, finish, finish_now, kill_at, sweep, sweep_single, while_probed,
};
use crate::interruption_on_the_wire::kill_everywhere;
use crate::rivals::contend;
use crate::support::cache::{Cache, SECRET, USER};
use crate::support::{Site as _, end};

const DUAL: &str = "two passwords of a Redis user";

#[test]
fn a_primary_and_its_replicas_are_rotated_and_the_old_password_dies_after_its_grace() {
    let cache = Cache::start(2, 1);
    let first = cache.workspace.current(SECRET);
    let rotated = cache
        .workspace
        .run(&["rotate", SECRET, "--json"])
        .succeeded()
        .json();
    assert_eq!(rotated["outcome"], "rotated", "{rotated}");
    cache.current_logs_in();
    let current = cache.workspace.current(SECRET);
    assert_eq!(current["previous_password"], first["password"]);
    assert_eq!(current["nodes"], first["nodes"]);
    let retired = poll::until(PATIENCE, || {
        let ended = cache.workspace.run(&["retire", SECRET]);
        (ended.code != Some(7)).then_some(ended)
    });
    retired.expect("refused for too long").succeeded();
    cache.is_dead(&first);
    for server in &cache.servers {
        server.restart().unwrap();
    }
    cache.current_logs_in();
    cache.is_dead(&first);
    for replica in &cache.servers[1..] {
        let linked = poll::until_true(PATIENCE, || {
            let info = replica.command(&["INFO", "replication"]).unwrap();
            text(&info).contains("master_link_status:up")
        });
        assert!(linked, "replication is dead");
    }
    cache.workspace.run(&["verify", SECRET]).succeeded();
}

#[test]
fn a_hundred_rotations_fail_no_command() {
    let cache = Cache::start(1, 1);
    let targets = vec![(Kind::Redis, SECRET)];
    let report = while_used(&cache.workspace, targets, Duration::ZERO, |_| {
        for _ in 0..100 {
            let ended = cache.workspace.run(&["rotate", SECRET, "--now"]);
            ended.succeeded();
        }
    });
    nobody_is_refused("redis, rotations in a row", 100, &report);
    assert!(report.of(SECRET).unwrap().versions > 50, "{report:?}");
}

#[test]
fn two_passwords_continue_after_a_kill_at_every_odd_line() {
    sweep(DUAL, &Cache::start(0, 1), 1);
}

#[test]
fn two_passwords_continue_after_a_kill_at_every_even_line() {
    sweep(DUAL, &Cache::start(1, 1), 2);
}

#[test]
fn two_passwords_continue_after_a_kill_within_each_effect() {
    let cache = Cache::start(1, 1);
    while_probed(DUAL, &cache, || {
        finish(&cache);
        for effect in ALTERNATING {
            kill_at(&cache, effect, || continues_alternating(&cache));
        }
        ALTERNATING.len()
    });
}

#[test]
fn requirepass_continues_after_a_kill_at_every_line() {
    let kills = sweep_single(&Cache::single());
    println!("evidence: requirepass, killed at the trail: {kills} kills");
}

#[test]
fn requirepass_continues_after_a_kill_within_each_effect() {
    let cache = Cache::single();
    for effect in SINGLE {
        kill_at(&cache, effect, || continues_single(&cache));
    }
    let kills = SINGLE.len();
    println!("evidence: requirepass, killed at the trail: {kills} kills");
}

#[test]
fn two_passwords_continue_after_a_kill_anywhere_in_their_conversations() {
    let cache = Cache::start(0, 1);
    let proxy = behind_a_proxy(&cache, "dual");
    finish(&cache);
    let kills = kill_everywhere(&cache, &proxy, |cache| {
        continues_alternating_by(cache, finish_now)
    });
    println!("evidence: {DUAL}, killed on the wire: {kills} kills");
}

#[test]
fn requirepass_continues_after_a_kill_anywhere_in_its_conversations() {
    let cache = Cache::single();
    let proxy = behind_a_proxy(&cache, "single");
    let kills = kill_everywhere(&cache, &proxy, continues_single);
    println!("evidence: requirepass, killed on the wire: {kills} kills");
}

fn behind_a_proxy(cache: &Cache, strategy: &str) -> Proxy {
    let server = SocketAddr::from(([127, 0, 0, 1], cache.primary().tls_port()));
    let proxy = Proxy::start(server).unwrap();
    let ports = [proxy.address().port()];
    cache.configure(strategy, 1, &ports, "");
    cache.put_nodes(&ports);
    proxy
}

#[test]
fn rivals_leave_two_passwords_in_order() {
    let cache = Cache::start(0, 1);
    let targets = vec![(Kind::Redis, SECRET)];
    let report = while_used(&cache.workspace, targets, Duration::ZERO, |_| {
        contend(&cache, continues_alternating);
    });
    assert_eq!(report.failed, 0, "{report:?}");
}

#[test]
fn a_node_that_goes_down_in_the_middle_is_reconciled_by_the_next_run() {
    let cache = Cache::start(1, 1);
    let replica = &cache.servers[1];
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], replica.tls_port()))).unwrap();
    let ports = [cache.primary().tls_port(), proxy.address().port()];
    cache.configure("dual", 1, &ports, "");
    cache.put_nodes(&ports);
    // The first rotation has nothing to retire: it begins with `set`.
    let (first, second) = (conversations(&cache, &proxy), conversations(&cache, &proxy));
    let set = second.len() - first.len();
    let length = second[set];
    let old = cache.workspace.current(SECRET);

    // `set` has changed the primary and is about to change the replica, which dies at that moment.
    let fault = Fault::CutAfter {
        direction: Direction::ToServer,
        bytes: length * 2 / 3,
    };
    proxy.break_connection(proxy.connections() + set, fault);
    let arguments = ["rotate", SECRET, "--now"];
    let child = cache.workspace.start(&arguments);
    assert!(poll::until_true(PATIENCE, || proxy.fired() > 0));
    replica.crash().unwrap();
    let failed = end(child, &arguments);
    cache.workspace.keep(&failed);
    assert_ne!(failed.code, Some(0), "{failed:?}");
    let node = format!("127.0.0.1:{}", proxy.address().port());
    assert!(failed.stderr.contains(&node), "{failed:?}");
    assert!(
        cache
            .workspace
            .labels(SECRET)
            .contains_key("KEYTURN_INDOUBT")
    );

    proxy.heal();
    replica.start_again().unwrap();
    cache.current_logs_in();
    finish_now(&cache);
    cache.current_logs_in();
    cache
        .workspace
        .run(&["retire", SECRET, "--now"])
        .succeeded();
    cache.is_dead(&old);
}

/// The old password works, and for as long as it was promised to: only another `--now` may end it before.
#[test]
fn an_early_end_that_never_began_leaves_the_grace_as_it_was() {
    let cache = Cache::start(0, 3600);
    let first = cache.workspace.current(SECRET);
    let run = |arguments: &[&str]| cache.workspace.run(&[arguments, &[SECRET]].concat());
    let due = || {
        let status = run(&["status", "--json"]).succeeded().json();
        status[0]["retirement"]["due_at_ms"].as_u64().unwrap()
    };
    run(&["rotate"]).succeeded();
    let promised = due();
    cache.primary().crash().unwrap();
    for command in ["retire", "rotate"] {
        run(&[command, "--now"]).failed(5, &["was not changed"]);
        assert_eq!(due(), promised, "{command}");
    }
    cache.primary().start_again().unwrap();
    for command in ["retire", "rotate"] {
        run(&[command]).failed(7, &["promised to work"]);
    }
    cache.login_at(cache.primary(), &first).unwrap();
    run(&["retire", "--now"]).succeeded();
    cache.is_dead(&first);
}

/// How many bytes each of the connections of one rotation sends.
fn conversations(cache: &Cache, proxy: &Proxy) -> Vec<usize> {
    let before = proxy.connections();
    finish_now(cache);
    (before..proxy.connections())
        .map(|number| proxy.transcript(number, Direction::ToServer).unwrap().len())
        .collect()
}

/// AWSCURRENT was put by hand at the primary alone: the replica is opened by the value before, mended, and reported.
#[test]
fn what_opened_a_node_instead_of_awscurrent_is_reported() {
    let cache = Cache::start(1, 1);
    let by_hand = "put-by-Hand/at the+primary=1";
    let rule = format!(">{by_hand}");
    let words = ["ACL", "SETUSER", USER, rule.as_str()];
    cache.primary().command(&words).unwrap();
    let mut value = cache.workspace.current(SECRET);
    value["password"] = Value::from(by_hand);
    let arguments = ["secret", "put", SECRET, "--value-stdin"];
    let put = cache
        .workspace
        .run_with(&arguments, &value.to_string(), &[]);
    put.succeeded();
    let before = cache.workspace.labels(SECRET)["AWSPREVIOUS"].clone();
    finish(&cache);
    cache.current_logs_in();
    let trail = cache.workspace.audit();
    let drift = trail.lines().find(|line| line.contains("\"id\":\"drift\""));
    assert!(drift.is_some_and(|line| line.contains(&before)), "{trail}");
}

#[test]
fn a_node_that_the_secret_lacks_is_named() {
    let cache = Cache::start(1, 1);
    cache.put_nodes(&[cache.primary().tls_port()]);
    let lacking = format!("127.0.0.1:{}", cache.servers[1].port());
    let ended = cache.workspace.run(&["rotate", SECRET]);
    ended.failed(
        5,
        &[&lacking, "does not name every node", "was not changed"],
    );
    cache.current_logs_in();
}

/// The grant is the operator's; the secret names more than it allows.
#[test]
fn a_node_that_the_grant_lacks_is_refused() {
    let cache = Cache::start(1, 1);
    cache.configure("dual", 1, &[cache.primary().tls_port()], "");
    let port = cache.servers[1].tls_port().to_string();
    let ended = cache.workspace.run(&["rotate", SECRET]);
    assert_ne!(ended.code, Some(0));
    assert!(ended.stderr.contains(&port), "{ended:?}");
    cache.current_logs_in();
}

#[test]
fn a_server_with_another_authority_is_refused() {
    let cache = Cache::start(0, 1);
    let stranger = harness::tls::Authority::new("a stranger").unwrap();
    std::fs::write(cache.workspace.path("ca.pem"), stranger.certificate_pem()).unwrap();
    let ended = cache.workspace.run(&["rotate", SECRET]);
    ended.failed(5, &["authority that is not trusted", "was not changed"]);
    cache.current_logs_in();
}

#[test]
fn the_gap_of_requirepass_is_measured() {
    let cache = Cache::single();
    let shown = cache
        .workspace
        .run(&["rotate", SECRET, "--json"])
        .succeeded()
        .json();
    assert!(
        shown["gap_ms"].as_f64().is_some_and(|gap| gap > 0.0),
        "{shown}"
    );
    let old: Value = serde_json::from_str(&cache.workspace.text(SECRET, "AWSPREVIOUS")).unwrap();
    cache.is_dead(&old);
}

/// Replaced in place, the password ends at once, and applications read it in the old secret.
#[test]
fn what_was_split_off_is_not_replaced_while_the_old_secret_holds_it() {
    let cache = Cache::single();
    let workspace = &cache.workspace;
    let mut both = workspace.current(SECRET);
    both["internal_api_key"] = format!("festival_sk_live_{}", "k".repeat(43)).into();
    let put = ["secret", "put", SECRET, "--value-stdin"];
    workspace.run_with(&put, &both.to_string(), &[]).succeeded();
    let new = "festival-prod/cache";
    let configure = |table: &str| {
        let ports = cache.tls_ports();
        workspace.configure(&format!(
            "[secret.\"{SECRET}\".credential.internal]\nplugin = \"api-key\"\n\
             [{table}]\nplugin = \"redis\"\nstrategy = \"single\"\n\
             grant.endpoint.nodes = {{ hosts = [\"127.0.0.1\"], ports = {ports:?}, tls = \"verify-full\", ca = \"ca.pem\" }}\n"
        ));
    };
    configure(&format!("secret.\"{SECRET}\".credential.cache"));
    let name = format!("{SECRET}#cache");
    let split = ["secret", "split", &name, "--to", new];
    workspace.run(&split).succeeded();
    configure(&format!("secret.\"{new}\""));
    let refused = workspace.run(&["rotate", new, "--now"]);
    refused.failed(7, &["must not end yet", &name, "--remove"]);
    cache.login_at(cache.primary(), &both).unwrap();
    workspace
        .run(&[&split[..], &["--remove"]].concat())
        .succeeded();
    workspace.run(&["rotate", new]).succeeded();
    cache.is_dead(&both);
}
