//! Whether the host signs a plugin's requests with its own AWS credentials, and for which service and region. It takes
//! the manifest's yes and the grant's; the keys themselves are never seen here.

use crate::grant::{EndpointGrant, TlsMode};

const REGION_BYTES_MAX: usize = 64;

/// What a signature is good for, beside its day (SigV4's credential scope).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pub service: String,
    pub region: String,
}

/// `declared`: the service that the manifest names. `None`: nothing is signed.
///
/// # Errors
/// The key of the endpoint's grant, and what is wrong with it.
pub fn scope(
    declared: Option<&str>,
    grant: &EndpointGrant,
) -> Result<Option<Scope>, (&'static str, String)> {
    let service = match (declared, grant.sign) {
        (None, false) if grant.region.is_none() => return Ok(None),
        (None, false) => return Err(("region", "only signed requests have one; remove it".into())),
        (None, true) => {
            let cause = "the plugin does not ask for signed requests there; remove it";
            return Err(("sign", cause.into()));
        }
        (Some(service), false) => {
            let cause = format!(
                "requests there have to be signed for {service} with this host's AWS credentials; if the plugin may have \
                 that, set sign = true"
            );
            return Err(("sign", cause));
        }
        (Some(service), true) => service,
    };
    // A session token travels with each signature.
    if grant.tls < TlsMode::VerifyCa {
        let cause = "signed requests go to a verified server alone; use verify-full or verify-ca";
        return Err(("tls", cause.into()));
    }
    if let Some(pattern) = grant.hosts.iter().find(|host| host.contains('*')) {
        let cause =
            format!("\"{pattern}\" is no exact name, and signed requests go to those alone");
        return Err(("hosts", cause));
    }
    let region = region(service, grant).map_err(|cause| ("region", cause))?;
    Ok(Some(Scope {
        service: service.to_owned(),
        region,
    }))
}

fn region(service: &str, grant: &EndpointGrant) -> Result<String, String> {
    if let Some(region) = &grant.region {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if region.is_empty() || region.len() > REGION_BYTES_MAX || !region.chars().all(fits) {
            return Err("not a region; write one such as \"eu-west-1\"".into());
        }
        return Ok(region.clone());
    }
    let members = grant.members.iter();
    let members = members.map(|member| member.rsplit_once(':').map_or(&**member, |(host, _)| host));
    let mut regions = grant.hosts.iter().map(String::as_str).chain(members);
    let first = regions.next().and_then(|host| region_of(service, host));
    match first {
        Some(first) if regions.all(|host| region_of(service, host) == Some(first)) => {
            Ok(first.to_ascii_lowercase())
        }
        _ => Err(
            "missing, and the host's name does not tell it; write one such as \"eu-west-1\"".into(),
        ),
    }
}

/// From a service's own names: `SERVICE.REGION.amazonaws.com`, with `-fips` behind the service, `.cn` at the end, or as
/// a VPC endpoint's `vpce-….SERVICE.REGION.vpce.amazonaws.com`.
fn region_of<'h>(service: &str, host: &'h str) -> Option<&'h str> {
    let name = host.strip_suffix(".cn").unwrap_or(host);
    let name = name.strip_suffix(".amazonaws.com")?;
    let name = name.strip_suffix(".vpce").unwrap_or(name);
    let (before, region) = name.rsplit_once('.')?;
    let called = before.rsplit('.').next()?;
    let called = called.strip_suffix("-fips").unwrap_or(called);
    (called == service && !region.is_empty()).then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(hosts: &[&str]) -> EndpointGrant {
        EndpointGrant {
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            sign: true,
            ..EndpointGrant::default()
        }
    }

    #[track_caller]
    fn check(grant: &EndpointGrant, region: &str) {
        let scope = scope(Some("elasticache"), grant).unwrap().unwrap();
        assert_eq!((&*scope.service, &*scope.region), ("elasticache", region));
    }

    #[track_caller]
    fn check_refused(declared: Option<&str>, grant: &EndpointGrant, key: &str, words: &str) {
        let (at, cause) = scope(declared, grant).unwrap_err();
        assert_eq!(at, key);
        assert!(cause.contains(words), "{cause}");
    }

    #[test]
    fn the_region_stands_in_the_services_own_names() {
        for (host, region) in [
            ("elasticache.eu-west-1.amazonaws.com", "eu-west-1"),
            ("elasticache-fips.us-east-1.amazonaws.com", "us-east-1"),
            ("elasticache.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            (
                "vpce-0a-1b.elasticache.eu-west-1.vpce.amazonaws.com",
                "eu-west-1",
            ),
        ] {
            check(&grant(&[host]), region);
        }
        let mut members = grant(&[]);
        members.members = vec!["elasticache.eu-west-1.amazonaws.com:443".into()];
        check(&members, "eu-west-1");
    }

    #[test]
    fn the_grants_region_counts_where_the_name_tells_none() {
        let mut spelled = grant(&["127.0.0.1"]);
        spelled.region = Some("eu-west-1".into());
        check(&spelled, "eu-west-1");
        spelled.region = Some("eu west".into());
        check_refused(Some("elasticache"), &spelled, "region", "not a region");
        for hosts in [
            &["127.0.0.1"][..],
            &["rds.eu-west-1.amazonaws.com"],
            &["elasticache.eu-west-1.amazonaws.com.evil.example"],
            &[
                "elasticache.eu-west-1.amazonaws.com",
                "elasticache.eu-west-2.amazonaws.com",
            ],
            &[],
        ] {
            check_refused(Some("elasticache"), &grant(hosts), "region", "missing");
        }
    }

    #[test]
    fn both_must_say_yes() {
        let signed = grant(&["elasticache.eu-west-1.amazonaws.com"]);
        let unsigned = EndpointGrant::default();
        assert_eq!(scope(None, &unsigned), Ok(None));
        check_refused(None, &signed, "sign", "does not ask");
        check_refused(Some("elasticache"), &unsigned, "sign", "sign = true");
        let regional = EndpointGrant {
            region: Some("eu-west-1".into()),
            ..EndpointGrant::default()
        };
        check_refused(None, &regional, "region", "remove it");
    }

    #[test]
    fn a_session_token_goes_to_a_known_and_verified_server_alone() {
        let mut signed = grant(&["elasticache.eu-west-1.amazonaws.com"]);
        for tls in [TlsMode::Disable, TlsMode::Require] {
            signed.tls = tls;
            check_refused(Some("elasticache"), &signed, "tls", "verified");
        }
        for pattern in ["*", "*.amazonaws.com"] {
            check_refused(
                Some("elasticache"),
                &grant(&[pattern]),
                "hosts",
                "no exact name",
            );
        }
    }
}
