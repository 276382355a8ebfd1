//! An author's folder and what is run in it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::scratch::Scratch;
use serde_json::{Value, json};

/// The clone that the tests are of.
pub(crate) fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_owned()
}

/// The folder of the binaries that `cargo build --workspace --bins` made.
fn binaries() -> &'static Path {
    let binary = Path::new(env!("CARGO_BIN_EXE_keyturn-prober"));
    binary.parent().unwrap()
}

/// What cargo makes of the crates is kept here, so that only the first test compiles what they depend on.
pub(crate) fn cargo_dir() -> PathBuf {
    target_dir().join("author")
}

/// That of the workspace.
pub(crate) fn target_dir() -> &'static Path {
    binaries().parent().unwrap()
}

/// A folder that holds what an author makes.
pub(crate) struct Desk {
    folder: Scratch,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = Scratch::new("keyturn-author").unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The plugin that `keyturn plugin new` makes. Its name is its own, because what cargo makes of all of them lies in
    /// one folder.
    pub(crate) fn plugin(&self, name: &str) -> Plugin {
        let sdk = root().join("sdk/plugin");
        self.keyturn(&["plugin", "new", name, "--sdk", sdk.to_str().unwrap()])
            .succeeded();
        let dir = self.path().join(name);
        lock(&dir);
        Plugin { dir }
    }

    pub(crate) fn keyturn(&self, arguments: &[&str]) -> Ended {
        run(command("keyturn", self.path()).args(arguments))
    }
}

/// The versions of the workspace, which are at hand.
pub(crate) fn lock(dir: &Path) {
    fs::copy(root().join("Cargo.lock"), dir.join("Cargo.lock")).unwrap();
}

/// A program, as an author would find it, without a network and without what this test's own cargo was told.
pub(crate) fn command(program: &str, dir: &Path) -> Command {
    let binaries = binaries();
    assert!(
        binaries.join("keyturn").is_file(),
        "`make build` makes keyturn"
    );
    let paths = env::var_os("PATH").unwrap();
    let paths = [binaries.to_owned()]
        .into_iter()
        .chain(env::split_paths(&paths));
    let mut command = Command::new(program);
    command
        .current_dir(dir)
        .env("PATH", env::join_paths(paths).unwrap())
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_BUILD_BUILD_DIR", cargo_dir())
        .env("CARGO_PROFILE_DEV_DEBUG", "false");
    for name in [
        "CARGO_TARGET_DIR",
        "RUSTFLAGS",
        "KEYTURN_CONFIG",
        "KEYTURN_PLUGIN_DIR",
    ] {
        command.env_remove(name);
    }
    command
}

pub(crate) fn run(command: &mut Command) -> Ended {
    let shown = format!("{command:?}");
    Ended {
        shown,
        output: command.output().unwrap(),
    }
}

/// Whether a component is a plugin that no check finds unfit; what it says about itself.
#[track_caller]
pub(crate) fn passes(component: &Path) -> Value {
    let dir = component.parent().unwrap();
    let mut inspect = command("keyturn", dir);
    inspect.args(["plugin", "inspect", "--json"]).arg(component);
    let shown = run(&mut inspect).succeeded();
    let shown: Value = serde_json::from_str(&shown.stdout()).unwrap();
    let mut check = command("keyturn", dir);
    check.args(["plugin", "check", "--json"]).arg(component);
    let report: Value = serde_json::from_str(&run(&mut check).stdout()).unwrap();
    // What needs a server stays open.
    let reaches_out = shown["manifest"]["endpoints"] != json!({});
    let wanted = if reaches_out { "incomplete" } else { "fit" };
    assert_eq!(report["verdict"], wanted, "{report}");
    shown
}

/// The crate of a plugin.
pub(crate) struct Plugin {
    pub(crate) dir: PathBuf,
}

impl Plugin {
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Ended {
        run(command(program, &self.dir).args(arguments))
    }

    pub(crate) fn build(&self) -> Ended {
        self.run("keyturn", &["plugin", "build", "--json"])
    }

    /// Changes what a file says, which it must say before.
    #[track_caller]
    pub(crate) fn change(&self, file: &str, from: &str, to: &str) {
        let path = self.dir.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} lacks {from:?}: {text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Has the plugin depend on a crate, and run this line in `create`.
    #[track_caller]
    pub(crate) fn depend_on(&self, dependency: &str, line: &str) {
        self.change(
            "Cargo.toml",
            "[dependencies]\n",
            &format!("[dependencies]\n{dependency}\n"),
        );
        let create = "        let mut members =";
        self.change("src/lib.rs", create, &format!("        {line}\n{create}"));
    }
}

/// How a command ended and what it wrote.
pub(crate) struct Ended {
    shown: String,
    output: Output,
}

impl Ended {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        self.ended(0)
    }

    /// Refused, with nothing made, and with all of these words in the message.
    #[track_caller]
    pub(crate) fn refused(self, words: &[&str]) {
        let ended = self.ended(3);
        let stderr = ended.stderr();
        // Cargo's words stand before it.
        let message = stderr.lines().last().unwrap();
        let message: Value = serde_json::from_str(message).unwrap();
        let message = message["error"]["message"].as_str().unwrap();
        for word in words {
            assert!(message.contains(word), "{message:?} lacks {word:?}");
        }
    }

    #[track_caller]
    fn ended(self, code: i32) -> Self {
        assert_eq!(
            self.output.status.code(),
            Some(code),
            "{}\n{}\n{}",
            self.shown,
            self.stdout(),
            self.stderr()
        );
        self
    }
}
