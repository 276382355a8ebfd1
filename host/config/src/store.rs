//! Where secrets are kept: the table [store], or what the command line names instead.

use std::path::{Path, PathBuf};

use toml::Spanned;

use crate::file::{Store, StoreKind};
use crate::{Config, ConfigError};

/// A store and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    Embedded {
        path: PathBuf,
        /// `None`: from the environment.
        master_key_file: Option<PathBuf>,
    },
    /// What is `None` comes from where AWS's own tools look for it.
    Aws {
        region: Option<String>,
        endpoint_url: Option<String>,
        profile: Option<String>,
    },
}

const NOT_CONFIGURED: StoreConfig = StoreConfig::Aws {
    region: None,
    endpoint_url: None,
    profile: None,
};

impl Config {
    /// The store that the command line names, else the configured one.
    ///
    /// # Errors
    /// If there is none, or none of that kind that could do without a configuration.
    pub fn store(&self, named: Option<StoreKind>) -> Result<&StoreConfig, ConfigError> {
        match (named, &self.store) {
            (Some(StoreKind::Embedded), Some(store @ StoreConfig::Embedded { .. }))
            | (Some(StoreKind::Aws), Some(store @ StoreConfig::Aws { .. }))
            | (None, Some(store)) => Ok(store),
            (Some(StoreKind::Aws), _) => Ok(&NOT_CONFIGURED),
            (Some(StoreKind::Embedded), _) | (None, None) => Err(self.error(
                None,
                "store".to_owned(),
                "an embedded store needs the table [store] with kind = \"embedded\" and path; `keyturn init` makes one, \
                 and kind = \"aws\" or --store aws takes AWS Secrets Manager"
                    .to_owned(),
            )),
        }
    }

    /// The audit trail of work on that store.
    pub fn audit_path(&self, store: &StoreConfig) -> PathBuf {
        match (&self.audit, store) {
            (Some(path), _) => path.clone(),
            (None, StoreConfig::Embedded { path, .. }) => path.with_extension("audit.jsonl"),
            (None, StoreConfig::Aws { .. }) => self.path.with_file_name("keyturn.audit.jsonl"),
        }
    }

    /// Checks that each key fits the kind.
    pub(crate) fn set_store(
        &mut self,
        table: Spanned<Store>,
        base: &Path,
    ) -> Result<(), ConfigError> {
        let span = table.span();
        let Store {
            kind,
            path,
            master_key_file,
            region,
            endpoint_url,
            profile,
        } = table.into_inner();
        let foreign = match kind {
            StoreKind::Embedded => [
                ("region", region.is_some()),
                ("endpoint_url", endpoint_url.is_some()),
                ("profile", profile.is_some()),
            ],
            StoreKind::Aws => [
                ("path", path.is_some()),
                ("master_key_file", master_key_file.is_some()),
                ("", false),
            ],
        };
        if let Some((key, _)) = foreign.iter().find(|(_, given)| *given) {
            let problem = "this key belongs to the other kind of store".to_owned();
            return Err(self.error(Some(span), format!("store.{key}"), problem));
        }
        self.store = Some(match (kind, path) {
            (StoreKind::Embedded, Some(path)) => StoreConfig::Embedded {
                path: base.join(path),
                master_key_file: master_key_file.map(|file| base.join(file)),
            },
            (StoreKind::Embedded, None) => {
                let problem = "an embedded store needs `path`, the file that it is".to_owned();
                return Err(self.error(Some(span), "store.path".to_owned(), problem));
            }
            (StoreKind::Aws, _) => StoreConfig::Aws {
                region,
                endpoint_url,
                profile,
            },
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("/etc/keyturn/keyturn.toml"), text.to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn each_kind_has_keys_of_its_own() {
        for (text, problem) in [
            (
                "[store]\nkind = \"embedded\"\npath = \"s.db\"\nregion = \"eu-west-1\"\n",
                "/etc/keyturn/keyturn.toml:1: store.region: this key belongs to the other kind of store",
            ),
            (
                "[store]\nkind = \"aws\"\npath = \"s.db\"\n",
                "/etc/keyturn/keyturn.toml:1: store.path: this key belongs to the other kind of store",
            ),
            (
                "\n[store]\nkind = \"embedded\"\n",
                "/etc/keyturn/keyturn.toml:2: store.path: an embedded store needs `path`, the file that it is",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), problem);
        }
    }

    #[test]
    fn the_command_line_may_name_a_store_that_needs_no_table() {
        let config = parse("").unwrap();
        assert_eq!(config.store(Some(StoreKind::Aws)).unwrap(), &NOT_CONFIGURED);
        for named in [None, Some(StoreKind::Embedded)] {
            let problem = config.store(named).unwrap_err().to_string();
            assert!(problem.contains("--store aws"), "{problem}");
        }
        let config = parse("[store]\nkind = \"aws\"\nregion = \"eu-west-1\"\n").unwrap();
        let configured = StoreConfig::Aws {
            region: Some("eu-west-1".to_owned()),
            endpoint_url: None,
            profile: None,
        };
        for named in [None, Some(StoreKind::Aws)] {
            assert_eq!(config.store(named).unwrap(), &configured);
        }
        assert!(config.store(Some(StoreKind::Embedded)).is_err());
    }

    #[test]
    fn the_audit_trail_has_its_place_in_front_of_any_store() {
        let config = parse("[store]\nkind = \"embedded\"\npath = \"data/store.db\"\n").unwrap();
        for (named, trail) in [
            (None, "/etc/keyturn/data/store.audit.jsonl"),
            (Some(StoreKind::Aws), "/etc/keyturn/keyturn.audit.jsonl"),
        ] {
            let store = config.store(named).unwrap();
            assert_eq!(config.audit_path(store), Path::new(trail));
        }
    }
}
