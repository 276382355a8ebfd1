//! A secret whose server has another address than an older version says: a wrong one that was
//! corrected, a server that moved, a value that was put back. What Keyturn cannot prove from here it
//! neither claims nor forgets.

use std::net::{SocketAddr, TcpListener};

use harness::poll;
use harness::postgres::ClusterOptions;
use harness::proxy::{Direction, Fault, Proxy};
use harness::tls::Authority;
use serde_json::{Value, json};

use crate::interruption::{PATIENCE, finish, kill};
use crate::support::Site as _;
use crate::support::festival::{CLONE, Festival, SECRET};

const ELSEWHERE: &[&str] = &[
    "names another place than AWSCURRENT",
    "/port differs",
    "--declare-dead",
];

/// A database that can be reached at two ports.
struct TwoDoors {
    festival: Festival,
    proxy: Proxy,
}

impl TwoDoors {
    fn start() -> Self {
        let authority = Authority::new("festival's authority").unwrap();
        let identity = authority.issue(&["127.0.0.1"]).unwrap();
        let cluster = ClusterOptions::new()
            .tls(identity.certificate_pem, identity.key_pem)
            .start()
            .unwrap();
        let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], cluster.port()))).unwrap();
        let festival = Festival::without_tls(cluster);
        festival.trust(&authority);
        let this = Self { festival, proxy };
        this.grant(&[this.festival.cluster.port(), this.proxy.address().port()]);
        this
    }

    fn grant(&self, ports: &[u16]) {
        self.festival.configure_at(ports, "alternating", 1);
    }

    /// Writes AWSCURRENT anew by hand, with other members.
    fn put(&self, mut value: Value, changes: &[(&str, Value)]) {
        for (member, changed) in changes {
            value[member] = changed.clone();
        }
        self.festival
            .workspace
            .run_with(
                &["secret", "put", SECRET, "--value-stdin"],
                &value.to_string(),
                &[],
            )
            .succeeded();
    }

    fn move_to(&self, port: u16) {
        let value = self.festival.workspace.current(SECRET);
        self.put(value, &[("port", json!(port))]);
    }

    fn holder(&self, label: &str) -> Option<String> {
        self.festival.workspace.labels(SECRET).remove(label)
    }
}

#[test]
fn a_wrong_address_that_was_corrected_leaves_nothing_behind() {
    let doors = TwoDoors::start();
    let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (wrong, right) = (
        nobody.local_addr().unwrap().port(),
        doors.festival.cluster.port(),
    );
    drop(nobody);
    doors.grant(&[wrong, right]);
    doors.move_to(wrong);
    let workspace = &doors.festival.workspace;
    workspace.run(&["rotate", SECRET]).failed(
        5,
        &["refused the connection", "The target was not changed."],
    );
    assert!(doors.holder("KEYTURN_INDOUBT").is_some());

    doors.move_to(right);
    workspace.run(&["rotate", SECRET]).succeeded();
    doors.festival.current_logs_in();
    assert_eq!(workspace.current(SECRET)["username"], CLONE);
    assert_eq!(doors.holder("KEYTURN_INDOUBT"), None);
}

#[test]
fn what_may_have_been_applied_elsewhere_ends_by_the_operators_word() {
    let doors = TwoDoors::start();
    doors.move_to(doors.proxy.address().port());
    let workspace = &doors.festival.workspace;
    // Killed while `set` waits for its first answer: nobody knows what became of it.
    let (direction, bytes) = (Direction::ToClient, 1);
    doors
        .proxy
        .break_all(Fault::BlackHoleAfter { direction, bytes });
    let mut child = workspace.start(&["rotate", SECRET]);
    let waits = || (workspace.audit().contains("\"set\"") && doors.proxy.fired() > 0).then_some(());
    poll::until(PATIENCE, waits).expect("set was never called");
    assert!(kill(&mut child));
    let doubt = doors
        .holder("KEYTURN_INDOUBT")
        .expect("nothing is in doubt");

    doors.move_to(doors.festival.cluster.port());
    workspace.run(&["rotate", SECRET]).failed(5, ELSEWHERE);
    workspace.run(&["retire", SECRET]).failed(
        7,
        &[
            "has to be finished first",
            &format!("keyturn rotate {SECRET}"),
        ],
    );
    assert_eq!(doors.holder("KEYTURN_INDOUBT"), Some(doubt.clone()));

    workspace
        .run(&["retire", SECRET, "--declare-dead"])
        .succeeded()
        .says(&[&doubt, "given up on your word"]);
    workspace
        .run(&["history", SECRET])
        .succeeded()
        .says(&[&format!("KEYTURN_INDOUBT off {doubt} (OperatorVouches)")]);
    workspace.run(&["rotate", SECRET]).succeeded();
    doors.festival.current_logs_in();
}

#[test]
fn an_old_password_is_not_called_dead_because_another_server_refuses_it() {
    let doors = TwoDoors::start();
    let workspace = &doors.festival.workspace;
    let old = workspace.current(SECRET);
    workspace.run(&["rotate", SECRET]).succeeded();
    doors.move_to(doors.proxy.address().port());
    for command in ["retire", "rotate"] {
        let ended = poll::until(PATIENCE, || {
            let ended = workspace.run(&[command, SECRET]);
            (ended.code != Some(7)).then_some(ended)
        });
        ended.unwrap().failed(5, ELSEWHERE);
        doors.festival.login(&old).unwrap();
    }
    workspace
        .run(&["retire", SECRET, "--declare-dead"])
        .succeeded();
    assert_eq!(doors.holder("KEYTURN_RETIRING"), None);
    finish(&doors.festival);
    doors.festival.current_logs_in();
}

#[test]
fn a_login_that_was_put_back_by_hand_is_in_use_again() {
    let doors = TwoDoors::start();
    let workspace = &doors.festival.workspace;
    let old = workspace.current(SECRET);
    workspace.run(&["rotate", SECRET]).succeeded();
    doors.put(old.clone(), &[("comment", json!("put back"))]);
    finish(&doors.festival);
    doors.festival.current_logs_in();
    doors.festival.login(&old).unwrap();
    let current = workspace.current(SECRET);
    assert_eq!(current["username"], CLONE);
    assert_eq!(current["comment"], "put back");
}

#[test]
fn users_of_another_name_retire_once_they_are_gone() {
    let doors = TwoDoors::start();
    let (festival, workspace) = (&doors.festival, &doors.festival.workspace);
    let old = workspace.current(SECRET);
    workspace.run(&["rotate", SECRET]).succeeded();
    let sql = "CREATE ROLE tickets_app LOGIN PASSWORD 'another-application-user' IN ROLE festival_app_role;
         ALTER ROLE tickets_app SET role = 'festival_app_role'; GRANT tickets_app TO festival_rotation WITH ADMIN OPTION";
    festival.cluster.query_in("festival", sql).unwrap();
    let user = [
        ("username", json!("tickets_app")),
        ("password", json!("another-application-user")),
    ];
    doors.put(old.clone(), &user);
    let due = poll::until(PATIENCE, || {
        let ended = workspace.run(&["rotate", SECRET]);
        (ended.code != Some(7)).then_some(ended)
    });
    due.unwrap()
        .failed(5, &["it still opens", "remove its password or the role"]);
    festival.login(&old).unwrap();
    let sql = "DROP ROLE festival_app, festival_app_clone";
    festival.cluster.query_in("festival", sql).unwrap();
    finish(festival);
    festival.current_logs_in();
    assert_eq!(workspace.current(SECRET)["username"], "tickets_app_clone");
}
