//! The path breaks on purpose, at every byte around the one that decides; standbys.

use crate::common::*;
use harness::postgres::{Cluster, ClusterOptions};
use harness::proxy::{Direction, Fault, Proxy};
use keyturn_plugin_postgres::Postgres;
use keyturn_sdk::fake::{self, Host, Tcp};
use keyturn_sdk::{
    Applied, Context, Error, ErrorKind, Level, Liveness, Outcome, Rotator, Status, Version,
};
use std::time::Duration;

/// The administrator's session is the second through endpoint `admin`; the first tries the
/// candidate.
const ADMIN_SESSION: usize = 1;
/// `Q`, length, `COMMIT`, NUL.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

struct Cut {
    result: Result<Outcome, Error>,
    proxy: Proxy,
    candidate: Version,
}

/// One `set` whose administrator's session meets `fault`.
fn set_through(cluster: &Cluster, fault: Option<Fault>, id: &str) -> Cut {
    let proxy = Proxy::start(address(cluster).parse().unwrap()).unwrap();
    if let Some(fault) = fault {
        proxy.break_connection(ADMIN_SESSION, fault);
    }
    let ctx = context("alternating");
    let _host = Host::new()
        .seed(id.bytes().map(u64::from).sum::<u64>() * 7919)
        .endpoint("primary", Tcp::plaintext(&[&address(cluster)]))
        .endpoint("admin", Tcp::plaintext(&[&proxy.address().to_string()]))
        .install();
    let candidate = create(&ctx, id);
    let result = set(&ctx, &candidate);
    Cut {
        result,
        proxy,
        candidate,
    }
}

/// Byte offset of `needle` in what passed during an undisturbed `set`.
fn offset_of(cluster: &Cluster, direction: Direction, needle: &[u8]) -> usize {
    let clean = set_through(cluster, None, "clean");
    clean.result.unwrap();
    let bytes = clean.proxy.transcript(ADMIN_SESSION, direction).unwrap();
    bytes
        .windows(needle.len())
        .rposition(|w| w == needle)
        .expect("it passed")
}

#[test]
fn cut_on_the_way_to_the_server_around_commit() {
    let cluster = set_up(ClusterOptions::new());
    let commit = offset_of(&cluster, Direction::ToServer, COMMIT);
    let end = commit + COMMIT.len();
    // Each byte from the middle of ALTER to the end of COMMIT.
    for bytes in commit - 60..=end {
        let fault = Fault::CutAfter {
            direction: Direction::ToServer,
            bytes,
        };
        let cut = set_through(&cluster, Some(fault), &format!("to-server-{bytes}"));
        assert_eq!(
            cut.proxy.fired(),
            1,
            "the cut after {bytes} bytes did not happen"
        );
        let live = logs_in(&cluster, &cut.candidate);
        match cut.result {
            // The whole COMMIT passed, and its answer may have been quicker than the cut.
            Ok(_) => assert!(live && bytes == end),
            Err(error) if bytes < commit => {
                assert_eq!(error.applied, Applied::No, "{bytes}: {error}")
            }
            // Everything before COMMIT passed; whether the plugin handed it over is a race.
            Err(error) if bytes == commit => assert_ne!(error.applied, Applied::Yes),
            Err(error) => {
                assert_eq!(error.applied, Applied::Unknown, "{bytes}: {error}");
                assert!(error.message.contains("probe"));
            }
        }
        if bytes < end {
            assert!(!live, "{bytes}");
        }
        assert!(logs_in(&cluster, &context("alternating").current));
    }
    let cuts = (commit - 60..=end).count();
    println!("evidence: alternating users, cut: {cuts} cuts");
}

#[test]
fn cut_on_the_way_back_leaves_a_doubt_that_probing_resolves() {
    let cluster = set_up(ClusterOptions::new());
    let answer = offset_of(&cluster, Direction::ToClient, b"C\0\0\0\x0bCOMMIT\0");
    let cuts = (answer - 20..answer).step_by(4).chain(answer..answer + 18);
    println!(
        "evidence: alternating users, cut: {} cuts",
        cuts.clone().count()
    );
    for bytes in cuts {
        let fault = Fault::CutAfter {
            direction: Direction::ToClient,
            bytes,
        };
        let cut = set_through(&cluster, Some(fault), &format!("to-client-{bytes}"));
        assert_eq!(cut.proxy.fired(), 1);
        let Err(error) = cut.result else {
            // COMMIT's answer and ReadyForQuery had passed.
            assert!(bytes >= answer + 18, "{bytes}");
            continue;
        };
        // Before its answer begins COMMIT is either not sent (ALTER's answer was cut) or in doubt.
        let ctx = context("alternating");
        let _host = host(&cluster);
        let liveness = probe(&ctx, &cut.candidate).unwrap().liveness;
        match error.applied {
            Applied::No => assert_eq!(liveness, Liveness::Dead),
            Applied::Unknown => assert!(matches!(liveness, Liveness::Live | Liveness::Dead)),
            Applied::Yes => panic!("{error}"),
        }
        if bytes > answer {
            assert_eq!(
                (error.applied, liveness),
                (Applied::Unknown, Liveness::Live)
            );
        }
        // Doubt or not: the same call again ends well.
        set(&ctx, &cut.candidate).unwrap();
        test(&ctx, &cut.candidate).unwrap();
    }
}

/// One `set` of a single user whose own session meets `fault`.
fn set_single(cluster: &Cluster, ctx: &Context, fault: Option<Fault>, number: u64) -> Cut {
    let proxy = Proxy::start(address(cluster).parse().unwrap()).unwrap();
    if let Some(fault) = fault {
        proxy.break_connection(ADMIN_SESSION, fault);
    }
    let _host = Host::new()
        .seed(number * 7919)
        .endpoint("primary", Tcp::plaintext(&[&proxy.address().to_string()]))
        .install();
    let candidate = create(ctx, &format!("cut-{number}"));
    let result = set(ctx, &candidate);
    Cut {
        result,
        proxy,
        candidate,
    }
}

/// What a cut may be answered with. `commit`: from this byte on COMMIT is on its way to the server;
/// `answer`: from this one on its answer comes back.
fn may_be(
    applied: Applied,
    (direction, bytes): (Direction, usize),
    commit: usize,
    answer: usize,
) -> bool {
    match direction {
        Direction::ToServer if bytes < commit => applied == Applied::No,
        // Everything before passed; whether the plugin had handed COMMIT over is a race.
        Direction::ToServer if bytes == commit => applied != Applied::Yes,
        Direction::ToClient if bytes <= answer => applied != Applied::Yes,
        Direction::ToServer | Direction::ToClient => applied == Applied::Unknown,
    }
}

/// With one user the change is a lone ALTER in its transaction. Before COMMIT's first byte was handed over
/// nothing changed, from then on it is unknown, and after every cut exactly one password opens.
#[test]
fn a_single_user_is_cut_at_every_byte_around_its_change() {
    let cluster = set_up(ClusterOptions::new());
    let mut ctx = context("single");
    // Where a session of the role is still ending, the plugin looks again before it changes anything. The shortest
    // conversation is the one without that.
    let clean = (1..=3).map(|number| {
        let clean = set_single(&cluster, &ctx, None, number);
        clean.result.as_ref().unwrap();
        ctx.current = clean.candidate.clone();
        clean
    });
    let sent = |cut: &Cut| {
        cut.proxy
            .transcript(ADMIN_SESSION, Direction::ToServer)
            .map(|bytes| bytes.len())
    };
    let clean = clean.min_by_key(sent).unwrap();
    let place = |direction, needle: &[u8]| {
        let bytes = clean.proxy.transcript(ADMIN_SESSION, direction).unwrap();
        let found = bytes.windows(needle.len()).rposition(|w| w == needle);
        found.expect("it passed")
    };
    let alter = place(Direction::ToServer, b"ALTER ROLE");
    let commit = place(Direction::ToServer, COMMIT);
    let answer = place(Direction::ToClient, b"C\0\0\0\x0bCOMMIT\0");
    // Within ALTER every fifth byte: nothing is decided there.
    let to_server = (alter - 5..commit - 5)
        .step_by(5)
        .chain(commit - 5..=commit + COMMIT.len())
        .map(|bytes| (Direction::ToServer, bytes));
    let to_client = (answer - 3..answer + 18).map(|bytes| (Direction::ToClient, bytes));
    let (mut cuts, mut made) = (0, 0);
    for (direction, bytes) in to_server.chain(to_client) {
        let fault = Fault::CutAfter { direction, bytes };
        // The server may still be busy with the session that was cut before, and `set` ends at that.
        let cut = harness::poll::until(Duration::from_secs(20), || {
            let cut = set_single(&cluster, &ctx, Some(fault), 100 + cuts);
            (cut.proxy.fired() == 1 || cut.result.is_ok()).then_some(cut)
        });
        let cut = cut.expect("the fault was met");
        assert_eq!(cut.proxy.fired(), 1, "{fault:?}");
        cuts += 1;
        // The server may still be at it, which is an error of its own and no verdict.
        let _host = host(&cluster);
        let liveness = harness::poll::until(Duration::from_secs(20), || {
            probe(&ctx, &cut.candidate)
                .ok()
                .map(|verdict| verdict.liveness)
        });
        let live = liveness.unwrap() == Liveness::Live;
        assert_eq!(logs_in(&cluster, &cut.candidate), live, "{fault:?}");
        assert_eq!(logs_in(&cluster, &ctx.current), !live, "{fault:?}");
        match cut.result {
            Ok(_) => assert!(live, "{fault:?}"),
            Err(error) => {
                let expected = may_be(error.applied, (direction, bytes), commit, answer);
                assert!(expected, "{fault:?}: {error}");
                assert!(error.applied == Applied::Unknown || !live, "{fault:?}");
            }
        }
        if live {
            made += 1;
            ctx.current = cut.candidate;
        }
    }
    println!("evidence: a single user, cut: {cuts} cuts, {made} cuts after the change");
    assert!(made > 0 && made < cuts);
}

/// The process that sent COMMIT may be gone and another one ask, while the network still holds it.
#[test]
fn a_value_whose_commit_is_still_on_its_way_is_not_dead() {
    let cluster = set_up(ClusterOptions::new());
    for (strategy, endpoint) in [("alternating", "admin"), ("single", "primary")] {
        let session = if strategy == "single" {
            1
        } else {
            ADMIN_SESSION
        };
        let proxy = Proxy::start(address(&cluster).parse().unwrap()).unwrap();
        let through = |patience: u64| {
            let direct = || Tcp::plaintext(&[&address(&cluster)]);
            let held = Tcp::plaintext(&[&proxy.address().to_string()])
                .timeout(Duration::from_millis(patience));
            Host::new()
                .seed(patience)
                .endpoint("primary", direct())
                .endpoint("admin", direct())
                .endpoint(endpoint, held)
                .install()
        };
        let ctx = context(strategy);
        let clean = {
            let _host = through(10_000);
            let candidate = create(&ctx, "clean");
            set(&ctx, &candidate).unwrap();
            candidate
        };
        let bytes = proxy.transcript(session, Direction::ToServer).unwrap();
        let commit = bytes.windows(COMMIT.len()).rposition(|w| w == COMMIT);
        let mut ctx = context(strategy);
        if strategy == "single" {
            ctx.current = clean;
        }
        proxy.break_connection(
            proxy.connections() + session,
            Fault::HoldAfter {
                direction: Direction::ToServer,
                bytes: commit.unwrap(),
            },
        );
        let (candidate, error) = {
            let _host = through(500);
            let candidate = create(&ctx, "late");
            let error = set(&ctx, &candidate).unwrap_err();
            (candidate, error)
        };
        assert_eq!(proxy.fired(), 1, "{strategy}");
        assert_eq!(error.applied, Applied::Unknown, "{strategy}: {error}");
        let _host = host(&cluster);
        let doubt = probe(&ctx, &candidate).unwrap_err();
        assert_eq!(
            (doubt.kind, doubt.applied, doubt.retryable),
            (ErrorKind::Conflict, Applied::No, true),
            "{strategy}: {doubt}"
        );
        assert!(doubt.message.contains("pg_terminate_backend"), "{doubt}");
        proxy.release();
        let live =
            harness::poll::until_true(Duration::from_secs(20), || logs_in(&cluster, &candidate));
        assert!(live, "{strategy}: the held COMMIT never arrived");
        assert_eq!(probe(&ctx, &candidate).unwrap().liveness, Liveness::Live);
        println!("evidence: commits held back: 1 commits held back");
    }
}

#[test]
fn broken_paths_are_errors_of_their_own_kind_and_no_verdicts() {
    let cluster = set_up(ClusterOptions::new());
    let proxy = Proxy::start(address(&cluster).parse().unwrap()).unwrap();
    proxy.break_all(Fault::BlackHoleAfter {
        direction: Direction::ToServer,
        bytes: 0,
    });
    let ctx = context("single");
    let candidate = {
        let _host = host(&cluster);
        create(&ctx, "v1")
    };
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let holes = proxy.address().to_string();
    for (address, kind) in [
        (&nobody, ErrorKind::Unreachable),
        (&holes, ErrorKind::Timeout),
    ] {
        let tcp = Tcp::plaintext(&[address]).timeout(Duration::from_millis(300));
        let _host = Host::new().endpoint("primary", tcp).install();
        for error in [
            set(&ctx, &candidate).unwrap_err(),
            test(&ctx, &candidate).unwrap_err(),
            probe(&ctx, &ctx.current).unwrap_err(),
        ] {
            assert_eq!((error.kind, error.applied), (kind, Applied::No), "{error}");
            assert!(error.retryable);
        }
        let last = Postgres::check(&ctx).unwrap().pop().unwrap();
        assert_eq!((last.id.as_str(), last.level), ("login", Level::Failure));
    }
    assert!(proxy.fired() > 0);
}

/// Turns a server into a standby that follows nobody.
fn make_standby(cluster: &Cluster) {
    cluster.stop().unwrap();
    std::fs::write(cluster.folder().join("data/standby.signal"), "").unwrap();
    cluster.start_again().unwrap();
    assert_eq!(cluster.query("SELECT pg_is_in_recovery()").unwrap(), "t");
}

#[test]
fn a_standby_proves_nothing_and_is_not_changed() {
    let cluster = set_up(ClusterOptions::new());
    make_standby(&cluster);
    let _host = host(&cluster);
    for strategy in ["alternating", "single"] {
        let ctx = context(strategy);
        let wrong = fake::version("v0", &value("festival_app", "wrong"));
        assert_eq!(
            probe(&ctx, &ctx.current).unwrap().liveness,
            Liveness::Unknown
        );
        assert_eq!(probe(&ctx, &wrong).unwrap().liveness, Liveness::Unknown);
        let error = set(&ctx, &create(&ctx, "v1")).unwrap_err();
        assert_eq!(
            (error.kind, error.applied),
            (ErrorKind::Unsupported, Applied::No)
        );
        assert!(error.retryable);
    }
    cluster.query("SELECT pg_promote()").unwrap();
    let ctx = context("alternating");
    set(&ctx, &create(&ctx, "v2")).unwrap();
}

#[test]
fn a_lagging_reader_is_waited_for_and_a_stranger_is_not() {
    let cluster = set_up(ClusterOptions::new());
    let reader = set_up(ClusterOptions::new());
    let installed = host(&cluster);
    installed.set_endpoint("readers", Tcp::plaintext(&[&address(&reader)]));
    let ctx = context("alternating");
    let candidate = create(&ctx, "v1");
    set(&ctx, &candidate).unwrap();
    let error = test(&ctx, &candidate).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    make_standby(&reader);
    let outcome = test(&ctx, &candidate).unwrap();
    assert!(matches!(outcome.status, Status::Pending(ms) if ms > 0));
    assert_eq!(outcome.members.len(), 2);
    installed.set_endpoint("readers", Tcp::plaintext(&[&address(&cluster)]));
    assert!(matches!(
        test(&ctx, &candidate).unwrap().status,
        Status::Done
    ));
}

#[test]
fn somebody_else_at_the_same_role_is_a_conflict_and_nothing_changed() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    let ctx = context("alternating");
    let candidate = create(&ctx, "v1");
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            cluster.query(
                "BEGIN; ALTER ROLE festival_app_clone CONNECTION LIMIT 9; SELECT pg_sleep(2); COMMIT",
            )
        });
        let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        let patience = Duration::from_secs(20);
        assert!(harness::poll::until_true(patience, || {
            cluster.query(sleeping).unwrap() == "1"
        }));
        let error = set(&ctx, &candidate).unwrap_err();
        assert_eq!(
            (error.kind, error.applied),
            (ErrorKind::Conflict, Applied::No),
            "{error}"
        );
        assert!(error.retryable);
        other.join().unwrap().unwrap();
    });
    set(&ctx, &candidate).unwrap();
    assert!(logs_in(&cluster, &candidate));
}
