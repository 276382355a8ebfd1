//! Who is told what became of a rotation: a topic of SNS and a channel of Slack, where they are set, and a topic for
//! what cannot wait until morning. A notification that fails is a line of the log and nothing more: no rotation depends
//! on one. None carries a value; the webhook's address is a secret itself, and is never shown.

use std::{fmt::Write as _, time::Duration};

use aws_config::BehaviorVersion;
use aws_sdk_sns::{Client, config::http::HttpRequest, error::DisplayErrorContext};
use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use keyturn_engine::time;
use keyturn_store::{Clock as _, SystemClock};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::{sync::OnceCell, time::timeout};

use super::{environment::Environment, failure::Failure, function::Function, step::Stepped};

/// For one notification, retries included: an answer that waits for it is an answer that comes late.
const PATIENCE: Duration = Duration::from_secs(3);
/// SNS takes no longer subject.
const SUBJECT_CHARACTERS_MAX: usize = 100;
/// A target that lets anybody in, and an AWSCURRENT that does not work.
const EMERGENCIES: [&str; 2] = ["Keyturn.Unprotected", "Keyturn.CurrentNotLive"];

/// Where notifications go. Nothing is opened before the first one.
pub(super) struct Notifier {
    topic: Option<String>,
    security_topic: Option<String>,
    slack: Option<SecretString>,
    sns: OnceCell<Client>,
}

/// What happened, once for machines and once for people.
#[derive(Debug, Clone, PartialEq)]
struct Notice {
    subject: String,
    message: Value,
    slack: String,
    is_emergency: bool,
}

/// Tells of a rotation that is complete, that failed, or that waits for somebody; of nothing in between.
pub(super) async fn of_step(function: &Function<'_>, stepped: &Stepped<'_>) {
    if let Some(notice) = Notice::of(stepped) {
        send(function, &notice).await;
    }
}

/// What was due on a secret and could not be done.
pub(super) async fn of_due(function: &Function<'_>, secret: &str, failure: &Failure) {
    send(function, &Notice::undone(secret, failure)).await;
}

async fn send(function: &Function<'_>, notice: &Notice) {
    let notifier = &function.notifier;
    let text = notice.message.to_string();
    let to_topic = notifier.publish(notifier.topic.as_deref(), &notice.subject, &text);
    let security = notifier.security_topic.as_deref();
    let to_security = async {
        let security = security.filter(|_| notice.is_emergency);
        notifier.publish(security, &notice.subject, &text).await
    };
    let to_slack = notifier.post(&notice.slack);
    let (topic, security, slack) = tokio::join!(to_topic, to_security, to_slack);
    for (channel, sent) in [
        ("SNS_TOPIC_ARN", topic),
        ("SECURITY_TOPIC_ARN", security),
        ("SLACK_WEBHOOK_URL", slack),
    ] {
        say_unsent(function, channel, sent);
    }
}

/// The report of a health check, for people.
pub(super) async fn report(function: &Function<'_>, results: &[Value]) {
    let notifier = &function.notifier;
    let text = format!("{:#}", Value::from(results));
    let topic = notifier.topic.as_deref();
    let sent = notifier.publish(topic, "Health of the secrets' rotations", &text);
    say_unsent(function, "SNS_TOPIC_ARN", sent.await);
}

fn say_unsent(function: &Function<'_>, channel: &str, sent: Result<(), String>) {
    if let Err(cause) = sent {
        // Nobody is left to be told where the log cannot be written either.
        let _ = function.log.line(json!({
            "level": "warning",
            "message": "a notification was not sent; the rotation does not depend on it",
            "channel": channel,
            "cause": cause,
        }));
    }
}

impl Notifier {
    pub(super) fn new(environment: &Environment) -> Self {
        Self {
            topic: environment.topic_arn.clone(),
            security_topic: environment.security_topic_arn.clone(),
            slack: environment.slack_webhook_url.clone(),
            sns: OnceCell::new(),
        }
    }

    async fn publish(
        &self,
        topic: Option<&str>,
        subject: &str,
        message: &str,
    ) -> Result<(), String> {
        let Some(topic) = topic else { return Ok(()) };
        // Boxed: the SDK's own depth would come on top of everybody's who waits for this.
        let publishing = Box::pin(async {
            let client = self.sns.get_or_init(connect).await;
            let request = client.publish().topic_arn(topic).subject(subject);
            request.message(message).send().await
        });
        match timeout(PATIENCE, publishing).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(DisplayErrorContext(&error).to_string()),
            Err(_) => Err(late()),
        }
    }

    async fn post(&self, text: &str) -> Result<(), String> {
        let Some(url) = &self.slack else {
            return Ok(());
        };
        let url = url.expose_secret();
        if !url.starts_with("https://") {
            return Err("the webhook's address does not begin with https://".to_owned());
        }
        let mut request = HttpRequest::new(json!({"text": text}).to_string().into());
        let made = request
            .set_method("POST")
            .and_then(|()| request.set_uri(url));
        made.map_err(|_| "the webhook's address is none".to_owned())?;
        request
            .headers_mut()
            .insert("content-type", "application/json");
        let provider = Provider::Rustls(CryptoMode::AwsLc);
        let connector = Connector::builder().tls_provider(provider).build();
        match timeout(PATIENCE, connector.call(request)).await {
            Ok(Ok(answer)) if answer.status().is_success() => Ok(()),
            Ok(Ok(answer)) => Err(format!("the webhook answered {}", answer.status().as_u16())),
            // What the client says may show the address.
            Ok(Err(_)) => Err("the webhook cannot be reached, or not over TLS".to_owned()),
            Err(_) => Err(late()),
        }
    }
}

async fn connect() -> Client {
    Client::new(&aws_config::defaults(BehaviorVersion::latest()).load().await)
}

fn late() -> String {
    format!("no answer within {} s", PATIENCE.as_secs())
}

impl Notice {
    fn of(stepped: &Stepped<'_>) -> Option<Self> {
        match stepped.result {
            Ok(()) if stepped.promoted => Some(Self::complete(stepped)),
            Ok(()) => None,
            Err(failure) if failure.is_waiting_for_operator() => {
                Some(Self::waiting(stepped, failure))
            }
            Err(failure) => Some(Self::failed(stepped, failure)),
        }
    }

    fn complete(stepped: &Stepped<'_>) -> Self {
        let secret = stepped.secret;
        Self {
            subject: subject(&format!("Rotation complete: {secret}")),
            message: message(stepped, "rotation_complete"),
            slack: format!(":white_check_mark: `{secret}` is rotated"),
            is_emergency: false,
        }
    }

    fn waiting(stepped: &Stepped<'_>, failure: &Failure) -> Self {
        let secret = stepped.secret;
        let mut message = message(stepped, "rotation_waiting");
        message["waiting_for"] = failure.message.as_str().into();
        Self {
            subject: subject(&format!("Rotation waits for an operator: {secret}")),
            message,
            slack: format!(
                ":hourglass_flowing_sand: `{secret}` waits for an operator: {}",
                plain(&failure.message)
            ),
            is_emergency: false,
        }
    }

    fn failed(stepped: &Stepped<'_>, failure: &Failure) -> Self {
        let (secret, step) = (stepped.secret, stepped.step);
        let mut message = message(stepped, "rotation_failed");
        message["step"] = step.as_str().into();
        message["error_type"] = failure.error_type.as_str().into();
        message["error"] = failure.message.as_str().into();
        let (what, call) = match (stepped.promoted, failure.retryable) {
            (true, _) => ("is rotated, and not all is tidied up", ""),
            // The service invokes the function again by itself.
            (false, true) => ("is not rotated yet", ""),
            (false, false) => ("is not rotated", "<!channel> "),
        };
        Self {
            subject: subject(&format!("ALERT: rotation failed: {secret}")),
            message,
            slack: format!(
                ":rotating_light: {call}`{secret}` {what}, {} failed: {}",
                step.as_str(),
                plain(&failure.message)
            ),
            is_emergency: EMERGENCIES.contains(&failure.error_type.as_str()),
        }
    }

    fn undone(secret: &str, failure: &Failure) -> Self {
        Self {
            subject: subject(&format!("ALERT: retirement failed: {secret}")),
            message: json!({
                "event": "retirement_failed",
                "secret": secret,
                "error_type": failure.error_type,
                "error": failure.message,
                "timestamp": time(SystemClock.now_ms()),
            }),
            slack: format!(
                ":rotating_light: what was due on `{secret}` is not done: {}",
                plain(&failure.message)
            ),
            is_emergency: EMERGENCIES.contains(&failure.error_type.as_str()),
        }
    }
}

fn message(stepped: &Stepped<'_>, event: &str) -> Value {
    json!({
        "event": event,
        "secret": stepped.secret.as_str(),
        "environment": stepped.environment,
        "version": stepped.version,
        "timestamp": time(stepped.now_ms),
    })
}

/// SNS takes ASCII, which the names of secrets are.
fn subject(text: &str) -> String {
    text.chars().take(SUBJECT_CHARACTERS_MAX).collect()
}

/// Text without Slack's own marks: what an error says must call nobody.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        // Writing to a String cannot fail.
        let _ = match character {
            '&' => plain.write_str("&amp;"),
            '<' => plain.write_str("&lt;"),
            '>' => plain.write_str("&gt;"),
            other => plain.write_char(other),
        };
    }
    plain
}

#[cfg(test)]
mod tests {
    use keyturn_engine::Step;
    use keyturn_store::SecretName;

    use super::*;

    /// What is told of a step that ended so.
    fn notice(promoted: bool, failure: Option<&Failure>) -> Option<Notice> {
        Notice::of(&Stepped {
            secret: &SecretName::new("festival-prod/database").unwrap(),
            environment: "prod",
            step: Step::Finish,
            version: "11111111-0000-4000-8000-000000000001",
            created: false,
            promoted,
            version_created_at_ms: None,
            now_ms: 0,
            result: failure.map_or(Ok(()), Err),
        })
    }

    #[test]
    fn a_step_on_the_way_is_told_to_nobody_and_waiting_is_no_failure() {
        assert_eq!(notice(false, None), None);
        let waiting = Failure::new("WaitingForOperator", "make a new key");
        let waiting = notice(false, Some(&waiting)).unwrap();
        assert_eq!(waiting.message["event"], "rotation_waiting");
        assert_eq!(waiting.message["waiting_for"], "make a new key");
        assert!(!waiting.is_emergency && !waiting.slack.contains("<!channel>"));
    }

    #[test]
    fn a_channel_is_called_where_somebody_has_to_do_something() {
        let failure = |retryable| Failure {
            retryable,
            ..Failure::new("Unreachable", "why")
        };
        let slack =
            |promoted, retryable| notice(promoted, Some(&failure(retryable))).unwrap().slack;
        assert!(
            slack(false, false).contains("<!channel> `festival-prod/database` is not rotated,")
        );
        assert!(slack(false, true).contains(": `festival-prod/database` is not rotated yet,"));
        assert!(slack(true, true).contains(": `festival-prod/database` is rotated, and"));
    }

    #[test]
    fn what_cannot_wait_is_an_emergency() {
        for (kind, expected) in [
            ("Unprotected", true),
            ("CurrentNotLive", true),
            ("Unreachable", false),
        ] {
            let failed = notice(false, Some(&Failure::new(kind, "why"))).unwrap();
            assert_eq!(failed.message["event"], "rotation_failed");
            assert_eq!(failed.is_emergency, expected, "{kind}");
        }
    }

    #[test]
    fn an_errors_words_call_nobody() {
        assert_eq!(plain("a <!channel> & b"), "a &lt;!channel&gt; &amp; b");
    }

    #[test]
    fn a_subject_is_as_long_as_sns_takes() {
        assert_eq!(subject(&"s".repeat(512)).len(), SUBJECT_CHARACTERS_MAX);
    }
}
