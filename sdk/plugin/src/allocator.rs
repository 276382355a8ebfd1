//! The heap of a plugin in WebAssembly. It begins in memory that the instance has from the start: growing it, which
//! the standard allocator does at its first allocation, makes the host change the protection of pages and tell
//! every core of it, and that cost a third of a short call. Memory is never given back: an instance lives for one
//! call.

use core::alloc::Layout;
use core::arch::wasm32::memory_grow;
use core::mem::MaybeUninit;

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

const PAGE_BYTES: usize = 64 * 1024;
/// Enough for a call that talks to no server; others grow.
const FIRST_BYTES: usize = 4 * PAGE_BYTES;
/// More than the allocator's own words beside an allocation.
const OVERHEAD_BYTES: usize = 256;

#[global_allocator]
static HEAP: TalcSyncCell<FirstThenGrown, WasmBinning> =
    TalcSyncCell::new_wasm(FirstThenGrown { first_taken: false });

static mut FIRST: [MaybeUninit<u8>; FIRST_BYTES] = [MaybeUninit::uninit(); FIRST_BYTES];

#[derive(Debug)]
struct FirstThenGrown {
    first_taken: bool,
}

// SAFETY: it allocates nothing itself, and each span that it hands over is the allocator's alone: `FIRST` is named
// nowhere else and taken once, and what `memory_grow` added belonged to nobody before.
unsafe impl Source for FirstThenGrown {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let (base, bytes) = if talc.source.first_taken {
            let needed = layout.size() + layout.align() + OVERHEAD_BYTES;
            let pages = needed.div_ceil(PAGE_BYTES);
            let before = memory_grow::<0>(pages);
            if before == usize::MAX {
                return Err(());
            }
            ((before * PAGE_BYTES) as *mut u8, pages * PAGE_BYTES)
        } else {
            talc.source.first_taken = true;
            ((&raw mut FIRST).cast(), FIRST_BYTES)
        };
        // SAFETY: see above.
        unsafe { talc.claim(base, bytes) }.map(drop).ok_or(())
    }
}
