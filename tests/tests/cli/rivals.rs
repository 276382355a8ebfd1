//! Two rotators of one secret at once, as two operators or a cron job and an operator start them: at
//! most one takes effect, the other says that it is refused or does the same, and nobody is locked out.

use std::time::Duration;

use harness::prober::Kind;

use crate::endurance::while_used;
use crate::interruption::{continues_alternating, continues_single};
use crate::support::Site;
use crate::support::end;
use crate::support::festival::{Festival, SECRET};

const ROUNDS: usize = 5;
/// Done; failed and not changed; in doubt; refused for now.
const EXPECTED_CODES: [i32; 4] = [0, 5, 6, 7];

#[test]
fn two_rotators_of_alternating_users_lock_nobody_out() {
    let festival = Festival::start("alternating", 1);
    let targets = vec![(Kind::Postgres, SECRET)];
    let report = while_used(&festival.workspace, targets, Duration::ZERO, |_| {
        contend(&festival, continues_alternating);
    });
    println!(
        "evidence: logins beside rivals: {} logins, {} failed",
        report.logins, report.failed
    );
    assert_eq!(report.failed, 0, "{report:?}");
}

#[test]
fn two_rotators_of_a_single_user_lock_nobody_out() {
    contend(&Festival::start("single", 1), continues_single);
}

pub(crate) fn contend<S: Site>(site: &S, continues: impl Fn(&S)) {
    let arguments = ["rotate", site.secret(), "--now"];
    let (mut done, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        let before = site.workspace().labels(site.secret())["AWSCURRENT"].clone();
        let both = [(); 2].map(|()| site.workspace().start(&arguments));
        for rotator in both {
            let ended = end(rotator, &arguments);
            site.workspace().keep(&ended);
            let code = ended.code.unwrap();
            assert!(EXPECTED_CODES.contains(&code), "{ended:#?}");
            if code == 0 {
                done += 1;
            } else {
                refused += 1;
            }
        }
        let promoted = site.workspace().labels(site.secret())["AWSCURRENT"] != before;
        continues(site);
        assert!(promoted || refused > 0);
    }
    println!("evidence: rivals: {ROUNDS} pairs, {done} runs went through, {refused} runs refused");
    assert!(done >= ROUNDS / 2, "{done} of {} went through", 2 * ROUNDS);
}
