//! The rotation function: the real binary between the Runtime API and `keyturn serve`, which stands in for AWS Secrets
//! Manager. What the service does before it invokes a function (it announces a version) is done in the store itself.

mod bad_input;
mod client;
mod connectivity;
mod databases;
mod due;
mod health;
mod interruption;
mod kinds;
mod metrics;
mod notify;

use std::cell::Cell;
use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use harness::lambda::{Answer, Function, command, lines};
use keyturn_policy::address::Allowance;
use serde_json::{Value, json};

use crate::support::served::{Served, TEMPLATE_POLICY};
use crate::support::{Workspace, binary, secret};

pub(crate) const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];
const ROTATION_TOKEN: &str = "0123abcd-4567-89ef-0123-456789abcdef";

/// A workspace whose store is AWS to the function. Whatever the function logs is JSON, and never its rotation token.
pub(crate) struct OnLambda<'a> {
    pub(crate) workspace: &'a Workspace,
    announced: Cell<u32>,
    _served: Served,
}

impl<'a> OnLambda<'a> {
    pub(crate) fn new(workspace: &'a Workspace) -> Self {
        Self::allowed(workspace, &["*"])
    }

    /// With the policy of AWS's own rotation functions.
    pub(crate) fn with_template_policy(workspace: &'a Workspace) -> Self {
        Self::allowed(workspace, TEMPLATE_POLICY)
    }

    fn allowed(workspace: &'a Workspace, actions: &[&str]) -> Self {
        Self {
            announced: Cell::new(0),
            _served: workspace.serve(actions),
            workspace,
        }
    }

    /// The function's own folder, which holds no configuration.
    pub(crate) fn task_root(&self) -> std::path::PathBuf {
        let root = self.workspace.path("task");
        fs::create_dir_all(&root).unwrap();
        root
    }

    /// A function that no file tells anything.
    pub(crate) fn function(&self, variables: &[(&str, &str)]) -> Function {
        let mut command = command(&binary(), &self.task_root());
        command.arg("lambda").envs(self.workspace.variables());
        command.env_remove("KEYTURN_STORE");
        command.envs(variables.iter().copied());
        Function::start(&mut command).unwrap()
    }

    /// One that the workspace's keyturn.toml tells what it may.
    pub(crate) fn configured_function(&self) -> Function {
        let config = self.workspace.path("keyturn.toml");
        self.function(&[("KEYTURN_CONFIG", config.to_str().unwrap())])
    }

    /// What RotateSecret does first: a version without a value, under AWSPENDING. Answers its id.
    pub(crate) fn announce(&self, name: &str) -> String {
        let number = self.announced.get() + 1;
        self.announced.set(number);
        let token = format!("11111111-0000-4000-8000-{number:012}");
        let (name, id) = (secret(name), keyturn_store::VersionId::new(&token).unwrap());
        self.workspace
            .on_store(|store| async move { store.reserve(&name, &id).await.unwrap() });
        token
    }

    pub(crate) fn arn(&self, name: &str) -> String {
        arn(self.workspace, name)
    }

    /// The event that the service sends.
    pub(crate) fn event(&self, name: &str, step: &str, token: &str) -> Value {
        json!({
            "Step": step, "SecretId": self.arn(name), "ClientRequestToken": token,
            "RotationToken": ROTATION_TOKEN,
        })
    }

    pub(crate) fn step(
        &self,
        function: &mut Function,
        name: &str,
        step: &str,
        token: &str,
    ) -> Answer {
        function.invoke(&self.event(name, step, token)).unwrap()
    }

    /// A whole rotation. Answers the version that is AWSCURRENT now.
    #[track_caller]
    pub(crate) fn rotate(&self, function: &mut Function, name: &str) -> String {
        let token = self.announce(name);
        for step in STEPS {
            succeeded(&self.step(function, name, step, &token), step);
        }
        assert_eq!(self.workspace.labels(name)["AWSCURRENT"], token);
        token
    }

    /// What the service does where it gives a rotation up whose version has no value.
    pub(crate) fn withdraw(&self, name: &str, token: &str) {
        let (name, id) = (secret(name), keyturn_store::VersionId::new(token).unwrap());
        self.workspace
            .on_store(|store| async move { store.withdraw(&name, &id).await.unwrap() });
    }

    pub(crate) fn tag(&self, name: &str, key: &str, value: &str) {
        let (name, tags) = (secret(name), [(key.to_owned(), value.to_owned())].into());
        self.workspace
            .on_store(|store| async move { store.tag(&name, &tags).await.unwrap() });
    }
}

pub(crate) fn arn(workspace: &Workspace, name: &str) -> String {
    let asked = secret(name);
    let suffix = workspace.on_store(|store| async move { store.arn_suffix(&asked).await.unwrap() });
    format!("arn:aws:secretsmanager:eu-west-1:000000000000:secret:{name}-{suffix}")
}

#[track_caller]
pub(crate) fn succeeded(answer: &Answer, step: &str) {
    let expected = json!({"statusCode": 200, "body": format!("Step {step} completed")});
    assert_eq!(*answer, Answer::Response(expected), "{step}");
}

/// It failed with this errorType and all of these words.
#[track_caller]
pub(crate) fn failed(answer: &Answer, error_type: &str, words: &[&str]) {
    let Answer::Error {
        error_type: found,
        message,
    } = answer
    else {
        panic!("no error: {answer:?}");
    };
    assert_eq!(found, error_type, "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is missing: {message}");
    }
}

/// Ends a function. All that it has logged is JSON lines, which are answered, and no line shows any of these.
#[track_caller]
pub(crate) fn end(function: Function, secrets: &[&str]) -> Vec<Value> {
    let log = function.end().unwrap();
    for hidden in secrets.iter().chain(&[ROTATION_TOKEN]) {
        assert!(!log.contains(hidden), "{hidden} is in the log: {log}");
    }
    lines(&log).unwrap()
}

/// An address of this machine at which a plugin may reach a server without a grant that names it: not its loopback.
/// `None` where it has no other.
pub(crate) fn own_address() -> Option<IpAddr> {
    let places: [SocketAddr; 2] = [
        ([192, 0, 2, 1], 9).into(),
        ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9).into(),
    ];
    places.into_iter().find_map(|place| {
        let any = if place.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        // Nothing is sent: connecting a datagram's socket only chooses its address.
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(place).ok()?;
        let address = socket.local_addr().ok()?.ip();
        keyturn_policy::address::check(
            address,
            Allowance {
                private: true,
                loopback: false,
            },
        )
        .ok()?;
        Some(address)
    })
}
