//! The process killed while it talks to the database: a proxy lets a part of the conversation pass
//! and then swallows the rest, so that the process hangs at that byte, and there it is killed. This
//! reaches what no line of the audit trail marks: between ALTER ROLE and COMMIT, and after a COMMIT
//! whose answer never arrived.

use std::net::SocketAddr;

use harness::poll;
use harness::postgres::ClusterOptions;
use harness::proxy::{Direction, Fault, Proxy};
use harness::tls::Authority;

use crate::interruption::{
    PATIENCE, continues_alternating_by, continues_single, finish, finish_now, kill,
};
use crate::support::Site;
use crate::support::festival::{Festival, SECRET};

/// Parts of each direction of each connection after which the process is killed.
const CUTS: usize = 3;
/// TLS and SCRAM vary by a few bytes, so that a cut near the end may come too late to be met.
const KILLS_MIN: usize = 8;

#[test]
fn alternating_continues_after_a_kill_anywhere_in_its_conversations() {
    let (festival, proxy) = behind_a_proxy("alternating");
    finish(&festival);
    // What waits for a grace does so in the other sweeps.
    let kills = kill_everywhere(&festival, &proxy, |festival| {
        continues_alternating_by(festival, finish_now);
    });
    println!("evidence: alternating users, killed on the wire: {kills} kills");
}

#[test]
fn single_continues_after_a_kill_anywhere_in_its_conversations() {
    let (festival, proxy) = behind_a_proxy("single");
    let kills = kill_everywhere(&festival, &proxy, continues_single);
    println!("evidence: a single user, killed on the wire: {kills} kills");
}

fn behind_a_proxy(strategy: &str) -> (Festival, Proxy) {
    let authority = Authority::new("festival's authority").unwrap();
    let identity = authority.issue(&["127.0.0.1"]).unwrap();
    let cluster = ClusterOptions::new()
        .log_everything()
        .tls(identity.certificate_pem, identity.key_pem)
        .start()
        .unwrap();
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], cluster.port()))).unwrap();
    let festival = Festival::reached_at(cluster, proxy.address().port());
    festival.trust(&authority);
    festival.configure(strategy, 1, "");
    (festival, proxy)
}

/// The old password is dead, and its grace would have gone on for an hour: whoever comes next must not be told that it
/// still works, but bring its end to an end.
#[test]
fn an_early_end_that_was_interrupted_goes_on_without_being_told_again() {
    let (festival, proxy) = behind_a_proxy("alternating");
    festival.configure("alternating", 3600, "");
    finish_now(&festival);
    // AWSCURRENT, the administrator, the old value; then the first look whether its password is gone.
    let look = 3;
    let direction = Direction::ToServer;
    let fault = Fault::BlackHoleAfter {
        direction,
        bytes: 0,
    };
    assert!(kill_within(&festival, &proxy, look, fault));
    let without = "SELECT count(*) FROM pg_authid WHERE rolname LIKE 'festival_app%' AND rolcanlogin AND rolpassword IS NULL";
    assert_eq!(festival.cluster.query(without).unwrap(), "1");
    festival.current_logs_in();
    festival.workspace.run(&["retire", SECRET]).succeeded();
    let labels = festival.workspace.labels(SECRET);
    assert!(!labels.contains_key("KEYTURN_RETIRING"), "{labels:?}");
}

/// Kills rotations at every cut and lets the next one continue. Answers how many were killed.
pub(crate) fn kill_everywhere<S: Site>(site: &S, proxy: &Proxy, continues: impl Fn(&S)) -> usize {
    let lengths = conversation_lengths(site, proxy);
    let mut kills = 0;
    for (number, both) in lengths.iter().enumerate() {
        for (direction, length) in [Direction::ToServer, Direction::ToClient]
            .into_iter()
            .zip(both)
        {
            for cut in 0..CUTS {
                // From the very first byte to the last but one.
                let bytes = (length - 1) * cut / (CUTS - 1);
                let fault = Fault::BlackHoleAfter { direction, bytes };
                if kill_within(site, proxy, number, fault) {
                    kills += 1;
                }
                continues(site);
            }
        }
    }
    assert!(kills >= KILLS_MIN, "{kills} kills at {lengths:?}");
    kills
}

/// How many bytes pass to the server and to the client in each connection of one rotation.
fn conversation_lengths(site: &impl Site, proxy: &Proxy) -> Vec<[usize; 2]> {
    let before = proxy.connections();
    site.workspace()
        .run(&["rotate", site.secret(), "--now"])
        .succeeded();
    let length = |number, direction| proxy.transcript(number, direction).unwrap().len();
    (before..proxy.connections())
        .map(|number| [Direction::ToServer, Direction::ToClient].map(|way| length(number, way)))
        .collect()
}

/// Starts a rotation whose connection of that number hangs, and kills it there. False if it ended
/// before it met the fault.
fn kill_within(site: &impl Site, proxy: &Proxy, number: usize, fault: Fault) -> bool {
    let fired = proxy.fired();
    proxy.break_connection(proxy.connections() + number, fault);
    let mut child = site.workspace().start(&["rotate", site.secret(), "--now"]);
    let stopped = poll::until_true(PATIENCE, || {
        proxy.fired() > fired || child.try_wait().unwrap().is_some()
    });
    assert!(
        stopped,
        "neither hung nor ended: {fault:?} in connection {number}"
    );
    let killed = kill(&mut child);
    site.workspace().keep_words_of(&mut child);
    assert!(!killed || proxy.fired() > fired, "killed without its fault");
    proxy.heal();
    site.end_sessions_of_the_dead();
    killed
}
