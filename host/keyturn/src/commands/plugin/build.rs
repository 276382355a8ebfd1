//! `keyturn plugin build`: from a crate to a plugin that this keyturn loads. The core module is cargo's work, the
//! component is made in this process, and nothing is written that could not be loaded.

use std::{fs, process::ExitCode};

use anyhow::{Context, Result};
use keyturn_runtime::{PluginSource, componentize};
use serde_json::json;

use super::cargo::Crate;
use crate::{
    cli::{BuildPlugin, Global},
    output,
    plugins::{self, Plugins},
    session::refuse,
};

pub(super) async fn run(
    global: &Global,
    plugins: &Plugins<'_>,
    arguments: &BuildPlugin,
) -> Result<ExitCode> {
    let found = Crate::find(&arguments.dir).await?;
    found.has_target().await?;
    let core = found.build().await?;
    let core = fs::read(&core).with_context(|| core.display().to_string())?;
    let wasm = componentize(&found.package, &core).map_err(refuse)?;
    let source = PluginSource::Bytes {
        name: found.package.clone(),
        wasm: wasm.clone(),
    };
    let plugin = plugins.load_from(source).await;
    let plugin = plugin.map_err(|error| refuse(format!("{error:#}")))?;

    let name = &plugin.manifest().name;
    // Beside what cargo made of the crate, and out of its way.
    let folder = found.target_dir.join("keyturn");
    let path = folder.join(name).with_extension("wasm");
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, &wasm));
    written.map_err(|error| refuse(format!("{} cannot be written: {error}", path.display())))?;
    if plugins::is_shipped(name) {
        output::to_stderr(&format!(
            "keyturn: this keyturn ships a plugin {name} itself; --plugin-dir will not replace it. Rename this one to \
             use it"
        ));
    }
    let imports = plugin.imports();
    if global.json {
        let made = json!({
            "name": name,
            "path": path,
            "bytes": wasm.len(),
            "sha256": plugin.sha256(),
            "imports": imports,
        });
        output::to_stdout(&made.to_string())?;
    } else {
        let imports: Vec<_> = imports.iter().map(|import| import.name()).collect();
        let imports = if imports.is_empty() {
            "nothing".to_owned()
        } else {
            imports.join(", ")
        };
        output::to_stdout(&format!(
            "Made {}\n  {} bytes, sha256 {}\n  imports {imports}",
            path.display(),
            wasm.len(),
            plugin.sha256(),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
