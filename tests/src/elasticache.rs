//! Answers as ElastiCache's API does about users and AUTH tokens, written from AWS's reference, and changes the users
//! of a real Redis as ElastiCache would: some looks after it was told to. Requests must be signed.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use crate::https::{HttpsServer, Request, Response};
use crate::local::lock;
use crate::redis::{Server, sha256};
use crate::signature::{Credentials, Verifier};
use crate::tls::Identity;
use crate::vendors::pairs;

pub const REGION: &str = "eu-west-1";
const XMLNS: &str = "http://elasticache.amazonaws.com/doc/2015-02-02/";

/// A running API. Dropping it stops it.
pub struct ElastiCacheLike {
    server: HttpsServer,
    service: Arc<Mutex<Service>>,
    pub credentials: Credentials,
}

/// What the API knows, and the cache whose users it changes.
pub struct Service {
    cache: Arc<Server>,
    /// By user id, or by the name of a replication group.
    holders: BTreeMap<String, Holder>,
    /// What was accepted: `ModifyUser 2`, `ModifyReplicationGroup ROTATE`.
    pub changes: Vec<String>,
    /// So many requests are still answered with this error.
    pub refusals: (u32, &'static str),
    /// How many looks find a change still under way.
    pub looks: u32,
}

struct Holder {
    /// What clients log in as.
    user: String,
    /// The latest last.
    passwords: Vec<String>,
    /// Not changed yet, and the looks until it is.
    changing: Option<(Vec<String>, u32)>,
}

impl ElastiCacheLike {
    /// On a free port of 127.0.0.1.
    pub fn start(identity: &Identity, service: Service) -> io::Result<Self> {
        let credentials = Credentials {
            key_id: "ASIAKEYTURNMADEUP001".to_owned(),
            secret: "made-up/Secret+of+an+access+key+0123456789".to_owned(),
            token: "made-up/Session+token/0123456789==".to_owned(),
        };
        let verifier = Verifier {
            credentials: credentials.clone(),
            region: REGION,
            service: "elasticache",
            must_cover: &["content-type", "host", "x-amz-date", "x-amz-security-token"],
        };
        let service = Arc::new(Mutex::new(service));
        let asked = Arc::clone(&service);
        let server = HttpsServer::start(identity, move |request| {
            match verifier.verify(request, SystemTime::now()) {
                Ok(()) => lock(&asked).answer(request),
                Err(code) => refusal(403, code),
            }
        })?;
        Ok(Self {
            server,
            service,
            credentials,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Method and path of each request so far, refused ones included.
    pub fn requests(&self) -> Vec<String> {
        self.server.requests()
    }

    /// Looks at the service, or changes it, as somebody does in AWS's console.
    pub fn with<T>(&self, work: impl FnOnce(&mut Service) -> T) -> T {
        work(&mut lock(&self.service))
    }
}

impl Service {
    /// Nobody is known yet.
    pub fn new(cache: Arc<Server>) -> Self {
        Self {
            cache,
            holders: BTreeMap::new(),
            changes: Vec::new(),
            refusals: (0, ""),
            looks: 1,
        }
    }

    /// A user, or a replication group, whose user is `default`. The cache has that password already.
    pub fn add(&mut self, id: &str, user: &str, password: &str) {
        let holder = Holder {
            user: user.to_owned(),
            passwords: vec![password.to_owned()],
            changing: None,
        };
        self.holders.insert(id.to_owned(), holder);
    }

    /// Gives it these passwords at once, the latest last.
    pub fn put(&mut self, id: &str, passwords: &[&str]) {
        if let Some(holder) = self.holders.get_mut(id) {
            holder.passwords = passwords
                .iter()
                .map(|&password| password.to_owned())
                .collect();
            holder.apply(&self.cache);
        }
    }

    /// The latest last.
    pub fn passwords(&self, id: &str) -> Vec<String> {
        let holder = self.holders.get(id);
        holder.map_or_else(Vec::new, |holder| holder.passwords.clone())
    }

    /// A request that is known to come from whom it says.
    pub fn answer(&mut self, request: &Request) -> Response {
        let fields: BTreeMap<String, String> = pairs(&request.body).collect();
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        if request.asked != "POST /" || field("Version") != "2015-02-02" {
            return refusal(400, "InvalidAction");
        }
        if let (1.., code) = self.refusals {
            self.refusals.0 -= 1;
            return refusal(400, code);
        }
        match field("Action") {
            "DescribeUsers" => self.describe_user(field("UserId")),
            "ModifyUser" => {
                let passwords =
                    (1..).map_while(|number| fields.get(&format!("Passwords.member.{number}")));
                self.modify_user(field("UserId"), passwords.cloned().collect())
            }
            "DescribeReplicationGroups" => self.describe_group(field("ReplicationGroupId")),
            "ModifyReplicationGroup" if field("ApplyImmediately") == "true" => self.modify_group(
                field("ReplicationGroupId"),
                field("AuthToken"),
                field("AuthTokenUpdateStrategy"),
            ),
            _ => refusal(400, "InvalidAction"),
        }
    }

    fn describe_user(&mut self, id: &str) -> Response {
        let Some(holder) = self.holders.get_mut(id) else {
            return refusal(404, "UserNotFound");
        };
        let status = holder.look(&self.cache, "active");
        let user = holder.as_user(id, status);
        answer(
            "DescribeUsers",
            &format!("<Users><member>{user}</member></Users>"),
        )
    }

    fn modify_user(&mut self, id: &str, passwords: Vec<String>) -> Response {
        let Some(holder) = self.holders.get_mut(id) else {
            return refusal(404, "UserNotFound");
        };
        let fits = |password: &String| (16..=128).contains(&password.len());
        if !(1..=2).contains(&passwords.len()) || !passwords.iter().all(fits) {
            return refusal(400, "InvalidParameterValue");
        }
        if holder.changing.is_some() {
            return refusal(400, "InvalidUserState");
        }
        self.changes.push(format!("ModifyUser {}", passwords.len()));
        holder.changing = Some((passwords, self.looks));
        answer("ModifyUser", &holder.as_user(id, "modifying"))
    }

    fn describe_group(&mut self, id: &str) -> Response {
        let Some(holder) = self.holders.get_mut(id) else {
            return refusal(404, "ReplicationGroupNotFoundFault");
        };
        let status = holder.look(&self.cache, "available");
        let group = as_group(id, status);
        answer(
            "DescribeReplicationGroups",
            &format!("<ReplicationGroups>{group}</ReplicationGroups>"),
        )
    }

    fn modify_group(&mut self, id: &str, token: &str, strategy: &str) -> Response {
        let Some(holder) = self.holders.get_mut(id) else {
            return refusal(404, "ReplicationGroupNotFoundFault");
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || "!&#$^<>-".contains(c);
        if !(16..=128).contains(&token.len()) || !token.chars().all(fits) {
            return refusal(400, "InvalidParameterValue");
        }
        if holder.changing.is_some() {
            return refusal(400, "InvalidReplicationGroupState");
        }
        let latest = holder.passwords.last().cloned().unwrap_or_default();
        let tokens = match strategy {
            "ROTATE" if latest == token => vec![latest],
            "ROTATE" => vec![latest, token.to_owned()],
            "SET" if holder.passwords.len() == 1 || latest == token => vec![token.to_owned()],
            _ => return refusal(400, "InvalidParameterValue"),
        };
        self.changes
            .push(format!("ModifyReplicationGroup {strategy}"));
        holder.changing = Some((tokens, self.looks));
        let group = as_group(id, "modifying");
        answer("ModifyReplicationGroup", &group)
    }
}

impl Holder {
    /// The state that a look finds.
    fn look(&mut self, cache: &Server, settled: &'static str) -> &'static str {
        match &mut self.changing {
            None => return settled,
            Some((_, looks @ 1..)) => {
                *looks -= 1;
                return "modifying";
            }
            Some((passwords, 0)) => self.passwords = std::mem::take(passwords),
        }
        self.changing = None;
        self.apply(cache);
        settled
    }

    /// # Panics
    /// If the cache refuses it.
    #[allow(clippy::expect_used)]
    fn apply(&self, cache: &Server) {
        let hashes = self
            .passwords
            .iter()
            .map(|password| format!("#{}", sha256(password)));
        let hashes: Vec<String> = hashes.collect();
        let mut words = vec!["ACL", "SETUSER", &self.user, "resetpass"];
        words.extend(hashes.iter().map(String::as_str));
        // No test has the cache down while it is changed: a rotation would only hide it.
        cache.command(&words).expect("the cache takes the change");
    }

    fn as_user(&self, id: &str, status: &str) -> String {
        format!(
            "<UserId>{id}</UserId><UserName>{}</UserName><Status>{status}</Status><Engine>redis</Engine>\
             <MinimumEngineVersion>6.0</MinimumEngineVersion><AccessString>on ~* +@all</AccessString>\
             <UserGroupIds><member>festival</member></UserGroupIds>\
             <Authentication><Type>password</Type><PasswordCount>{}</PasswordCount></Authentication>\
             <ARN>{}</ARN>",
            self.user,
            self.passwords.len(),
            arn(id)
        )
    }
}

/// Of a user.
pub fn arn(id: &str) -> String {
    format!("arn:aws:elasticache:{REGION}:123456789012:user:{id}")
}

fn as_group(id: &str, status: &str) -> String {
    format!(
        "<ReplicationGroup><ReplicationGroupId>{id}</ReplicationGroupId><Description>the festival's</Description>\
         <Status>{status}</Status><PendingModifiedValues/><MemberClusters><ClusterId>{id}-001</ClusterId>\
         <ClusterId>{id}-002</ClusterId></MemberClusters><AuthTokenEnabled>true</AuthTokenEnabled>\
         <TransitEncryptionEnabled>true</TransitEncryptionEnabled></ReplicationGroup>"
    )
}

fn answer(action: &str, result: &str) -> Response {
    xml(
        200,
        format!(
            "<{action}Response xmlns=\"{XMLNS}\"><{action}Result>{result}</{action}Result><ResponseMetadata>\
             <RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId></ResponseMetadata></{action}Response>"
        ),
    )
}

fn refusal(status: u16, code: &str) -> Response {
    xml(
        status,
        format!(
            "<ErrorResponse xmlns=\"{XMLNS}\"><Error><Type>Sender</Type><Code>{code}</Code><Message>&quot;no&quot; \
             </Message></Error><RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId></ErrorResponse>"
        ),
    )
}

fn xml(status: u16, body: String) -> Response {
    Response {
        status,
        content_type: "text/xml",
        // A test need not be as patient as a service wants its clients to be.
        headers: vec![("retry-after", "0".to_owned())],
        body,
    }
}
