//! The rotations: three rounds over all secrets, each waiting until the grace of the one before is
//! over and ending only when the prober has logged in with the new version.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::poll;
use harness::prober::Report;

use crate::Failure;
use crate::keyturn::{Keyturn, Rotated, Rotation};
use crate::prober::Prober;
use crate::screen::Screen;
use crate::secrets::Secret;

const ROUNDS: usize = 3;

/// Ten times what the demo's longest grace takes.
const GRACE_PATIENCE: Duration = Duration::from_secs(60);

/// A login takes milliseconds; this is for a machine that is busy with something else.
const LOGIN_PATIENCE: Duration = Duration::from_secs(30);

/// How many rotations there were.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rotations {
    total: usize,
    tried: usize,
    failed: usize,
}

pub(crate) fn run(
    screen: &Screen,
    keyturn: &Keyturn,
    prober: &mut Prober,
    secrets: &[Secret],
) -> Result<Rotations, Failure> {
    // One more is the vendor's.
    let mut rotations = Rotations {
        total: ROUNDS * secrets.len() + 1,
        ..Rotations::default()
    };
    for round in 1..=ROUNDS {
        for secret in secrets {
            let title = format!(" {} ({}), number {round}", secret.name, secret.kind.name());
            rotations.announce(screen, &title);
            rotations.count(screen, rotate(screen, keyturn, prober, secret)?);
        }
    }
    Ok(rotations)
}

impl Rotations {
    /// The next one.
    pub(crate) fn announce(&mut self, screen: &Screen, title: &str) {
        self.tried += 1;
        screen.line("");
        screen.event(&format!("rotation {}/{}", self.tried, self.total), title);
    }

    /// How it ended.
    pub(crate) fn count(&mut self, screen: &Screen, ended: Result<(), String>) {
        if let Err(reason) = ended {
            self.failed += 1;
            screen.detail("FAILED", &reason);
        }
    }
}

/// Prints the totals and the last line; answers whether nothing failed.
pub(crate) fn conclude(screen: &Screen, rotations: &Rotations, logins: &Report) -> bool {
    screen.line("\n          secret                     logins   failed  overtaken  earlier tokens or keys accepted");
    for secret in &logins.secrets {
        screen.line(&format!(
            "          {:<24} {:>8} {:>8} {:>10}  {}",
            secret.secret, secret.logins, secret.failed, secret.overtaken, secret.earlier_accepted
        ));
        for reason in &secret.first_failures {
            screen.line(&format!("            {reason}"));
        }
    }
    screen.line(
        "          (overtaken: refused, but another version had become AWSCURRENT meanwhile)\n",
    );
    let Rotations { tried, failed, .. } = rotations;
    let (logins, logins_failed) = (logins.logins, logins.failed);
    screen.line(&format!(
        "demo: {tried} rotations, {failed} failed; {logins} logins, {logins_failed} failed"
    ));
    *failed == 0 && logins_failed == 0
}

/// The inner error is a rotation that failed; the demo goes on.
fn rotate(
    screen: &Screen,
    keyturn: &Keyturn,
    prober: &mut Prober,
    secret: &Secret,
) -> Result<Result<(), String>, Failure> {
    await_grace(screen, keyturn, secret.name)?;
    let before = prober.report()?;
    // `status` and `rotate` look at different moments; a refusal changes nothing and is repeated.
    let outcome = poll::until(GRACE_PATIENCE, || match keyturn.rotate(secret.name) {
        Ok(Rotated::NotYet) => None,
        outcome => Some(outcome),
    });
    let rotation = match outcome {
        None => return Ok(Err(format!("still refused after {GRACE_PATIENCE:?}"))),
        Some(Err(failure)) => return Ok(Err(failure)),
        Some(Ok(Rotated::Failed(reason))) => return Ok(Err(reason)),
        Some(Ok(Rotated::Done(rotation))) => rotation,
        Some(Ok(Rotated::NotYet)) => return Ok(Err("refused for now".to_owned())),
    };
    show(screen, &rotation);
    let logged_in = await_login(prober, secret.name, rotation.labels_after.get("AWSCURRENT"))?;
    let after = prober.report()?;
    let gained = |count: fn(&harness::prober::KindReport) -> u64| {
        let of = |report: &Report| report.of(secret.name).map_or(0, count);
        of(&after) - of(&before)
    };
    let (tried, failed) = (
        gained(|report| report.logins),
        gained(|report| report.failed),
    );
    screen.detail("logins", &format!("{tried} tried, {failed} failed"));
    if logged_in {
        Ok(Ok(()))
    } else {
        Ok(Err(
            "the prober has not logged in with the new version".to_owned()
        ))
    }
}

fn await_grace(screen: &Screen, keyturn: &Keyturn, name: &str) -> Result<(), Failure> {
    if let Some(seconds) = keyturn.grace_left_seconds(name)? {
        screen.detail(
            "waits",
            &format!("{seconds} s until the grace of the value before is over"),
        );
    }
    // Not over in time: the refusal of `rotate` says so better than we could.
    let _ = poll::until(GRACE_PATIENCE, || match keyturn.grace_left_seconds(name) {
        Ok(Some(_)) => None,
        over_or_failed => Some(over_or_failed),
    });
    Ok(())
}

fn await_login(prober: &mut Prober, name: &str, version: Option<&String>) -> Result<bool, Failure> {
    let found = poll::until(LOGIN_PATIENCE, || match prober.report() {
        Ok(report) => {
            let last = report
                .of(name)
                .and_then(|secret| secret.last_version.clone());
            (version.is_some() && last.as_ref() == version).then_some(Ok(()))
        }
        Err(failure) => Some(Err(failure)),
    });
    found.transpose().map(|found| found.is_some())
}

fn show(screen: &Screen, rotation: &Rotation) {
    let steps: Vec<String> = rotation
        .steps
        .iter()
        .map(|step| format!("{} {:.1} ms", step.step, step.duration_ms))
        .collect();
    screen.details("steps", &steps);
    screen.details("before", &labels(&rotation.labels_before));
    screen.details("after", &labels(&rotation.labels_after));
}

fn labels(labels: &BTreeMap<String, String>) -> Vec<String> {
    labels
        .iter()
        .map(|(label, id)| format!("{label} {}", short(id)))
        .collect()
}

/// Enough of a version id to tell two apart.
fn short(id: &str) -> &str {
    let id = id.strip_prefix("keyturn-").unwrap_or(id);
    id.get(..8).unwrap_or(id)
}
