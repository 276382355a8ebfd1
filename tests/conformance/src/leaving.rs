//! What a check leaves behind: the value that works at the target now is what the next check begins with.

use keyturn_runtime::{Liveness, Version};
use secrecy::ExposeSecret;

use crate::gate::Manner;
use crate::kit::lock;
use crate::world::World;

impl World<'_> {
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
        self.kit.stage.leave(left.value.expose_secret());
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
