//! Who is told: a topic and a webhook, of what is complete, failed or waiting. Neither is asked whether the rotation
//! may go on.

use std::fs;
use std::sync::{Arc, Mutex};

use harness::https::HttpsServer;
use harness::lambda::Function;
use harness::sns::{Published, Sns};
use harness::tls::Authority;
use serde_json::{Value, json};

use super::{OnLambda, end, failed, succeeded};
use crate::support::Workspace;
use crate::tokens::jwt_value;

const JWT: &str = "festival-prod/jwt";
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:rotations";
const SECURITY: &str = "arn:aws:sns:eu-west-1:123456789012:security";
const WEBHOOK_PATH: &str = "/services/T0123/B4567/a-webhook-is-a-secret-too";

/// A topic and a channel, and a secret whose rotations they are told of.
struct Listeners {
    sns: Sns,
    slack: HttpsServer,
    said: Arc<Mutex<Vec<String>>>,
    ca: String,
}

impl Listeners {
    fn start(workspace: &Workspace) -> Self {
        let authority = Authority::new("slack's authority").unwrap();
        let identity = authority.issue(&["localhost"]).unwrap();
        let said = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&said);
        let slack = HttpsServer::start(&identity, move |request| {
            let text: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let text = text["text"].as_str().unwrap_or_default().to_owned();
            heard
                .lock()
                .unwrap()
                .push(format!("{}: {text}", request.asked));
            (200, json!("ok"))
        });
        let ca = workspace.path("slack-ca.pem");
        fs::write(&ca, authority.certificate_pem()).unwrap();
        Self {
            sns: Sns::start().unwrap(),
            slack: slack.unwrap(),
            said,
            ca: ca.to_str().unwrap().to_owned(),
        }
    }

    fn function(&self, site: &OnLambda<'_>) -> Function {
        let sns = format!("http://{}", self.sns.address());
        let port = self.slack.address().port();
        let webhook = format!("https://localhost:{port}{WEBHOOK_PATH}");
        site.function(&[
            ("SNS_TOPIC_ARN", TOPIC),
            ("SECURITY_TOPIC_ARN", SECURITY),
            ("AWS_ENDPOINT_URL_SNS", &sns),
            ("SLACK_WEBHOOK_URL", &webhook),
            ("SSL_CERT_FILE", &self.ca),
        ])
    }

    fn published(&self) -> Vec<(Published, Value)> {
        let published = self.sns.published().into_iter();
        published
            .map(|published| {
                let message = serde_json::from_str(&published.message).unwrap();
                (published, message)
            })
            .collect()
    }
}

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.create(JWT, &jwt_value().to_string());
    workspace
}

#[test]
fn a_rotation_is_told_of_once_when_it_is_complete() {
    let workspace = workspace();
    let site = OnLambda::new(&workspace);
    let listeners = Listeners::start(&workspace);
    let mut function = listeners.function(&site);
    let token = site.rotate(&mut function, JWT);
    succeeded(
        &site.step(&mut function, JWT, "finishSecret", &token),
        "finishSecret",
    );
    let published = listeners.published();
    let [(published, message)] = published.as_slice() else {
        panic!("{published:?}");
    };
    assert_eq!(
        (published.topic.as_str(), published.subject.contains(JWT)),
        (TOPIC, true)
    );
    assert_eq!(
        (
            &message["event"],
            &message["secret"],
            &message["environment"],
            &message["version"]
        ),
        (
            &json!("rotation_complete"),
            &json!(JWT),
            &json!("prod"),
            &json!(token)
        )
    );
    let said = listeners.said.lock().unwrap().clone();
    assert_eq!(
        said,
        [format!(
            "POST {WEBHOOK_PATH}: :white_check_mark: `{JWT}` is rotated"
        )]
    );
    let current = workspace.current(JWT);
    end(
        function,
        &[WEBHOOK_PATH, current["secret"].as_str().unwrap()],
    );
}

#[test]
fn a_failure_is_told_of_with_what_to_do() {
    let workspace = Workspace::new();
    workspace.create(JWT, r#"{"secret": "<!channel> too short"}"#);
    let site = OnLambda::new(&workspace);
    let listeners = Listeners::start(&workspace);
    let mut function = listeners.function(&site);
    let token = site.announce(JWT);
    let refused = site.step(&mut function, JWT, "createSecret", &token);
    failed(&refused, "Keyturn.InvalidSecret", &[]);
    let published = listeners.published();
    let [(published, message)] = published.as_slice() else {
        panic!("{published:?}");
    };
    assert_eq!(published.topic, TOPIC, "this is no emergency");
    assert_eq!(
        (&message["event"], &message["step"], &message["error_type"]),
        (
            &json!("rotation_failed"),
            &json!("createSecret"),
            &json!("Keyturn.InvalidSecret")
        )
    );
    let harness::lambda::Answer::Error { message: told, .. } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(message["error"], told);
    let said = listeners.said.lock().unwrap().clone();
    assert!(
        said.len() == 1 && said[0].contains("<!channel>"),
        "{said:?}"
    );
    end(function, &[WEBHOOK_PATH, "too short"]);
}

#[test]
fn a_notification_that_fails_is_a_line_of_the_log_and_no_more() {
    let workspace = workspace();
    let site = OnLambda::new(&workspace);
    let listeners = Listeners::start(&workspace);
    listeners.sns.refuse();
    listeners.slack.have_trouble(Some(403));
    let mut function = listeners.function(&site);
    site.rotate(&mut function, JWT);
    assert_eq!(listeners.slack.requests(), [format!("POST {WEBHOOK_PATH}")]);
    let lines = end(function, &[WEBHOOK_PATH]);
    let unsent = |channel: &str| {
        let mut unsent = lines.iter().filter(|line| line["channel"] == channel);
        unsent.next().unwrap()["cause"].as_str().unwrap().to_owned()
    };
    assert!(unsent("SNS_TOPIC_ARN").contains("AuthorizationError"));
    assert_eq!(unsent("SLACK_WEBHOOK_URL"), "the webhook answered 403");
}
