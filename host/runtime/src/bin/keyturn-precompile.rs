//! `keyturn-precompile OUT_DIR CORE.wasm…`: writes NAME.wasm and NAME.cwasm of each first-party
//! plugin, for the binary to include. Its own build stage: as a build dependency wasmtime and
//! Cranelift would be compiled twice.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command-line tool

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(out_dir) = arguments.next() else {
        eprintln!("usage: keyturn-precompile OUT_DIR CORE.wasm…");
        return ExitCode::from(2);
    };
    for core in arguments {
        if let Err(cause) = precompile(&out_dir, &core) {
            eprintln!("keyturn-precompile: {cause}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn precompile(out_dir: &Path, core: &Path) -> Result<(), String> {
    let bytes = std::fs::read(core).map_err(|error| format!("{}: {error}", core.display()))?;
    let made = keyturn_runtime::precompile(&core.display().to_string(), &bytes)
        .map_err(|error| error.to_string())?;
    std::fs::create_dir_all(out_dir).map_err(|error| format!("{}: {error}", out_dir.display()))?;
    for (extension, bytes) in [("wasm", &made.wasm), ("cwasm", &made.cwasm)] {
        let path = out_dir.join(&made.name).with_extension(extension);
        std::fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    println!(
        "{}: {} bytes, {} compiled",
        made.name,
        made.wasm.len(),
        made.cwasm.len()
    );
    Ok(())
}
