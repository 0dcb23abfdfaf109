//! Ctrl-C: the first stops the run, which then reports what was simulated; the second kills.

use std::sync::atomic::{AtomicBool, Ordering};

use super::exit_code::ExitCode;
use super::output::Console;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C (and SIGTERM) sets the flag that is returned.
pub(super) fn watch() -> &'static AtomicBool {
    // A second handler cannot be installed; the first does the same work.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            #[expect(
                clippy::exit,
                reason = "the second Ctrl-C kills; output files are written aside"
            )]
            std::process::exit(ExitCode::Interrupted as i32);
        }
        Console::say("\nstopping; the report follows (Ctrl-C again to quit at once)\n");
    });
    &INTERRUPTED
}
