//! The edge: host types in, generated types out, and back. Everything that comes back is counted,
//! scrubbed, escaped and cut here; no generated type goes further.

use std::cell::Cell;

use secrecy::{ExposeSecret, SecretString};

use crate::bindings::keyturn::rotation::types as t;
use crate::call::{Call, CreateRequest, Purpose, RetireRequest, Standing, Version};
use crate::error::{Applied, CallError, ErrorKind, Origin};
use crate::outcome::{
    Consumer, Finding, InputRequest, Level, Liveness, MemberReport, Outcome, Prompt, Retirement,
    RetirementPlan, Status, UsageReport, Verdict,
};
use crate::scrub::Scrubber;

const NAME_BYTES_MAX: usize = 256;
const TEXT_BYTES_MAX: usize = 2048;
/// A fix may hold the SQL that repairs a drift.
const BLOCK_BYTES_MAX: usize = 16 << 10;
const ITEMS_MAX: usize = 1024;
/// The longest pause that a plugin may ask for; the host waits that long between two calls.
const PAUSE_MS_MAX: u64 = 60_000;

pub(crate) fn to_version(version: &Version) -> t::Version {
    t::Version {
        id: version.id.clone(),
        value: version.value.expose_secret().to_owned(),
    }
}

pub(crate) fn to_context(call: &Call, settings: &str, budget_ms: u64) -> t::Context {
    let others = call.others.iter().map(|other| t::OtherVersion {
        standing: match other.standing {
            Standing::Previous => t::Standing::Previous,
            Standing::InDoubt => t::Standing::InDoubt,
            Standing::Retiring => t::Standing::Retiring,
        },
        version: to_version(&other.version),
    });
    let companions = call.companions.iter().map(|companion| t::Companion {
        name: companion.name.clone(),
        secret: companion.secret.clone(),
        version: to_version(&companion.version),
    });
    t::Context {
        secret: call.secret.clone(),
        credential: call.credential.clone(),
        environment: call.environment.clone(),
        rotation_id: call.rotation_id.clone(),
        attempt: call.attempt,
        budget_ms,
        strategy: call.strategy.clone(),
        settings: settings.to_owned(),
        current: to_version(&call.current),
        others: others.collect(),
        companions: companions.collect(),
    }
}

pub(crate) fn to_create_request(request: &CreateRequest) -> t::CreateRequest {
    let inputs = request.inputs.iter().map(|input| t::Input {
        name: input.name.clone(),
        value: input.value.expose_secret().to_owned(),
    });
    t::CreateRequest {
        purpose: match request.purpose {
            Purpose::Replace => t::Purpose::Replace,
            Purpose::Announce => t::Purpose::Announce,
            Purpose::Activate => t::Purpose::Activate,
            Purpose::Extend => t::Purpose::Extend,
            Purpose::Retire => t::Purpose::Retire,
            Purpose::Restore => t::Purpose::Restore,
        },
        inputs: inputs.collect(),
        overlap_seconds: request.overlap_seconds,
        next_rotation: request.next_rotation,
        restore: request.restore.as_ref().map(to_version),
    }
}

pub(crate) fn to_retire_request(request: &RetireRequest) -> t::RetireRequest {
    let ms = |age: std::time::Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    t::RetireRequest {
        subject: to_version(&request.subject),
        end_sessions_older_than_ms: request.end_sessions_older_than.map(ms),
    }
}

/// Takes answers of one call over.
pub(crate) struct Answers<'a> {
    scrubber: &'a Scrubber,
    connected: bool,
    bytes_left: Cell<Option<usize>>,
}

impl<'a> Answers<'a> {
    /// `connected`: the call has opened a connection.
    pub(crate) fn new(scrubber: &'a Scrubber, connected: bool, bytes_max: usize) -> Self {
        Self {
            scrubber,
            connected,
            bytes_left: Cell::new(Some(bytes_max)),
        }
    }

    /// Whether the answer was larger than it may be; what was taken over is then not whole.
    pub(crate) fn too_large(&self) -> bool {
        self.bytes_left.get().is_none()
    }

    pub(crate) fn error(&self, error: t::Error) -> CallError {
        let kind = match error.kind {
            t::ErrorKind::InvalidSecret => ErrorKind::InvalidSecret,
            t::ErrorKind::InvalidSettings => ErrorKind::InvalidSettings,
            t::ErrorKind::Unsupported => ErrorKind::Unsupported,
            t::ErrorKind::Dns => ErrorKind::Dns,
            t::ErrorKind::Unreachable => ErrorKind::Unreachable,
            t::ErrorKind::Tls => ErrorKind::Tls,
            t::ErrorKind::Auth => ErrorKind::Auth,
            t::ErrorKind::Permission => ErrorKind::Permission,
            t::ErrorKind::Rejected => ErrorKind::Rejected,
            t::ErrorKind::Unprotected => ErrorKind::Unprotected,
            t::ErrorKind::Drift => ErrorKind::Drift,
            t::ErrorKind::Conflict => ErrorKind::Conflict,
            t::ErrorKind::Throttled => ErrorKind::Throttled,
            t::ErrorKind::Timeout => ErrorKind::Timeout,
            t::ErrorKind::Protocol => ErrorKind::Protocol,
            t::ErrorKind::Internal => ErrorKind::Internal,
            t::ErrorKind::Other => ErrorKind::Other,
        };
        CallError {
            kind,
            applied: applied(error.applied),
            retryable: error.retryable,
            retry_after_ms: error.retry_after_ms.map(|ms| ms.min(PAUSE_MS_MAX)),
            code: error.code.map(|code| self.name(&code)),
            message: self.text(&error.message),
            details: self.list(error.details, |(key, value)| {
                (self.name(&key), self.block(&value))
            }),
            origin: Origin::Plugin,
        }
    }

    pub(crate) fn outcome(&self, outcome: t::Outcome) -> Outcome {
        Outcome {
            status: match outcome.status {
                t::Status::Done => Status::Done,
                t::Status::Unchanged => Status::Unchanged,
                t::Status::Pending(after_ms) => Status::Pending {
                    after_ms: after_ms.min(PAUSE_MS_MAX),
                },
            },
            members: self.members(outcome.members),
            findings: self.findings(outcome.findings),
            opened_with: outcome.opened_with.map(|id| self.name(&id)),
            connected: self.connected,
        }
    }

    pub(crate) fn verdict(&self, verdict: t::Verdict) -> Verdict {
        Verdict {
            liveness: liveness(verdict.liveness),
            members: self.members(verdict.members),
            connected: self.connected,
        }
    }

    pub(crate) fn plan(&self, plan: t::RetirementPlan) -> RetirementPlan {
        RetirementPlan {
            how: Retirement {
                at_target: plan.how.contains(t::Retirement::AT_TARGET),
                new_version: plan.how.contains(t::Retirement::NEW_VERSION),
                by_operator: plan.how.contains(t::Retirement::BY_OPERATOR),
            },
            after_seconds: plan.after_seconds,
            operator_steps: plan.operator_steps.map(|steps| self.input_request(steps)),
        }
    }

    pub(crate) fn usage(&self, usage: t::UsageReport) -> UsageReport {
        UsageReport {
            observable: usage.observable,
            consumers: self.list(usage.consumers, |consumer| Consumer {
                name: self.name(&consumer.name),
                address: consumer.address.map(|address| self.name(&address)),
                sessions: consumer.sessions,
                idle_seconds: consumer.idle_seconds,
            }),
            note: usage.note.map(|note| self.text(&note)),
        }
    }

    pub(crate) fn findings(&self, findings: Vec<t::Finding>) -> Vec<Finding> {
        self.list(findings, |finding| Finding {
            id: self.name(&finding.id),
            level: match finding.level {
                t::Level::Ok => Level::Ok,
                t::Level::Note => Level::Note,
                t::Level::Warning => Level::Warning,
                t::Level::Failure => Level::Failure,
            },
            summary: self.text(&finding.summary),
            fix: finding.fix.map(|fix| self.block(&fix)),
        })
    }

    pub(crate) fn input_request(&self, request: t::InputRequest) -> InputRequest {
        InputRequest {
            title: self.text(&request.title),
            link: request.link.map(|link| self.text(&link)),
            checklist: self.list(request.checklist, |step| self.block(&step)),
            prompts: self.list(request.prompts, |prompt| Prompt {
                name: self.name(&prompt.name),
                label: self.text(&prompt.label),
                sensitive: prompt.sensitive,
                multiline: prompt.multiline,
                pattern: prompt.pattern.map(|pattern| self.text(&pattern)),
                example: prompt.example.map(|example| self.text(&example)),
            }),
            expires_after_seconds: request.expires_after_seconds,
        }
    }

    /// A created value: a secret, so it is counted and nothing else.
    pub(crate) fn value(&self, value: String) -> SecretString {
        self.count(value.len());
        value.into()
    }

    fn members(&self, members: Vec<t::MemberReport>) -> Vec<MemberReport> {
        self.list(members, |member| MemberReport {
            endpoint: self.name(&member.endpoint),
            member: self.name(&member.member),
            applied: applied(member.applied),
            liveness: liveness(member.liveness),
            error: member.error.map(|error| self.error(error)),
        })
    }

    pub(crate) fn list<A, B>(&self, items: Vec<A>, convert: impl Fn(A) -> B) -> Vec<B> {
        if items.len() > ITEMS_MAX {
            self.bytes_left.set(None);
        }
        items.into_iter().take(ITEMS_MAX).map(convert).collect()
    }

    pub(crate) fn name(&self, text: &str) -> String {
        self.scrubbed(text, |text| self.scrubber.line(text, NAME_BYTES_MAX))
    }

    pub(crate) fn text(&self, text: &str) -> String {
        self.scrubbed(text, |text| self.scrubber.line(text, TEXT_BYTES_MAX))
    }

    fn block(&self, text: &str) -> String {
        self.scrubbed(text, |text| self.scrubber.block(text, BLOCK_BYTES_MAX))
    }

    /// Of an answer that is too large nothing is used, so no time is spent on the rest of it.
    fn scrubbed(&self, text: &str, scrub: impl FnOnce(&str) -> String) -> String {
        self.count(text.len());
        if self.too_large() {
            return String::new();
        }
        scrub(text)
    }

    pub(crate) fn count(&self, bytes: usize) {
        self.bytes_left.set(
            self.bytes_left
                .get()
                .and_then(|left| left.checked_sub(bytes)),
        );
    }
}

fn applied(applied: t::Applied) -> Applied {
    match applied {
        t::Applied::No => Applied::No,
        t::Applied::Yes => Applied::Yes,
        t::Applied::Unknown => Applied::Unknown,
    }
}

fn liveness(liveness: t::Liveness) -> Liveness {
    match liveness {
        t::Liveness::Live => Liveness::Live,
        t::Liveness::Dead => Liveness::Dead,
        t::Liveness::Mixed => Liveness::Mixed,
        t::Liveness::Unknown => Liveness::Unknown,
    }
}
