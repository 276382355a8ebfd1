//! Randomness for crates that ask `getrandom`: its custom backend calls this symbol. The cfg that
//! chooses the backend stands in the build's `.cargo/config.toml`.

// The signature is prescribed by getrandom 0.3 and 0.4.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(
    dest: *mut u8,
    len: usize,
) -> Result<(), getrandom::Error> {
    // SAFETY: getrandom passes a writable buffer of `len` bytes, and nobody else has it meanwhile.
    // It may be uninitialised, so it is zeroed before a reference to it is made.
    let buffer = unsafe {
        std::ptr::write_bytes(dest, 0, len);
        std::slice::from_raw_parts_mut(dest, len)
    };
    crate::random::fill(buffer);
    Ok(())
}
