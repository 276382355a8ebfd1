//! What the demo prints: plain lines of at most about 95 columns, events with the time since the
//! start in front. It formats; it knows nothing of rotations.

use std::io::Write as _;
use std::time::Instant;

/// What is left of 100 columns beside the heads of the lines.
const DETAIL_COLUMNS: usize = 79;

pub(crate) struct Screen {
    started: Instant,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    pub(crate) fn line(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        // Whoever closed our output does not want to read it; the exit status still counts.
        let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    }

    /// `  1.2 s  what        text`
    pub(crate) fn event(&self, what: &str, text: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.line(&format!("{seconds:6.1} s  {what:<10} {text}"));
    }

    /// A line that belongs to the event above.
    pub(crate) fn detail(&self, what: &str, text: &str) {
        self.line(&format!("{:10}{what:<10} {text}", ""));
    }

    /// The same for a list that may take several lines; a part is never broken.
    pub(crate) fn details(&self, what: &str, parts: &[String]) {
        let mut lines = vec![String::new()];
        for part in parts {
            let line = lines.last().map_or(0, String::len);
            if line > 0 && line + 2 + part.len() > DETAIL_COLUMNS {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                let gap = if line.is_empty() { "" } else { "  " };
                line.push_str(&format!("{gap}{part}"));
            }
        }
        for (number, line) in lines.iter().enumerate() {
            self.detail(if number == 0 { what } else { "" }, line);
        }
    }
}
