//! What the repository says about each vendor of `vendor-assisted`, beside its profile.

use std::fs;

use serde_json::Value;

use crate::assert_none;
use crate::source::root;

/// Name and profile.
fn profiles() -> Vec<(String, Value)> {
    let files = fs::read_dir(root().join("plugins/vendor-assisted/profiles")).unwrap();
    let profile = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(path).unwrap();
        (name, serde_json::from_str(&text).unwrap())
    };
    files.map(|file| profile(file.unwrap().path())).collect()
}

#[test]
fn every_profile_is_documented() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (ours, plugins) = (read("README.md"), read("plugins/vendor-assisted/README.md"));
    let mut missing = Vec::new();
    for (name, profile) in profiles() {
        let vendor = profile["vendor"].as_str().unwrap();
        if ours.matches(vendor).count() < 2 {
            missing.push(format!(
                "README.md: {vendor} above the example of `vendor-assisted` and in the table of plugins"
            ));
        }
        let mut rows = plugins.lines();
        let Some(row) = rows.find(|line| line.starts_with(&format!("| `{name}` |"))) else {
            missing.push(format!(
                "plugins/vendor-assisted/README.md: a row of `{name}` under \"The profiles\""
            ));
            continue;
        };
        let fields = profile["fields"].as_array().unwrap();
        let read = profile["reads"].as_array().into_iter().flatten();
        let members = fields.iter().map(|field| &field["member"]).chain(read);
        for word in members.chain(profile.get("host")) {
            let word = word.as_str().unwrap();
            if !row.contains(&format!("`{word}`")) {
                missing.push(format!(
                    "plugins/vendor-assisted/README.md: `{word}` in the row of `{name}`"
                ));
            }
        }
    }
    assert_none("a vendor is documented where the others are", missing);
}
