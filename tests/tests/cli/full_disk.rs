//! The disk is full when the audit trail is to be written: no effect on a target without its intent on
//! record, and what was changed is never reported as unchanged.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::support::Site as _;
use crate::support::festival::{Festival, SECRET};
use crate::support::{Ended, Workspace, binary, end};

/// `ulimit -f` counts in these units.
const BLOCK_BYTES: usize = 512;
/// More than the store's own files ever grow to here, so that the limit meets the trail alone.
const PADDING_BYTES: usize = 16 * 1024 * 1024;
/// A rotation writes fewer blocks into the trail than that.
const BLOCKS_MAX: usize = 40;

#[test]
fn a_trail_that_cannot_be_written_stops_the_rotation_and_hides_no_change() {
    let festival = Festival::start("single", 1);
    let password = "SELECT rolpassword FROM pg_authid WHERE rolname = 'festival_app'";
    let state = || {
        let password = festival.cluster.query(password).unwrap();
        (
            password,
            festival.workspace.labels(SECRET).remove("AWSCURRENT"),
        )
    };
    rotate_until_it_fits(&festival.workspace, SECRET, state);
    festival.current_logs_in();
}

#[test]
fn a_promotion_whose_outcome_is_not_on_record_is_said_all_the_same() {
    let jwt = "festival-prod/jwt";
    let workspace = Workspace::with(&format!("[secret.\"{jwt}\"]\nplugin = \"jwt\"\n"));
    let value =
        json!({"secret": "a".repeat(64), "refresh_secret": "b".repeat(64), "algorithm": "HS256"});
    workspace.create(jwt, &value.to_string());
    let state = || workspace.labels(jwt).remove("AWSCURRENT");
    rotate_until_it_fits(&workspace, jwt, state);
}

/// Rotates with one block more each time, until the whole trail of a rotation fits. `state` is what an
/// exit code of 5 says is unchanged.
fn rotate_until_it_fits<T: PartialEq>(workspace: &Workspace, secret: &str, state: impl Fn() -> T) {
    let trail = workspace.path("store.audit.jsonl");
    let (mut unchanged, mut changed, mut blocks) = (0, 0, 0);
    loop {
        // Each begins at the start of a block.
        let length = fs::metadata(&trail).map_or(0, |metadata| metadata.len() as usize);
        let wanted = length.next_multiple_of(BLOCK_BYTES).max(PADDING_BYTES);
        let mut lines = fs::read(&trail).unwrap_or_default();
        lines.resize(wanted, b'\n');
        fs::write(&trail, lines).unwrap();
        let before = state();
        let ended = rotate(workspace, secret, wanted / BLOCK_BYTES + blocks);
        if ended.code == Some(0) {
            assert_eq!(ended.json()["outcome"], "rotated");
            break;
        }
        blocks += 1;
        assert!(blocks < BLOCKS_MAX, "{ended:#?}");
        let message = ended.json()["error"]["message"].to_string();
        assert!(message.contains("audit trail"), "{ended:#?}");
        if state() == before {
            unchanged += 1;
        } else {
            changed += 1;
            assert_eq!(ended.code, Some(6), "{ended:#?}");
        }
    }
    assert!(unchanged > 0, "the trail never failed before a change");
    assert!(changed > 0, "the trail never failed after one");
}

/// Runs the command so that no file can grow beyond this many blocks.
fn rotate(workspace: &Workspace, secret: &str, blocks: usize) -> Ended {
    // With the signal ignored a write that is too much fails as on a full disk.
    let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" rotate {secret} --json");
    let child = Command::new("sh")
        .args(["-c", &limited])
        .arg(binary())
        .current_dir(workspace.folder())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    end(child, &["rotate", secret, "--json"])
}
