//! How much memory this process holds, as the kernel counts it. Only Linux says so without a
//! dependency; elsewhere nothing is measured.

/// What a call may add besides the plugin's own linear memory: the host's copies of a message (2 MiB
/// at most, as parameter, as answer and scrubbed), the fiber's stack, the neighbour's instance, and
/// what the allocator keeps of all that. Small against what a missing limit lets through.
pub(crate) const ALLOWANCE_BYTES: usize = 16 << 20;

/// The highest resident size since the watch began.
pub(crate) struct Watch {
    before: usize,
}

impl Watch {
    /// None where it cannot be measured.
    pub(crate) fn begin() -> Option<Self> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        // Sets the high-water mark back to what is resident now (proc_pid_clear_refs(5)).
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = field("VmRSS:");
        Some(Self { before })
    }

    /// Bytes above the beginning.
    pub(crate) fn grown(&self) -> usize {
        field("VmHWM:").saturating_sub(self.before)
    }
}

fn field(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<usize>().unwrap() << 10
}

#[test]
fn the_watch_sees_memory_that_is_taken_and_given_back() {
    let Some(watch) = Watch::begin() else { return };
    let taken = vec![1_u8; 64 << 20];
    std::hint::black_box(&taken);
    drop(taken);
    assert!(watch.grown() >= 60 << 20, "{}", watch.grown());
}
