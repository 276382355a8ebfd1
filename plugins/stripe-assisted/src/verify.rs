//! `test`, `probe` and `check`: what a key opens, asked of Stripe itself.

use crate::account::{self, Answer};
use crate::fields;
use crate::key::{Key, Settings};
use keyturn_sdk::{
    Context, Error, Finding, Level, Liveness, MemberReport, Outcome, Verdict, Version,
};

/// The candidate opens the account that AWSCURRENT opens, or, where the candidate only lacks the previous key, opens
/// its account still.
pub(crate) fn test(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
    let settings: Settings = ctx.settings()?;
    let key = fields::key(candidate, "the candidate")?;
    let current = fields::key(&ctx.current, "AWSCURRENT")?;
    // The same key in another value: nothing is new about it.
    let is_current = current.text.expose() == key.text.expose();
    let whose = if is_current {
        "AWSCURRENT's key"
    } else {
        "the new key"
    };
    account::wrong_key_is_refused(&key)?;
    let account = match account::ask(&key, whose)? {
        Answer::Account(id) => id,
        Answer::Restricted { permission } => return Err(lacks_a_right(permission, is_current)),
        Answer::Refused if is_current => {
            return Err(
                Error::auth("Stripe refuses AWSCURRENT's key; nothing was changed").code("401"),
            );
        }
        // Nothing has changed anywhere: another key may be tried.
        Answer::Refused => {
            return Err(Error::rejected(
                "Stripe refuses the new key: it is mistyped, expired, or deleted already; AWSCURRENT stays",
            )
            .code("401"));
        }
    };
    if let Some(wanted) = &settings.account
        && *wanted != account
    {
        return Err(another_account(whose, &account, wanted));
    }
    if is_current {
        return Ok(Outcome::done());
    }
    same_account(&current, &account, settings.account.is_some())
}

fn same_account(current: &Key, account: &str, is_pinned: bool) -> Result<Outcome, Error> {
    match account::ask(current, "AWSCURRENT's key")? {
        Answer::Account(id) if id == account => Ok(Outcome::done()),
        Answer::Account(id) => Err(another_account("the new key", account, &id)),
        // The old key cannot tell its account any more; waiting would help nobody.
        Answer::Restricted { .. } | Answer::Refused if is_pinned => Ok(Outcome::done()),
        Answer::Restricted { .. } | Answer::Refused => Ok(Outcome::done().finding(Finding {
            id: "account-unverified".to_owned(),
            level: Level::Warning,
            summary: format!(
                "AWSCURRENT's key does not tell its account, so that nothing was there to compare {account} with"
            ),
            fix: Some(format!(
                "if that is the right account, set settings.account = \"{account}\" for the next time"
            )),
        })),
    }
}

fn lacks_a_right(permission: Option<String>, is_current: bool) -> Error {
    let right = permission.unwrap_or_else(|| "reading the account".to_owned());
    let message = if is_current {
        format!(
            "AWSCURRENT's key is a restricted one without the right to read the account ({right}), so that it cannot be \
             checked; it may work all the same; give it that right in the dashboard"
        )
    } else {
        format!(
            "the new key is a restricted one without the right to read the account ({right}), so that it cannot be \
             checked; AWSCURRENT stays; give it that right in the dashboard, or bring another key"
        )
    };
    Error::permission(message).code("403")
}

fn another_account(whose: &str, account: &str, wanted: &str) -> Error {
    Error::rejected(format!(
        "{whose} belongs to the account {account} and not to {wanted}; AWSCURRENT stays; bring a key of {wanted}"
    ))
}

/// Dead is only what is refused where AWSCURRENT's key is accepted: something on the way may refuse every key. A
/// restricted key without the right to read the account is a key all the same.
pub(crate) fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error> {
    let key = fields::key(subject, "the value to probe")?;
    if account::ask(&key, "the key in question")? != Answer::Refused {
        return Ok(Verdict::new(Liveness::Live));
    }
    let current = fields::key(&ctx.current, "AWSCURRENT")?;
    if current.text.expose() != key.text.expose()
        && account::ask(&current, "AWSCURRENT's key")? == Answer::Refused
    {
        let why = Error::auth(
            "Stripe refuses the key in question, but AWSCURRENT's too: that proves nothing; look at grant.endpoint.api",
        );
        return Ok(Verdict::of_members(vec![MemberReport::unknown(
            "api",
            "api.stripe.com",
            why,
        )]));
    }
    account::wrong_key_is_refused(&key)?;
    Ok(Verdict::new(Liveness::Dead))
}

/// Before an operator is asked: whether the way to Stripe leads there. A dead key is no reason not to ask for another,
/// which takes nothing from anybody.
pub(crate) fn check(ctx: &Context) -> Result<Vec<Finding>, Error> {
    let key = fields::key(&ctx.current, "AWSCURRENT")?;
    account::wrong_key_is_refused(&key)?;
    let finding = |level, summary: &str, fix: Option<&str>| Finding {
        id: "current-live".to_owned(),
        level,
        summary: summary.to_owned(),
        fix: fix.map(str::to_owned),
    };
    Ok(vec![match account::ask(&key, "AWSCURRENT's key")? {
        Answer::Account(_) | Answer::Restricted { .. } => {
            finding(Level::Ok, "Stripe accepts AWSCURRENT's key", None)
        }
        Answer::Refused => finding(
            Level::Warning,
            "Stripe refuses AWSCURRENT's key, so that a new one's account cannot be compared with it",
            Some("set settings.account, if it is not set"),
        ),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyturn_sdk::http::{Request, Response};
    use keyturn_sdk::{ErrorKind, fake};

    const OLD: &str = "sk_test_0000000000000000old";
    const NEW: &str = "sk_test_0000000000000000new";

    /// What Stripe says to each key; any other is refused.
    fn stripe(answers: &'static [(&'static str, u16, &'static str)]) -> fake::Host {
        let serve = move |request: &Request| {
            assert_eq!(
                (request.method.as_str(), request.path.as_str()),
                ("GET", "/v1/account")
            );
            let (_, given) = &request.headers[0];
            let known = answers
                .iter()
                .find(|(key, ..)| *given == format!("Bearer {key}"));
            let (status, body) = known.map_or((401, "{}"), |(_, status, body)| (*status, *body));
            Ok(Response {
                status,
                headers: Vec::new(),
                body: body.as_bytes().to_vec(),
            })
        };
        fake::Host::new().http("api", serve)
    }

    fn tested(host: fake::Host, settings: &str) -> Result<Outcome, Error> {
        let _host = host.install();
        let mut ctx = fake::context("assisted", &format!(r#"{{"secret_key":"{OLD}"}}"#));
        ctx.settings_json = settings.into();
        test(
            &ctx,
            &fake::version("v2", &format!(r#"{{"secret_key":"{NEW}"}}"#)),
        )
    }

    const ONE: &str = r#"{"id":"acct_1","object":"account"}"#;
    const TWO: &str = r#"{"id":"acct_2","object":"account"}"#;
    const NOT_ALLOWED: &str = r#"{"error":{"message":"The provided key 'rk_test_***' does not have the required permissions for this endpoint. Having the 'rak_accounts_kyc_basic_read' permission would allow this request."}}"#;

    #[test]
    fn a_key_of_the_same_account_passes() {
        let outcome = tested(stripe(&[(OLD, 200, ONE), (NEW, 200, ONE)]), "{}").unwrap();
        assert!(outcome.findings.is_empty());
    }

    #[test]
    fn a_key_of_another_account_is_rejected() {
        let error = tested(stripe(&[(OLD, 200, ONE), (NEW, 200, TWO)]), "{}").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Rejected);
        assert!(error.message.contains("acct_2") && error.message.contains("acct_1"));
        let pinned = r#"{"account":"acct_1"}"#;
        let error = tested(stripe(&[(NEW, 200, TWO)]), pinned).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Rejected);
    }

    #[test]
    fn a_key_that_stripe_refuses_is_rejected() {
        let error = tested(stripe(&[(OLD, 200, ONE)]), "{}").unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_deref()),
            (ErrorKind::Rejected, Some("401"))
        );
    }

    #[test]
    fn a_restricted_key_is_told_the_right_that_it_lacks() {
        let error = tested(stripe(&[(OLD, 200, ONE), (NEW, 403, NOT_ALLOWED)]), "{}").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Permission);
        assert!(
            error.message.contains("rak_accounts_kyc_basic_read"),
            "{error}"
        );
    }

    #[test]
    fn without_an_old_key_to_compare_with_it_is_said() {
        let outcome = tested(stripe(&[(NEW, 200, ONE)]), "{}").unwrap();
        assert_eq!(outcome.findings[0].id, "account-unverified");
        let pinned = r#"{"account":"acct_1"}"#;
        let outcome = tested(stripe(&[(NEW, 200, ONE)]), pinned).unwrap();
        assert!(outcome.findings.is_empty());
    }

    #[test]
    fn a_server_that_takes_any_key_proves_nothing() {
        let serve = |_: &Request| {
            Ok(Response {
                status: 200,
                headers: Vec::new(),
                body: ONE.as_bytes().to_vec(),
            })
        };
        let error = tested(fake::Host::new().http("api", serve), "{}").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unprotected);
    }

    #[test]
    fn trouble_is_no_verdict() {
        for (status, body, kind) in [
            (500, "{}", ErrorKind::Unreachable),
            (429, "{}", ErrorKind::Throttled),
            (404, "{}", ErrorKind::Protocol),
            (200, "<html>", ErrorKind::Protocol),
        ] {
            let serve = move |_: &Request| {
                Ok(Response {
                    status,
                    headers: Vec::new(),
                    body: body.as_bytes().to_vec(),
                })
            };
            let _host = fake::Host::new().http("api", serve).install();
            let ctx = fake::context("assisted", &format!(r#"{{"secret_key":"{OLD}"}}"#));
            assert_eq!(probe(&ctx, &ctx.current).unwrap_err().kind, kind);
        }
    }

    #[test]
    fn a_key_is_dead_once_stripe_refuses_it() {
        let _host = stripe(&[(OLD, 200, ONE), (NEW, 403, NOT_ALLOWED)]).install();
        assert_eq!(probed(NEW, OLD), Liveness::Live);
        assert_eq!(probed(NEW, NEW), Liveness::Live);
        assert_eq!(probed(NEW, GONE), Liveness::Dead);
        assert_eq!(probed(GONE, GONE), Liveness::Dead);
    }

    /// Something on the way answers, or Stripe has shut the account.
    #[test]
    fn where_every_key_is_refused_none_is_proven_dead() {
        let _host = stripe(&[]).install();
        let verdict = verdict(NEW, OLD);
        assert_eq!(verdict.liveness, Liveness::Unknown);
        let why = verdict.members[0].error.as_ref().unwrap();
        assert!(why.message.contains("AWSCURRENT's too"), "{why}");
    }

    #[test]
    fn a_dead_key_is_said_and_keeps_nobody_from_asking_for_another() {
        let checked = |host: fake::Host| {
            let _host = host.install();
            let ctx = fake::context("assisted", &format!(r#"{{"secret_key":"{OLD}"}}"#));
            check(&ctx)
        };
        let level = |host| checked(host).unwrap()[0].level;
        assert_eq!(level(stripe(&[(OLD, 200, ONE)])), Level::Ok);
        assert_eq!(level(stripe(&[(OLD, 403, NOT_ALLOWED)])), Level::Ok);
        assert_eq!(level(stripe(&[])), Level::Warning);
        let error = checked(fake::Host::new()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSettings);
    }

    const GONE: &str = "sk_test_0000000000000000gone";

    fn probed(current: &str, subject: &str) -> Liveness {
        verdict(current, subject).liveness
    }

    fn verdict(current: &str, subject: &str) -> Verdict {
        let value = |key: &str| format!(r#"{{"secret_key":"{key}"}}"#);
        let ctx = fake::context("assisted", &value(current));
        let subject = fake::version("v", &value(subject));
        probe(&ctx, &subject).unwrap()
    }
}
