//! ElastiCache's API, played by the harness, changes the users of a real server. Every call of the plugin is one step,
//! so that it can be looked at in the middle of a change.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use harness::elasticache::{Service, arn};
use harness::https;
use harness::redis::{Server, ServerOptions, sha256};
use keyturn_plugin_redis::Redis;
use keyturn_sdk::endpoint::{NetError, NetErrorKind};
use keyturn_sdk::fake::{self, Host, Installed, Tcp, net_error};
use keyturn_sdk::http::{Request, Response};
use keyturn_sdk::{
    Applied, Context, Error, ErrorKind, Level, Liveness, OtherVersion, Outcome, Rotator, Standing,
    Status, Version,
};

use crate::common::{USER, address, create, logs_in, member, probe, promote, retire, set, test};

const FIRST: &str = "First-password-of-the-cache";
const SECOND: &str = "Second-password-of-the-cache";
const THIRD: &str = "Third-password-of-the-cache";
const ID: &str = "festival-1";

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Open,
    /// It arrives, and its answer does not.
    AnswerLost,
    /// It does not arrive.
    Closed,
    /// Whatever would be changed, AWS does not take it.
    Unfit,
}

struct Site {
    cache: Arc<Server>,
    service: Rc<RefCell<Service>>,
    way: Rc<RefCell<Way>>,
    strategy: &'static str,
    _host: Installed,
}

impl Site {
    fn start(strategy: &'static str) -> Self {
        let user = if strategy == "elasticache-user" {
            USER
        } else {
            "default"
        };
        let rules = format!("{user} on #{} ~* +@all -@dangerous -acl", sha256(FIRST));
        let cache = Arc::new(ServerOptions::new().user(rules).start().unwrap());
        let mut service = Service::new(Arc::clone(&cache));
        service.add(ID, user, FIRST);
        let (service, way) = (
            Rc::new(RefCell::new(service)),
            Rc::new(RefCell::new(Way::Open)),
        );
        let (asked, taken) = (Rc::clone(&service), Rc::clone(&way));
        let api = move |request: &Request| answer(&asked, *taken.borrow(), request);
        let host = Host::new()
            .endpoint("nodes", Tcp::plaintext(&[&address(&cache)]))
            .signed_http("elasticache", "elasticache", api)
            .install();
        Self {
            cache,
            service,
            way,
            strategy,
            _host: host,
        }
    }

    fn value(&self, password: &str) -> String {
        match self.strategy {
            "elasticache-user" => format!(
                r#"{{"username":"{USER}","password":"{password}","user_arn":"{}","x":1.50}}"#,
                arn(ID)
            ),
            _ => format!(r#"{{"host":"h","replication_group_id":"{ID}","password":"{password}"}}"#),
        }
    }

    fn context(&self) -> Context {
        fake::context(self.strategy, &self.value(FIRST))
    }

    fn version(&self, id: &str, password: &str) -> Version {
        fake::version(id, &self.value(password))
    }

    fn changes(&self) -> Vec<String> {
        std::mem::take(&mut self.service.borrow_mut().changes)
    }

    /// Gives the holder passwords by hand, the latest last.
    fn put(&self, passwords: &[&str]) {
        self.service.borrow_mut().put(ID, passwords);
    }
}

fn answer(service: &RefCell<Service>, way: Way, request: &Request) -> Result<Response, NetError> {
    let signed = request
        .headers
        .iter()
        .find(|(name, _)| name == "authorization");
    assert_eq!(
        signed.unwrap().1,
        "AWS4-HMAC-SHA256 elasticache",
        "nobody signed it"
    );
    if way == Way::Closed {
        return Err(net_error(NetErrorKind::Refused, "nobody listens", false));
    }
    let text = String::from_utf8_lossy(request.body.as_ref().unwrap());
    let changes = !text.contains("Action=Describe");
    if way == Way::Unfit && changes {
        let code = "<Code>InvalidParameterValue</Code>";
        return Ok(Response {
            status: 400,
            headers: Vec::new(),
            body: format!("<ErrorResponse><Error>{code}</Error></ErrorResponse>").into_bytes(),
        });
    }
    let answered = service.borrow_mut().answer(&https::Request {
        asked: format!("{} {}", request.method, request.path),
        names: None,
        bearer: None,
        headers: Vec::new(),
        body: request.body.clone().unwrap(),
    });
    if way == Way::AnswerLost && changes {
        return Err(net_error(
            NetErrorKind::Reset,
            "the connection was cut",
            true,
        ));
    }
    let headers = answered.headers.into_iter();
    Ok(Response {
        status: answered.status,
        headers: headers
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        body: answered.body.into_bytes(),
    })
}

/// Calls again for as long as patience is asked for, a few times.
fn patiently(mut call: impl FnMut() -> Result<Outcome, Error>) -> Outcome {
    for _ in 0..10 {
        let outcome = call().unwrap();
        if !matches!(outcome.status, Status::Pending(_)) {
            return outcome;
        }
    }
    panic!("it never ends");
}

fn rotates(site: &Site, changes: [&str; 2]) {
    site.service.borrow_mut().looks = 2;
    let mut ctx = site.context();
    let (first, candidate) = (ctx.current.clone(), create(&ctx, "v2"));
    assert!(!logs_in(&site.cache, &candidate));
    // Under way: nothing is known of the candidate, and AWSCURRENT works.
    assert!(matches!(
        set(&ctx, &candidate).unwrap().status,
        Status::Pending(0)
    ));
    assert!(matches!(
        test(&ctx, &candidate).unwrap().status,
        Status::Pending(_)
    ));
    let unsure = probe(&ctx, &candidate).unwrap_err();
    assert_eq!((unsure.kind, unsure.retryable), (ErrorKind::Conflict, true));
    assert!(logs_in(&site.cache, &first));

    let outcome = patiently(|| set(&ctx, &candidate));
    assert!(matches!(outcome.status, Status::Unchanged));
    assert!(logs_in(&site.cache, &first) && logs_in(&site.cache, &candidate));
    assert!(matches!(
        test(&ctx, &candidate).unwrap().status,
        Status::Done
    ));
    assert_eq!(probe(&ctx, &candidate).unwrap().liveness, Liveness::Live);
    assert_eq!(site.changes(), changes[..1]);

    promote(&mut ctx, candidate.clone());
    assert!(matches!(
        retire(&ctx, &first).unwrap().status,
        Status::Pending(_)
    ));
    patiently(|| retire(&ctx, &first));
    assert!(!logs_in(&site.cache, &first) && logs_in(&site.cache, &candidate));
    assert_eq!(probe(&ctx, &first).unwrap().liveness, Liveness::Dead);
    assert_eq!(site.changes(), changes[1..]);
    // Once more: nothing is left to do.
    assert!(matches!(
        retire(&ctx, &first).unwrap().status,
        Status::Unchanged
    ));
    assert_eq!(site.changes(), [""; 0]);
}

#[test]
fn a_user_has_both_passwords_until_the_old_one_is_retired() {
    rotates(
        &Site::start("elasticache-user"),
        ["ModifyUser 2", "ModifyUser 1"],
    );
}

#[test]
fn a_group_has_both_tokens_until_the_old_one_is_retired() {
    let changes = [
        "ModifyReplicationGroup ROTATE",
        "ModifyReplicationGroup SET",
    ];
    rotates(&Site::start("elasticache-auth-token"), changes);
}

#[test]
fn a_secret_of_awss_own_rotation_function_keeps_its_shape() {
    let site = Site::start("elasticache-user");
    let made = create(&site.context(), "v2");
    let password = member(&made, "password").unwrap();
    assert_eq!(made.value.expose(), site.value(&password));
}

#[test]
fn a_token_holds_what_elasticache_takes() {
    let site = Site::start("elasticache-auth-token");
    for _ in 0..50 {
        let token = member(&create(&site.context(), "v2"), "password").unwrap();
        let fits = |c: char| c.is_ascii_alphanumeric() || "!&#$^<>-".contains(c);
        assert!(
            (16..=128).contains(&token.len()) && token.chars().all(fits),
            "{token}"
        );
    }
    let ctx = site.context();
    for unfit in [
        "too-short",
        "with/a/slash/that/no/token/may/have",
        &"x".repeat(129),
    ] {
        let error = set(&ctx, &site.version("v2", unfit)).unwrap_err();
        assert_eq!(
            (error.kind, error.applied),
            (ErrorKind::InvalidSecret, Applied::No)
        );
    }
    assert_eq!(site.changes(), [""; 0]);
}

/// A third token would push out the older of two: whatever is older than AWSCURRENT, or newer and in doubt, goes first.
#[test]
fn awscurrents_token_is_never_pushed_out() {
    for tokens in [[THIRD, FIRST], [FIRST, THIRD]] {
        let site = Site::start("elasticache-auth-token");
        site.put(&tokens);
        let mut ctx = site.context();
        let other = site.version("v0", THIRD);
        ctx.others = vec![OtherVersion {
            standing: Standing::InDoubt,
            version: other.clone(),
        }];
        let candidate = site.version("v2", SECOND);
        for _ in 0..20 {
            assert!(logs_in(&site.cache, &ctx.current), "{:?}", site.changes());
            if !matches!(set(&ctx, &candidate).unwrap().status, Status::Pending(_)) {
                break;
            }
        }
        assert!(logs_in(&site.cache, &ctx.current) && logs_in(&site.cache, &candidate));
        assert!(!logs_in(&site.cache, &other));
    }
}

/// As it is withdrawn after a crash.
#[test]
fn a_newer_token_in_doubt_is_killed() {
    let site = Site::start("elasticache-auth-token");
    site.put(&[FIRST, THIRD]);
    let (ctx, newer) = (site.context(), site.version("v2", THIRD));
    patiently(|| {
        assert!(logs_in(&site.cache, &ctx.current));
        retire(&ctx, &newer)
    });
    assert!(logs_in(&site.cache, &ctx.current) && !logs_in(&site.cache, &newer));
    assert_eq!(
        site.changes(),
        [
            "ModifyReplicationGroup ROTATE",
            "ModifyReplicationGroup SET"
        ]
    );
}

#[test]
fn a_lost_answer_leaves_the_candidate_in_doubt_and_set_goes_on() {
    for strategy in ["elasticache-user", "elasticache-auth-token"] {
        let site = Site::start(strategy);
        let (ctx, candidate) = (site.context(), create(&site.context(), "v2"));
        *site.way.borrow_mut() = Way::AnswerLost;
        let error = set(&ctx, &candidate).unwrap_err();
        assert_eq!(
            (error.applied, error.retryable),
            (Applied::Unknown, true),
            "{error}"
        );
        *site.way.borrow_mut() = Way::Open;
        patiently(|| set(&ctx, &candidate));
        assert!(logs_in(&site.cache, &ctx.current) && logs_in(&site.cache, &candidate));
        assert_eq!(site.changes().len(), 1, "it was sent once");
    }
}

/// Another candidate would help where this one is not taken, and not where AWSCURRENT's token is not.
#[test]
fn what_aws_does_not_take_is_a_rejection_of_the_candidate_alone() {
    for strategy in ["elasticache-user", "elasticache-auth-token"] {
        let site = Site::start(strategy);
        *site.way.borrow_mut() = Way::Unfit;
        let mut ctx = site.context();
        let candidate = site.version("v2", SECOND);
        let error = set(&ctx, &candidate).unwrap_err();
        assert_eq!(
            (error.kind, error.applied),
            (ErrorKind::Rejected, Applied::No)
        );
        if strategy == "elasticache-auth-token" {
            site.put(&[THIRD, FIRST]);
            ctx.others = vec![OtherVersion {
                standing: Standing::Previous,
                version: site.version("v0", THIRD),
            }];
            let error = set(&ctx, &candidate).unwrap_err();
            assert_eq!((error.kind, error.applied), (ErrorKind::Other, Applied::No));
        }
    }
}

#[test]
fn what_did_not_arrive_changed_nothing() {
    let site = Site::start("elasticache-user");
    let (ctx, candidate) = (site.context(), create(&site.context(), "v2"));
    *site.way.borrow_mut() = Way::Closed;
    for error in [
        set(&ctx, &candidate).unwrap_err(),
        test(&ctx, &candidate).unwrap_err(),
        probe(&ctx, &candidate).unwrap_err(),
        retire(&ctx, &candidate).unwrap_err(),
    ] {
        assert_eq!(
            (error.kind, error.applied),
            (ErrorKind::Unreachable, Applied::No)
        );
    }
    assert_eq!(site.changes(), [""; 0]);
}

/// AWSCURRENT is not the password that works: nothing that does is taken away.
#[test]
fn the_last_password_that_works_is_spared() {
    let site = Site::start("elasticache-user");
    let candidate = site.version("v2", SECOND);
    let mut ctx = fake::context("elasticache-user", &site.value(THIRD));
    let error = set(&ctx, &candidate).unwrap_err();
    assert_eq!((error.kind, error.applied), (ErrorKind::Auth, Applied::No));
    assert!(error.message.contains("no known password"), "{error}");
    ctx.others = vec![OtherVersion {
        standing: Standing::Previous,
        version: site.version("v0", FIRST),
    }];
    let error = set(&ctx, &candidate).unwrap_err();
    assert!(error.message.contains("version v0 does"), "{error}");
    let error = retire(&ctx, &site.version("v0", FIRST)).unwrap_err();
    assert!(error.message.contains("it was kept"), "{error}");
    assert!(logs_in(&site.cache, &site.version("v0", FIRST)));
    assert_eq!(site.changes(), [""; 0]);
}

#[test]
fn a_password_that_nobody_knows_is_reported_before_it_ends() {
    let site = Site::start("elasticache-user");
    site.put(&[THIRD, FIRST]);
    let ctx = site.context();
    let found = Redis::check(&ctx).unwrap();
    let warned = |found: &[keyturn_sdk::Finding]| {
        found
            .iter()
            .any(|one| one.id == "strange-passwords" && one.level == Level::Warning)
    };
    assert!(warned(&found), "{found:?}");
    let outcome = set(&ctx, &create(&ctx, "v2")).unwrap();
    assert!(warned(&outcome.findings), "{outcome:?}");
}

#[test]
fn preflight_finds_nothing_wrong_where_nothing_is() {
    for strategy in ["elasticache-user", "elasticache-auth-token"] {
        let site = Site::start(strategy);
        let found = Redis::check(&site.context()).unwrap();
        assert!(found.iter().all(|one| one.level == Level::Ok), "{found:?}");
        assert_eq!(found.last().unwrap().id, "login");
        assert_eq!(site.changes(), [""; 0]);
    }
}

#[track_caller]
fn refused_at_once(ctx: &Context, candidate: &str, words: &str) {
    let error = set(ctx, &fake::version("v2", candidate)).unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (ErrorKind::InvalidSecret, Applied::No)
    );
    assert!(error.message.contains(words), "{error}");
}

#[test]
fn a_secret_that_names_another_user_is_refused() {
    let site = Site::start("elasticache-user");
    let named = format!("\"{USER}\"");
    let value = site.value(FIRST).replace(&named, "\"stranger\"");
    let ctx = fake::context("elasticache-user", &value);
    refused_at_once(&ctx, &value, "logs in as `festival`");
    let value = site
        .value(FIRST)
        .replace(&arn(ID), "arn:aws:elasticache:eu-west-1:1:cluster:x");
    let ctx = fake::context("elasticache-user", &value);
    refused_at_once(&ctx, &value, "not the ARN of an ElastiCache user");
    let value = site.value(FIRST).replace(ID, "nobody-1");
    let ctx = fake::context("elasticache-user", &value);
    refused_at_once(&ctx, &value, "account and region");
    let value =
        format!(r#"{{"username":"app","replication_group_id":"{ID}","password":"{FIRST}"}}"#);
    let ctx = fake::context("elasticache-auth-token", &value);
    refused_at_once(&ctx, &value, "leave `username` out");
    assert_eq!(site.changes(), [""; 0]);
}

#[track_caller]
fn check_refusal(code: &'static str, kind: ErrorKind, retryable: bool, words: &str) {
    let site = Site::start("elasticache-user");
    site.service.borrow_mut().refusals = (1, code);
    let ctx = site.context();
    let error = set(&ctx, &create(&ctx, "v2")).unwrap_err();
    assert_eq!(
        (error.kind, error.applied, error.retryable),
        (kind, Applied::No, retryable),
        "{code}"
    );
    assert_eq!(error.code.as_deref(), Some(code));
    assert!(error.message.contains(words), "{error}");
}

#[test]
fn what_aws_refuses_is_told_by_its_code() {
    check_refusal("Throttling", ErrorKind::Throttled, true, "try again");
    check_refusal(
        "AccessDenied",
        ErrorKind::Permission,
        false,
        "elasticache:DescribeUsers",
    );
    check_refusal(
        "SignatureDoesNotMatch",
        ErrorKind::Auth,
        false,
        "credentials",
    );
    check_refusal("ExpiredToken", ErrorKind::Auth, false, "credentials");
    check_refusal("RequestExpired", ErrorKind::Auth, false, "clock");
    check_refusal("UserNotFound", ErrorKind::InvalidSecret, false, "region");
    check_refusal("OptInRequired", ErrorKind::Other, false, "details");
}
