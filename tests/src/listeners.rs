//! Real listeners on loopback, each on a port of its own, that count who came and keep what was said
//! to them: a denial is proven by the listener that saw nobody. It panics if loopback cannot be
//! listened on.
#![allow(clippy::unwrap_used)]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::local::lock;

/// A listener that counts its connections.
pub struct Listener {
    pub port: u16,
    seen: Arc<AtomicUsize>,
    heard: Heard,
}

/// What each connection of a listener was sent, in the order in which they came.
type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

impl Listener {
    /// How many connections were accepted.
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }

    /// What each connection was sent, if this listener keeps it.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        lock(&self.heard).clone()
    }
}

/// Serves each connection with `serve`.
pub async fn serve<F, S>(serve: S) -> Listener
where
    F: Future<Output = io::Result<()>> + Send + 'static,
    S: Fn(TcpStream) -> F + Send + 'static,
{
    listen(Heard::default(), serve).await
}

async fn listen<F, S>(heard: Heard, serve: S) -> Listener
where
    F: Future<Output = io::Result<()>> + Send + 'static,
    S: Fn(TcpStream) -> F + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream));
        }
    });
    Listener { port, seen, heard }
}

/// Sends back what it gets.
pub async fn echo() -> Listener {
    serve(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.map(drop)
    })
    .await
}

/// Says nothing and keeps the connection and what it is sent.
pub async fn silent() -> Listener {
    let heard = Heard::default();
    let all = heard.clone();
    listen(heard, move |mut stream| {
        let all = all.clone();
        async move {
            let number = {
                let mut all = lock(&all);
                all.push(Vec::new());
                all.len() - 1
            };
            let mut bytes = [0; 4096];
            loop {
                let length = stream.read(&mut bytes).await?;
                if length == 0 {
                    return Ok(());
                }
                let mut all = lock(&all);
                all[number].extend_from_slice(&bytes[..length]);
            }
        }
    })
    .await
}

/// Answers every request with this text, in which `HOST` is the request's own Host header.
pub async fn http(answer: String) -> Listener {
    serve(move |mut stream| {
        let answer = answer.clone();
        async move {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await?;
            let head = String::from_utf8_lossy(&request[..length]).into_owned();
            let host = head
                .lines()
                .find_map(|line| line.strip_prefix("host: "))
                .unwrap_or_default();
            stream
                .write_all(answer.replace("HOST", host).as_bytes())
                .await?;
            stream.shutdown().await
        }
    })
    .await
}
