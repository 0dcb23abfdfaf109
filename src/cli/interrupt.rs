//! Ctrl-C: the first stops the run, which then reports what was simulated; the second kills.

use std::sync::atomic::{AtomicBool, Ordering};

use super::exit_code::ExitCode;
use super::output::Console;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C (and SIGTERM) sets the flag that is returned.
pub(super) fn watch() -> &'static AtomicBool {
    watch_saying("stopping; the report follows")
}

/// The same, for work that ends in another way.
pub(super) fn watch_saying(what: &'static str) -> &'static AtomicBool {
    // A second handler cannot be installed; the first does the same work.
    let _ = ctrlc::set_handler(move || {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            #[expect(
                clippy::exit,
                reason = "the second Ctrl-C kills; output files are written aside"
            )]
            std::process::exit(ExitCode::Interrupted as i32);
        }
        Console::say(&format!("\n{what} (Ctrl-C again to quit at once)\n"));
    });
    &INTERRUPTED
}
