//! What a person is asked on a terminal where a key has several parts, one of them a file.

use super::{SECRET, Vendors, keys};
use crate::support::terminal::Terminal;

#[test]
fn a_file_and_two_lines_are_asked_for_one_after_the_other() {
    let keys = keys::apple();
    let vendors = Vendors::start(std::slice::from_ref(&keys));
    vendors.hand_out(&keys, &keys.new);
    let text = |member: &str| keys.new[member].as_str().unwrap().to_owned();
    let file = vendors.workspace.value_file(&text("apple_private_key"));
    let name = format!("{SECRET}#apple");
    let mut terminal = Terminal::run(&vendors.workspace, &["assist", &name]);
    terminal.waits_for("A file that holds it");
    terminal.types_openly(&format!("{}\n", file.display()));
    terminal.waits_for("Key ID");
    terminal.types_openly(&format!("{}\n", text("apple_key_id")));
    terminal.waits_for("Team ID");
    terminal.types_openly("\n");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    let current = vendors.current();
    for member in ["apple_private_key", "apple_key_id"] {
        assert_eq!(current[member], keys.new[member], "{shown}");
    }
    assert_eq!(current["apple_team_id"], keys.old["apple_team_id"]);
    let line = text("apple_private_key").lines().nth(1).unwrap().to_owned();
    assert!(!shown.contains(&line), "the key was shown");
}

/// The end of what is typed is no empty answer, which would stand for the present value.
#[test]
fn who_ends_the_input_has_not_answered() {
    let keys = keys::apple();
    let vendors = Vendors::start(std::slice::from_ref(&keys));
    let before = vendors.current();
    let name = format!("{SECRET}#apple");
    let mut terminal = Terminal::run(&vendors.workspace, &["assist", &name]);
    terminal.waits_for("A file that holds it");
    terminal.types_openly("\u{4}");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(3), "{shown}");
    assert!(shown.contains("no answer was given"), "{shown}");
    assert_eq!(vendors.current(), before);
}
