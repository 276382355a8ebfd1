//! An endpoint on loopback that answers as a test tells it, and writes down what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Config, Credentials, Region};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::aws::AwsStore;

/// What becomes of one request.
#[derive(Clone)]
pub(super) enum Reply {
    Json(Value),
    Error(u16, &'static str),
    Text(&'static str),
    /// The connection breaks; whether the request took effect, nobody says.
    Cut,
    Hang,
}

pub(super) struct Endpoint {
    pub(super) store: AwsStore,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    left: Arc<Mutex<VecDeque<Reply>>>,
}

impl Endpoint {
    pub(super) async fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let keys = Credentials::new("AKIDEXAMPLE", "secret-access-key", None, None, "test");
        let config = Config::builder().credentials_provider(keys);
        Self::with(config, replies).await
    }

    pub(super) async fn with(
        config: aws_sdk_secretsmanager::config::Builder,
        replies: impl IntoIterator<Item = Reply>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = config
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .endpoint_url(format!("http://{}", listener.local_addr().unwrap()))
            .build();
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let left = Arc::new(Mutex::new(replies.into_iter().collect::<VecDeque<_>>()));
        let (seen, script) = (Arc::clone(&asked), Arc::clone(&left));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&seen), Arc::clone(&script)));
            }
        });
        Self {
            store: AwsStore::new(Client::from_conf(config)),
            asked,
            left,
        }
    }

    /// The operations that were asked for, in order; every reply that was prepared has been given.
    pub(super) fn operations(&self) -> Vec<String> {
        let left = self.left.lock().unwrap().len();
        assert_eq!(left, 0, "replies that nobody asked for");
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .map(|(operation, _)| operation.clone())
            .collect()
    }

    /// What the request of this number said.
    pub(super) fn request(&self, number: usize) -> Value {
        self.asked.lock().unwrap()[number].1.clone()
    }
}

async fn serve(
    stream: TcpStream,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    left: Arc<Mutex<VecDeque<Reply>>>,
) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut operation, mut length, mut line) = (String::new(), 0, String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let Some((name, value)) = line.trim().split_once(':') else {
                if line.trim().is_empty() {
                    break;
                }
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap(),
                "x-amz-target" => operation = value.trim().replace("secretsmanager.", ""),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap();
        asked.lock().unwrap().push((operation, body));
        let reply = left.lock().unwrap().pop_front();
        let (status, body) = match reply.expect("a request that no reply was prepared for") {
            Reply::Json(body) => (200, body.to_string()),
            Reply::Error(status, code) => {
                let body = json!({"__type": code, "message": format!("words of {code}")});
                (status, body.to_string())
            }
            Reply::Text(body) => (200, body.to_owned()),
            Reply::Cut => return,
            Reply::Hang => return std::future::pending().await,
        };
        let head = format!(
            "HTTP/1.1 {status} S\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
    }
}
