//! The `[serve]` table: where `keyturn serve` listens, and who may ask it for what.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

/// Loopback, so that nothing is open to a network that nobody has opened.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8465);
/// Twelve digits that no account of AWS has.
const ACCOUNT: &str = "000000000000";
const ACCOUNT_DIGITS: usize = 12;

/// How the store is served. Paths are complete.
#[derive(Debug)]
pub struct Serve {
    pub address: SocketAddr,
    /// As clients sign for it.
    pub region: String,
    /// For ARNs.
    pub account: String,
    /// `None` only on loopback.
    pub tls: Option<TlsFiles>,
    /// At least one, by the name of its holder.
    pub access: BTreeMap<String, Access>,
}

/// What the server presents.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// PEM, with the chain behind it.
    pub certificate: PathBuf,
    /// PEM.
    pub private_key: PathBuf,
}

/// One access key and what it may do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// An AWS credentials file with one profile, of mode 0600.
    pub credentials_file: PathBuf,
    /// Names of secrets; `*` at the end stands for anything.
    pub secrets: Vec<String>,
    /// Operations, such as `GetSecretValue`; `*` at the end stands for anything.
    pub actions: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServeTable {
    address: Option<Spanned<SocketAddr>>,
    region: Spanned<String>,
    account: Option<Spanned<String>>,
    tls: Option<TlsFiles>,
    #[serde(default)]
    access: BTreeMap<String, Access>,
}

/// Where in the text, which key, and what is wrong with it.
pub(crate) type Problem = (Option<Range<usize>>, &'static str, String);

impl ServeTable {
    pub(crate) fn check(self, base: &Path) -> Result<Serve, Problem> {
        let at = self.address.as_ref().map(Spanned::span);
        let address = self.address.map_or(ADDRESS, Spanned::into_inner);
        let here = address.ip().is_loopback();
        if !here && self.tls.is_none() {
            let problem = format!(
                "{address} can be reached from other machines, so values must not pass in the clear: add \
                 serve.tls = {{ certificate = \"…\", private_key = \"…\" }}, or listen on 127.0.0.1"
            );
            return Err((at, "serve.address", problem));
        }
        if self.access.is_empty() {
            let problem = "nobody could read anything: make an access key (`keyturn access-key FILE`) and add a table \
                           [serve.access.NAME] with credentials_file, secrets and actions";
            return Err((at, "serve.access", problem.to_owned()));
        }
        let is_region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.region.get_ref().is_empty() || !self.region.get_ref().chars().all(is_region) {
            let problem =
                "give the region that your clients are configured with, such as \"eu-west-1\"";
            return Err((Some(self.region.span()), "serve.region", problem.to_owned()));
        }
        let at = self.account.as_ref().map(Spanned::span);
        let account = self
            .account
            .map_or_else(|| ACCOUNT.to_owned(), Spanned::into_inner);
        if account.len() != ACCOUNT_DIGITS || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            let problem = "give twelve digits, such as \"000000000000\"";
            return Err((at, "serve.account", problem.to_owned()));
        }
        let tls = self.tls.map(|files| TlsFiles {
            certificate: base.join(files.certificate),
            private_key: base.join(files.private_key),
        });
        let mut access = self.access;
        for key in access.values_mut() {
            key.credentials_file = base.join(&key.credentials_file);
        }
        Ok(Serve {
            address,
            region: self.region.into_inner(),
            account,
            tls,
            access,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::Config;

    const STORE: &str = "[store]\nkind = \"embedded\"\npath = \"store.db\"\n";
    const ACCESS: &str = "[serve.access.app]\ncredentials_file = \"app.key\"\nsecrets = [\"prod/*\"]\n\
                          actions = [\"GetSecretValue\"]\n";
    const TLS: &str = "tls = { certificate = \"a.pem\", private_key = \"b.pem\" }\n";

    fn read(serve: &str) -> Result<Config, String> {
        let text = format!("{STORE}[serve]\n{serve}");
        Config::parse(Path::new("/etc/keyturn.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn without_an_address_only_this_machine_is_served() {
        let serve = read(&format!("region = \"eu-west-1\"\n{ACCESS}"))
            .unwrap()
            .serve
            .unwrap();
        assert!(serve.address.ip().is_loopback());
        assert_eq!(serve.account, "000000000000");
        let file = &serve.access["app"].credentials_file;
        assert_eq!(file, Path::new("/etc/app.key"));
    }

    #[test]
    fn another_address_needs_tls() {
        for address in ["0.0.0.0:8465", "[::]:8465", "10.0.0.1:8465"] {
            let table = format!("address = \"{address}\"\nregion = \"eu-west-1\"\n");
            let problem = read(&format!("{table}{ACCESS}")).unwrap_err();
            assert!(
                problem.starts_with("/etc/keyturn.toml:5: serve.address: "),
                "{problem}"
            );
            assert!(problem.contains("serve.tls"), "{problem}");
            let served = read(&format!("{table}{TLS}{ACCESS}")).unwrap();
            assert_eq!(served.serve.unwrap().address.to_string(), address);
        }
    }

    #[test]
    fn nothing_is_served_without_an_access_key() {
        let problem = read(&format!("region = \"eu-west-1\"\n{TLS}")).unwrap_err();
        assert!(
            problem.contains("serve.access: nobody could read anything"),
            "{problem}"
        );
    }

    #[test]
    fn region_and_account_have_awss_form() {
        let problem = read(&format!("region = \"EU west\"\n{ACCESS}")).unwrap_err();
        assert!(problem.contains(":5: serve.region: "), "{problem}");
        let table = format!("region = \"eu-west-1\"\naccount = \"12\"\n{ACCESS}");
        let problem = read(&table).unwrap_err();
        assert!(problem.contains(":6: serve.account: "), "{problem}");
    }
}
