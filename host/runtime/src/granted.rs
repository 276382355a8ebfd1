//! A plugin together with what it may use: the only thing that can be called. The host's own
//! refusals (identity, companions, hosts) all come before the plugin is instantiated.

mod check;
mod created;
mod same;
mod share;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout_at;

use crate::bindings::PluginPre;
use crate::bindings::exports::keyturn::rotation::rotator::Created as RawCreated;
use crate::call::{Call, CompanionNeed, CreateRequest, RetireRequest, Version};
use crate::endpoint::{EndpointPolicy, Target, resolve_targets};
use crate::error::{CallError, ErrorKind, GrantError};
use crate::grant::Grant;
use crate::host::{self, Answers, HostState};
use crate::invoke::{Function, Live, Setup, origin};
use crate::limits::Limits;
use crate::log::LogRecord;
use crate::outcome::{
    Created, Finding, Liveness, Outcome, RetirementPlan, Status, TargetEffect, Trace, UsageReport,
    Verdict,
};
use crate::ownership::owned;
use crate::plugin::Plugin;
use crate::scrub::Scrubber;
use crate::{text, value};

pub use share::Share;

/// The longest that a plugin may want an old value to live, ten years: longer than any token, and
/// short of times that no calendar holds.
const RETIREMENT_SECONDS_MAX: u64 = 10 * 365 * 86_400;

/// A plugin under a grant. Each call gets a fresh instance; calls may run side by side.
#[derive(Clone)]
pub struct GrantedPlugin {
    inner: Arc<Inner>,
}

struct Inner {
    plugin: Plugin,
    grant: Grant,
    /// The settings as JSON text, `{}` at least.
    settings: String,
    limits: Limits,
    policies: Arc<BTreeMap<String, EndpointPolicy>>,
    pre: PluginPre<HostState>,
}

impl GrantedPlugin {
    pub(crate) fn new(plugin: Plugin, grant: Grant) -> Result<Self, GrantError> {
        let checked = check::check(&plugin, &grant)?;
        let check::Checked {
            settings,
            limits,
            policies,
            pre,
        } = checked;
        let policies = Arc::new(policies);
        Ok(Self {
            inner: Arc::new(Inner {
                plugin,
                grant,
                settings,
                limits,
                policies,
                pre,
            }),
        })
    }

    pub fn plugin(&self) -> &Plugin {
        &self.inner.plugin
    }

    /// The limits that manifest, host and grant agree on.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// The secrets to read at AWSCURRENT before a call. Looks at CURRENT alone, never at a
    /// candidate, so that nobody who can write AWSPENDING picks the admin secret.
    pub fn companions_needed(
        &self,
        current: &SecretString,
    ) -> Result<Vec<CompanionNeed>, CallError> {
        value::companions_needed(self.inner.plugin.manifest(), &self.inner.grant, current)
    }

    /// Whether the secret of that name may be handed over as that companion. To be asked before it is read where CURRENT
    /// has an ARN for a name.
    pub fn check_companion(&self, name: &str, secret: &str) -> Result<(), CallError> {
        let manifest = self.inner.plugin.manifest();
        let granted = self.inner.grant.companions.get(name);
        let mut granted = granted.map_or(&[][..], Vec::as_slice).iter();
        let named = granted.any(|known| known == secret || known == "*");
        if manifest.companions.contains_key(name) && named {
            return Ok(());
        }
        let (name, secret) = (text::line(name, 64), text::line(secret, 256));
        let message = format!(
            "the secret \"{secret}\" may not be handed to plugin {} as \"{name}\": manifest and grant must both name \
             it; set grant.companion.{name} = [\"{secret}\"]",
            manifest.name
        );
        Err(value::refused(ErrorKind::Denied, message))
    }

    /// Compares the manifest's identity pointers. Whatever may log in with another version than
    /// CURRENT does this itself, and so does `create` for its answer.
    pub fn compare_identity(
        &self,
        current: &SecretString,
        candidate: &SecretString,
    ) -> Result<(), CallError> {
        value::compare_identity(self.inner.plugin.manifest(), current, candidate)
    }

    /// A whole new value, or questions for the operator. Opens no connection.
    pub async fn create(&self, call: &Call, request: &CreateRequest) -> Result<Created, CallError> {
        let owned = self.owned();
        if owned.is_none() && !call.credential.is_empty() {
            return Err(created::owns_nothing(&self.inner.plugin.manifest().name));
        }
        let mut scrubber = self.scrubber(call, request.restore.as_ref());
        for input in &request.inputs {
            scrubber.add(input.value.expose_secret());
        }
        let mut live = self.start(call, Function::Create, scrubber).await?;
        let (context, asked) = (self.context(call, &live), host::to_create_request(request));
        let rotator = live.instance.keyturn_rotation_rotator();
        let calling = rotator.call_create(&mut live.store, &context, &asked);
        let called = timeout_at(live.deadline, calling).await;
        let created = live.settle(called, |answers, answer| match answer {
            Err(error) => Err(answers.error(error)),
            Ok(RawCreated::Value(value)) => Ok(Created::Value(answers.value(value))),
            Ok(RawCreated::NeedsInput(asks)) => {
                Ok(Created::NeedsInput(answers.input_request(asks)))
            }
        })?;
        if let Created::Value(value) = &created {
            let current = &call.current.value;
            created::check(value, current, request.purpose, owned.as_ref())
                .map_err(|cause| live.invalid(&cause))?;
            self.compare_identity(current, value)?;
        }
        Ok(created)
    }

    /// Makes the target accept `candidate`.
    pub async fn set(&self, call: &Call, candidate: &Version) -> Result<Outcome, CallError> {
        self.compare_identity(&call.current.value, &candidate.value)?;
        let scrubber = self.scrubber(call, Some(candidate));
        let mut live = self.start(call, Function::Set, scrubber).await?;
        let (context, candidate) = (self.context(call, &live), host::to_version(candidate));
        let rotator = live.instance.keyturn_rotation_rotator();
        let calling = rotator.call_set(&mut live.store, &context, &candidate);
        let called = timeout_at(live.deadline, calling).await;
        live.settle(called, answer(|answers, raw| answers.outcome(raw)))
    }

    /// Proves that `candidate` opens the door and a wrong value does not.
    pub async fn test(&self, call: &Call, candidate: &Version) -> Result<Outcome, CallError> {
        self.compare_identity(&call.current.value, &candidate.value)?;
        let scrubber = self.scrubber(call, Some(candidate));
        let mut live = self.start(call, Function::Test, scrubber).await?;
        let (context, candidate) = (self.context(call, &live), host::to_version(candidate));
        let rotator = live.instance.keyturn_rotation_rotator();
        let calling = rotator.call_test(&mut live.store, &context, &candidate);
        let called = timeout_at(live.deadline, calling).await;
        let outcome = live.settle(called, answer(|answers, raw| answers.outcome(raw)))?;
        if !matches!(outcome.status, Status::Pending { .. }) {
            self.demand_a_look(call, &live)?;
        }
        Ok(outcome)
    }

    /// What becomes of the value in `call.current` once `candidate` is promoted. Opens no
    /// connection.
    pub async fn finish(
        &self,
        call: &Call,
        candidate: &Version,
    ) -> Result<RetirementPlan, CallError> {
        let scrubber = self.scrubber(call, Some(candidate));
        let mut live = self.start(call, Function::Finish, scrubber).await?;
        let (context, candidate) = (self.context(call, &live), host::to_version(candidate));
        let rotator = live.instance.keyturn_rotation_rotator();
        let calling = rotator.call_finish(&mut live.store, &context, &candidate);
        let called = timeout_at(live.deadline, calling).await;
        let plan = live.settle(called, answer(|answers, raw| answers.plan(raw)))?;
        if plan.after_seconds > RETIREMENT_SECONDS_MAX {
            let seconds = plan.after_seconds;
            return Err(live.invalid(&format!(
                "that the old value must live for {seconds} s more, and {RETIREMENT_SECONDS_MAX} s is the most"
            )));
        }
        Ok(plan)
    }

    /// Does `subject` open the door right now?
    pub async fn probe(&self, call: &Call, subject: &Version) -> Result<Verdict, CallError> {
        self.probed(call, subject).await?.1
    }

    /// The same, and how far each server that the plugin may reach was reached.
    ///
    /// # Errors
    /// Where nothing could be tried; what the plugin failed at is part of the answer.
    pub async fn trace(&self, call: &Call, subject: &Version) -> Result<Trace, CallError> {
        let (mut live, answer) = self.probed(call, subject).await?;
        let ways = live.store.data_mut().network.ways().await;
        Ok(Trace { ways, answer })
    }

    async fn probed(
        &self,
        call: &Call,
        subject: &Version,
    ) -> Result<(Live, Result<Verdict, CallError>), CallError> {
        self.compare_identity(&call.current.value, &subject.value)?;
        let scrubber = self.scrubber(call, Some(subject));
        let mut live = self.start(call, Function::Probe, scrubber).await?;
        let (context, subject) = (self.context(call, &live), host::to_version(subject));
        let rotator = live.instance.keyturn_rotation_rotator();
        let calling = rotator.call_probe(&mut live.store, &context, &subject);
        let called = timeout_at(live.deadline, calling).await;
        let verdict = live
            .settle(called, answer(|answers, raw| answers.verdict(raw)))
            .and_then(|verdict| {
                if verdict.liveness != Liveness::Unknown {
                    self.demand_a_look(call, &live)?;
                }
                Ok(verdict)
            });
        Ok((live, verdict))
    }

    /// Kills a value that `call.current` does not hold.
    pub async fn retire(&self, call: &Call, request: &RetireRequest) -> Result<Outcome, CallError> {
        self.compare_identity(&call.current.value, &request.subject.value)?;
        let scrubber = self.scrubber(call, Some(&request.subject));
        let mut live = self.start(call, Function::Retire, scrubber).await?;
        let (context, request) = (self.context(call, &live), host::to_retire_request(request));
        let rotator = live.instance.keyturn_rotation_rotator();
        let calling = rotator.call_retire(&mut live.store, &context, &request);
        let called = timeout_at(live.deadline, calling).await;
        live.settle(called, answer(|answers, raw| answers.outcome(raw)))
    }

    /// Who still uses the identity of `subject`.
    pub async fn usage(&self, call: &Call, subject: &Version) -> Result<UsageReport, CallError> {
        let scrubber = self.scrubber(call, Some(subject));
        let mut live = self.start(call, Function::Usage, scrubber).await?;
        let (context, subject) = (self.context(call, &live), host::to_version(subject));
        let rotator = live.instance.keyturn_rotation_rotator();
        let calling = rotator.call_usage(&mut live.store, &context, &subject);
        let called = timeout_at(live.deadline, calling).await;
        live.settle(called, answer(|answers, raw| answers.usage(raw)))
    }

    /// Preflight without a candidate.
    pub async fn check(&self, call: &Call) -> Result<Vec<Finding>, CallError> {
        let scrubber = self.scrubber(call, None);
        let mut live = self.start(call, Function::Check, scrubber).await?;
        let context = self.context(call, &live);
        let rotator = live.instance.keyturn_rotation_rotator();
        let calling = rotator.call_check(&mut live.store, &context);
        let called = timeout_at(live.deadline, calling).await;
        live.settle(called, answer(|answers, raw| answers.findings(raw)))
    }

    /// Where there is a target, nobody knows about it without having asked it. A connection is no
    /// proof that the answer is true, but without one it cannot be.
    fn demand_a_look(&self, call: &Call, live: &Live) -> Result<(), CallError> {
        let strategy = self.inner.plugin.descriptor().strategy(&call.strategy);
        let has_target = strategy.is_some_and(|strategy| strategy.effect != TargetEffect::None);
        if has_target && !live.reached_a_target() {
            return Err(live.invalid("for a target to which it opened no connection in this call"));
        }
        Ok(())
    }

    /// None: the whole value.
    fn owned(&self) -> Option<BTreeSet<&str>> {
        owned(self.inner.plugin.descriptor(), &self.inner.grant.settings)
    }

    async fn start(
        &self,
        call: &Call,
        function: Function,
        scrubber: Scrubber,
    ) -> Result<Live, CallError> {
        let inner = &self.inner;
        let plugin = &inner.plugin;
        if plugin.descriptor().strategy(&call.strategy).is_none() {
            let known: Vec<_> = plugin
                .descriptor()
                .strategies
                .iter()
                .map(|strategy| strategy.name.as_str())
                .collect();
            let message = format!(
                "plugin {} has no strategy \"{}\"; it has {}",
                plugin.manifest().name,
                text::line(&call.strategy, 64),
                known.join(", ")
            );
            return Err(value::refused(ErrorKind::InvalidSettings, message));
        }
        self.check_companions(call)?;
        let targets = if function.reaches_targets() {
            self.targets(call)?
        } else {
            BTreeMap::new()
        };
        Live::start(Setup {
            shared: &plugin.inner.shared,
            pre: &inner.pre,
            function,
            limits: inner.limits,
            budget: call.budget,
            password: inner.grant.password.clone(),
            scrubber,
            policies: inner.policies.clone(),
            targets,
            origin: LogRecord {
                secret: call.secret.clone(),
                credential: call.credential.clone(),
                rotation_id: call.rotation_id.clone(),
                ..origin(&plugin.manifest().name)
            },
        })
        .await
    }

    fn context(
        &self,
        call: &Call,
        live: &Live,
    ) -> crate::bindings::keyturn::rotation::types::Context {
        host::to_context(call, &self.inner.settings, live.budget_ms)
    }

    /// Every value that the call sees.
    fn scrubber(&self, call: &Call, also: Option<&Version>) -> Scrubber {
        let public = &self.inner.plugin.manifest().secret.public;
        let others = call.others.iter().map(|other| &other.version);
        let companions = call.companions.iter().map(|companion| &companion.version);
        let mut scrubber = Scrubber::default();
        for version in others.chain(companions).chain(also).chain([&call.current]) {
            scrubber.add_value(version.value.expose_secret(), public);
        }
        scrubber
    }

    /// Two yeses for what the engine hands over, too.
    fn check_companions(&self, call: &Call) -> Result<(), CallError> {
        let mut companions = call.companions.iter();
        companions
            .try_for_each(|companion| self.check_companion(&companion.name, &companion.secret))
    }

    fn targets(&self, call: &Call) -> Result<BTreeMap<String, Vec<Target>>, CallError> {
        let current = value::parse(&call.current.value);
        let companions = call
            .companions
            .iter()
            .map(|companion| {
                (
                    companion.name.clone(),
                    value::parse(&companion.version.value),
                )
            })
            .collect();
        resolve_targets(&self.inner.policies, &current, &companions)
    }
}

/// Takes `result<A, error>` over with the conversion for `A`.
fn answer<A, B>(
    convert: impl FnOnce(&Answers<'_>, A) -> B,
) -> impl FnOnce(
    &Answers<'_>,
    Result<A, crate::bindings::keyturn::rotation::types::Error>,
) -> Result<B, CallError> {
    move |answers, answer| match answer {
        Ok(answer) => Ok(convert(answers, answer)),
        Err(error) => Err(answers.error(error)),
    }
}
