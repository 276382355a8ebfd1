//! One connection to one server: commands out, replies in. It exists to keep the fact that decides a
//! rotation: whether a command can have reached the server when something broke. It knows nothing of
//! secrets, users or rotation.

use crate::resp::{self, Replies, Reply, ServerError};
use keyturn_sdk::{Error, endpoint};
use std::fmt;
use std::io::{Read, Write};

const READ_BYTES: usize = 16 * 1024;

pub(crate) struct Client<S> {
    stream: S,
    replies: Replies,
}

/// Why a command did not answer.
#[derive(Debug)]
pub(crate) enum Failure {
    Server(ServerError),
    Path {
        error: Error,
        /// The command may have reached the server.
        sent: bool,
    },
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            replies: Replies::default(),
        }
    }

    /// Sends one command and waits for its reply; an error reply is a [`Failure::Server`].
    pub(crate) fn call(&mut self, words: &[&str]) -> Result<Reply, Failure> {
        self.stream
            .write_all(&resp::command(words))
            .map_err(|error| Failure::Path {
                sent: endpoint::may_have_been_sent(&error),
                error: error.into(),
            })?;
        match self.reply() {
            Ok(Reply::Error(error)) => Err(Failure::Server(error)),
            Ok(reply) => Ok(reply),
            Err(error) => Err(Failure::Path { error, sent: true }),
        }
    }

    fn reply(&mut self) -> Result<Reply, Error> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let reply = self.replies.next_reply();
            if let Some(reply) = reply.map_err(|error| Error::protocol(error.0))? {
                return Ok(reply);
            }
            let count = self.stream.read(&mut buffer)?;
            if count == 0 {
                return Err(Error::unreachable("the server closed the connection"));
            }
            self.replies.push(&buffer[..count]);
        }
    }
}

impl<S> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({} bytes buffered)", self.replies.buffered())
    }
}
