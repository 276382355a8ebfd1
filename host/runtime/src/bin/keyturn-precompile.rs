//! `keyturn-precompile [--target TRIPLE] OUT_DIR CORE.wasm…`: writes NAME.wasm and NAME.cwasm of each first-party
//! plugin, for the binary to include. Another target than this machine needs the feature `every-processor`. Its own build stage: as a build dependency wasmtime and
//! Cranelift would be compiled twice.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command-line tool

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let target = match arguments.as_slice() {
        [option, target, ..] if option == "--target" => Some(target.clone()),
        _ => None,
    };
    arguments.drain(..if target.is_some() { 2 } else { 0 });
    let [out_dir, cores @ ..] = arguments.as_slice() else {
        eprintln!("usage: keyturn-precompile [--target TRIPLE] OUT_DIR CORE.wasm…");
        return ExitCode::from(2);
    };
    for core in cores {
        if let Err(cause) = precompile(out_dir.as_ref(), core.as_ref(), target.as_deref()) {
            eprintln!("keyturn-precompile: {cause}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn precompile(out_dir: &Path, core: &Path, target: Option<&str>) -> Result<(), String> {
    let bytes = std::fs::read(core).map_err(|error| format!("{}: {error}", core.display()))?;
    let made = keyturn_runtime::precompile(&core.display().to_string(), &bytes, target)
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
