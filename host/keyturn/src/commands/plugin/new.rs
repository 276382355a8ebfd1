//! `keyturn plugin new`: a folder with a whole plugin in it, to be changed into one's own. Its files are those that
//! sdk/plugin/README.md walks through; a test compares. Nothing that is there already is touched.

use std::{fs, path::Path, process::ExitCode};

use anyhow::Result;
use serde_json::json;

use crate::{
    cli::{Global, NewPlugin},
    output, plugins,
    session::refuse,
};

/// Where each file goes, and what it says: `NAME` and `SDK` stand for what the command line names.
const FILES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("template/Cargo.toml")),
    ("plugin.toml", include_str!("template/plugin.toml")),
    ("src/lib.rs", include_str!("template/lib.rs")),
    (
        ".cargo/config.toml",
        include_str!("template/cargo-config.toml"),
    ),
    (".gitignore", include_str!("template/gitignore")),
    ("README.md", include_str!("template/README.md")),
];

pub(super) fn run(global: &Global, arguments: &NewPlugin) -> Result<ExitCode> {
    let name = &arguments.name;
    check_name(name)?;
    let sdk = sdk(&arguments.sdk)?;
    let dir = arguments.dir.as_deref().unwrap_or(Path::new(name));
    let taken = dir
        .read_dir()
        .is_ok_and(|mut entries| entries.next().is_some());
    if taken || dir.is_file() {
        return Err(refuse(format!(
            "{} is there already; nothing was changed. Choose another folder with --dir, or move it away",
            dir.display()
        ))
        .into());
    }
    for (file, template) in FILES {
        let path = dir.join(file);
        let text = template.replace("NAME", name).replace("\"SDK\"", &sdk);
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, text));
        written
            .map_err(|error| refuse(format!("{} cannot be written: {error}", path.display())))?;
    }
    if global.json {
        let files = FILES.map(|(file, _)| file);
        output::to_stdout(&json!({"name": name, "folder": dir, "files": files}).to_string())?;
    } else {
        output::to_stdout(&format!(
            "Made the plugin {name} in {}. It rotates a PIN of six digits until you change it.\n\
             Next, in that folder: `cargo test`, then `keyturn plugin build`.",
            dir.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The name stands in plugin.toml, in a package of Cargo's and in one of the component model's, which is the strictest.
fn check_name(name: &str) -> Result<()> {
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    if name.len() > 64 || !name.split('-').all(is_word) {
        return Err(refuse(format!(
            "{name:?} cannot be a plugin's name; take words of a-z and 0-9 that begin with a letter, with a hyphen \
             between them, and 64 characters at the most, as in \"door-pin\""
        ))
        .into());
    }
    if plugins::is_shipped(name) {
        return Err(refuse(format!(
            "this keyturn ships a plugin {name}, which no other can replace; choose another name"
        ))
        .into());
    }
    Ok(())
}

/// The folder of keyturn-sdk as a string of TOML. Absolute, so that the plugin's folder may be moved.
fn sdk(folder: &Path) -> Result<String> {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    if !manifest.contains("name = \"keyturn-sdk\"") {
        return Err(refuse(format!(
            "{} is not the folder of keyturn-sdk; --sdk takes sdk/plugin of a clone of Keyturn's repository",
            folder.display()
        ))
        .into());
    }
    let folder = folder.canonicalize()?;
    // TOML's strings have all the escapes of JSON's.
    Ok(json!(folder.to_string_lossy()).to_string())
}
