//! Requests that the host signs: what a plugin can do about that, and what it sees of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use harness::https::{HttpsServer, Response};
use harness::signature::{self, Verifier};
use harness::tls::Authority;
use keyturn_runtime::{AwsIdentity, Clock, Identifying, RuntimeOptions};

use crate::support::*;

const SECRET: &str = "made-up/Secret+of+an+access+key+0123456789";
const TOKEN: &str = "made-up/Session+token/0123456789==";
const NOW_MS: u64 = 1_767_312_000_000;

struct Own;

impl AwsIdentity for Own {
    fn credentials(&self) -> Identifying<'_> {
        let token = Some(TOKEN.to_owned());
        Box::pin(async { Ok(Credentials::new("ASIAMADEUP", SECRET, token, None, "test")) })
    }
}

struct Standing;

impl Clock for Standing {
    fn now_ms(&self) -> u64 {
        NOW_MS
    }
}

fn options(identity: Arc<dyn AwsIdentity>) -> RuntimeOptions {
    RuntimeOptions {
        identity,
        clock: Arc::new(Standing),
        ..RuntimeOptions::default()
    }
}

fn signed_manifest() -> String {
    let endpoint = "[endpoint.api]\nfrom = { host = \"api.example.com\", port = 443 }\n";
    MANIFEST.replace(endpoint, &format!("{endpoint}sign = \"elasticache\"\n"))
}

struct Site {
    server: HttpsServer,
    ca: tempfile::NamedTempFile,
}

impl Site {
    /// A service that says whether the signature is right, and repeats what the request said.
    fn start() -> Self {
        let authority = Authority::new("signing").unwrap();
        let verifier = Verifier {
            credentials: signature::Credentials {
                key_id: "ASIAMADEUP".into(),
                secret: SECRET.into(),
                token: TOKEN.into(),
            },
            region: "eu-west-1",
            service: "elasticache",
            must_cover: &["host", "x-amz-date", "x-amz-security-token"],
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW_MS);
        let identity = authority.issue(&["127.0.0.1"]).unwrap();
        let server = HttpsServer::start(&identity, move |request| {
            let token = request
                .headers
                .iter()
                .find(|(name, _)| name == "x-amz-security-token");
            let said = match verifier.verify(request, now) {
                Ok(()) => "right",
                Err(code) => code,
            };
            let token = token.map_or("none", |(_, value)| value.as_str());
            Response {
                status: 200,
                content_type: "text/plain",
                headers: Vec::new(),
                body: format!("{said}, token {token}"),
            }
        });
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), authority.certificate_pem()).unwrap();
        Self {
            server: server.unwrap(),
            ca,
        }
    }

    fn grant(&self, more: &str) -> String {
        format!(
            "endpoint.api = {{ hosts = [\"127.0.0.1\"], ports = [{}], ca = {:?}, {more} }}",
            self.server.address().port(),
            self.ca.path()
        )
    }
}

const SIGNED: &str = "sign = true, region = \"eu-west-1\"";

#[tokio::test]
async fn the_host_signs_what_it_sends_and_keeps_its_keys() {
    let site = Site::start();
    let (plugin, _) = load_with(options(Arc::new(Own)), &signed_manifest()).await;
    let script = "http api POST /;http api GET / accept";
    let found = steps(&plugin, &site.grant(SIGNED), script, "{}").await;
    assert_eq!(found, ["200 right, token [secret]"; 2]);
    let other = "sign = true, region = \"eu-west-2\"";
    let found = steps(&plugin, &site.grant(other), "http api POST /", "{}").await;
    assert_eq!(found, ["200 SignatureDoesNotMatch, token [secret]"]);
}

#[tokio::test]
async fn a_plugin_cannot_sign_itself() {
    let site = Site::start();
    let (plugin, _) = load_with(options(Arc::new(Own)), &signed_manifest()).await;
    for header in [
        "authorization",
        "Authorization",
        "x-amz-date",
        "X-Amz-Security-Token",
        "x-amz-content-sha256",
    ] {
        let script = format!("http api POST / {header}");
        let found = steps(&plugin, &site.grant(SIGNED), &script, "{}").await;
        let expected = format!(
            "NetErrorKind::Denied, sent false: the header {header} is the host's to set; leave it out"
        );
        assert_eq!(found, [expected]);
    }
    assert_eq!(site.server.requests().len(), 0);
}

#[tokio::test]
async fn a_request_that_nobody_can_sign_is_not_sent() {
    let site = Site::start();
    let (plugin, _) = load_with(RuntimeOptions::default(), &signed_manifest()).await;
    let found = steps(&plugin, &site.grant(SIGNED), "http api POST /", "{}").await;
    assert_eq!(
        found,
        [
            "NetErrorKind::Denied, sent false: the request has to be signed for elasticache, and there are no AWS credentials: this program has none"
        ]
    );
    assert_eq!(site.server.requests().len(), 0);
}

#[tokio::test]
async fn what_is_not_signed_goes_as_the_plugin_wrote_it() {
    let site = Site::start();
    let (plugin, _) = load_with(options(Arc::new(Own)), MANIFEST).await;
    let script = "http api POST / authorization;http api POST /";
    let found = steps(&plugin, &site.grant(""), script, "{}").await;
    let refusals = ["IncompleteSignature", "MissingAuthenticationToken"];
    assert_eq!(
        found,
        refusals.map(|code| format!("200 {code}, token none"))
    );
}

#[tokio::test]
async fn manifest_and_grant_must_both_say_yes() {
    let refused = async |manifest: &str, more: &str, expected: &str| {
        let (plugin, _) = load_with(RuntimeOptions::default(), manifest).await;
        let toml = format!("endpoint.api = {{ hosts = [\"127.0.0.1\"], ports = [1], {more} }}");
        let error = plugin.grant(grant(&toml, "")).err().unwrap().to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    let signed = signed_manifest();
    refused(
        &signed,
        "",
        "grant.endpoint.api.sign is invalid: requests there have to be signed",
    )
    .await;
    refused(
        &signed,
        "sign = true",
        "grant.endpoint.api.region is invalid: missing",
    )
    .await;
    let unverified = format!("tls = \"require\", {SIGNED}");
    refused(
        &signed,
        &unverified,
        "grant.endpoint.api.tls is invalid: signed requests",
    )
    .await;
    refused(
        MANIFEST,
        SIGNED,
        "grant.endpoint.api.sign is invalid: the plugin does not ask",
    )
    .await;
}
