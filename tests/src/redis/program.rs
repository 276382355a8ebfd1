//! Finds the programs of Redis and Valkey. It never installs anything: who may do that (a Makefile) does it itself
//! and looks again.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use super::RedisError;

/// What to do where none is found; part of the error.
pub const HOW_TO_GET_ONE: &str = "`make redis` gets what can be had on Debian and Ubuntu (redis-server, \
     valkey-server, and Redis 5 built from source as redis-server-5); elsewhere put them on PATH.";

/// A server's program.
#[derive(Debug, Clone)]
pub struct Program {
    pub(super) path: PathBuf,
    /// `redis-server`, `valkey-server` or `redis-server-5`.
    pub name: &'static str,
    /// E.g. 7.
    pub version_major: u32,
}

impl Program {
    /// Redis itself, 6 or newer.
    pub fn newest() -> Result<Self, RedisError> {
        Self::find("redis-server")
            .filter(|program| program.version_major >= 6)
            .ok_or(RedisError::NotFound {
                wanted: "redis-server (6 or newer)",
            })
    }

    pub fn valkey() -> Result<Self, RedisError> {
        Self::find("valkey-server").ok_or(RedisError::NotFound {
            wanted: "valkey-server",
        })
    }

    /// The last Redis without users.
    pub fn before_acl() -> Result<Self, RedisError> {
        Self::find("redis-server-5").ok_or(RedisError::NotFound {
            wanted: "redis-server-5",
        })
    }

    fn find(name: &'static str) -> Option<Self> {
        let path = env::split_paths(&env::var_os("PATH")?)
            .map(|folder| folder.join(name))
            .find(|path| path.is_file())?;
        let output = Command::new(&path).arg("--version").output().ok()?;
        Some(Self {
            path,
            name,
            version_major: major_version(&String::from_utf8_lossy(&output.stdout))?,
        })
    }
}

/// From `Redis server v=7.0.15 sha=…` or `Valkey server v=8.0.1 …`.
fn major_version(text: &str) -> Option<u32> {
    let version = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix("v="))?;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_both_say() {
        assert_eq!(
            major_version("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc"),
            Some(7)
        );
        assert_eq!(
            major_version("Valkey server v=8.0.1 sha=00000000:0"),
            Some(8)
        );
        assert_eq!(major_version("command not found"), None);
    }
}
