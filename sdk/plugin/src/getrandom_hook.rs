//! Randomness for crates that ask `getrandom`: its custom backends call these symbols. What chooses the backend stands
//! with the plugin: for getrandom 0.3 and 0.4 a cfg in `.cargo/config.toml`, for 0.2 its feature `custom`.

// The signature is prescribed by getrandom 0.3 and 0.4.
#[cfg(getrandom_backend = "custom")]
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(
    dest: *mut u8,
    len: usize,
) -> Result<(), getrandom::Error> {
    // SAFETY: getrandom passes a writable buffer of `len` bytes, and nobody else has it meanwhile.
    unsafe { fill(dest, len) };
    Ok(())
}

// The signature is prescribed by getrandom 0.2; 0 is success.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_custom(dest: *mut u8, len: usize) -> u32 {
    // SAFETY: as above.
    unsafe { fill(dest, len) };
    0
}

/// # Safety
/// `dest` is a writable buffer of `len` bytes that nobody else has meanwhile.
unsafe fn fill(dest: *mut u8, len: usize) {
    // SAFETY: the caller's promise. The buffer may be uninitialised, so it is zeroed before a reference to it is made.
    let buffer = unsafe {
        std::ptr::write_bytes(dest, 0, len);
        std::slice::from_raw_parts_mut(dest, len)
    };
    crate::random::fill(buffer);
}
