//! A server that takes what is published to topics, and answers as SNS does: its Query API, written from the API
//! reference of Amazon SNS ("Publish").

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::http::{HttpServer, Reply, Request};
use crate::local::lock;

/// One message to one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub topic: String,
    pub subject: String,
    pub message: String,
}

/// A running server. Dropping it stops it.
pub struct Sns {
    server: HttpServer,
    published: Arc<Mutex<Vec<Published>>>,
    refuses: Arc<Mutex<bool>>,
}

impl Sns {
    /// On a free port of 127.0.0.1; it knows every topic.
    pub fn start() -> io::Result<Self> {
        let published = Arc::<Mutex<Vec<_>>>::default();
        let refuses = Arc::<Mutex<bool>>::default();
        let (taken, refusing) = (Arc::clone(&published), Arc::clone(&refuses));
        let server = HttpServer::start(move |request| {
            if *lock(&refusing) {
                return Some(refused());
            }
            lock(&taken).push(read(request));
            Some(accepted())
        })?;
        Ok(Self {
            server,
            published,
            refuses,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What was published so far, in order.
    pub fn published(&self) -> Vec<Published> {
        lock(&self.published).clone()
    }

    /// From now on nobody may publish.
    pub fn refuse(&self) {
        *lock(&self.refuses) = true;
    }
}

fn read(request: &Request) -> Published {
    let member = |name: &str| {
        let mut pairs = form_urlencoded::parse(&request.body);
        let found = pairs.find(|(known, _)| known == name);
        found.map_or_else(String::new, |(_, value)| value.into_owned())
    };
    Published {
        topic: member("TopicArn"),
        subject: member("Subject"),
        message: member("Message"),
    }
}

fn accepted() -> Reply {
    xml(
        200,
        "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
         <MessageId>94f20ce6-13c5-43a0-9a9e-ca52d816e90b</MessageId></PublishResult><ResponseMetadata>\
         <RequestId>f187a3c1-376f-11df-8963-01868b7c937a</RequestId></ResponseMetadata></PublishResponse>",
    )
}

fn refused() -> Reply {
    xml(
        403,
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>\
         <Code>AuthorizationError</Code><Message>User is not authorized to perform: SNS:Publish</Message></Error>\
         <RequestId>f187a3c1-376f-11df-8963-01868b7c937a</RequestId></ErrorResponse>",
    )
}

fn xml(status: u16, body: &str) -> Reply {
    Reply {
        status,
        headers: vec![("content-type", "text/xml".to_owned())],
        body: body.as_bytes().to_vec(),
    }
}
