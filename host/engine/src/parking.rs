//! A rotation that waits for an operator. Only a note says so: nothing is stored before the operator has answered, so
//! that the wait survives every restart and losing it loses nothing.

use keyturn_runtime::InputRequest;
use keyturn_store::StoreError;

use crate::{
    call::CallSource,
    effect::Effects,
    notes::{Notes, OperatorSteps, Waiting},
};

impl Effects<'_> {
    /// Asked again within its time, it waits for as long as it was told first.
    pub(crate) async fn park(&self, asked: &InputRequest) -> Result<(), StoreError> {
        let CallSource {
            store, credential, ..
        } = self.source;
        let now_ms = self.options.clock.now_ms();
        let lasts_ms = asked.expires_after_seconds.saturating_mul(1000);
        let waiting = Waiting {
            since_ms: now_ms,
            expires_at_ms: now_ms.saturating_add(lasts_ms),
            steps: OperatorSteps::of(asked),
        };
        Notes::update(store, &credential.secret, |notes| {
            let known = notes
                .credentials
                .entry(credential.name.clone())
                .or_default();
            let known = &mut known.waiting;
            if known
                .as_ref()
                .is_none_or(|known| known.expires_at_ms <= now_ms)
            {
                *known = Some(waiting.clone());
            }
        })
        .await
    }
}
