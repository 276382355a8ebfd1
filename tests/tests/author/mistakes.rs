//! The usual mistakes. Each is made for real in a plugin that is whole otherwise, and where the message names a fix, the
//! fix is tried.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::support::{Desk, Plugin, command, passes, root, run};

/// The message names a fix; with it, the plugin passes and imports nothing else than before.
#[track_caller]
fn passes_now(plugin: &Plugin) {
    plugin.build().succeeded();
    let name = plugin.dir.file_name().unwrap();
    let made = plugin.dir.join("target/keyturn").join(name);
    let shown = passes(&made.with_extension("wasm"));
    assert_eq!(shown["imports"].to_string(), r#"["random","log"]"#);
}

#[test]
fn the_target_is_not_installed() {
    let desk = Desk::new();
    let plugin = desk.plugin("no-target");
    let rustc = desk.path().join("rustc");
    let sysroot = sysroot_of_the_host_alone(desk.path());
    let script = format!("#!/bin/sh\nexec rustc --sysroot {sysroot} \"$@\"\n");
    fs::write(&rustc, script).unwrap();
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755)).unwrap();

    // That it is the mistake: rustc's own words.
    let mut compile = command("../rustc", &plugin.dir);
    compile.args([
        "--target=wasm32-unknown-unknown",
        "--crate-type=lib",
        "src/lib.rs",
    ]);
    assert!(run(&mut compile).stderr().contains("E0463"));

    let mut build = command("keyturn", &plugin.dir);
    build
        .args(["plugin", "build", "--json"])
        .env("RUSTC", rustc);
    run(&mut build).refused(&[
        "no standard library for wasm32-unknown-unknown",
        "`rustup target add wasm32-unknown-unknown`",
    ]);
}

/// The toolchain as rustup installs it without further targets.
fn sysroot_of_the_host_alone(folder: &Path) -> String {
    let asked = |what: [&str; 2]| {
        let said = run(command("rustc", folder).args(what))
            .succeeded()
            .stdout();
        said.trim().to_owned()
    };
    let (real, host) = (
        asked(["--print", "sysroot"]),
        asked(["--print", "host-tuple"]),
    );
    let sysroot = folder.join("sysroot");
    let rustlib = Path::new("lib/rustlib");
    fs::create_dir_all(sysroot.join(rustlib)).unwrap();
    let library = rustlib.join(host);
    symlink(Path::new(&real).join(&library), sysroot.join(&library)).unwrap();
    sysroot.to_str().unwrap().to_owned()
}

#[test]
fn a_core_module_is_given_for_a_component() {
    let desk = Desk::new();
    let plugin = desk.plugin("core-module");
    plugin.build().succeeded();
    let core = "target/wasm32-unknown-unknown/release/keyturn_plugin_core_module.wasm";
    let inspected = plugin.run("keyturn", &["plugin", "inspect", "--json", core]);
    inspected.refused(&[
        "is a core module, not a component",
        "`keyturn plugin build`",
    ]);
}

#[test]
fn a_dependency_expects_a_web_page() {
    let desk = Desk::new();
    let plugin = desk.plugin("web-page");
    plugin.depend_on("js-sys = \"0.3\"", "let _ = js_sys::Date::now();");
    plugin.build().refused(&[
        "keyturn-plugin-web-page imports __wbindgen",
        "`cargo tree --target wasm32-unknown-unknown --invert wasm-bindgen`",
        "turn off its feature for browsers",
    ]);
}

#[test]
fn a_dependency_calls_wasi() {
    let desk = Desk::new();
    let plugin = desk.plugin("first-wasi");
    let call = "unsafe { wasi::random_get(std::ptr::null_mut(), 0) }.unwrap();";
    plugin.depend_on("wasi = \"0.11\"", call);
    let fix = "`cargo tree --target wasm32-unknown-unknown`";
    plugin.build().refused(&[
        "imports wasi_snapshot_preview1/random_get, and plugins have no WASI",
        fix,
    ]);
    // So it is said of the core module that cargo made.
    let core = "target/wasm32-unknown-unknown/release/keyturn_plugin_first_wasi.wasm";
    let inspected = plugin.run("keyturn", &["plugin", "inspect", "--json", core]);
    inspected.refused(&["plugins have no WASI"]);

    let plugin = desk.plugin("second-wasi");
    let call = "let _ = wasip2::random::random::get_random_u64();";
    plugin.depend_on("wasip2 = \"1\"", call);
    let words = [
        "imports wasi:random/random@0.2",
        "plugins have no WASI",
        fix,
    ];
    plugin.build().refused(&words);
}

#[test]
fn a_function_is_declared_and_nowhere_defined() {
    let desk = Desk::new();
    let plugin = desk.plugin("undefined");
    let declared = "unsafe extern \"C\" { fn gethostid() -> i64; }";
    plugin.depend_on(
        "",
        &format!(
            "#[link(wasm_import_module = \"env\")] {declared} let _ = unsafe {{ gethostid() }};"
        ),
    );
    let words = [
        "imports the function gethostid, which nothing defines",
        "do without",
    ];
    plugin.build().refused(&words);
}

#[test]
fn getrandom_is_not_told_its_backend() {
    let desk = Desk::new();
    let plugin = desk.plugin("no-backend");
    plugin.depend_on(
        "getrandom = \"0.4\"",
        "getrandom::fill(&mut [0; 4]).unwrap();",
    );
    let config = plugin.dir.join(".cargo/config.toml");
    let lines = fs::read_to_string(&config).unwrap();
    fs::remove_file(&config).unwrap();
    let (_comment, lines) = lines.split_once('\n').unwrap();
    let place = config.to_str().unwrap();
    plugin
        .build()
        .refused(&["getrandom needs a backend", place, lines.trim()]);
    fs::write(&config, lines).unwrap();
    passes_now(&plugin);
}

#[test]
fn an_older_getrandom_is_not_told_its_backend() {
    let desk = Desk::new();
    let plugin = desk.plugin("old-backend");
    let dependency = "getrandom = \"0.2\"";
    plugin.depend_on(dependency, "getrandom::getrandom(&mut [0; 4]).unwrap();");
    let fix = "getrandom = { version = \"0.2\", features = [\"custom\"] }";
    plugin.build().refused(&["getrandom needs a backend", fix]);
    plugin.change("Cargo.toml", dependency, fix);
    passes_now(&plugin);
}

#[test]
fn the_contract_is_of_another_version() {
    let desk = Desk::new();
    let plugin = desk.plugin("other-contract");
    plugin.change("plugin.toml", "0.1.1", "9.9.9");
    let fix = "write contract = \"0.1.1\" into plugin.toml";
    plugin.build().refused(&["contract = \"9.9.9\"", fix]);
    plugin.change("plugin.toml", "9.9.9", "0.1.1");
    passes_now(&plugin);
}

#[test]
fn the_manifest_is_missing_or_says_too_little() {
    let desk = Desk::new();
    let plugin = desk.plugin("manifest");
    plugin.depend_on("", "let _ = keyturn_sdk::clock::now_ms();");
    let fix = "add \"clock\" to `capabilities` in plugin.toml";
    plugin
        .build()
        .refused(&["imports keyturn:rotation/clock@0.1.1", fix]);
    fs::remove_file(plugin.dir.join("plugin.toml")).unwrap();
    plugin
        .build()
        .refused(&["has no plugin.toml", "name, contract and capabilities"]);
}

#[test]
fn the_library_is_no_cdylib() {
    let desk = Desk::new();
    let plugin = desk.plugin("no-cdylib");
    plugin.change("Cargo.toml", "[\"cdylib\", \"rlib\"]", "[\"rlib\"]");
    let fix = "write crate-type = [\"cdylib\", \"rlib\"] under [lib]";
    plugin.build().refused(&["no cdylib", fix]);
}

#[test]
fn the_plugin_has_two_names() {
    let desk = Desk::new();
    let plugin = desk.plugin("one-name");
    plugin.change("plugin.toml", "one-name", "another");
    let words = [
        "\"one-name\"",
        "\"another\" in plugin.toml",
        "make them equal",
    ];
    plugin.build().refused(&words);
    plugin.change("plugin.toml", "another", "one-name");
    passes_now(&plugin);
    let folder = plugin.dir.join("target/keyturn");
    fs::rename(folder.join("one-name.wasm"), folder.join("third.wasm")).unwrap();
    let arguments = [
        "plugin",
        "inspect",
        "third",
        "--json",
        "--plugin-dir",
        "target/keyturn",
    ];
    let inspected = plugin.run("keyturn", &arguments);
    inspected.refused(&["holds the plugin one-name", "name the file after it"]);
}

#[test]
fn the_name_is_that_of_a_shipped_plugin() {
    let desk = Desk::new();
    let plugin = desk.plugin("shadow");
    for file in ["plugin.toml", "src/lib.rs"] {
        plugin.change(file, "\"shadow\"", "\"jwt\"");
    }
    let built = plugin.build().succeeded();
    let words = "ships a plugin jwt itself; --plugin-dir will not replace it";
    assert!(built.stderr().contains(words), "{}", built.stderr());
}

#[test]
fn the_macro_is_not_called() {
    let desk = Desk::new();
    let plugin = desk.plugin("no-macro");
    plugin.change("src/lib.rs", "keyturn_sdk::export!(Plugin);", "");
    plugin.build().refused(&["call the SDK's export macro"]);
}

#[test]
fn the_plugin_is_too_large() {
    let desk = Desk::new();
    let plugin = desk.plugin("too-large");
    let ballast = "#[used] static BALLAST: [u8; 9 << 20] = [1; 9 << 20];";
    plugin.depend_on("", ballast);
    plugin
        .build()
        .refused(&["larger than the 8388608 bytes", "opt-level = \"s\""]);
}

#[test]
fn the_code_does_not_compile() {
    let desk = Desk::new();
    let plugin = desk.plugin("no-code");
    plugin.depend_on("", "let pin: u8 = \"six\";");
    let built = plugin.build();
    assert!(
        built.stderr().contains("error[E0308]"),
        "{}",
        built.stderr()
    );
    let words = [
        "keyturn-plugin-no-code does not build",
        "correct what cargo says above",
    ];
    built.refused(&words);
    assert!(!plugin.dir.join("target/keyturn").exists());
}

#[test]
fn there_is_no_crate_or_no_cargo() {
    let desk = Desk::new();
    let build = ["plugin", "build", "--json"];
    desk.keyturn(&build)
        .refused(&["has no Cargo.toml", "`keyturn plugin new`"]);
    let workspace = root();
    desk.keyturn(&["plugin", "build", "--json", workspace.to_str().unwrap()])
        .refused(&[
            "a workspace without a crate of its own",
            "the folder of the plugin",
        ]);
    let plugin = desk.plugin("no-cargo");
    let mut without = command("keyturn", &plugin.dir);
    let keyturn = run(command("sh", desk.path()).args(["-c", "command -v keyturn"]));
    let keyturn = keyturn.succeeded().stdout();
    let folder = Path::new(keyturn.trim()).parent().unwrap();
    without.args(build).env("PATH", folder);
    run(&mut without).refused(&["cargo cannot be run", "https://rustup.rs"]);
}
