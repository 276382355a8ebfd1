//! How many logins a rotation makes, which of them are made together, and that roles which may have only one
//! session rotate all the same.

use crate::common::*;
use harness::postgres::{Cluster, ClusterOptions};
use harness::proxy::{Direction, Fault, Proxy};
use keyturn_sdk::fake::{Host, Installed, Tcp};
use keyturn_sdk::{Liveness, Status};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn proxy(cluster: &Cluster) -> Proxy {
    Proxy::start(address(cluster).parse().unwrap()).unwrap()
}

/// A host whose `primary` and `admin` are this proxy.
fn behind(proxy: &Proxy) -> Installed {
    let address = proxy.address().to_string();
    Host::new()
        .endpoint("primary", Tcp::plaintext(&[&address]))
        .endpoint("admin", Tcp::plaintext(&[&address]))
        .install()
}

#[test]
fn a_rotation_makes_ten_logins() {
    let cluster = set_up(ClusterOptions::new());
    let proxy = proxy(&cluster);
    let _host = behind(&proxy);
    let mut ctx = context("alternating");
    let mut seen = 0;
    let mut made = |what: &str, expected: usize| {
        assert_eq!(proxy.connections() - seen, expected, "{what}");
        seen = proxy.connections();
    };
    let candidate = create(&ctx, "v1");
    set(&ctx, &candidate).unwrap();
    made("the candidate, AWSCURRENT, the administrator", 3);
    test(&ctx, &candidate).unwrap();
    made("the candidate, a wrong password", 2);
    promote(&mut ctx, candidate);
    let old = ctx.others[0].version.clone();
    retire(&ctx, &old).unwrap();
    made("AWSCURRENT, the administrator, the old value thrice", 5);
    retire(&ctx, &old).unwrap();
    made("the same without a third", 4);
}

#[test]
fn logins_that_do_not_depend_on_each_other_are_made_together() {
    let cluster = set_up(ClusterOptions::new());
    let proxy = proxy(&cluster);
    let ctx = context("alternating");
    let candidate = {
        let _host = host(&cluster);
        create(&ctx, "v1")
    };
    are_begun_together(&proxy, 3, || drop(set(&ctx, &candidate).unwrap()));
    let mut ctx = ctx;
    promote(&mut ctx, candidate);
    let old = ctx.others[0].version.clone();
    are_begun_together(&proxy, 3, || drop(retire(&ctx, &old).unwrap()));
}

/// While the first login's answer is held back, this many have sent their first bytes.
fn are_begun_together(proxy: &Proxy, logins: usize, call: impl FnOnce() + Send) {
    let (before, fired) = (proxy.connections(), proxy.fired());
    let direction = Direction::ToClient;
    proxy.break_connection(
        before,
        Fault::HoldAfter {
            direction,
            bytes: 0,
        },
    );
    let sent = |number| {
        let bytes = proxy.transcript(number, Direction::ToServer);
        bytes.is_some_and(|bytes| !bytes.is_empty())
    };
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| {
            let _host = behind(proxy);
            call();
        });
        let begun = harness::poll::until_true(PATIENCE, || {
            proxy.fired() > fired && (before..before + logins).all(sent)
        });
        proxy.release();
        assert!(begun, "a login waits for another");
        calling.join().unwrap();
    });
    proxy.heal();
}

/// A session ends at the server a little after its client has closed it.
fn nobody_is_in(cluster: &Cluster) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'festival%'";
    let alone = harness::poll::until_true(PATIENCE, || cluster.query(sql).unwrap() == "0");
    assert!(alone, "a session stays");
}

#[test]
fn roles_that_may_have_one_session_rotate() {
    for strategy in ["alternating", "single"] {
        let cluster = set_up(ClusterOptions::new());
        for role in ["festival_app", "festival_app_clone", "festival_rotation"] {
            let sql = format!("ALTER ROLE {role} CONNECTION LIMIT 1");
            cluster.query(&sql).unwrap();
        }
        let direct = || Tcp::plaintext(&[&address(&cluster)]);
        let host = Host::new().endpoint("primary", direct());
        let _host = match strategy {
            "alternating" => host.endpoint("admin", direct()).install(),
            _ => host.install(),
        };
        let mut ctx = context(strategy);
        for round in 1..=3 {
            let candidate = create(&ctx, &format!("v{round}"));
            let outcome = set(&ctx, &candidate).unwrap();
            assert!(matches!(outcome.status, Status::Done), "{strategy}");
            nobody_is_in(&cluster);
            let again = set(&ctx, &candidate).unwrap();
            assert!(matches!(again.status, Status::Unchanged), "{strategy}");
            nobody_is_in(&cluster);
            test(&ctx, &candidate).unwrap();
            nobody_is_in(&cluster);
            promote(&mut ctx, candidate);
            let old = ctx.others[0].version.clone();
            retire(&ctx, &old).unwrap();
            nobody_is_in(&cluster);
            assert_eq!(probe(&ctx, &old).unwrap().liveness, Liveness::Dead);
            nobody_is_in(&cluster);
            assert_eq!(probe(&ctx, &ctx.current).unwrap().liveness, Liveness::Live);
            nobody_is_in(&cluster);
        }
    }
}
