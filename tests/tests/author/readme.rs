//! The SDK's README: its commands are run one after the other, and each file that it shows is the one that
//! `keyturn plugin new` wrote.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Desk, command, lock, passes, root, run};

/// Where the README's reader has cloned the repository.
const CLONE: &str = "/home/you/keyturn";

/// A fenced block.
struct Block {
    language: String,
    /// The first line of the paragraph before it.
    heading: String,
    text: String,
}

fn blocks(markdown: &str) -> Vec<Block> {
    let (mut blocks, mut heading, mut before) = (Vec::new(), String::new(), "");
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            let text = lines.by_ref().take_while(|line| line.trim() != "```");
            blocks.push(Block {
                language: language.to_owned(),
                heading: heading.clone(),
                text: text.map(|line| format!("{line}\n")).collect(),
            });
        } else if before.is_empty() && !line.is_empty() {
            line.clone_into(&mut heading);
        }
        before = line;
    }
    blocks
}

#[test]
fn from_an_empty_folder_to_a_plugin_that_rotates() {
    let desk = Desk::new();
    let readme = fs::read_to_string(root().join("sdk/plugin/README.md")).unwrap();
    let readme = readme.replace(CLONE, root().to_str().unwrap());
    let mut dir = desk.path().to_owned();
    let (mut said, mut shown) = (String::new(), Vec::new());
    for block in blocks(&readme) {
        if block.language == "sh" {
            let (words, next) = shell(&block.text, &dir);
            said.push_str(&words);
            dir = next;
            if dir.ends_with("pin") && !dir.join("Cargo.lock").exists() {
                lock(&dir);
            }
        } else {
            let file = block.heading.strip_prefix('`').unwrap();
            let (file, _) = file.split_once('`').unwrap();
            let written = fs::read_to_string(dir.join(file)).unwrap();
            assert_eq!(block.text, written, "{file}");
            shown.push(file.to_owned());
        }
    }
    let files = [
        "Cargo.toml",
        ".cargo/config.toml",
        "plugin.toml",
        "src/lib.rs",
    ];
    assert_eq!(shown, files);

    assert!(said.contains("imports random, log"), "{said}");
    let made = passes(&desk.path().join("pin/target/keyturn/pin.wasm"));
    assert_eq!(made["imports"].to_string(), r#"["random","log"]"#);
    // The last commands rotated the secret and showed it.
    let pin = said.rsplit("\"pin\":\"").next().unwrap();
    let (pin, _) = pin.split_once('"').unwrap();
    assert!(pin.len() == 6 && pin != "000000", "{said}");
    assert!(said.contains(r#","door":7}"#), "{said}");
}

/// What the commands said, and where they ended.
fn shell(commands: &str, dir: &Path) -> (String, PathBuf) {
    let script = format!("{commands}pwd >&2");
    let ended = run(command("sh", dir).args(["-euc", &script])).succeeded();
    let next = ended.stderr().lines().last().unwrap().into();
    (ended.stdout(), next)
}
