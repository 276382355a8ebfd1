//! `keyturn verify`: does AWSCURRENT log in? With a negative control, so that a server that lets
//! everybody in does not pass.

use std::process::ExitCode;

use anyhow::Result;
use keyturn_engine::Verification;

use super::run_report;
use crate::{
    cli::{Global, Names},
    exit::{self, Code, Failure},
    output,
    session::{Record, Session},
};

pub(crate) async fn run(global: &Global, session: &Session, arguments: &Names) -> Result<ExitCode> {
    let (engine, credentials, refused) = session
        .engine(global, &arguments.names, Record::Nothing)
        .await?;
    let mut worst = refused;
    for credential in &credentials {
        match engine.verify(credential).await {
            Ok(verification) => {
                if global.json {
                    output::to_stdout(&serde_json::to_string(&verification)?)?;
                } else {
                    show(&verification, credential.strategy.needs_operator)?;
                }
                if !verification.is_live() {
                    worst = worst.worse(Code::NotLive);
                }
            }
            Err(failure) => {
                worst = worst.worse(run_report::show(global, Err(failure), false)?);
            }
        }
    }
    Ok(worst.into())
}

/// The value of a secret that holds several credentials is never brought back whole: the others have moved on.
fn what_helps(verification: &Verification, name: &str, needs_operator: bool) -> String {
    let secret = &verification.secret;
    match (needs_operator, verification.credential.is_empty()) {
        (true, _) => {
            format!(
                "\n  If it is dead, make a new one at the vendor: `keyturn assist {name} --without-preflight` asks for it, \
                 unless an older one is still owed there (`keyturn status {name}`); then store the new one with `keyturn \
                 secret put {secret}`."
            )
        }
        (false, true) => format!(
            "\n  Try `keyturn rotate {name}` first: where a rotation was interrupted, it promotes the version that logs in, \
             and where an admin secret has the right to, it replaces a password that was changed by hand. Otherwise put the \
             working value; if the old one is not retired yet, `keyturn secret get {secret} --stage AWSPREVIOUS --reveal | \
             keyturn secret put {secret} --value-stdin` brings it back."
        ),
        (false, false) => format!(
            "\n  Try `keyturn rotate {name}` first: where a rotation was interrupted, it promotes the version that logs in, \
             and where an admin secret has the right to, it replaces a password that was changed by hand. Otherwise put a \
             value with the members of this credential as they work, and with those of the others as they are: \
             `keyturn secret put {secret} --value-file FILE`."
        ),
    }
}

fn show(verification: &Verification, needs_operator: bool) -> Result<()> {
    let name = output::name(&verification.secret, &verification.credential);
    let findings = || {
        let lines = verification.findings.iter().map(|found| {
            let finding = output::finding(&found.summary, found.fix.as_deref());
            format!("\n  {finding}")
        });
        lines.collect::<String>()
    };
    if verification.is_live() {
        let what = if verification.asked {
            "logs in"
        } else {
            "passes the checks of the plugin itself; nobody was asked whether it is accepted"
        };
        return Ok(output::to_stdout(&format!(
            "{name}: AWSCURRENT ({}) {what}{}",
            verification.version,
            findings()
        ))?);
    }
    let mut words = format!(
        "{name}: AWSCURRENT ({}) is {}",
        verification.version, verification.liveness
    );
    for member in &verification.members {
        let error = member
            .error
            .as_ref()
            .map_or(String::new(), |error| format!(": {}", error.message));
        words.push_str(&format!("\n  {} {}{error}", member.endpoint, member.member));
    }
    words.push_str(&findings());
    words.push_str(&what_helps(verification, &name, needs_operator));
    exit::report(
        &anyhow::Error::new(Failure::new(Code::NotLive, words)),
        false,
    );
    Ok(())
}
