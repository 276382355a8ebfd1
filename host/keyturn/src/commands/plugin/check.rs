//! `keyturn plugin check`: whether a plugin may hold production credentials, by the conformance kit.

use std::{fs::File, io::Write as _, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Result;
use keyturn_conformance::{Entry, Report, Ruling, Sample, SampleError, Target, Verdict, check};

use crate::{
    cli::{CheckPlugin, Global},
    exit::{Code, Failure},
    identity::DefaultIdentity,
    output,
    plugins::Plugins,
    session::refuse,
};

pub(crate) async fn run(
    global: &Global,
    plugins: &Plugins<'_>,
    arguments: &CheckPlugin,
) -> Result<ExitCode> {
    let (label, wasm) = plugins.bytes(&arguments.plugin).map_err(refuse)?;
    let targets = arguments.target.iter().map(|url| Target::parse(url));
    let targets = targets.collect::<Result<Vec<_>, _>>().map_err(refuse)?;
    // What cannot be loaded needs no sample: the report says why.
    let sample = match plugins.load_bytes(&label, wasm.clone()).await {
        Ok(plugin) => Sample::new(&plugin, arguments.sample.as_deref(), &targets),
        Err(_) => Ok(Sample::none()),
    };
    let sample = match sample {
        // The report says that it is missing.
        Err(SampleError::NoExample) => Sample::none(),
        sample => sample.map_err(refuse)?,
    };
    let sample = sample.signing_with(Arc::new(DefaultIdentity::default()));
    let files = [
        open(arguments.json_file.as_ref())?,
        open(arguments.junit.as_ref())?,
    ];
    let mut unwritten = None;
    let mut tell = |entry: &Entry| {
        if !global.json {
            unwritten = unwritten.take().or(show(entry).err());
        }
    };
    let report = check(&label, wasm, &sample, &mut tell).await;
    if let Some(error) = unwritten {
        return Err(error);
    }
    for (file, text) in files
        .into_iter()
        .zip([serde_json::to_string_pretty(&report)?, report.to_junit()])
    {
        if let Some((path, mut file)) = file {
            let written = file.write_all(text.as_bytes());
            written.map_err(|error| refuse(format!("{}: {error}", path.display())))?;
        }
    }
    if global.json {
        output::to_stdout(&serde_json::to_string(&report)?)?;
    } else {
        show_verdict(&report)?;
    }
    Ok(match report.verdict {
        Verdict::Fit => Code::Done,
        Verdict::Incomplete => Code::Refused,
        Verdict::Unfit => Code::Failed,
    }
    .into())
}

/// Before minutes of work, not after them.
fn open(path: Option<&PathBuf>) -> Result<Option<(PathBuf, File)>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let file =
        File::create(path).map_err(|error| refuse(format!("{}: {error}", path.display())))?;
    Ok(Some((path.clone(), file)))
}

fn show(entry: &Entry) -> Result<()> {
    let (mark, why) = match &entry.ruling {
        Ruling::Passed => ("ok  ", None),
        Ruling::Failed(why) => ("FAIL", Some(why)),
        Ruling::NotApplicable(why) => ("n/a ", Some(why)),
        Ruling::NotCovered(why) => ("open", Some(why)),
    };
    output::to_stdout(&format!("{mark}  {:2}  {}", entry.number, entry.title))?;
    if let Some(why) = why {
        output::to_stdout(&format!("          {why}"))?;
    }
    if let Some(fix) = entry.fix {
        output::to_stdout(&format!("          fix: {fix}"))?;
    }
    Ok(())
}

fn show_verdict(report: &Report) -> Result<()> {
    let passed = report.count(|ruling| matches!(ruling, Ruling::Passed));
    let failed = report.failures().count();
    let open = report.count(|ruling| matches!(ruling, Ruling::NotCovered(_)));
    let last = match report.verdict {
        Verdict::Fit if report.other_strategies.is_empty() => {
            "it is fit to hold production credentials".to_owned()
        }
        Verdict::Fit => format!(
            "with this strategy it is fit to hold production credentials; not checked: {}, which `strategy` of a \
             --sample names",
            report.other_strategies.join(", ")
        ),
        Verdict::Incomplete => format!("{open} checks are open; it is not known to be fit"),
        Verdict::Unfit => "it is not fit to hold production credentials".to_owned(),
    };
    let strategy = match report.strategy.as_str() {
        "" => String::new(),
        name => format!(" ({name})"),
    };
    Ok(output::to_stdout(&format!(
        "{}{strategy}: {passed} passed, {failed} failed, {open} open: {last}",
        report.plugin
    ))?)
}
