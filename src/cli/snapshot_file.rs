//! Snapshots beside scenarios: what was accepted, and what waits.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::exit_code::Failure;
use super::output;
use crate::report::snapshot::compare;
use crate::report::test::Snapshot;

/// The two files of one scenario.
#[derive(Clone, Debug)]
pub(super) struct SnapshotFile {
    accepted: PathBuf,
    pending: PathBuf,
}

impl SnapshotFile {
    /// `scenario.snap` beside `scenario.yaml`.
    pub(super) fn of(scenario: &Path) -> Self {
        let accepted = scenario.with_extension("snap");
        Self {
            pending: scenario.with_extension("snap.new"),
            accepted,
        }
    }

    /// Compares a result; unless nothing may be written, what differs waits to be accepted.
    pub(super) fn judge(&self, new: &str, may_write: bool) -> Result<Snapshot, Failure> {
        let state = match fs::read_to_string(&self.accepted) {
            Ok(old) => match compare(&old, new) {
                changes if changes.is_empty() => Snapshot::Same,
                changes => Snapshot::Differs(changes),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if may_write {
                    Snapshot::New
                } else {
                    Snapshot::Missing
                }
            }
            Err(error) => {
                let shown = self.accepted.display();
                return Err(Failure::Usage(format!("cannot read `{shown}`: {error}")));
            }
        };
        match state {
            _ if !may_write => {}
            Snapshot::Same => self.reject()?,
            _ => self.write(&self.pending, new)?,
        }
        Ok(state)
    }

    /// What waits becomes what was accepted.
    pub(super) fn accept(&self) -> Result<(), Failure> {
        fs::rename(&self.pending, &self.accepted)
            .map_err(|error| self.failed(&self.accepted, &error))
    }

    /// Throws away what waits. Returns quietly when nothing does.
    pub(super) fn reject(&self) -> Result<(), Failure> {
        match fs::remove_file(&self.pending) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed(&self.pending, &error))
            }
            _ => Ok(()),
        }
    }

    /// True when something waits.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_file()
    }

    /// The text that waits.
    pub(super) fn pending_text(&self) -> String {
        fs::read_to_string(&self.pending).unwrap_or_default()
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), Failure> {
        output::write_file(path, text).map_err(|error| self.failed(path, &error))
    }

    #[expect(clippy::unused_self, reason = "reads as a sentence where it is called")]
    fn failed(&self, path: &Path, error: &io::Error) -> Failure {
        Failure::output(&format!("`{}`", path.display()), error)
    }
}
