//! A server that says the same bytes on every connection, whatever it is told.

use std::rc::Rc;

use keyturn_sdk::endpoint::{Binding, NetError, Security};
use keyturn_sdk::fake;

/// An endpoint of one node.
pub(crate) struct RepeatingServer {
    bytes: Rc<[u8]>,
    security: Security,
}

impl RepeatingServer {
    pub(crate) fn new(bytes: &[u8], security: Security) -> Self {
        Self {
            bytes: Rc::from(bytes),
            security,
        }
    }
}

struct Stream {
    bytes: Rc<[u8]>,
    at: usize,
    security: Security,
}

impl fake::Connector for RepeatingServer {
    fn labels(&self) -> Vec<String> {
        vec!["server:1".to_owned()]
    }

    fn connect(&self, _member: u32) -> Result<Box<dyn fake::Stream>, NetError> {
        let (bytes, security) = (Rc::clone(&self.bytes), self.security);
        Ok(Box::new(Stream {
            bytes,
            at: 0,
            security,
        }))
    }
}

impl fake::Stream for Stream {
    fn security(&self) -> Security {
        self.security
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, NetError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        Ok(length)
    }

    fn write(&mut self, _bytes: &[u8]) -> Result<(), NetError> {
        Ok(())
    }

    fn start_tls(&mut self) -> Result<(), NetError> {
        self.security = Security::Encrypted;
        Ok(())
    }

    fn channel_binding(&self, _kind: Binding) -> Option<Vec<u8>> {
        None
    }

    fn shutdown(&mut self) -> Result<(), NetError> {
        Ok(())
    }
}
