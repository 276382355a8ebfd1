//! Lambda as others play it: the function unchanged against `cargo lambda`, which comes from PyPI.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::{lambda, poll};
use serde_json::{Value, json};

use super::OnLambda;
use crate::serve_clients::installed;
use crate::support::{Workspace, binary};
use crate::tokens::jwt_value;

const JWT: &str = "festival-prod/jwt";
const PATIENCE: Duration = Duration::from_secs(30);

/// Ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `cargo lambda` offers its Runtime API only to functions of a Cargo project; this one has nothing in it.
fn project(workspace: &Workspace) -> PathBuf {
    let project = workspace.path("project");
    fs::create_dir_all(project.join("src")).unwrap();
    let manifest =
        "[package]\nname = \"function\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(project.join("Cargo.toml"), manifest).unwrap();
    fs::write(project.join("src/main.rs"), "fn main() {}\n").unwrap();
    project
}

/// A port that nobody has; `cargo lambda` must be told one.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

struct Client<'a> {
    program: &'a Path,
    project: &'a Path,
    port: String,
}

impl Client<'_> {
    fn command(&self, subcommand: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command
            .args(["lambda", subcommand, "-A", "127.0.0.1", "-P", &self.port])
            .args(arguments)
            .current_dir(self.project)
            .stdin(Stdio::null());
        command
    }

    /// Exit status, and all that was said.
    fn invoke(&self, event: &Value) -> (bool, String) {
        let event = event.to_string();
        let output = self
            .command("invoke", &["--data-ascii", &event])
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }
}

#[test]
fn cargo_lambda_invokes_it_as_any_other_function() {
    let Some(program) = installed("cargo-lambda") else {
        return;
    };
    let workspace = Workspace::new();
    workspace.create(JWT, &jwt_value().to_string());
    let site = OnLambda::new(&workspace);
    let project = project(&workspace);
    let client = Client {
        program: &program,
        project: &project,
        port: free_port().to_string(),
    };
    let mut watch = client.command("watch", &["--only-lambda-apis"]);
    let log = fs::File::create(workspace.path("watch.log")).unwrap();
    let watch = watch.stdout(log.try_clone().unwrap()).stderr(log).spawn();
    let _watch = Process(watch.unwrap());
    let address = format!("127.0.0.1:{}", client.port);
    let is_up = poll::until_true(PATIENCE, || TcpStream::connect(&address).is_ok());
    let said = || fs::read_to_string(workspace.path("watch.log"));
    assert!(is_up, "{:?}", said());
    let mut function = lambda::command(&binary(), &site.task_root());
    function
        .arg("lambda")
        .envs(workspace.variables())
        .env_remove("KEYTURN_STORE")
        .env("AWS_LAMBDA_RUNTIME_API", format!("http://{address}/.rt"))
        .stdout(Stdio::null());
    let _function = Process(function.spawn().unwrap());
    let token = site.announce(JWT);
    for step in super::STEPS {
        let (is_done, said) = client.invoke(&site.event(JWT, step, &token));
        assert!(
            is_done && said.contains(&format!("Step {step} completed")),
            "{said}"
        );
    }
    assert_eq!(workspace.labels(JWT)["AWSCURRENT"], token);
    let (is_done, said) = client.invoke(&json!({"Step": "dropSecret"}));
    assert!(!is_done && said.contains("Keyturn.InvalidEvent"), "{said}");
}
