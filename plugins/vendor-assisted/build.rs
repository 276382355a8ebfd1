//! Makes the files of `profiles/` part of the plugin, by their names, so that a new vendor is a new file and no code.
//! What is no profile, or goes against another one, is named here: a plugin with it could not describe itself.

#[allow(dead_code, reason = "much of it is only of use to the plugin")]
#[path = "src/profile/form.rs"]
mod form;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use form::Profile;

const FOLDER: &str = "profiles";
const MANIFEST: &str = "plugin.toml";

fn main() -> io::Result<()> {
    for read in [FOLDER, MANIFEST] {
        println!("cargo::rerun-if-changed={read}");
    }
    let gathered = gather()?;
    let manifest = fs::read_to_string(MANIFEST)?;
    let mut profiles = Profiles::default();
    let mut code = "pub(crate) const PROFILES: &[(&str, &str)] = &[\n".to_owned();
    for (name, path) in &gathered {
        let added = profiles.add(name, &fs::read_to_string(path)?, &manifest);
        if let Err(problem) = added {
            println!("cargo::error={FOLDER}/{name}.json: {problem}");
        }
        let path = path.canonicalize()?;
        code.push_str(&format!("    ({name:?}, include_str!({path:?})),\n"));
    }
    code.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("profiles.rs"), code)
}

/// Names and files, in the order of the names.
fn gather() -> io::Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(FOLDER)? {
        let path = entry?.path();
        match name_of(&path) {
            Some(name) => {
                found.insert(name.to_owned(), path);
            }
            None => println!(
                "cargo::error={}: a profile is a file NAME.json, with a name of a-z, 0-9 and -",
                path.display()
            ),
        }
    }
    Ok(found)
}

fn name_of(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_suffix(".json")?;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (path.is_file() && !name.is_empty() && name.bytes().all(is_plain)).then_some(name)
}

/// What the profiles so far have taken.
#[derive(Default)]
struct Profiles {
    /// Member to profile.
    members: BTreeMap<String, String>,
    /// Two profiles may share a setting; to the host it is one.
    settings: BTreeMap<String, (String, serde_json::Value)>,
}

impl Profiles {
    fn add(&mut self, name: &str, text: &str, manifest: &str) -> Result<(), String> {
        let profile: Profile = serde_json::from_str(text).map_err(|error| error.to_string())?;
        is_sound(&profile)?;
        for member in profile.members() {
            if let Some(other) = self.members.insert(member.clone(), name.to_owned()) {
                return Err(format!("the member `{member}` is the profile {other}'s"));
            }
        }
        for (setting, schema) in profile.settings {
            let known = self.settings.entry(setting.clone());
            let (other, before) = known.or_insert_with(|| (name.to_owned(), schema.clone()));
            if *before != schema {
                return Err(format!(
                    "the setting `{setting}` says something else in the profile {other}"
                ));
            }
        }
        for member in profile.reads {
            if !manifest.contains(&format!("\"/{member}\"")) {
                return Err(format!(
                    "the member `{member}` is read and no secret: write \"/{member}\" into `public` of {MANIFEST}"
                ));
            }
        }
        Ok(())
    }
}

fn is_sound(profile: &Profile) -> Result<(), String> {
    if profile.fields.is_empty() {
        return Err("without `fields` there is nothing to rotate".to_owned());
    }
    if profile.host.is_some() != profile.check.is_some() {
        return Err("`host` and `check` need each other".to_owned());
    }
    if profile.end.is_some() && profile.check.is_none() {
        return Err("without `check` nobody can prove the `end`; leave it out".to_owned());
    }
    // The operator reads it before doing so.
    if profile.coexist == profile.make.title.contains("dies") {
        return Err(
            "the title of `make` says that the old value dies exactly where `coexist` is false"
                .to_owned(),
        );
    }
    Ok(())
}
