//! A standby becomes the primary before the change of a rotation arrived there: the server forgets a
//! password that it had acknowledged. What AWSCURRENT names may then be dead through no fault of a
//! rotation, and nothing that still opens the door may be taken away.

use std::net::SocketAddr;
use std::time::Duration;

use harness::poll;
use harness::postgres::{Cluster, ClusterOptions};
use harness::proxy::{Direction, Fault, Proxy};
use harness::tls::Authority;
use serde_json::Value;

use crate::interruption::kill;
use crate::support::festival::{Festival, SECRET, USER};

const PATIENCE: Duration = Duration::from_secs(60);

/// A primary and its standby behind one address.
struct Pair {
    festival: Festival,
    standby: Cluster,
    proxy: Proxy,
}

impl Pair {
    fn start(strategy: &str) -> Self {
        let authority = Authority::new("festival's authority").unwrap();
        let identity = authority.issue(&["127.0.0.1"]).unwrap();
        let primary = ClusterOptions::new()
            .streams()
            .tls(identity.certificate_pem, identity.key_pem)
            .start()
            .unwrap();
        let proxy = Proxy::start(address(&primary)).unwrap();
        let festival = Festival::reached_at(primary, proxy.address().port());
        festival.trust(&authority);
        festival.configure(strategy, 1, "");
        let standby = festival.cluster.start_standby().unwrap();
        let caught_up = poll::until_true(PATIENCE, || {
            standby.has_caught_up_with(&festival.cluster).unwrap()
        });
        assert!(caught_up, "the standby does not follow");
        standby.cut_off().unwrap();
        Self {
            festival,
            standby,
            proxy,
        }
    }

    /// What the primary did since the standby was cut off is lost.
    fn fail_over(&self) {
        println!("evidence: failovers: 1 failovers");
        self.festival.cluster.stop().unwrap();
        self.standby.promote().unwrap();
        self.proxy.sever();
        self.proxy.lead_to(address(&self.standby));
    }

    fn value(&self, label: &str) -> Value {
        serde_json::from_str(&self.festival.workspace.text(SECRET, label)).unwrap()
    }

    /// Whether this value logs in at the server that is the primary now.
    fn opens(&self, value: &Value) -> bool {
        let text = |member: &str| value[member].as_str().unwrap();
        let login = self
            .standby
            .login(text("username"), text("password"), text("dbname"));
        match login {
            Ok(()) => true,
            Err(refused) => {
                assert_eq!(refused.sqlstate.as_deref(), Some("28P01"), "{refused}");
                false
            }
        }
    }

    #[track_caller]
    fn verify(&self, code: i32) {
        let ended = self.festival.workspace.run(&["verify", SECRET]);
        assert_eq!(ended.code, Some(code), "{ended:#?}");
    }

    /// Kills a rotation while the answer to its COMMIT is on its way: the change is made, and only
    /// its label says that it may be.
    fn kill_after_commit(&self) {
        let roles = "SELECT string_agg(rolname || coalesce(rolpassword, ''), ',' ORDER BY 1) FROM pg_authid";
        let state = || self.festival.cluster.query(roles).unwrap();
        let before = state();
        // Long against asking the server what it has.
        let (direction, by) = (Direction::ToClient, Duration::from_millis(80));
        self.proxy.break_all(Fault::Delay { direction, by });
        let mut child = self.festival.workspace.start(&["rotate", SECRET]);
        let changed = poll::until_true(PATIENCE, || {
            state() != before || child.try_wait().unwrap().is_some()
        });
        assert!(changed && kill(&mut child), "it ended before its kill");
        self.festival.workspace.keep_words_of(&mut child);
        self.proxy.heal();
        assert!(self.proxy.fired() > 0);
        let labels = self.festival.workspace.labels(SECRET);
        assert!(labels.contains_key("KEYTURN_INDOUBT"), "{labels:?}");
    }
}

fn address(cluster: &Cluster) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], cluster.port()))
}

#[test]
fn what_was_in_doubt_is_applied_again() {
    for strategy in ["alternating", "single"] {
        let pair = Pair::start(strategy);
        let current = pair.value("AWSCURRENT");
        pair.kill_after_commit();
        let doubt = pair.value("KEYTURN_INDOUBT");
        pair.fail_over();
        assert!(pair.opens(&current) && !pair.opens(&doubt), "{strategy}");
        pair.verify(0);
        pair.festival.workspace.run(&["rotate", SECRET]).succeeded();
        // The very value that was lost, not another one.
        assert_eq!(pair.value("AWSCURRENT"), doubt);
        assert!(pair.opens(&doubt), "{strategy}");
        assert_eq!(pair.opens(&current), strategy == "alternating");
        let labels = pair.festival.workspace.labels(SECRET);
        assert!(!labels.contains_key("KEYTURN_INDOUBT"), "{labels:?}");
    }
}

#[test]
fn a_single_user_goes_on_from_the_password_that_the_server_still_has() {
    let pair = Pair::start("single");
    pair.festival.workspace.run(&["rotate", SECRET]).succeeded();
    pair.fail_over();
    assert!(!pair.opens(&pair.value("AWSCURRENT")) && pair.opens(&pair.value("AWSPREVIOUS")));
    pair.verify(8);
    let shown = pair.festival.workspace.run(&["rotate", SECRET]).succeeded();
    let warned = shown.stderr.contains("AWSCURRENT does not log in");
    assert!(warned, "{shown:#?}");
    assert!(pair.opens(&pair.value("AWSCURRENT")));
    pair.verify(0);
}

#[test]
fn alternating_users_keep_the_one_that_still_opens_until_it_is_put_back() {
    let pair = Pair::start("alternating");
    let workspace = &pair.festival.workspace;
    workspace.run(&["rotate", SECRET]).succeeded();
    pair.fail_over();
    let previous = pair.value("AWSPREVIOUS");
    assert!(!pair.opens(&pair.value("AWSCURRENT")) && pair.opens(&previous));
    assert_eq!(previous["username"], USER);
    pair.verify(8);
    // Neither ends the only login that works, whatever it is asked for.
    for command in [
        &["rotate", SECRET, "--now"][..],
        &["retire", SECRET, "--now"],
    ] {
        let ended = workspace.run(command);
        ended.failed(5, &["AWSCURRENT", "may be the one that still works"]);
        assert!(pair.opens(&previous), "{command:?}");
    }
    workspace
        .run_with(
            &["secret", "put", SECRET, "--value-stdin"],
            &previous.to_string(),
            &[],
        )
        .succeeded();
    pair.verify(0);
    workspace.run(&["rotate", SECRET, "--now"]).succeeded();
    assert!(pair.opens(&pair.value("AWSCURRENT")));
}
