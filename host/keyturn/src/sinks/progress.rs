//! What a person sees while a rotation runs: live on a terminal, plain lines otherwise.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use keyturn_engine::{Event, EventSink, What};

use crate::output;

pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Writes to standard error, so that standard output stays data.
    pub(crate) fn new() -> Self {
        Self {
            bar: io::stderr().is_terminal().then(spinner),
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => output::to_stderr(text),
        }
    }

    fn under_way(&self, text: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text);
        }
    }
}

impl EventSink for Progress {
    fn record(&self, event: &Event) -> io::Result<()> {
        match &event.what {
            What::Started { strategy, .. } => {
                self.line(&format!("{}  ({strategy})", name(event)));
            }
            What::Intent { effect, .. } => self.under_way(format!("{}  {effect}", name(event))),
            What::Outcome {
                effect,
                step,
                duration_ms,
                result,
                problem,
                ..
            } => {
                if let Some(problem) = problem {
                    self.line(&format!(
                        "  {effect:<16} {duration_ms:>9.1} ms  {result}: {}",
                        problem.message
                    ));
                } else if let Some(done) = step.as_deref().or(retirement(effect)) {
                    self.line(&format!("  {done:<16} {duration_ms:>9.1} ms  {result}"));
                }
            }
            What::Waiting { why, ms } => {
                self.line(&format!("  waiting {}: {why}", output::duration(*ms)))
            }
            What::Finding {
                level,
                summary,
                fix,
                ..
            } if level != "ok" => {
                let finding = output::finding(summary, fix.as_deref());
                self.line(&format!("  {level}: {finding}"));
            }
            What::PluginLog {
                severity, message, ..
            } if matches!(severity.as_str(), "warn" | "error") => {
                self.line(&format!("  plugin {severity}: {message}"));
            }
            What::Finding { .. } | What::PluginLog { .. } => {}
            What::Finished {
                outcome,
                duration_ms,
                ..
            } => {
                self.line(&format!("  {outcome} in {duration_ms:.1} ms"));
                if let Some(bar) = &self.bar {
                    bar.finish_and_clear();
                }
            }
        }
        Ok(())
    }
}

/// The end of an old value is none of the four steps, and the one effect that takes something away.
fn retirement(effect: &str) -> Option<&str> {
    (effect == "retire").then_some(effect)
}

fn name(event: &Event) -> String {
    output::name(&event.secret, &event.credential)
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
