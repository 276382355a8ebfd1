//! `keyturn status`: from what is stored, no target is touched.

use std::process::ExitCode;

use anyhow::Result;
use comfy_table::{Table, TableStyle};
use keyturn_engine::Status;

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

fn unfinished(status: &Status) -> String {
    if let Some(version) = &status.in_doubt {
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
