//! The audit trail: one JSON object a line, appended. An intent is on the disk before its effect on
//! a target happens, so after a crash the last intent without an outcome says what was under way.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use keyturn_engine::{Event, EventSink, What};

pub(crate) struct AuditLog {
    file: File,
}

impl AuditLog {
    /// Opens the trail for appending, and makes it (0600) if it is not there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .read(true)
            .open(path)?;
        end_torn_line(&file)?;
        Ok(Self { file })
    }
}

impl EventSink for AuditLog {
    fn record(&self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        // One write a line: with O_APPEND, lines of several processes do not mix.
        (&self.file).write_all(&line)?;
        // Labels in the store are their own journal; only what touches a target must be on the disk
        // before it happens.
        match &event.what {
            What::Intent { effect, .. } if matches!(effect.as_str(), "set" | "retire") => {
                self.file.sync_data()
            }
            What::Finished { .. } => self.file.sync_data(),
            _ => Ok(()),
        }
    }
}

/// A crash may have torn the last line; what comes now must not be torn with it.
fn end_torn_line(mut file: &File) -> io::Result<()> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(())
}

/// The events of a trail, oldest first. A torn last line (a crash while it was written) is skipped;
/// a trail that is not there has no events.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Event>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut events = Vec::new();
    for line in BufReader::new(file).lines() {
        if let Ok(event) = serde_json::from_str(&line?) {
            events.push(event);
        }
    }
    Ok(events)
}
