//! What a check leaves behind: the value that works at the target now, with the target's own addresses, is what the next
//! check begins with.

use keyturn_runtime::{Liveness, Version};
use secrecy::ExposeSecret;

use crate::gate::Manner;
use crate::kit::lock;
use crate::value;
use crate::world::World;

impl World<'_> {
    /// A value of the stage's with this world's gates for its addresses.
    pub(crate) fn led(&self, value: &str) -> String {
        let mut to = |_: &str, host: &str, port: u16| {
            let known = self
                .addresses
                .iter()
                .position(|address| *address == (host.to_owned(), port));
            let gate = self.gates.get(known?)?;
            Some(("127.0.0.1".to_owned(), gate.port()))
        };
        value::redirect(value, self.manifest(), None, &mut to)
    }

    /// Tells the stage.
    pub(crate) async fn leave(self) {
        if !self.has_gated_target {
            return;
        }
        self.kit.watch.disarm();
        self.wire.arm(None);
        self.behave(Manner::Pass);
        for gate in &self.gates {
            // One that cannot listen again leads nowhere, and the next check says so.
            let _ = gate.up();
        }
        let Ok(current) = self.current().await else {
            return;
        };
        let left = self.live_one(current).await;
        let home = |_: &str, _: &str, port: u16| {
            let gate = self.gates.iter().position(|gate| gate.port() == port)?;
            self.addresses.get(gate).cloned()
        };
        let text = left.value.expose_secret();
        let value = value::redirect(text, self.manifest(), None, &mut { home });
        self.kit.stage.leave(&value);
    }

    /// A check may have stopped half-way: of all values that there have been, the newest that opens the door.
    async fn live_one(&self, current: Version) -> Version {
        if !self.has_target() {
            return current;
        }
        let made: Vec<_> = lock(&self.made).iter().rev().cloned().collect();
        let labelled = self.labelled("KEYTURN_INDOUBT").await.ok().flatten();
        for version in [current.clone()].into_iter().chain(labelled).chain(made) {
            let call = self.call(&version, &[]);
            if let Ok(verdict) = self.probe(&call, &version).await
                && verdict.liveness == Liveness::Live
            {
                return version;
            }
        }
        current
    }
}
