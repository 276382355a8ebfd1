//! `keyturn assist`: a rotation whose new value only an operator can bring. What is asked for comes from the plugin;
//! all four steps follow the answer in one run.

use std::process::ExitCode;

use anyhow::Result;
use keyturn_engine::{Credential, Engine, Goal, Outcome, Report, RunFailure, Status};
use keyturn_runtime::{Input, InputRequest, Prompt};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{operator, run_report};
use crate::{
    cli::{Assist, Global},
    exit::{Code, Failure},
    output,
    session::{Record, Session, refuse},
    value,
};

type Ended = std::result::Result<(Outcome, Report), Box<RunFailure>>;

pub(crate) async fn run(
    global: &Global,
    session: &Session,
    arguments: &Assist,
) -> Result<ExitCode> {
    let names = std::slice::from_ref(&arguments.name);
    let (engine, credentials, refused) = session.engine(global, names, Record::Everything).await?;
    let mut worst = refused;
    for credential in &credentials {
        let code = assist(global, &engine, credential, arguments).await?;
        worst = worst.worse(code);
    }
    Ok(worst.into())
}

async fn assist(
    global: &Global,
    engine: &Engine,
    credential: &Credential,
    arguments: &Assist,
) -> Result<Code> {
    if !credential.strategy.needs_operator {
        let name = credential.display_name();
        let message = format!(
            "{name} needs no operator: its strategy {} makes the new value itself; run `keyturn rotate {name}`",
            credential.strategy.name
        );
        return Err(refuse(message).into());
    }
    let goal = Goal::Rotate {
        now: arguments.now,
        lead_ms: credential.lead_seconds.saturating_mul(1000),
        unstick: false,
        // An answer that was brought earlier and not accepted yet is given up: the operator brings another.
        anew: true,
    };
    let before = engine.status(credential).await?;
    let ended = ask_and_run(engine, credential, goal, &before, arguments).await?;
    let failed = ended.is_err();
    let promoted = matches!(ended, Ok((Outcome::Promoted { .. }, _)));
    let asked_again = matches!(ended, Ok((Outcome::AwaitingInput, _)));
    let code = run_report::show(global, ended, arguments.now)?;
    if asked_again {
        let message = format!(
            "{}: the plugin asks again; the answer was not what it needs. Nothing was stored or changed",
            credential.display_name()
        );
        return Err(Failure::new(Code::Failed, message).into());
    }
    if !global.json && (promoted || failed) {
        let status = engine.status(credential).await?;
        if promoted {
            operator::show_what_remains(&status);
        } else if status.answered {
            let name = credential.display_name();
            let which = if status.answer == before.answer {
                "The earlier answer is still stored"
            } else {
                "Your answer is stored"
            };
            output::to_stderr(&format!(
                "{which}: `keyturn rotate {name}` goes on with it, `keyturn assist {name}` asks for another."
            ));
        }
    }
    Ok(code)
}

/// Runs with an operator's answers, if the goal needs any.
async fn ask_and_run(
    engine: &Engine,
    credential: &Credential,
    goal: Goal,
    before: &Status,
    arguments: &Assist,
) -> Result<Ended> {
    // A file that is not there must not cost anybody anything.
    let brought = match arguments.hands_over() {
        true => Some(read(arguments).await?),
        false => None,
    };
    // A run without answers says what it needs, or why it may not begin; but while an earlier answer waits, it would
    // give that up before there is another.
    let asked = if before.answered {
        match engine.questions(credential, goal.clone()).await {
            Ok(asked) => asked,
            Err(failed) => return Ok(Err(failed)),
        }
    } else {
        None
    };
    let ended = async || {
        let goal = goal.clone();
        // Whoever has the answer is past what a preflight could prevent.
        if brought.is_some() {
            engine.run_for_questions(credential, goal).await
        } else if arguments.without_preflight {
            engine.run_without_preflight(credential, goal).await
        } else {
            engine.run(credential, goal).await
        }
    };
    let asked = match asked {
        Some(asked) => asked,
        None => match ended().await {
            Ok((Outcome::AwaitingInput, report)) => match report.asks {
                Some(asked) => asked,
                None => return Ok(Ok((Outcome::AwaitingInput, report))),
            },
            ended => return Ok(ended),
        },
    };
    let inputs = match &brought {
        Some(text) => given(&asked.prompts, text)?,
        None => answers(&asked).await?,
    };
    Ok(engine.run_with(credential, goal, inputs).await)
}

/// On a thread of its own, as [`answers`]: whoever waits for an answer must still hear Ctrl-C.
async fn read(arguments: &Assist) -> Result<SecretString> {
    let file = arguments.value_file.clone();
    let read = move || value::read(file.as_deref());
    Ok(tokio::task::spawn_blocking(read).await??)
}

async fn answers(asked: &InputRequest) -> Result<Vec<Input>> {
    let prompts = asked.prompts.clone();
    operator::show(&asked.title, asked.link.as_deref(), &asked.checklist);
    if !value::can_ask() {
        return Err(refuse(
            "there is no terminal to ask on: hand the answer over with --value-stdin or --value-file",
        )
        .into());
    }
    let _as_it_was = value::Terminal::keep();
    let ask = move || prompts.iter().map(answer).collect::<Result<Vec<_>, _>>();
    Ok(tokio::task::spawn_blocking(ask).await??)
}

fn answer(prompt: &Prompt) -> Result<Input, Failure> {
    Ok(Input {
        name: prompt.name.clone(),
        value: value::ask(prompt)?,
    })
}

/// The answer to the only question as it is; several as an object by their names.
fn given(prompts: &[Prompt], text: &SecretString) -> Result<Vec<Input>, Failure> {
    if let [prompt] = prompts {
        return Ok(vec![Input {
            name: prompt.name.clone(),
            value: text.clone(),
        }]);
    }
    let names = || {
        let names: Vec<_> = prompts.iter().map(|prompt| prompt.name.as_str()).collect();
        names.join(", ")
    };
    let wrong = || {
        refuse(format!(
            "the answers must be a JSON object of texts with the members {}",
            names()
        ))
    };
    let Ok(Value::Object(members)) = serde_json::from_str(text.expose_secret()) else {
        return Err(wrong());
    };
    if let Some(unknown) = members
        .keys()
        .find(|key| !prompts.iter().any(|prompt| prompt.name == **key))
    {
        return Err(refuse(format!(
            "nobody asked for \"{unknown}\"; the questions are {}",
            names()
        )));
    }
    prompts
        .iter()
        .map(|prompt| {
            // What is left out is an empty answer, as on the terminal; the plugin says whether it can do without.
            let answer = match members.get(&prompt.name) {
                Some(answer) => answer.as_str().ok_or_else(wrong)?,
                None => "",
            };
            Ok(Input {
                name: prompt.name.clone(),
                value: SecretString::from(answer),
            })
        })
        .collect()
}
