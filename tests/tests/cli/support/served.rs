//! A workspace's store behind `keyturn serve`, so that its commands reach it through the AWS SDK, as they would reach AWS.
//! The tests themselves look into the file, as before.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::{Workspace, binary};

/// The policy of AWS's own rotation functions.
pub(crate) const TEMPLATE_POLICY: &[&str] = &[
    "DescribeSecret",
    "GetSecretValue",
    "PutSecretValue",
    "UpdateSecretVersionStage",
];

/// The server; it ends with this.
pub(crate) struct Served {
    server: Child,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Workspace {
    /// Serves the store to an access key that may do these actions; from now on commands know no other way.
    pub(crate) fn serve(&self, actions: &[&str]) -> Served {
        self.serve_with(actions, "[]")
    }

    /// The same with faults that the server makes on purpose.
    pub(crate) fn serve_with(&self, actions: &[&str], faults: &str) -> Served {
        fs::write(self.path("faults.json"), faults).unwrap();
        self.run(&["access-key", "commands.key"]).succeeded();
        let config = format!(
            "[store]\nkind = \"embedded\"\npath = \"store.db\"\nmaster_key_file = \"master.key\"\n\
             [serve]\naddress = \"127.0.0.1:0\"\nregion = \"eu-west-1\"\n\
             [serve.access.commands]\ncredentials_file = \"commands.key\"\nsecrets = [\"*\"]\nactions = {actions:?}\n"
        );
        fs::write(self.path("serve.toml"), config).unwrap();
        let log = fs::File::create(self.path("serve.log")).unwrap();
        let mut server = Command::new(binary())
            .args(["serve", "--config", "serve.toml", "--faults", "faults.json"])
            .current_dir(self.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut ready = String::new();
        let stdout = server.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut ready).unwrap();
        let url = ready.trim().strip_prefix("serving ").unwrap_or_else(|| {
            let log = fs::read_to_string(self.path("serve.log"));
            panic!("not ready: {ready:?}: {log:?}")
        });
        let key = self.path("commands.key");
        *self.environment.lock().unwrap() = [
            ("KEYTURN_STORE", "aws"),
            ("SECRETS_MANAGER_ENDPOINT", url),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_SHARED_CREDENTIALS_FILE", key.to_str().unwrap()),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        Served { server }
    }

    /// All that commands find in their environment.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        self.environment.lock().unwrap().clone()
    }

    /// What a command finds in its environment under this name.
    pub(crate) fn variable(&self, name: &str) -> String {
        let environment = self.environment.lock().unwrap();
        let known = environment.iter().find(|(known, _)| known == name);
        known.unwrap().1.clone()
    }
}
