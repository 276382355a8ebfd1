//! Fake endpoints that follow a script: which bytes the plugin must write, which it gets back,
//! where the connection breaks. A departure from the script is a panic, because it is the test's
//! finding and must not look like a network fault that the plugin handles.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::{Connector, Stream, net_error};
use crate::endpoint::{Binding, NetError, NetErrorKind, Security};

/// One step of a scripted connection.
#[derive(Clone, Debug)]
pub enum Step {
    /// The plugin writes exactly these bytes, in one write or several.
    Expect(Vec<u8>),
    /// The plugin writes something; what, does not matter.
    ExpectAny,
    /// The plugin can read these bytes.
    Reply(Vec<u8>),
    /// The plugin upgrades to TLS.
    StartTls,
    /// The next read or write fails so.
    Fail(NetError),
    /// The peer closes: reads give the end of stream, writes fail.
    Close,
}

/// A one-node endpoint whose connections follow scripts, in the order in which they are opened.
pub struct Script {
    security: Security,
    connections: RefCell<VecDeque<Vec<Step>>>,
}

impl Script {
    /// Scripts for the connections to come; one more than these is refused.
    pub fn new(security: Security, connections: impl IntoIterator<Item = Vec<Step>>) -> Self {
        Self {
            security,
            connections: RefCell::new(connections.into_iter().collect()),
        }
    }
}

impl Connector for Script {
    fn labels(&self) -> Vec<String> {
        vec!["scripted:1".to_owned()]
    }

    fn connect(&self, _member: u32) -> Result<Box<dyn Stream>, NetError> {
        let steps = self.connections.borrow_mut().pop_front();
        let steps = steps.ok_or_else(|| {
            net_error(
                NetErrorKind::Refused,
                "the script has no further connection",
                false,
            )
        })?;
        Ok(Box::new(ScriptedStream {
            security: self.security,
            steps: steps.into(),
        }))
    }
}

struct ScriptedStream {
    security: Security,
    steps: VecDeque<Step>,
}

impl Stream for ScriptedStream {
    fn security(&self) -> Security {
        self.security
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, NetError> {
        match self.steps.front_mut() {
            Some(Step::Reply(bytes)) => {
                let count = bytes.len().min(buffer.len());
                buffer[..count].copy_from_slice(&bytes[..count]);
                bytes.drain(..count);
                if bytes.is_empty() {
                    self.steps.pop_front();
                }
                Ok(count)
            }
            Some(Step::Fail(error)) => Err(error.clone()),
            Some(Step::Close) | None => Ok(0),
            Some(step) => panic!("the plugin reads where the script has {step:?}"),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        match self.steps.front_mut() {
            Some(Step::ExpectAny) => {
                self.steps.pop_front();
                Ok(())
            }
            Some(Step::Expect(expected)) => {
                assert!(
                    expected.starts_with(bytes),
                    "the plugin writes {:?} where the script expects {:?}",
                    String::from_utf8_lossy(bytes),
                    String::from_utf8_lossy(expected)
                );
                expected.drain(..bytes.len());
                if expected.is_empty() {
                    self.steps.pop_front();
                }
                Ok(())
            }
            Some(Step::Fail(error)) => Err(error.clone()),
            Some(Step::Close) | None => Err(net_error(
                NetErrorKind::Closed,
                "the scripted peer has closed",
                false,
            )),
            Some(step) => panic!("the plugin writes where the script has {step:?}"),
        }
    }

    fn start_tls(&mut self) -> Result<(), NetError> {
        match self.steps.pop_front() {
            Some(Step::StartTls) => {
                self.security = Security::Encrypted;
                Ok(())
            }
            Some(Step::Fail(error)) => Err(error),
            step => panic!("the plugin starts TLS where the script has {step:?}"),
        }
    }

    fn channel_binding(&self, _kind: Binding) -> Option<Vec<u8>> {
        None
    }

    fn shutdown(&mut self) -> Result<(), NetError> {
        Ok(())
    }
}
