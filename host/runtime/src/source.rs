//! Where a plugin's bytes come from.

use std::path::PathBuf;

/// A first-party plugin that was compiled ahead of time and sits inside the binary.
#[derive(Clone, Copy, Debug)]
pub struct BundledPlugin {
    pub name: &'static str,
    /// The component, for inspection, checks and its sha256.
    pub wasm: &'static [u8],
    /// What `keyturn-precompile` made of it.
    pub cwasm: &'static [u8],
}

#[derive(Clone, Debug)]
pub enum PluginSource {
    Bundled(BundledPlugin),
    File {
        path: PathBuf,
        /// Lower-case hex; the file must have it.
        sha256: Option<String>,
    },
    /// Bytes that the caller has read already, such as a plugin that is being built.
    Bytes {
        name: String,
        wasm: Vec<u8>,
    },
}
