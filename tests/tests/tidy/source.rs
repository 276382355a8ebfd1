//! The repository's Rust files as the style rules see them.

use std::fs;
use std::path::{Path, PathBuf};

/// One Rust file of the repository.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) lines: Vec<String>,
    /// Number of the first line that is test code; the file's length where none is.
    pub(crate) tests_from: usize,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

pub(crate) fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    for folder in ["host", "plugins", "sdk", "tests"] {
        collect(&root().join(folder), &mut files);
    }
    assert!(files.len() > 30, "the rules must see the repository");
    files.into_iter().map(|path| Source::read(&path)).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && path.file_name().unwrap() != "target" {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

impl Source {
    fn read(path: &Path) -> Self {
        let lines: Vec<String> = fs::read_to_string(path)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        let path = path.strip_prefix(root()).unwrap().display().to_string();
        // The crate `tests` is itself called so; what counts is a folder or file inside a crate. The
        // guests, and the suite of the hostile ones, are nothing but tests.
        let inside = path.strip_prefix("tests/").unwrap_or(&path);
        let is_test_file = inside.split('/').any(|part| {
            ["hostile", "guest"].contains(&part) || part.trim_end_matches(".rs").ends_with("tests")
        });
        let tests_from = if is_test_file {
            0
        } else {
            lines
                .windows(2)
                .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].contains("mod "))
                .unwrap_or(lines.len())
        };
        Self {
            path,
            lines,
            tests_from,
        }
    }

    pub(crate) fn is_test_file(&self) -> bool {
        self.tests_from == 0
    }

    /// Lines with their number, comments left out.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines
            .iter()
            .enumerate()
            .map(|(number, line)| (number, line.as_str()))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// Whether the opening paragraph, or that of the folder's mod.rs, speaks of panics.
    pub(crate) fn documents_panics(&self) -> bool {
        let path = root().join(&self.path);
        let folder = path.parent().unwrap();
        [
            path.clone(),
            folder.join("mod.rs"),
            folder.with_extension("rs"),
        ]
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .any(|text| {
            let mut opening = text.lines().take_while(|line| line.starts_with("//!"));
            opening.any(|line| line.contains("panic"))
        })
    }

    pub(crate) fn place(&self, line: usize) -> String {
        format!("{}:{}", self.path, line + 1)
    }
}
