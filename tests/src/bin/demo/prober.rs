//! The prober's process: started, asked for reports, ended by closing its standard input, which also
//! happens when the demo is killed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use harness::prober::{Kind, Report};

use crate::Failure;
use crate::keyturn::Keyturn;
use crate::secrets::Secret;

pub(crate) struct Prober {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Prober {
    /// Returns when it has logged in with every secret.
    pub(crate) fn start(
        binary: &Path,
        keyturn: &Keyturn,
        secrets: &[Secret],
    ) -> Result<Self, Failure> {
        let mut command = Command::new(binary);
        command.arg("--store").arg(&keyturn.store);
        command
            .arg("--master-key-file")
            .arg(&keyturn.master_key_file)
            .arg("--stdin");
        for secret in secrets {
            match secret.kind {
                Kind::Postgres => command.args(["--postgres", secret.name]),
                Kind::Redis => command.args(["--redis", secret.name]),
                Kind::Jwt => command.args(["--jwt", secret.name]),
                Kind::ApiKey { window } => {
                    command
                        .arg("--api-key")
                        .arg(format!("{}={}", secret.name, window.as_secs()))
                }
                Kind::Webhook { window } => {
                    command
                        .arg("--webhook")
                        .arg(format!("{}={}", secret.name, window.as_secs()))
                }
                Kind::KeyRing => command.args(["--key-ring", secret.name]),
            };
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("starting {}: {error}", binary.display()))?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the prober has no pipes".to_owned());
        };
        let mut prober = Self {
            child,
            requests,
            answers: BufReader::new(answers),
        };
        prober.await_ready()?;
        Ok(prober)
    }

    /// What it has tried so far.
    pub(crate) fn report(&mut self) -> Result<Report, Failure> {
        self.requests
            .write_all(b"\n")
            .map_err(|error| format!("asking the prober: {error}"))?;
        parse(&self.line()?)
    }

    /// Ends it; its last report.
    pub(crate) fn finish(self) -> Result<Report, Failure> {
        let Self {
            mut child,
            requests,
            mut answers,
        } = self;
        drop(requests);
        let mut line = String::new();
        answers
            .read_line(&mut line)
            .map_err(|error| format!("reading the prober's report: {error}"))?;
        child
            .wait()
            .map_err(|error| format!("waiting for the prober: {error}"))?;
        parse(&line)
    }

    /// A prober that fails from the start never becomes ready; its report says why.
    fn await_ready(&mut self) -> Result<(), Failure> {
        loop {
            self.requests
                .write_all(b"\n")
                .map_err(|error| format!("asking the prober: {error}"))?;
            let line = self.line()?;
            if line == "ready" {
                self.line()?; // the answer to the question just asked
                return Ok(());
            }
            let report = parse(&line)?;
            if report.failed > 0 {
                let reasons = report
                    .secrets
                    .into_iter()
                    .flat_map(|secret| secret.first_failures);
                return Err(format!(
                    "the prober can't log in: {}",
                    reasons.collect::<Vec<_>>().join("; ")
                ));
            }
        }
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(0) => Err("the prober ended early".to_owned()),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(error) => Err(format!("reading from the prober: {error}")),
        }
    }
}

fn parse(line: &str) -> Result<Report, Failure> {
    serde_json::from_str(line).map_err(|error| format!("the prober's report {line:?}: {error}"))
}
