//! Where the way to a server breaks is told stage by stage, by the way that a rotation takes.

use std::cell::Cell;
use std::fs;
use std::net::TcpListener;

use harness::tls::Authority;
use serde_json::{Value, json};

use super::{OnLambda, end, failed};
use crate::support::festival::{FIRST_PASSWORD, Festival, SECRET};
use crate::support::{Workspace, own_id};
use crate::tokens::jwt_value;

const NOWHERE: &str = "no-such-host.invalid";

const STAGES: [&str; 4] = ["dns", "tcp", "tls", "authentication"];

/// The festival's database, to a port where nobody listens and to a name that nobody has as well.
struct Site<'a> {
    festival: &'a Festival,
    lambda: OnLambda<'a>,
    closed: u16,
    versions: Cell<u32>,
}

impl<'a> Site<'a> {
    fn new(festival: &'a Festival) -> Self {
        // Bound and given back.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = closed.local_addr().unwrap().port();
        festival.workspace.configure(&format!(
            "[secret.\"{SECRET}\"]\nplugin = \"postgres\"\nstrategy = \"single\"\n\
             [secret.\"{SECRET}\".grant.endpoint.primary]\nhosts = [\"127.0.0.1\", \"{NOWHERE}\"]\n\
             ports = [{}, {closed}]\ntls = \"verify-full\"\nca = \"ca.pem\"\n",
            festival.cluster.port()
        ));
        Self {
            festival,
            lambda: OnLambda::new(&festival.workspace),
            closed,
            versions: Cell::new(0),
        }
    }

    /// The application's value with these members becomes AWSCURRENT.
    fn put(&self, members: Value) {
        let mut value = self.festival.value();
        let object = value.as_object_mut().unwrap();
        object.remove("masterarn");
        object.extend(members.as_object().unwrap().clone());
        self.versions.set(self.versions.get() + 1);
        let (workspace, id) = (&self.festival.workspace, own_id(self.versions.get()));
        workspace.plant(SECRET, &id, &value.to_string(), &["AWSCURRENT"]);
    }

    /// Each stage ends so, and the first that failed says these words.
    #[track_caller]
    fn check(&self, target: &str, expected: [&str; 4], words: &str) {
        let result = test(&self.lambda, target);
        let [server] = result["endpoints"].as_array().unwrap().as_slice() else {
            panic!("{result:#}");
        };
        let found = STAGES.map(|stage| server[stage]["status"].as_str().unwrap());
        assert_eq!(found, expected, "{result:#}");
        let failed = STAGES
            .into_iter()
            .find(|stage| server[stage]["status"] == "failed");
        let error = failed.map_or("", |stage| server[stage]["error"].as_str().unwrap());
        assert!(error.contains(words), "{error}");
        let whole = if failed.is_some() { "failed" } else { "passed" };
        assert_eq!(result["authentication"]["status"], whole, "{result:#}");
    }
}

/// The one result of a test of this target.
#[track_caller]
fn test(lambda: &OnLambda<'_>, target: &str) -> Value {
    let mut function = lambda.configured_function();
    let event = json!({"action": "test_connectivity", "target": target});
    let answer = function.invoke(&event).unwrap().response().unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let mut results: Vec<Value> = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    end(function, &[FIRST_PASSWORD]);
    assert_eq!(results.len(), 1, "{results:?}");
    results.remove(0)
}

#[test]
fn the_stage_that_breaks_is_told_apart_from_those_before_it() {
    let festival = Festival::start("single", 1);
    let site = Site::new(&festival);
    site.put(json!({}));
    site.check("database", ["passed"; 4], "");
    site.check(&site.lambda.arn(SECRET), ["passed"; 4], "");
    site.put(json!({"password": "another-Password/of the+application"}));
    site.check(
        SECRET,
        ["passed", "passed", "passed", "failed"],
        "is refused",
    );
    site.put(json!({"port": site.closed}));
    site.check(
        SECRET,
        ["passed", "failed", "not-tried", "not-tried"],
        "refused the connection",
    );
    site.put(json!({"host": NOWHERE}));
    site.check(
        SECRET,
        ["failed", "not-tried", "not-tried", "not-tried"],
        "does not resolve",
    );
    site.put(json!({}));
    festival.trust(&Authority::new("another authority").unwrap());
    site.check(
        SECRET,
        ["passed", "passed", "failed", "not-tried"],
        "not trusted",
    );
}

/// A probe asks only where values are set; the others are found to be there or not.
#[test]
fn servers_that_a_probe_does_not_ask_are_tried_as_well() {
    let festival = Festival::start("single", 1);
    let site = Site::new(&festival);
    let port = festival.cluster.port();
    let config = fs::read_to_string(festival.workspace.path("keyturn.toml")).unwrap();
    let readers = format!(
        "[secret.\"{SECRET}\".grant.endpoint.readers]\nmembers = [\"127.0.0.1:{port}\", \"127.0.0.1:{}\"]\n\
         tls = \"verify-full\"\nca = \"ca.pem\"\n",
        site.closed
    );
    fs::write(festival.workspace.path("keyturn.toml"), config + &readers).unwrap();
    site.put(json!({}));
    let result = test(&site.lambda, SECRET);
    let servers = result["endpoints"].as_array().unwrap();
    let found: Vec<_> = servers
        .iter()
        .map(|server| {
            let stages = STAGES.map(|stage| server[stage]["status"].as_str().unwrap());
            (server["endpoint"].as_str().unwrap(), stages)
        })
        .collect();
    let at = |port: u16| {
        servers
            .iter()
            .filter(move |server| server["member"] == format!("127.0.0.1:{port}"))
    };
    assert_eq!(
        (at(port).count(), at(site.closed).count()),
        (2, 1),
        "{result:#}"
    );
    assert!(found.contains(&("primary", ["passed"; 4])), "{result:#}");
    assert!(
        found.contains(&("readers", ["passed", "passed", "not-tried", "not-tried"])),
        "{result:#}"
    );
    assert!(
        found.contains(&("readers", ["passed", "failed", "not-tried", "not-tried"])),
        "{result:#}"
    );
}

#[test]
fn where_nobody_is_asked_there_are_no_servers() {
    let workspace = Workspace::new();
    workspace.create("festival-prod/jwt", &jwt_value().to_string());
    let result = test(&OnLambda::new(&workspace), "jwt");
    assert_eq!(
        (&result["endpoints"], &result["authentication"]["status"]),
        (&json!([]), &json!("not-tried"))
    );
}

#[test]
fn a_target_that_nobody_knows_is_an_error() {
    let workspace = Workspace::new();
    let site = OnLambda::new(&workspace);
    let mut function = site.function(&[]);
    let answer = function.invoke(&json!({"action": "test_connectivity", "target": "nobody"}));
    failed(&answer.unwrap(), "Keyturn.Store", &["nobody"]);
    end(function, &[]);
}
