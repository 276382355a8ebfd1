//! The one source of chance: everything that a soak decides comes from its seed. It never reads the
//! clock. (SplitMix64, Steele, Lea and Flood 2014; good enough to choose moments, no more.)

use std::ops::RangeInclusive;
use std::time::Duration;

pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Both ends included.
    pub(crate) fn within(&mut self, range: RangeInclusive<usize>) -> usize {
        let span = (range.end() - range.start()) as u64 + 1;
        // The span is small against 2^64, so that the bias does not matter; the rest fits a usize.
        range.start() + usize::try_from(self.next() % span).unwrap_or(0)
    }

    pub(crate) fn millis(&mut self, range: RangeInclusive<usize>) -> Duration {
        Duration::from_millis(self.within(range) as u64)
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.within(1..=100) <= percent
    }
}
