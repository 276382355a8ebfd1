//! Where a test kills the process: before and after every statement of a write. In every build but the crate's own
//! unit tests it is an empty function.

#[cfg(not(test))]
pub(super) fn pass() {}

#[cfg(test)]
pub(super) use under_test::pass;

#[cfg(test)]
pub(super) mod under_test {
    use std::env;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// The environment variable that says at which pass, from 1, the process kills itself.
    pub(in crate::embedded) const KILL_AT: &str = "KEYTURN_STORE_TEST_KILL_AT";

    static PASSED: AtomicU64 = AtomicU64::new(0);

    pub(in crate::embedded) fn pass() {
        static AT: OnceLock<Option<u64>> = OnceLock::new();
        let at = AT.get_or_init(|| env::var(KILL_AT).ok().map(|text| text.parse().unwrap()));
        if Some(PASSED.fetch_add(1, Ordering::SeqCst) + 1) == *at {
            let this = rustix::process::getpid();
            rustix::process::kill_process(this, rustix::process::Signal::KILL).unwrap();
            // The signal is on its way; nothing more may happen here meanwhile.
            loop {
                std::thread::park();
            }
        }
    }
}
