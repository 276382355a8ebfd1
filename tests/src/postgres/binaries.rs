//! Finds the programs of a PostgreSQL server. It never installs anything: who may do that (the demo,
//! a Makefile) does it itself and looks again.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::PostgresError;

/// What to do where none is found; part of the error and of the demo's output.
pub const HOW_TO_GET_ONE: &str = "Install one: `apt-get install -y postgresql` on Debian or Ubuntu, \
     `brew install postgresql@17` on macOS, or put the folder with initdb, pg_ctl, postgres and psql on PATH.";

const PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "postgres", "psql"];

/// A folder with the four programs that a cluster needs.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
    /// E.g. 15.
    pub version_major: u32,
}

impl Binaries {
    /// Debian's folders (newest version first), then Homebrew's, then PATH.
    pub fn find() -> Result<Self, PostgresError> {
        let folders = candidates();
        folders
            .iter()
            .filter(|folder| {
                PROGRAMS
                    .iter()
                    .all(|program| folder.join(program).is_file())
            })
            .find_map(|folder| {
                let version_major = version_of(folder)?;
                Some(Self {
                    folder: folder.clone(),
                    version_major,
                })
            })
            .ok_or_else(|| PostgresError::NotFound {
                looked_in: "/usr/lib/postgresql/*/bin, Homebrew's folders and PATH".to_owned(),
            })
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn candidates() -> Vec<PathBuf> {
    let mut folders = versioned(Path::new("/usr/lib/postgresql"), "");
    for homebrew in ["/opt/homebrew/opt", "/usr/local/opt"] {
        folders.extend(versioned(Path::new(homebrew), "postgresql@"));
        folders.push(Path::new(homebrew).join("postgresql/bin"));
    }
    if let Some(path) = env::var_os("PATH") {
        folders.extend(env::split_paths(&path));
    }
    folders
}

/// `parent/<prefix><number>/bin`, highest number first.
fn versioned(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let number = name.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path().join("bin")))
        })
        .collect();
    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// From `postgres (PostgreSQL) 15.18 (Debian …)`; a folder whose server does not run is passed over.
fn version_of(folder: &Path) -> Option<u32> {
    let output = Command::new(folder.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    major_version(&String::from_utf8_lossy(&output.stdout))
}

fn major_version(text: &str) -> Option<u32> {
    let number = text.split_whitespace().nth(2)?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_releases_and_betas() {
        assert_eq!(
            major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("command not found"), None);
    }

    #[test]
    fn newest_version_comes_first_by_number_not_by_name() {
        let parent = crate::scratch::Scratch::new("keyturn-binaries").unwrap();
        for name in ["9", "15", "17", "not-a-version"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        let found = versioned(parent.path(), "");
        let expected: Vec<PathBuf> = ["17/bin", "15/bin", "9/bin"]
            .iter()
            .map(|name| parent.path().join(name))
            .collect();
        assert_eq!(found, expected);
    }
}
