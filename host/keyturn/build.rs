//! Includes the first-party plugins that `make plugins` compiled: each `NAME.wasm` with its
//! `NAME.cwasm` in the folder that KEYTURN_PLUGINS names.

use std::{env, fmt::Write, fs, path::PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=KEYTURN_PLUGINS");
    let folder = PathBuf::from(
        env::var_os("KEYTURN_PLUGINS").unwrap_or_else(|| "../../target/plugins".into()),
    );
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut names: Vec<String> = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_stem()?.to_str()?.to_owned();
            (path.extension()? == "cwasm").then_some(name)
        })
        .collect();
    names.sort();
    if names.is_empty() {
        println!(
            "cargo:warning=no compiled plugins in {}: this binary ships none. Run `make build`.",
            folder.display()
        );
    }
    let mut code =
        "/// The first-party plugins, by name.\nconst BUNDLED: &[BundledPlugin] = &[\n".to_owned();
    for name in &names {
        let wasm = folder.join(format!("{name}.wasm"));
        let cwasm = folder.join(format!("{name}.cwasm"));
        println!("cargo:rerun-if-changed={}", cwasm.display());
        // Writing to a String cannot fail.
        let _ = writeln!(
            code,
            "    BundledPlugin {{ name: {name:?}, wasm: include_bytes!({wasm:?}), cwasm: include_bytes!({cwasm:?}) }},"
        );
    }
    code.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("bundled.rs");
    if let Err(error) = fs::write(&out, code) {
        println!("cargo:error=cannot write {}: {error}", out.display());
    }
}
