//! The disk is full when the audit trail is to be written: no effect on a target without its intent on
//! record, and what was changed is never reported as unchanged.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::festival::{Festival, SECRET};
use crate::support::{Ended, binary, end};

/// `ulimit -f` counts in these units.
const BLOCK_BYTES: usize = 512;
/// More than the store's own files ever grow to here, so that the limit meets the trail alone.
const PADDING_BYTES: usize = 16 * 1024 * 1024;
/// A rotation writes fewer blocks into the trail than that.
const BLOCKS_MAX: usize = 40;

#[test]
fn a_trail_that_cannot_be_written_stops_the_rotation_and_hides_no_change() {
    let festival = Festival::start("single", 1);
    let trail = festival.workspace.path("store.audit.jsonl");
    let (mut unchanged, mut changed, mut blocks) = (0, 0, 0);
    let ended = loop {
        // Each begins at the start of a block, and each attempt gets one block more.
        let length = fs::metadata(&trail).map_or(0, |metadata| metadata.len() as usize);
        let wanted = length.next_multiple_of(BLOCK_BYTES).max(PADDING_BYTES);
        let mut lines = fs::read(&trail).unwrap_or_default();
        lines.resize(wanted, b'\n');
        fs::write(&trail, lines).unwrap();
        let before = password_of(&festival);
        let ended = rotate(&festival, wanted / BLOCK_BYTES + blocks);
        if ended.code == Some(0) {
            break ended;
        }
        blocks += 1;
        assert!(blocks < BLOCKS_MAX, "{ended:#?}");
        let error = &ended.json()["error"];
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("audit trail"), "{ended:#?}");
        if password_of(&festival) == before {
            unchanged += 1;
        } else {
            changed += 1;
            assert_ne!(error["applied"], "no", "{ended:#?}");
            assert_eq!(ended.code, Some(6), "{ended:#?}");
        }
    };
    assert_eq!(ended.json()["outcome"], "rotated");
    festival.current_logs_in();
    assert!(unchanged > 0, "the trail never failed before `set`");
    assert!(changed > 0, "the trail never failed after it");
}

/// Runs the command so that no file can grow beyond this many blocks.
fn rotate(festival: &Festival, blocks: usize) -> Ended {
    // With the signal ignored a write that is too much fails as on a full disk.
    let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" rotate {SECRET} --json");
    let child = Command::new("sh")
        .args(["-c", &limited])
        .arg(binary())
        .current_dir(festival.workspace.folder())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    end(child, &["rotate", SECRET, "--json"])
}

fn password_of(festival: &Festival) -> Value {
    let sql = "SELECT rolpassword FROM pg_authid WHERE rolname = 'festival_app'";
    festival.cluster.query(sql).unwrap().into()
}
