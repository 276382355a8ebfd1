//! PostgreSQL and Redis through the function: secrets in the shapes of AWS's own templates with no file at all, and
//! those that a file grants.

use std::fs;
use std::net::IpAddr;

use harness::postgres::ClusterOptions;
use harness::tls::Authority;
use serde_json::{Value, json};

use super::{OnLambda, STEPS, arn, end, failed, own_address, succeeded};
use crate::support::Site as _;
use crate::support::cache::{self, Cache};
use crate::support::festival::{
    ADMIN, ADMIN_PASSWORD, CLONE, DATABASE, FIRST_PASSWORD, Festival, SECRET, USER,
};

const SHOP: &str = "shop-prod/database";
const SHOP_ADMIN: &str = "shop-prod/database-admin";
/// A role that may change nobody's password but its own.
const LONER: &str = "loner";

/// The festival's database at an address that needs no grant of its own, its CA where the function finds AWS's.
struct Shop {
    festival: Festival,
    host: IpAddr,
    ca: String,
}

impl Shop {
    /// `None` on a machine that nobody else could reach.
    fn start() -> Option<Self> {
        let Some(host) = own_address() else {
            println!("skipped: this machine has no address but its loopback");
            return None;
        };
        let authority = Authority::new("shop's authority").unwrap();
        let identity = authority.issue(&[&host.to_string()]).unwrap();
        let cluster = ClusterOptions::new()
            .conf("listen_addresses = '*'")
            .tls(identity.certificate_pem, identity.key_pem)
            .start()
            .unwrap();
        Some(Self {
            festival: Festival::without_tls(cluster),
            host,
            ca: authority.certificate_pem(),
        })
    }

    fn on_lambda(&self) -> OnLambda<'_> {
        let site = OnLambda::with_template_policy(&self.festival.workspace);
        fs::write(site.task_root().join("global-bundle.pem"), &self.ca).unwrap();
        site
    }

    /// As AWS's templates write it.
    fn value(&self, username: &str, password: &str) -> Value {
        json!({
            "engine": "postgres", "host": self.host.to_string(),
            "port": self.festival.cluster.port(), "dbname": DATABASE,
            "username": username, "password": password,
        })
    }
}

#[test]
fn a_multi_user_secret_of_awss_template_rotates_unchanged() {
    let Some(shop) = Shop::start() else { return };
    let workspace = &shop.festival.workspace;
    let admin = shop.value(ADMIN, ADMIN_PASSWORD);
    workspace.create(SHOP_ADMIN, &admin.to_string());
    let mut first = shop.value(USER, FIRST_PASSWORD);
    first["masterarn"] = json!(arn(workspace, SHOP_ADMIN));
    workspace.create(SHOP, &first.to_string());
    let site = shop.on_lambda();
    let mut function = site.function(&[]);
    site.rotate(&mut function, SHOP);
    let current = workspace.current(SHOP);
    assert_eq!(current["username"], CLONE);
    shop.festival.login(&current).unwrap();
    shop.festival.login(&first).unwrap();
    let members = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(members(&current), members(&first));
    let password = current["password"].as_str().unwrap();
    end(function, &[FIRST_PASSWORD, ADMIN_PASSWORD, password]);
}

#[test]
fn a_single_user_secret_of_awss_template_says_which_tag_it_needs() {
    let Some(shop) = Shop::start() else { return };
    let workspace = &shop.festival.workspace;
    let sql = format!(
        "SET log_statement = 'none'; CREATE ROLE {LONER} LOGIN PASSWORD '{FIRST_PASSWORD}'; \
         GRANT CONNECT ON DATABASE {DATABASE} TO {LONER}"
    );
    shop.festival.cluster.query(&sql).unwrap();
    let first = shop.value(LONER, FIRST_PASSWORD);
    workspace.create(SHOP, &first.to_string());
    let site = shop.on_lambda();
    let mut function = site.function(&[]);
    let token = site.announce(SHOP);
    let before = workspace.describe(SHOP);
    let refused = site.step(&mut function, SHOP, "createSecret", &token);
    let words = ["keyturn:strategy", "single", "Nothing was changed"];
    failed(&refused, "Keyturn.Permission", &words);
    assert_eq!(workspace.describe(SHOP), before);
    shop.festival.login(&first).unwrap();

    site.tag(SHOP, "keyturn:strategy", "single");
    let event = |step| site.event(SHOP, step, &token);
    for step in &STEPS[..2] {
        succeeded(&function.invoke(&event(step)).unwrap(), step);
    }
    // Its gap does not span two invocations.
    assert_eq!(workspace.labels(SHOP)["AWSCURRENT"], token);
    for step in &STEPS[2..] {
        succeeded(&function.invoke(&event(step)).unwrap(), step);
    }
    let current = workspace.current(SHOP);
    shop.festival.login(&current).unwrap();
    shop.festival.is_dead(&first);
    end(
        function,
        &[FIRST_PASSWORD, current["password"].as_str().unwrap()],
    );
}

#[test]
fn a_certificate_of_nobody_known_is_refused_where_no_file_grants_anything() {
    let Some(shop) = Shop::start() else { return };
    let workspace = &shop.festival.workspace;
    let admin = shop.value(ADMIN, ADMIN_PASSWORD);
    workspace.create(SHOP_ADMIN, &admin.to_string());
    let mut first = shop.value(USER, FIRST_PASSWORD);
    first["masterarn"] = json!(SHOP_ADMIN);
    workspace.create(SHOP, &first.to_string());
    let site = shop.on_lambda();
    fs::remove_file(site.task_root().join("global-bundle.pem")).unwrap();
    let mut function = site.function(&[]);
    let token = site.announce(SHOP);
    succeeded(
        &site.step(&mut function, SHOP, "createSecret", &token),
        "createSecret",
    );
    let refused = site.step(&mut function, SHOP, "setSecret", &token);
    failed(&refused, "Keyturn.Tls", &["not trusted"]);
    shop.festival.login(&first).unwrap();
    end(function, &[FIRST_PASSWORD, ADMIN_PASSWORD]);
}

#[test]
fn a_database_that_a_file_grants_rotates_and_waits_for_its_grace() {
    let festival = Festival::start("alternating", 3600);
    let site = OnLambda::new(&festival.workspace);
    let mut function = site.configured_function();
    let first = festival.workspace.current(SECRET);
    site.rotate(&mut function, SECRET);
    festival.current_logs_in();
    festival.login(&first).unwrap();
    // The first user is promised to work for an hour, and the next rotation would take it.
    let token = site.announce(SECRET);
    let refused = site.step(&mut function, SECRET, "createSecret", &token);
    failed(&refused, "Keyturn.WithinGrace", &["promised to work"]);
    site.withdraw(SECRET, &token);
    festival.current_logs_in();
    end(function, &[FIRST_PASSWORD, ADMIN_PASSWORD]);
}

#[test]
fn a_redis_password_rotates_on_every_node() {
    let cache = Cache::start(1, 3600);
    let site = OnLambda::new(&cache.workspace);
    let mut function = site.configured_function();
    let first = cache.workspace.current(cache::SECRET);
    site.rotate(&mut function, cache::SECRET);
    cache.current_logs_in();
    cache.login(&first).unwrap();
    let current = cache.workspace.current(cache::SECRET);
    end(
        function,
        &[cache::FIRST_PASSWORD, current["password"].as_str().unwrap()],
    );
}
