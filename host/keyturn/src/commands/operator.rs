//! What a person has to do at a vendor, as it is shown to that person.

use keyturn_engine::Status;

use crate::output;

pub(crate) fn show(title: &str, link: Option<&str>, checklist: &[String]) {
    output::to_stderr(title);
    if let Some(link) = link {
        output::to_stderr(&format!("  {link}"));
    }
    for (number, step) in (1..).zip(checklist) {
        output::to_stderr(&format!("  {number}. {step}"));
    }
}

/// The old value lives at the vendor until a person ends it there.
pub(crate) fn show_what_remains(status: &Status) {
    let Some(owed) = status.retirement.as_ref().filter(|owed| owed.by_operator) else {
        return;
    };
    let name = output::name(&status.secret, &status.credential);
    let due = output::time(owed.due_at_ms);
    if let Some(old_name) = &owed.still_read_as {
        output::to_stderr(&format!(
            "The old value is what {old_name} still holds. When every application reads {name}, run `keyturn secret split \
             {old_name} --to {} --remove`; not before that:",
            status.secret
        ));
    }
    match &owed.operator_steps {
        Some(steps) => {
            output::to_stderr(&format!("After {due}:"));
            show(&steps.title, steps.link.as_deref(), &steps.checklist);
        }
        None => output::to_stderr(&format!("After {due}: end the old value at its vendor.")),
    }
    output::to_stderr(&format!(
        "Then run `keyturn retire {name}`, which proves that it is dead."
    ));
}
