//! Commands on AWS Secrets Manager's API: `keyturn serve` stands in for AWS, the rotated servers are real.

mod faults;
mod interruption;
mod rights;
mod ways;

use crate::support::Site;
use crate::support::Workspace;
use crate::support::festival::Festival;
use crate::support::served::Served;
use serde_json::Value;

/// The festival's database, whose secrets the commands reach through the API.
struct OnAws {
    festival: Festival,
    _served: Served,
}

impl OnAws {
    fn start(strategy: &str, actions: &[&str]) -> Self {
        Self::start_with(strategy, actions, "[]")
    }

    /// The same with faults of the service.
    fn start_with(strategy: &str, actions: &[&str], faults: &str) -> Self {
        let festival = Festival::start(strategy, 1);
        let _served = festival.workspace.serve_with(actions, faults);
        Self { festival, _served }
    }
}

impl Site for OnAws {
    fn workspace(&self) -> &Workspace {
        &self.festival.workspace
    }

    fn secret(&self) -> &str {
        Site::secret(&self.festival)
    }

    fn login(&self, value: &Value) -> Result<(), String> {
        Site::login(&self.festival, value)
    }

    fn end_sessions_of_the_dead(&self) {
        self.festival.end_sessions_of_the_dead();
    }
}
