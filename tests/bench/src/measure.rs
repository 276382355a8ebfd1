//! Samples of two things in turn, so that whatever else the machine does meets both alike. A median, because a
//! mean would tell of the one sample that the machine interrupted.

use std::time::Duration;

use crate::Result;

/// What was measured and the floor under it.
pub(crate) struct Pair {
    pub(crate) ours: Duration,
    pub(crate) floor: Duration,
}

/// Samples both so often, after one round that is not counted.
pub(crate) fn in_turn(
    rounds: usize,
    mut ours: impl FnMut() -> Result<Duration>,
    mut floor: impl FnMut() -> Result<Duration>,
) -> Result<Pair> {
    let (mut of_ours, mut of_floor) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (one, other) = (ours()?, floor()?);
        if round > 0 {
            of_ours.push(one);
            of_floor.push(other);
        }
    }
    Ok(Pair {
        ours: median(of_ours),
        floor: median(of_floor),
    })
}

pub(crate) fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}
