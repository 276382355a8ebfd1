//! stripe-assisted's request against a server that others wrote. localstripe takes every key that begins with `sk_`
//! and knows no accounts, so that it shows no more than this: what the plugin sends is a request of Stripe's with the
//! key where it belongs, and each of the two answers is read rightly.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::support::Workspace;

struct LocalStripe {
    process: Child,
    port: u16,
}

impl LocalStripe {
    /// None where it is not installed.
    fn start() -> Option<Self> {
        let program: PathBuf = env::split_paths(&env::var_os("PATH")?)
            .map(|folder| folder.join("localstripe"))
            .find(|path| path.is_file())?;
        let mut process = Command::new(program)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        Some(Self {
            process,
            port: line.trim().parse().unwrap(),
        })
    }
}

impl Drop for LocalStripe {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_request_is_one_of_stripes() {
    let Some(server) = LocalStripe::start() else {
        println!(
            "skipped: localstripe is not on PATH; `make localstripe` gets it where PyPI can be reached"
        );
        return;
    };
    let port = server.port;
    let workspace = Workspace::with(&format!(
        "[secret.\"app-test/stripe\"]\nplugin = \"stripe-assisted\"\n\
         grant.endpoint.api = {{ hosts = [\"127.0.0.1\"], ports = [{port}], tls = \"disable\" }}\n"
    ));
    let value = json!({"secret_key": "sk_test_0123456789abcdefABCDEF"}).to_string();
    workspace.create("app-test/stripe", &value);
    // The key was found where Stripe looks for it, and then there was no such resource.
    workspace
        .run(&["verify", "app-test/stripe"])
        .failed(5, &["404", "is not one of Stripe's"]);
    // Any other key is refused, as Stripe does.
    let value = json!({"secret_key": "rk_test_0123456789abcdefABCDEF"}).to_string();
    let arguments = ["secret", "put", "app-test/stripe", "--value-stdin"];
    workspace.run_with(&arguments, &value, &[]).succeeded();
    workspace
        .run(&["verify", "app-test/stripe"])
        .failed(8, &["is dead"]);
}
