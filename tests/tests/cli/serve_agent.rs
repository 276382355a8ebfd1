//! AWS's own agent, which is its caching crate behind HTTP, against `keyturn serve`. `make aws-agent` builds it; it takes
//! minutes, so that it is no part of `make test`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use harness::poll;
use serde_json::Value;

use crate::serve_clients::{CLIENT, Site, installed};

const TOKEN: &str = "a-token-against-forged-requests";
const PATIENCE: Duration = Duration::from_secs(30);
const BINDINGS_MAX: usize = 20;

struct Agent {
    process: Child,
    port: u16,
}

impl Agent {
    /// It does not take port 0, and another process may be quicker at a free one.
    fn start(site: &Site, program: &Path) -> Self {
        for _ in 0..BINDINGS_MAX {
            let port = free_port();
            let config = site.path("agent.toml");
            let text = format!(
                "http_port = {port}\nvalidate_credentials = false\nlog_to_file = false\nttl_seconds = 3600\n"
            );
            fs::write(&config, text).unwrap();
            let mut process = site
                .command(program, &["--config", config.to_str().unwrap()])
                .env("AWS_TOKEN", TOKEN)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let listens = poll::until(PATIENCE, || {
                if process.try_wait().unwrap().is_some() {
                    return Some(false);
                }
                TcpStream::connect(("127.0.0.1", port)).ok().map(|_| true)
            });
            // The one that answers may be the other process.
            if listens == Some(true) && process.try_wait().unwrap().is_none() {
                return Self { process, port };
            }
        }
        panic!("the agent does not start");
    }

    /// Status and body.
    fn get(&self, query: &str) -> (u16, String) {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            connection,
            "GET /secretsmanager/get?{query} HTTP/1.1\r\nHost: localhost\r\nX-Aws-Parameters-Secrets-Token: {TOKEN}\r\n\
             Connection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    #[track_caller]
    fn value(&self, query: &str) -> Value {
        let (status, body) = self.get(query);
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        serde_json::from_str(answer["SecretString"].as_str().unwrap()).unwrap()
    }
}

/// Free once this has returned.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "the agent is built from source: `make aws-agent`"]
fn the_agent_of_aws_reads_caches_and_refreshes() {
    let program = installed("aws_secretsmanager_agent").expect("run `make aws-agent`");
    let site = Site::new();
    let agent = Agent::start(&site, &program);
    let pair = "secretId=app/pair";
    assert_eq!(agent.value(pair)["current"], "new");
    site.put("app/pair", r#"{"current":"newer","previous":"new"}"#);
    assert_eq!(agent.value(pair)["current"], "new", "from its cache");
    let refreshed = format!("{pair}&refreshNow=true");
    assert_eq!(agent.value(&refreshed)["current"], "newer");
    let previous = format!("{pair}&versionStage=AWSPREVIOUS");
    assert_eq!(agent.value(&previous)["current"], "new");
    let (status, body) = agent.get("secretId=app/absent");
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("ResourceNotFoundException"), "{body}");
    println!("{CLIENT}");
}
