//! Rotations while the service throttles, fails, breaks off and lags.

use super::OnAws;
use crate::interruption::finish;
use crate::support::Site as _;
use crate::support::festival::SECRET;

/// Every change is seen late, and of every few requests one is throttled, fails or is cut off after its effect.
const FAULTS: &str = r#"[
    {"operation": "UpdateSecretVersionStage", "kind": "stale", "reads": 2, "times": 1000},
    {"operation": "PutSecretValue", "kind": "stale", "reads": 2, "times": 1000},
    {"operation": "TagResource", "kind": "stale", "reads": 2, "times": 1000},
    {"operation": "*", "kind": "throttle", "skip": 7, "times": 3},
    {"operation": "*", "kind": "hang_up", "skip": 20, "times": 2},
    {"operation": "UpdateSecretVersionStage", "kind": "hang_up_after", "skip": 1, "times": 2},
    {"operation": "UpdateSecretVersionStage", "kind": "error_after", "skip": 6, "times": 2},
    {"operation": "PutSecretValue", "kind": "error_after", "times": 1},
    {"operation": "PutSecretValue", "kind": "hang_up_after", "skip": 2, "times": 1},
    {"operation": "TagResource", "kind": "hang_up_after", "skip": 1, "times": 2},
    {"operation": "GetSecretValue", "kind": "error", "skip": 5, "times": 2}
]"#;

#[test]
fn rotations_get_through_what_passes() {
    for strategy in ["alternating", "single"] {
        let site = OnAws::start_with(strategy, &["*"], FAULTS);
        for _ in 0..3 {
            let before = site.workspace().labels(SECRET)["AWSCURRENT"].clone();
            finish(&site);
            site.current_logs_in();
            assert_ne!(site.workspace().labels(SECRET)["AWSCURRENT"], before);
        }
        // Nothing was done twice: a version for each rotation, and the first.
        assert_eq!(site.workspace().describe(SECRET).versions.len(), 4);
        assert!(
            !site
                .workspace()
                .labels(SECRET)
                .contains_key("KEYTURN_INDOUBT")
        );
    }
}
