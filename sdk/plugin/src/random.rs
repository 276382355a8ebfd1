//! Cryptographic randomness from the host.

use crate::host;

/// The most that the host gives in one call.
const CALL_BYTES_MAX: usize = 65_536;

/// `length` random bytes.
pub fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fill(&mut bytes);
    bytes
}

/// Fills a buffer of any length.
pub fn fill(buffer: &mut [u8]) {
    for chunk in buffer.chunks_mut(CALL_BYTES_MAX) {
        // A chunk is at most CALL_BYTES_MAX long, so its length fits.
        chunk.copy_from_slice(&host::random_bytes(chunk.len() as u32));
    }
}
