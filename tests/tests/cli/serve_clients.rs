//! The clients that applications use, unchanged, against `keyturn serve`: boto3, the AWS CLI and the JavaScript SDK. The
//! access key's file is their credentials file.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::tls::Authority;
use serde_json::{Value, json};

use crate::serve::{REGION, Serving, served_with};
use crate::support::Workspace;

/// A server with what the clients' scripts work on, and an environment that points any client at it.
pub(crate) struct Site {
    workspace: Workspace,
    serving: Serving,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with("", |_| {})
    }

    /// With further keys of `[serve]`, and files that they name.
    fn with(keys: &str, prepare: impl FnOnce(&Workspace)) -> Self {
        let workspace = served_with(keys, "[secret.\"app/jwt\"]\nplugin = \"jwt\"\n");
        let secret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        prepare(&workspace);
        workspace.create("app/jwt", &json!({"secret": secret}).to_string());
        workspace.create(
            "app/pair",
            &json!({"current": "new", "previous": "old"}).to_string(),
        );
        let serving = Serving::start(&workspace);
        Self { workspace, serving }
    }

    /// Runs a client and answers what it wrote to standard output.
    #[track_caller]
    fn run(&self, program: &Path, arguments: &[&str]) -> String {
        let output = self.command(program, arguments).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stdout}{stderr}");
        stdout
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.workspace.path(name)
    }

    /// As an operator does.
    pub(crate) fn put(&self, name: &str, value: &str) {
        let arguments = ["secret", "put", name, "--value-stdin"];
        let put = self.workspace.run_with(&arguments, value, &[]);
        put.succeeded();
    }

    pub(crate) fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.workspace.folder())
            .env("ENDPOINT", &self.serving.url)
            .env("AWS_ENDPOINT_URL", &self.serving.url)
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env(
                "AWS_SHARED_CREDENTIALS_FILE",
                self.workspace.path("admin.key"),
            )
            .env("AWS_CONFIG_FILE", self.workspace.path("no-config"))
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }
}

/// One of AWS's own clients has worked with the endpoint.
pub(crate) const CLIENT: &str = "evidence: endpoint, clients: 1 clients";

/// A program that `make aws-clients` has installed.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let found = env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    if found.is_none() {
        println!(
            "skipped: {program} is not on PATH; `make aws-clients` gets it where PyPI and npm can be reached"
        );
    }
    found
}

fn script(name: &str) -> String {
    format!("{}/tests/cli/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn boto3_cannot_tell_it_from_aws() {
    let Some(python) = installed("aws-python") else {
        return;
    };
    let said = Site::new().run(&python, &[&script("boto3_client.py")]);
    assert!(said.contains("every call was answered as by AWS"), "{said}");
    println!("{CLIENT}");
}

#[test]
fn the_reading_path_of_applications_works_unchanged() {
    let Some(node) = installed("aws-node") else {
        return;
    };
    let said = Site::new().run(&node, &[&script("reading_path.js")]);
    assert!(said.contains("the reading path works unchanged"), "{said}");
    println!("{CLIENT}");
}

#[test]
fn the_aws_cli_does_what_operators_scripts_ask_of_it() {
    let Some(python) = installed("aws-python") else {
        return;
    };
    let site = Site::new();
    let aws = |arguments: &[&str]| {
        let all = [&["-m", "awscli", "secretsmanager"], arguments].concat();
        site.run(&python, &all)
    };
    let stages = "Versions[*].{VersionId:VersionId,Stages:VersionStages}";
    let versions = aws(&[
        "list-secret-version-ids",
        "--secret-id",
        "app/pair",
        "--query",
        stages,
    ]);
    assert!(versions.contains("AWSCURRENT"), "{versions}");
    let value = aws(&[
        "get-secret-value",
        "--secret-id",
        "app/pair",
        "--query",
        "SecretString",
        "--output",
        "text",
    ]);
    assert_eq!(
        serde_json::from_str::<Value>(&value).unwrap()["previous"],
        "old"
    );
    let new = r#"{"current":"newer"}"#;
    aws(&[
        "put-secret-value",
        "--secret-id",
        "app/pair",
        "--secret-string",
        new,
    ]);
    // A rollback, as operators do it by hand.
    let id = |stage: &str| {
        let query = format!("Versions[?contains(VersionStages, `{stage}`)].VersionId");
        let id = aws(&[
            "list-secret-version-ids",
            "--secret-id",
            "app/pair",
            "--query",
            &query,
            "--output",
            "text",
        ]);
        id.trim().to_owned()
    };
    let (current, previous) = (id("AWSCURRENT"), id("AWSPREVIOUS"));
    aws(&[
        "update-secret-version-stage",
        "--secret-id",
        "app/pair",
        "--version-stage",
        "AWSCURRENT",
        "--move-to-version-id",
        &previous,
        "--remove-from-version-id",
        &current,
    ]);
    assert_eq!(id("AWSCURRENT"), previous);
    let rotated = aws(&["rotate-secret", "--secret-id", "app/jwt"]);
    assert!(rotated.contains("VersionId"), "{rotated}");
    println!("{CLIENT}");
}

#[test]
fn over_tls_it_is_reached_by_those_who_trust_its_authority() {
    let Some(python) = installed("aws-python") else {
        return;
    };
    let authority = Authority::new("keyturn serve").unwrap();
    let identity = authority.issue(&["127.0.0.1"]).unwrap();
    let tls = "tls = { certificate = \"server.pem\", private_key = \"server.key\" }\n";
    let site = Site::with(tls, |workspace| {
        for (name, pem) in [
            ("server.pem", &identity.certificate_pem),
            ("server.key", &identity.key_pem),
            ("ca.pem", &authority.certificate_pem()),
        ] {
            fs::write(workspace.path(name), pem).unwrap();
        }
        let own = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
        fs::set_permissions(workspace.path("server.key"), own).unwrap();
    });
    assert!(
        site.serving.url.starts_with("https://"),
        "{}",
        site.serving.url
    );
    let list = ["-m", "awscli", "secretsmanager", "list-secrets"];
    let trusting = site
        .command(&python, &list)
        .env("AWS_CA_BUNDLE", site.workspace.path("ca.pem"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&trusting.stdout);
    assert!(
        said.contains("app/jwt"),
        "{said}{}",
        String::from_utf8_lossy(&trusting.stderr)
    );
    let doubting = site.command(&python, &list).output().unwrap();
    let said = String::from_utf8_lossy(&doubting.stderr);
    assert!(!doubting.status.success() && said.contains("SSL"), "{said}");
}
