//! The cold start of the rotation function: from the start of its process to its answer to a first createSecret for a
//! JWT secret, against a function in Python on boto3 that does the same calls, as AWS's templates do.

use std::cell::Cell;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use harness::endpoint::{ACCOUNT, Endpoint, REGION};
use harness::lambda::{self, Answer, Function};
use harness::scratch::Scratch;
use keyturn_store::service::RotationSettings;
use keyturn_store::{NewSecret, SecretName, SecretStore as _, VersionId, labels};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::Result;
use crate::measure;
use crate::report::Row;

const NAME: &str = "bench-prod/jwt";
const ROUNDS: usize = 15;
const MARK: Duration = Duration::from_millis(25);
/// What `make aws-clients` installs.
const PYTHON: &str = "aws-python";
const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lambda.py");

/// Without Python and boto3 there is no floor, and the row says so.
///
/// # Errors
/// A function that does not do what it should, with what it said.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let site = Site::new()?;
    let keyturn = env::current_exe()?.with_file_name("keyturn");
    let ours = || site.first_answer(site.command(&keyturn).arg("lambda"));
    let what = "lambda: process to the answer to a first createSecret (jwt)";
    let row = match Python::find()? {
        Some(python) => {
            let floor = || {
                let mut command = site.command(&python.program);
                command.arg(TEMPLATE).env("PYTHONPATH", &python.packages);
                site.first_answer(&mut command)
            };
            let pair = measure::in_turn(ROUNDS, ours, floor)?;
            Row::new(what, &pair).against("a function in Python on boto3")
        }
        None => {
            let samples = (0..ROUNDS).map(|_| ours()).collect::<Result<_>>()?;
            Row::alone(what, measure::median(samples)).against("(there is no Python with boto3)")
        }
    };
    Ok(vec![row.within(MARK)])
}

/// The interpreter itself and where boto3 is: what stands before an interpreter on a path may be slower than it.
struct Python {
    program: PathBuf,
    packages: String,
}

impl Python {
    fn find() -> Result<Option<Self>> {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut installed = env::split_paths(&path).map(|folder| folder.join(PYTHON));
        let Some(installed) = installed.find(|path| path.is_file()) else {
            return Ok(None);
        };
        let asked = "import os, sys; print(sys.executable); print(os.environ['PYTHONPATH'])";
        let said = Command::new(installed).args(["-c", asked]).output()?;
        let said = String::from_utf8(said.stdout)?;
        Ok(said.split_once('\n').map(|(program, packages)| Self {
            program: program.into(),
            packages: packages.trim().to_owned(),
        }))
    }
}

/// A Secrets Manager with one secret, and an empty folder as the function's own.
struct Site {
    runtime: Runtime,
    endpoint: Endpoint,
    name: SecretName,
    arn: String,
    task_root: Scratch,
    announced: Cell<u32>,
}

impl Site {
    fn new() -> Result<Self> {
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        let endpoint = runtime.block_on(Endpoint::start())?;
        let (name, store) = (SecretName::new(NAME)?, &endpoint.store);
        let first = NewSecret {
            id: id(0)?,
            value: crate::JWT.into(),
            description: None,
        };
        runtime.block_on(store.create_secret(&name, first))?;
        let suffix = runtime.block_on(store.arn_suffix(&name))?;
        Ok(Self {
            arn: format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-{suffix}"),
            runtime,
            endpoint,
            name,
            task_root: Scratch::new("keyturn-bench")?,
            announced: Cell::new(0),
        })
    }

    /// A function that reaches this Secrets Manager.
    fn command(&self, program: &Path) -> Command {
        let mut command = lambda::command(program, self.task_root.path());
        command
            .env("AWS_ACCESS_KEY_ID", &self.endpoint.key.id)
            .env("AWS_SECRET_ACCESS_KEY", &self.endpoint.key.secret)
            .env("SECRETS_MANAGER_ENDPOINT", self.endpoint.url());
        command
    }

    /// How long a new process takes to answer its first step.
    fn first_answer(&self, command: &mut Command) -> Result<Duration> {
        let token = self.announce()?;
        let event = json!({
            "Step": "createSecret", "SecretId": self.arn, "ClientRequestToken": token.as_str(),
        });
        let began = Instant::now();
        let mut function = Function::start(command)?;
        let answer = function.invoke(&event)?;
        let took = began.elapsed();
        if matches!(answer, Answer::Response(_)) && self.is_stored(&token)? {
            return Ok(took);
        }
        Err(format!("{command:?}: {answer:?}: {}", function.end()?).into())
    }

    /// As the service does before the first step; what an earlier round left is abandoned.
    fn announce(&self) -> Result<VersionId> {
        let number = self.announced.get();
        self.announced.set(number + 1);
        let (earlier, token) = (id(number)?, id(number + 1)?);
        let settings = RotationSettings {
            enabled: true,
            lambda_arn: Some(lambda::FUNCTION_ARN.to_owned()),
            rules: None,
        };
        let store = &self.endpoint.store;
        self.runtime.block_on(async {
            if number > 0 {
                let pending = labels::PENDING;
                store
                    .move_label(&self.name, pending, Some(&earlier), None)
                    .await?;
            }
            store.begin_rotation(&self.name, &token, &settings).await
        })?;
        Ok(token)
    }

    fn is_stored(&self, token: &VersionId) -> Result<bool> {
        let described = self
            .runtime
            .block_on(self.endpoint.store.describe(&self.name))?;
        Ok(described
            .version(token)
            .is_some_and(|version| version.has_value))
    }
}

fn id(number: u32) -> Result<VersionId> {
    Ok(VersionId::new(format!(
        "00000000-0000-4000-8000-{number:012}"
    ))?)
}
