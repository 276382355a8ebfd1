//! The places in which calls run are used again. A plugin that looks through all of its memory must not find what the
//! call before had there.

use std::num::NonZeroU32;

use keyturn_runtime::*;

use crate::support::*;

/// Whoever runs before: with [`PASSWORD`] and [`PREVIOUS`] in its memory.
const VICTIMS_NEEDLE: &str = "canary+";
const SPYS_VALUE: &str = r#"{"host":"127.0.0.1","port":1,"password":"the spy's own"}"#;

#[tokio::test]
async fn a_place_holds_nothing_of_the_call_before() {
    let sandbox = Sandbox::with(RuntimeOptions {
        calls_at_once: NonZeroU32::MIN,
        ..RuntimeOptions::default()
    });
    let plugin = sandbox.hostile().await;
    let look = async |needle: &str, value: &str| {
        let toml = r#"endpoint.primary = { hosts = ["127.0.0.1"], ports = [1], tls = "disable" }"#;
        let coded: String = needle.bytes().map(|byte| char::from(byte ^ 1)).collect();
        let granted = plugin.grant(grant(toml, "seek", &coded)).unwrap();
        let candidate = version("v2", value);
        let outcome = granted.set(&call(value), &candidate).await.unwrap();
        outcome.findings[0].summary.clone()
    };
    let victims = current("127.0.0.1", 1);
    for _ in 0..3 {
        // What is there is found, by the very search that finds nothing afterwards.
        assert_ne!(look(VICTIMS_NEEDLE, &victims).await, "found 0 times");
        assert_eq!(look(VICTIMS_NEEDLE, SPYS_VALUE).await, "found 0 times");
        assert_ne!(look("the spy's own", SPYS_VALUE).await, "found 0 times");
    }
    println!("evidence: hostile guests: 1 hostile deeds");
}
