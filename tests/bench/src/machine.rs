//! What the figures were measured on, and how much memory this process has. Linux tells both under /proc; elsewhere
//! the figures are there and the memory is not.

use std::fs;

/// Processor, cores, memory and system, for people.
pub(crate) fn description() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map(|(_, value)| value.trim().to_owned())
    };
    let processor = field(&read("/proc/cpuinfo"), "model name");
    let memory_kb = field(&read("/proc/meminfo"), "MemTotal")
        .and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut parts = vec![
        processor.unwrap_or_else(|| "unknown processor".to_owned()),
        format!("{cores} cores"),
    ];
    parts.extend(memory_kb.map(|kb| format!("{} GiB of memory", kb.div_ceil(1 << 20))));
    parts.push(format!(
        "{} ({})",
        std::env::consts::OS,
        std::env::consts::ARCH
    ));
    parts.join(", ")
}

/// Bytes of memory that this process holds right now.
pub(crate) fn resident_bytes() -> Option<u64> {
    status("VmRSS")
}

/// The most that it ever held.
pub(crate) fn resident_bytes_max() -> Option<u64> {
    status("VmHWM")
}

fn status(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kb: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kb * 1024)
}
