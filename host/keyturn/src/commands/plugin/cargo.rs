//! The author's own cargo and rustc: what they say about a crate, and the core module that they make of it. Mistakes
//! are told by the fields of their answers and never by their words, which go to the author as they are.

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::{exit::Failure, output, session::refuse};

const TARGET: &str = "wasm32-unknown-unknown";

/// A crate that may become a plugin.
pub(super) struct Crate {
    dir: PathBuf,
    /// Cargo's name of exactly this package.
    id: String,
    pub(super) package: String,
    pub(super) target_dir: PathBuf,
}

impl Crate {
    /// The crate in this folder, as cargo sees it.
    pub(super) async fn find(dir: &Path) -> Result<Self> {
        let dir = std::path::absolute(dir)?;
        let shown = dir.display();
        let manifest = dir.join("Cargo.toml").canonicalize().map_err(|_| {
            refuse(format!(
                "{shown} has no Cargo.toml; give the folder of a plugin, or make one with `keyturn plugin new`"
            ))
        })?;
        let dir = manifest.parent().context("a file is in a folder")?;
        let metadata = metadata(dir).await?;
        let package = of(&metadata, "packages").find(|package| {
            let path = package["manifest_path"].as_str().map(Path::new);
            path.is_some_and(|path| path.canonicalize().is_ok_and(|path| path == manifest))
        });
        let package = package.ok_or_else(|| {
            refuse(format!(
                "{shown} is a workspace without a crate of its own; give the folder of the plugin in it"
            ))
        })?;
        let name = text(package, "name");
        if !of(package, "targets").any(is_cdylib) {
            return Err(refuse(format!(
                "cargo makes no .wasm of {name}: its library is no cdylib; write crate-type = [\"cdylib\", \"rlib\"] \
                 under [lib] in {shown}/Cargo.toml"
            ))
            .into());
        }
        if !dir.join("plugin.toml").is_file() {
            return Err(refuse(format!(
                "{shown} has no plugin.toml, which says what the plugin asks for; write one beside Cargo.toml with \
                 the keys name, contract and capabilities, as `keyturn plugin new` does"
            ))
            .into());
        }
        Ok(Self {
            dir: dir.to_owned(),
            id: text(package, "id"),
            package: name,
            target_dir: text(&metadata, "target_directory").into(),
        })
    }

    /// Without the target's standard library, each crate in turn would fail for want of `core`.
    pub(super) async fn has_target(&self) -> Result<()> {
        // As cargo chooses it.
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let asked = command(&rustc, &self.dir)
            .args(["--print", "target-libdir", "--target", TARGET])
            .output()
            .await
            .map_err(|error| missing(&rustc, &error))?;
        let folder = String::from_utf8_lossy(&asked.stdout);
        let folder = Path::new(folder.trim());
        if asked.status.success() && folder.is_dir() {
            return Ok(());
        }
        Err(refuse(format!(
            "the Rust that builds {} has no standard library for {TARGET}; in that folder, run `rustup target add \
             {TARGET}`. If Rust is not from rustup, install your distribution's package for it (Debian: \
             libstd-rust-dev-wasm32)",
            self.dir.display()
        ))
        .into())
    }

    /// The core module. Cargo's words go to standard error while it works.
    pub(super) async fn build(&self) -> Result<PathBuf> {
        let messages = if io::stderr().is_terminal() {
            "json-diagnostic-rendered-ansi"
        } else {
            "json"
        };
        let cargo = OsString::from("cargo");
        let mut building = command(&cargo, &self.dir)
            .args(["build", "--release", "--lib", "--target", TARGET])
            .args(["--package", &self.id, "--message-format", messages])
            .spawn()
            .map_err(|error| missing(&cargo, &error))?;
        let stdout = building.stdout.take().context("standard output is piped")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut core = None;
        let mut advice = None;
        while let Some(line) = lines.next_line().await? {
            // What a build script prints is none of cargo's messages.
            let message: Value = serde_json::from_str(&line).unwrap_or_default();
            match message["reason"].as_str() {
                Some("compiler-message") => {
                    output::to_stderr(text(&message["message"], "rendered").trim_end());
                    if message["message"]["level"] == "error" {
                        advice = advice.or_else(|| advice_on(&message, &self.dir));
                    }
                }
                Some("compiler-artifact")
                    if message["package_id"] == *self.id && is_cdylib(&message["target"]) =>
                {
                    core = of(&message, "filenames")
                        .filter_map(Value::as_str)
                        .find(|file| file.ends_with(".wasm"))
                        .map(PathBuf::from);
                }
                _ => {}
            }
        }
        let built = building.wait().await?.success();
        core.filter(|_| built).ok_or_else(|| {
            let fix = advice.unwrap_or_else(|| "correct what cargo says above".to_owned());
            refuse(format!(
                "{} does not build for {TARGET}; {fix}",
                self.package
            ))
            .into()
        })
    }
}

async fn metadata(dir: &Path) -> Result<Value> {
    let cargo = OsString::from("cargo");
    let answer = command(&cargo, dir)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .await
        .map_err(|error| missing(&cargo, &error))?;
    if !answer.status.success() {
        return Err(refuse(format!(
            "cargo cannot read {}/Cargo.toml; correct what it says above",
            dir.display()
        ))
        .into());
    }
    serde_json::from_slice(&answer.stdout).context("the answer of `cargo metadata`")
}

/// In the crate's folder: its toolchain file and its `.cargo/config.toml` count from there.
fn command(program: &OsString, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        // Other people's build scripts run here.
        .env_remove("KEYTURN_MASTER_KEY")
        .kill_on_drop(true);
    command
}

fn missing(program: &OsString, error: &io::Error) -> Failure {
    let program = program.to_string_lossy();
    refuse(format!(
        "{program} cannot be run ({error}); install Rust from https://rustup.rs, or put {program} where PATH leads to"
    ))
}

/// What to do about a crate that is known not to compile for the target as it comes.
fn advice_on(message: &Value, dir: &Path) -> Option<String> {
    if message["target"]["name"] != "getrandom" {
        return None;
    }
    // `registry+https://…#getrandom@0.2.17`, or without the name where the address ends in it.
    let id = text(message, "package_id");
    let (_, version) = id.rsplit_once(['@', '#'])?;
    let backend =
        "getrandom needs a backend where there is no operating system, and keyturn-sdk has one";
    Some(if version.starts_with("0.1.") {
        format!(
            "getrandom {version} cannot take its bytes from keyturn-sdk; `cargo tree --target {TARGET} --invert \
             getrandom@{version}` shows what depends on it: update that, or do without it"
        )
    } else if version.starts_with("0.2.") {
        format!(
            "{backend}: add getrandom = {{ version = \"0.2\", features = [\"custom\"] }} to [dependencies] in \
             {}/Cargo.toml",
            dir.display()
        )
    } else {
        format!(
            "{backend}: write these two lines into {}/.cargo/config.toml, and leave RUSTFLAGS unset, which would \
             override them\n{CUSTOM_BACKEND}",
            dir.display()
        )
    })
}

const CUSTOM_BACKEND: &str = "\
[target.wasm32-unknown-unknown]
rustflags = [\"--cfg\", \"getrandom_backend=\\\"custom\\\"\"]";

fn is_cdylib(target: &Value) -> bool {
    of(target, "crate_types").any(|kind| kind == "cdylib")
}

fn of<'a>(value: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    value[list].as_array().into_iter().flatten()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}
