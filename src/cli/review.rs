//! `towtank test --review`: one change after the other, accepted, rejected or left for later.

use std::io::BufRead;
use std::path::PathBuf;

use super::exit_code::Failure;
use super::output::Console;
use super::snapshot_file::SnapshotFile;
use crate::report::snapshot::shown;
use crate::report::test::{Outcomes, Snapshot, Tested};

/// Asks about every snapshot that waits. Answers are read line by line, so that they may come
/// from a pipe; when they end, the rest is left as it is.
pub(super) fn review(
    all: &mut [Tested],
    files: &[PathBuf],
    mut answers: impl BufRead,
) -> Result<(), Failure> {
    let waits = |tested: &Tested| {
        matches!(
            &tested.result,
            Outcomes::Judged {
                snapshot: Snapshot::New | Snapshot::Differs(_),
                ..
            }
        )
    };
    let count = all.iter().filter(|tested| waits(tested)).count();
    if count == 0 {
        Console::say("nothing waits to be reviewed\n");
        return Ok(());
    }
    let mut number = 0;
    for (tested, file) in all.iter_mut().zip(files) {
        let (path, name) = (tested.path.clone(), tested.name.clone());
        let Outcomes::Judged { snapshot, .. } = &mut tested.result else {
            continue;
        };
        let file = SnapshotFile::of(file);
        let body = match snapshot {
            Snapshot::Differs(changes) => shown(changes),
            Snapshot::New => file.pending_text(),
            _ => continue,
        };
        number += 1;
        let what = if *snapshot == Snapshot::New {
            "new"
        } else {
            "changed"
        };
        Console::say(&format!(
            "\n{number} of {count}, {what}: {path} ({name})\n\n{body}\n"
        ));
        match ask(&mut answers) {
            Answer::Accept => {
                file.accept()?;
                *snapshot = Snapshot::Accepted;
            }
            Answer::Reject => {
                file.reject()?;
                *snapshot = match std::mem::replace(snapshot, Snapshot::Off) {
                    Snapshot::Differs(changes) => Snapshot::Rejected(changes),
                    _ => Snapshot::Rejected(Vec::new()),
                };
            }
            Answer::Skip => {}
            Answer::Quit => break,
        }
    }
    Console::say("\n");
    Ok(())
}

enum Answer {
    Accept,
    Reject,
    Skip,
    Quit,
}

fn ask(answers: &mut impl BufRead) -> Answer {
    loop {
        Console::say("  a accept   r reject   s skip   q quit > ");
        let mut line = String::new();
        match answers.read_line(&mut line) {
            Ok(0) | Err(_) => return Answer::Quit,
            Ok(_) => {}
        }
        match line.trim().to_ascii_lowercase().chars().next() {
            Some('a') => return Answer::Accept,
            Some('r') => return Answer::Reject,
            Some('s') => return Answer::Skip,
            Some('q') => return Answer::Quit,
            _ => Console::say("  one of a, r, s, q\n"),
        }
    }
}
