//! The same kills as with the embedded store: labels and notes on the service carry a rotation over them.

use super::OnAws;
use crate::interruption::{
    ALTERNATING, SINGLE, continues_alternating, continues_single, finish, kill_at,
};

#[test]
fn alternating_continues_after_a_kill_within_each_effect() {
    let site = OnAws::start("alternating", &["*"]);
    finish(&site);
    for effect in ALTERNATING {
        kill_at(&site, effect, || continues_alternating(&site));
    }
}

#[test]
fn single_continues_after_a_kill_within_each_effect() {
    let site = OnAws::start("single", &["*"]);
    for effect in SINGLE {
        kill_at(&site, effect, || continues_single(&site));
    }
}
