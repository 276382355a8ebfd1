//! A rotation taken apart by Keyturn's own audit trail, which says how long each effect took: what is left of the
//! process's time is its start, its looks at the store, the trail itself and its end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// The time of one kind of effect in a rotation, on average.
pub(crate) struct Part {
    pub(crate) effect: String,
    pub(crate) times: f64,
    pub(crate) took: Duration,
}

/// `trail`: the lines of whole rotations. The most expensive effect comes first, what no effect took last.
pub(crate) fn parts(trail: &str, whole: Duration) -> Vec<Part> {
    let lines: Vec<Value> = trail
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let rotations = lines
        .iter()
        .filter(|line| line["event"] == "started")
        .count();
    if rotations == 0 {
        return Vec::new();
    }
    let mut effects: BTreeMap<&str, (u32, f64)> = BTreeMap::new();
    for line in &lines {
        if let (Some(effect), Some(took)) = (line["effect"].as_str(), line["duration_ms"].as_f64())
        {
            let (times, ms) = effects.entry(effect).or_default();
            *times += 1;
            *ms += took;
        }
    }
    let each = |sum: f64| sum / rotations as f64;
    let mut parts: Vec<Part> = effects
        .into_iter()
        .map(|(effect, (times, ms))| Part {
            effect: effect.to_owned(),
            times: each(f64::from(times)),
            took: Duration::from_secs_f64(each(ms) / 1e3),
        })
        .collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.took));
    let known: Duration = parts.iter().map(|part| part.took).sum();
    parts.push(Part {
        effect: "all the rest: start, looks at the store, trail, end".to_owned(),
        times: 1.0,
        took: whole.saturating_sub(known),
    });
    parts
}
