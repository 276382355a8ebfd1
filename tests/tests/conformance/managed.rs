//! The redis plugin's strategies for ElastiCache, whose API the harness plays before a real Redis.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_credential_types::Credentials;
use harness::elasticache::{ElastiCacheLike, REGION, Service, arn};
use harness::redis::{Server, ServerOptions, sha256};
use keyturn_conformance::Scene;
use keyturn_runtime::{AwsIdentity, Identifying};
use serde_json::{Value, json};

use crate::first_party::{Trust, shipped_is_fit};
use crate::support::Place;

pub(crate) const STRATEGIES: &[(&str, &str)] = &[
    ("redis", "elasticache-user"),
    ("redis", "elasticache-auth-token"),
];

const PASSWORD: &str = "First-password-of-the-managed-cache";
const GROUP: &str = "festival-cache";

/// ElastiCache changes all nodes or none.
const ALL_NODES: &[&str] = &["mixed"];

struct Own(Credentials);

impl AwsIdentity for Own {
    fn credentials(&self) -> Identifying<'_> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

#[test]
fn redis_with_a_user_of_elasticaches_is_fit() {
    let value = |user: &str| json!({"username": user, "user_arn": arn(&id_of(user))});
    let others = [value("shut_out"), value("open_to_all")];
    is_fit(
        "elasticache-user",
        &value("festival"),
        Some(others),
        ALL_NODES,
    );
}

/// There is one user, so that none can lack a right.
#[test]
fn redis_with_an_auth_token_of_elasticaches_is_fit() {
    let value = json!({"replication_group_id": GROUP});
    let open = [&["permission"], ALL_NODES].concat();
    is_fit("elasticache-auth-token", &value, None, &open);
}

fn id_of(user: &str) -> String {
    format!("{}-1", user.replace('_', "-"))
}

/// A cache and what ElastiCache knows of its users: one that lacks a right and one whom any password opens among them,
/// or `default` alone.
fn cache(trust: &Trust, is_user: bool) -> (Arc<Server>, Service) {
    const RULES: &str = "+@all -@dangerous -acl";
    let users: &[_] = match is_user {
        true => &[
            ("festival", RULES),
            ("shut_out", "-@all +auth"),
            ("open_to_all", "+@all -@dangerous -acl nopass"),
        ],
        false => &[("default", RULES)],
    };
    let identity = trust.authority.issue(&["127.0.0.1"]).unwrap();
    let mut options = ServerOptions::new().tls(identity.certificate_pem, identity.key_pem);
    for (user, rules) in users {
        options = options.user(format!("{user} on #{} ~* {rules}", sha256(PASSWORD)));
    }
    let cache = Arc::new(options.start().unwrap());
    let mut service = Service::new(Arc::clone(&cache));
    for (user, _) in users {
        match is_user {
            true => service.add(&id_of(user), user, PASSWORD),
            false => service.add(GROUP, user, PASSWORD),
        }
    }
    (cache, service)
}

/// `others`: a value that lacks a right, and one of a user whom any password opens.
fn is_fit(strategy: &str, value: &Value, others: Option<[Value; 2]>, open: &[&str]) {
    let trust = Trust::new();
    let is_user = others.is_some();
    let (cache, service) = cache(&trust, is_user);
    let name = format!("elasticache.{REGION}.amazonaws.com");
    let identity = trust.authority.issue(&[&name]).unwrap();
    let api = Arc::new(ElastiCacheLike::start(&identity, service).unwrap());
    let own = api.credentials.clone();
    let own = Credentials::new(own.key_id, own.secret, Some(own.token), None, "made up");
    let whole = |value: &Value| {
        let mut value = value.clone();
        value["host"] = json!("127.0.0.1");
        value["port"] = json!(cache.tls_port());
        value["password"] = json!(PASSWORD);
        value.to_string()
    };
    let [unprivileged, unprotected] = match &others {
        Some(others) => others.each_ref().map(|value| Some(whole(value))),
        None => [None, None],
    };
    let address = format!("{name}:443");
    let scene = Scene {
        secret: whole(value),
        strategy: Some(strategy.to_owned()),
        settings: json!({}),
        endpoints: BTreeMap::from([("elasticache".to_owned(), vec![address.clone()])]),
        reached_at: BTreeMap::from([(address, api.address().to_string())]),
        tls: trust.tls(),
        unprivileged,
        unprotected,
        ..Scene::default()
    };
    let mut place = Place::of(scene, true);
    place.identity = Some(Arc::new(Own(own)));
    if !is_user {
        let (opening, door) = (Arc::clone(&api), Arc::clone(&cache));
        place.open_to_all = Some(Box::new(move |on| {
            if on {
                door.command(&["ACL", "SETUSER", "default", "nopass"])
                    .unwrap();
                return;
            }
            opening.with(|service| {
                let known = service.passwords(GROUP);
                let known: Vec<_> = known.iter().map(String::as_str).collect();
                service.put(GROUP, &known);
            });
        }));
    }
    shipped_is_fit("redis", strategy, &place, open);
}
