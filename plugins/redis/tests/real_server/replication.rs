//! A primary with replicas: users are not replicated, and replicas log in themselves.

use crate::common::*;
use harness::poll;
use harness::proxy::{Direction, Fault, Proxy};
use harness::redis::{Server, ServerOptions};
use keyturn_plugin_redis::Redis;
use keyturn_sdk::{Applied, ErrorKind, Liveness, Rotator, Version, fake};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// A primary and two replicas; `user` is what the replicas log in as.
fn group(make: impl Fn() -> ServerOptions, replica: &[String]) -> [Server; 3] {
    let primary = make().start().unwrap();
    let follower = || {
        let options = replica
            .iter()
            .fold(make(), |options, line| options.conf(line));
        options.replica_of(&primary).start().unwrap()
    };
    let group = [follower(), follower()];
    let [first, second] = group;
    for server in [&first, &second] {
        is_linked(server);
    }
    [primary, first, second]
}

#[track_caller]
fn is_linked(replica: &Server) {
    let linked = poll::until_true(PATIENCE, || {
        let info = info(replica);
        info.contains("master_link_status:up")
    });
    assert!(linked, "{}", info(replica));
}

fn info(server: &Server) -> String {
    let value = server.command(&["INFO", "replication"]).unwrap();
    harness::redis::text(&value)
}

/// The user of the application is also the one that replicas log in as.
fn same_user() -> [Server; 3] {
    let user = format!("{USER} on >{FIRST} ~* &* +@all");
    group(
        || ServerOptions::new().user(user.clone()),
        &[format!("masteruser {USER}"), format!("masterauth {FIRST}")],
    )
}

fn all_open(servers: &[Server; 3], version: &Version) -> [bool; 3] {
    [0, 1, 2].map(|number| logs_in(&servers[number], version))
}

#[test]
fn every_node_is_changed_and_replication_outlives_the_old_password() {
    let servers = same_user();
    let _host = host(&servers.each_ref());
    let mut ctx = context();
    ctx.companions.clear();
    let old = rotate(&mut ctx, "v2");
    assert_eq!(all_open(&servers, &ctx.current), [true; 3]);
    assert_eq!(all_open(&servers, &old), [false; 3]);
    // At the next reconnect, and after a restart from its own file.
    let [primary, first, second] = &servers;
    for replica in [first, second] {
        replica.restart().unwrap();
        is_linked(replica);
    }
    primary
        .command_as(
            Some(USER),
            &member(&ctx.current, "password").unwrap(),
            &["SET", "k", "v"],
        )
        .unwrap();
    let arrived = poll::until_true(PATIENCE, || {
        second
            .command(&["GET", "k"])
            .is_ok_and(|value| harness::redis::text(&value) == "v")
    });
    assert!(arrived, "replication is dead");
}

#[test]
fn a_node_that_the_secret_lacks_is_named_and_nothing_is_changed() {
    let servers = same_user();
    let [primary, first, second] = &servers;
    let mut ctx = context();
    ctx.companions.clear();
    for (named, lacks) in [
        (vec![primary, first], address(second)),
        (vec![first, second], address(primary)),
        (vec![primary], address(first)),
    ] {
        let _host = host(&named);
        let candidate = create(&ctx, "v2");
        let error = set(&ctx, &candidate).unwrap_err();
        assert_eq!(
            (error.kind, error.applied),
            (ErrorKind::InvalidSecret, Applied::No),
            "{error}"
        );
        assert!(error.message.contains(&lacks), "{error}");
        assert_eq!(all_open(&servers, &candidate), [false; 3]);
        assert!(
            Redis::check(&ctx)
                .unwrap()
                .iter()
                .any(|finding| finding.summary.contains(&lacks))
        );
    }
}

#[test]
fn a_node_that_is_down_is_named_and_nothing_is_changed() {
    let servers = same_user();
    let [_, first, second] = &servers;
    let _host = host(&servers.each_ref());
    let mut ctx = context();
    ctx.companions.clear();
    let candidate = create(&ctx, "v2");
    second.stop().unwrap();
    let error = set(&ctx, &candidate).unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (ErrorKind::Unreachable, Applied::No)
    );
    assert!(
        error.message.contains(&address(second)) && error.retryable,
        "{error}"
    );
    assert!(!logs_in(first, &candidate));
    second.start_again().unwrap();
    set(&ctx, &candidate).unwrap();
    assert_eq!(all_open(&servers, &candidate), [true; 3]);
}

#[test]
fn a_node_that_was_left_behind_is_mixed_and_reconciled_by_the_next_set() {
    let servers = same_user();
    let [_, first, _] = &servers;
    let _host = host(&servers.each_ref());
    let mut ctx = context();
    ctx.companions.clear();
    let candidate = create(&ctx, "v2");
    let hash = format!(
        "#{}",
        harness::redis::sha256(&member(&candidate, "password").unwrap())
    );
    first.command(&["ACL", "SETUSER", USER, &hash]).unwrap();
    let verdict = probe(&ctx, &candidate).unwrap();
    assert_eq!(verdict.liveness, Liveness::Mixed);
    assert_eq!(
        verdict
            .members
            .iter()
            .map(|report| report.liveness)
            .collect::<Vec<_>>(),
        [Liveness::Dead, Liveness::Live, Liveness::Dead]
    );
    let outcome = set(&ctx, &candidate).unwrap();
    assert_eq!(
        outcome
            .members
            .iter()
            .map(|report| report.applied)
            .collect::<Vec<_>>(),
        [Applied::Yes, Applied::No, Applied::Yes]
    );
    assert_eq!(all_open(&servers, &candidate), [true; 3]);
}

#[test]
fn after_a_failover_current_opens_the_new_primary_and_rotation_goes_on() {
    let servers = same_user();
    let [primary, first, second] = &servers;
    let host = host(&servers.each_ref());
    let mut ctx = context();
    ctx.companions.clear();
    rotate(&mut ctx, "v2");
    primary.crash().unwrap();
    first.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    second
        .command(&["REPLICAOF", first.host(), &first.port().to_string()])
        .unwrap();
    is_linked(second);
    assert!(logs_in(first, &ctx.current));
    // The list of nodes changes with the servers; who was AWSCURRENT stays comparable.
    drop(host);
    let _host = crate::common::host(&[first, second]);
    let old = rotate(&mut ctx, "v3");
    for server in [first, second] {
        assert!(logs_in(server, &ctx.current) && !logs_in(server, &old));
    }
    is_linked(second);
}

#[test]
fn replicas_with_a_user_of_their_own_are_left_alone() {
    let replicator = "replicator on >replicator-password +psync +replconf +ping";
    let servers = group(
        || options().user(replicator),
        &[
            "masteruser replicator".to_owned(),
            "masterauth replicator-password".to_owned(),
        ],
    );
    let _host = host(&servers.each_ref());
    let mut ctx = context();
    rotate(&mut ctx, "v2");
    assert!(conf(&servers[1]).contains("replicator-password"));
    servers[0]
        .command(&["CLIENT", "KILL", "TYPE", "replica"])
        .unwrap();
    is_linked(&servers[1]);
    assert_eq!(all_open(&servers, &ctx.current), [true; 3]);
}

#[test]
fn a_cluster_is_rotated_whole_or_not_at_all() {
    let start = || options().conf("cluster-enabled yes").start().unwrap();
    let [a, b] = [start(), start()];
    a.command(&["CLUSTER", "MEET", b.host(), &b.port().to_string()])
        .unwrap();
    let met = poll::until_true(PATIENCE, || {
        [&a, &b].iter().all(|node| {
            let info = node.command(&["CLUSTER", "INFO"]).unwrap();
            harness::redis::text(&info).contains("cluster_known_nodes:2")
        })
    });
    assert!(met);
    let mut ctx = context();
    {
        let _host = host(&[&a]);
        let error = set(&ctx, &create(&ctx, "v2")).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSecret);
        assert!(error.message.contains("2 nodes"), "{error}");
    }
    let _host = host(&[&a, &b]);
    let old = rotate(&mut ctx, "v3");
    for server in [&a, &b] {
        assert!(logs_in(server, &ctx.current) && !logs_in(server, &old));
    }
}

#[test]
fn a_value_that_was_never_there_is_dead_at_every_node() {
    let servers = same_user();
    let _host = host(&servers.each_ref());
    let mut ctx = context();
    ctx.companions.clear();
    let stranger = fake::version("v9", &value(Some(USER), "never-was-a-password"));
    assert_eq!(probe(&ctx, &stranger).unwrap().liveness, Liveness::Dead);
}

fn conf(server: &Server) -> String {
    std::fs::read_to_string(server.configuration()).unwrap()
}

fn password(version: &Version) -> String {
    member(version, "password").unwrap()
}

/// One node came back from an old file: it knows AWSPREVIOUS only, and replicates with it. That goes, and the node must
/// not lose its primary.
#[test]
fn superseding_an_older_password_takes_it_from_no_replica() {
    let servers = same_user();
    let [primary, first, second] = &servers;
    let _host = host(&servers.each_ref());
    let mut ctx = context();
    ctx.companions.clear();
    let old = ctx.current.clone();
    let current = create(&ctx, "v2");
    set(&ctx, &current).unwrap();
    promote(&mut ctx, current);
    let of_current = format!("!{}", harness::redis::sha256(&password(&ctx.current)));
    second
        .command(&["ACL", "SETUSER", USER, &of_current])
        .unwrap();
    let candidate = create(&ctx, "v3");
    let outcome = set(&ctx, &candidate).unwrap();
    assert_eq!(outcome.opened_with.as_deref(), Some(old.id.as_str()));
    assert_eq!(all_open(&servers, &old), [false; 3]);
    assert_eq!(all_open(&servers, &candidate), [true; 3]);
    for replica in [first, second] {
        assert!(conf(replica).contains(&password(&candidate)), "not on disk");
        replica.restart().unwrap();
        is_linked(replica);
    }
    assert!(logs_in(primary, &ctx.current));
}

/// The removal is cut off, and by then every replica has the new password on disk.
#[test]
fn no_password_is_removed_before_every_replica_has_another_one_on_disk() {
    let servers = same_user();
    let [primary, first, second] = &servers;
    let proxy = Proxy::start(primary.address()).unwrap();
    let nodes = [proxy.address().to_string(), address(first), address(second)];
    let _host = host_at(&nodes);
    let mut ctx = context();
    ctx.companions.clear();
    let [_, old] = ["v2", "v3"].map(|id| {
        let candidate = create(&ctx, id);
        set(&ctx, &candidate).unwrap();
        let old = ctx.current.clone();
        promote(&mut ctx, candidate);
        // The first is measured, the second is cut.
        if id == "v2" {
            retire(&ctx, &old).unwrap();
            ctx.others.clear();
        }
        old
    });
    // Its conversation at the primary was the last but one: the proof came after it.
    let before = proxy.connections();
    let removal = (0..before)
        .rev()
        .filter_map(|number| proxy.transcript(number, Direction::ToServer))
        .find_map(|sent| {
            let rule = b"SETUSER\r\n$8\r\nfestival\r\n$65\r\n!";
            sent.windows(rule.len()).position(|window| window == rule)
        })
        .expect("a removal passed");
    proxy.break_connection(
        before,
        Fault::CutAfter {
            direction: Direction::ToServer,
            bytes: removal,
        },
    );
    let error = retire(&ctx, &old).unwrap_err();
    assert_eq!(proxy.fired(), 1);
    assert_ne!(error.applied, Applied::No, "{error}");
    assert!(logs_in(primary, &old));
    for replica in [first, second] {
        assert!(
            conf(replica).contains(&password(&ctx.current)),
            "not on disk"
        );
    }
    retire(&ctx, &old).unwrap();
    assert_eq!(all_open(&servers, &old), [false; 3]);
    is_linked(first);
}

#[test]
fn a_replica_whose_own_login_nobody_can_see_is_refused() {
    let user = format!("{USER} on >{FIRST} ~* &* +@all");
    let primary = ServerOptions::new().user(user.clone()).start().unwrap();
    let hidden = |options: ServerOptions| {
        options
            .conf("rename-command CONFIG \"\"")
            .conf(format!("masteruser {USER}"))
            .conf(format!("masterauth {FIRST}"))
            .with_acl_file()
            .replica_of(&primary)
            .start()
            .unwrap()
    };
    let replica = hidden(ServerOptions::new().user(user.clone()));
    is_linked(&replica);
    // Of the primary the same is taken away: nobody sees anything but who is connected.
    let _host = host(&[&primary, &replica]);
    let mut ctx = context();
    ctx.companions.clear();
    let candidate = create(&ctx, "v2");
    let before = primary.command(&["ACL", "LIST"]).unwrap();
    // The primary can be asked, and the replica cannot: what it replicates with stays unknown.
    let error = set(&ctx, &candidate).unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (ErrorKind::Unsupported, Applied::No),
        "{error}"
    );
    assert!(error.message.contains("a user of their own"), "{error}");
    assert_eq!(primary.command(&["ACL", "LIST"]).unwrap(), before);
}

#[test]
fn a_new_masterauth_that_a_restart_would_forget_is_refused() {
    let user = format!("{USER} on >{FIRST} ~* &* +@all");
    let primary = ServerOptions::new().user(user.clone()).start().unwrap();
    let replica = ServerOptions::new()
        .user(user)
        .with_acl_file()
        .without_a_file()
        .conf(format!("masteruser {USER}"))
        .conf(format!("masterauth {FIRST}"))
        .replica_of(&primary)
        .start()
        .unwrap();
    is_linked(&replica);
    let _host = host(&[&primary, &replica]);
    let mut ctx = context();
    ctx.companions.clear();
    let error = set(&ctx, &create(&ctx, "v2")).unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (ErrorKind::InvalidSettings, Applied::No)
    );
    assert!(error.message.contains("masterauth"), "{error}");
}
