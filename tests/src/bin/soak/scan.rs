//! The canary scan at the end: every password that there ever was, in every disguise that the
//! scanner knows, against everything that the processes and the server wrote.

use harness::canary::{CanarySet, Scan};

use crate::Failure;
use crate::site::{Site, first_passwords, text};

/// Answers what was read; a finding is an error. It names the place, never the password.
pub(crate) fn scan(site: &Site, passwords: &[String]) -> Result<Scan, Failure> {
    let mut every: Vec<&str> = passwords.iter().map(String::as_str).collect();
    for first in first_passwords() {
        every.push(first);
    }
    let canaries = CanarySet::new(every).map_err(text)?;
    let mut scan = Scan::default();
    for folder in [site.folder(), site.cluster.folder()] {
        canaries.scan_path(folder, &mut scan).map_err(text)?;
    }
    match scan.findings.first() {
        None => Ok(scan),
        Some(finding) => Err(format!("a password was written: {finding:?}")),
    }
}
