//! `keyturn status`: from what is stored, no target is touched.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Result;
use comfy_table::{Table, TableStyle};
use keyturn_engine::{LeftBehind, Status};

use crate::{
    cli::{Global, Names},
    exit::{self, Code, Failure},
    output,
    session::{Record, Session},
};

pub(crate) async fn run(global: &Global, session: &Session, arguments: &Names) -> Result<ExitCode> {
    let (engine, credentials, refused) = session
        .engine(global, &arguments.names, Record::Nothing)
        .await?;
    let mut statuses = Vec::with_capacity(credentials.len());
    let mut worst = refused;
    for credential in &credentials {
        match engine.status(credential).await {
            Ok(status) => statuses.push(status),
            // One that is not there must not hide the others.
            Err(error) => {
                let named = Failure::new(
                    Code::Store,
                    format!("{}: {error}", credential.display_name()),
                );
                exit::report(&named.into(), global.json);
                worst = worst.worse(Code::Store);
            }
        }
    }
    if global.json {
        output::to_stdout(&serde_json::to_string(&statuses)?)?;
    } else {
        output::to_stdout(&table(&statuses).to_string())?;
        for line in left_behind(&statuses) {
            output::to_stdout(&line)?;
        }
    }
    Ok(worst.into())
}

fn table(statuses: &[Status]) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header([
        "SECRET",
        "KIND",
        "STRATEGY",
        "MODE",
        "LAST ROTATION",
        "NEXT",
        "OLD VALUE KEPT UNTIL",
        "UNFINISHED",
    ]);
    for status in statuses {
        let name = output::name(&status.secret, &status.credential);
        table.add_row([
            name,
            status.kind.clone(),
            status.strategy.clone(),
            if status.automatic {
                "automatic"
            } else {
                "assisted"
            }
            .to_owned(),
            status
                .last_rotation_ms
                .map_or("never".to_owned(), output::time),
            status
                .next_rotation_ms
                .map_or("on demand".to_owned(), output::time),
            status.retirement.as_ref().map_or("-".to_owned(), |owed| {
                if owed.by_word {
                    return "you declare its end".to_owned();
                }
                if let Some(old_name) = &owed.still_read_as {
                    return format!("{old_name} is split off with --remove");
                }
                let due = if status.grace_left_seconds == 0 {
                    " (retirement due)"
                } else {
                    ""
                };
                format!("{}{due}", output::time(owed.due_at_ms))
            }),
            unfinished(status),
        ]);
    }
    table
}

/// Once for each secret: every credential of it sees the same.
fn left_behind(statuses: &[Status]) -> BTreeSet<String> {
    let of_one = |status: &Status| {
        let secret = status.secret.clone();
        let left = status.left_behind.iter();
        left.map(move |left| left_in(&secret, left))
            .collect::<Vec<_>>()
    };
    statuses.iter().flat_map(of_one).collect()
}

fn left_in(secret: &str, left: &LeftBehind) -> String {
    let name = output::name(secret, &left.credential);
    let owes = left.owes.as_ref();
    let owes = owes.map(|version| format!("version {version} waits for its end"));
    let unfinished = left.unfinished.as_ref();
    let unfinished = unfinished.map(|version| format!("version {version} is not in use yet"));
    let what: Vec<_> = owes.into_iter().chain(unfinished).collect();
    let what = what.join(", and ");
    if left.credential.is_empty() {
        return format!(
            "{secret} held one credential without a name, of which {what}. Leave the table of that credential alone in the \
             configuration and run `keyturn retire {secret}`: it takes that over, once nothing older \
             waits under that name; then put the other tables back"
        );
    }
    let (verb, when) = match left.owes {
        Some(_) => ("retire", " once its grace is over"),
        None => ("rotate", ""),
    };
    format!(
        "{name} is not configured any more, and its {what}. Give its table that name again and run `keyturn {verb} {name}`{when}; \
         rename it when that is done"
    )
}

fn unfinished(status: &Status) -> String {
    if let Some(owner) = &status.owned_by {
        format!("split off: {owner} rotates it")
    } else if status.in_doubt.is_some() && status.in_doubt == status.current {
        "in use; the next run tidies up".to_owned()
    } else if let Some(version) = &status.in_doubt {
        let doubt = if status.never_applied {
            "unfinished, never applied"
        } else {
            "in doubt, may have been applied"
        };
        format!("{doubt}: {version}")
    } else if let Some(version) = &status.pending {
        format!("pending: {version}")
    } else if let Some(version) = &status.staged {
        format!("staged: {version}")
    } else if status.answered {
        let name = output::name(&status.secret, &status.credential);
        format!("answered: `keyturn rotate {name}` goes on with it")
    } else if let Some(waiting) = &status.waiting {
        let until = output::time(waiting.expires_at_ms);
        if status.wait_expired {
            format!("nobody answered until {until}")
        } else {
            format!("waits for an operator until {until}")
        }
    } else if status.announced_at_ms.is_some() {
        "next key announced".to_owned()
    } else {
        "-".to_owned()
    }
}
