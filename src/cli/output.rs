//! Standard output, standard error, the terminal and files: the only file that writes.
//!
//! Data goes to standard output, everything else to standard error. A reader that goes away
//! (`| head`) ends the output and is no error. Files are written aside and renamed, so that a
//! failure or a second Ctrl-C never leaves half a file.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::{ColorWhen, GlobalArgs};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// Runs shorter than this show no bar.
const BAR_AFTER: Duration = Duration::from_millis(400);

/// Where words go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Console {
    quiet: bool,
}

impl Console {
    /// Applies `--color` and `--quiet`.
    pub(super) fn new(global: &GlobalArgs) -> Self {
        match global.color {
            ColorWhen::Auto => ColorChoice::Auto,
            ColorWhen::Always => ColorChoice::Always,
            ColorWhen::Never => ColorChoice::Never,
        }
        .write_global();
        Self {
            quiet: global.quiet,
        }
    }

    /// One that says nothing but errors.
    pub(super) const SILENT: Self = Self { quiet: true };

    /// Data, as it is; styles are taken out where they are not wanted.
    pub(super) fn data(text: &str) -> io::Result<()> {
        let mut out = AutoStream::auto(io::stdout().lock());
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// An error.
    pub(super) fn error(message: &str) {
        Self::say(&format!("{ERROR}error{ERROR:#}: {}\n", message.trim_end()));
    }

    /// Something that is surprising.
    pub(super) fn warning(self, message: &str) {
        self.talk(&format!(
            "{WARNING}warning{WARNING:#}: {}\n",
            message.trim_end()
        ));
    }

    /// A side remark; silent with `--quiet`.
    pub(super) fn note(self, message: &str) {
        self.talk(&format!("{}\n", message.trim_end()));
    }

    /// A line about work that goes on, for whoever watches a terminal.
    pub(super) fn note_progress(self, message: &str) {
        if io::stderr().is_terminal() {
            self.note(message);
        }
    }

    /// Ready-made text on standard error; silent with `--quiet`.
    pub(super) fn talk(self, text: &str) {
        if !self.quiet {
            Self::say(text);
        }
    }

    /// Ready-made text on standard error, always.
    pub(super) fn say(text: &str) {
        // Nobody is left to tell when standard error is gone.
        let _ = AutoStream::auto(io::stderr().lock()).write_all(text.as_bytes());
    }

    /// A progress bar on standard error; hidden unless that is a terminal.
    pub(super) fn progress(self) -> Progress {
        if self.quiet || !io::stderr().is_terminal() {
            return Progress {
                bar: None,
                since: Instant::now(),
            };
        }
        let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::hidden());
        let style =
            ProgressStyle::with_template("{bar:40} {percent:>3} %  {elapsed} (about {eta} left)");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Progress {
            bar: Some(bar),
            since: Instant::now(),
        }
    }
}

/// Shows how far a run is; disappears when dropped.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    since: Instant,
}

impl Progress {
    /// Takes the share that is done.
    pub(super) fn at(&self, done: f64) {
        let Some(bar) = &self.bar else { return };
        if bar.is_hidden() && self.since.elapsed() > BAR_AFTER {
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
        bar.set_position((done.clamp(0.0, 1.0) * 1000.0) as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Refuses a folder that is something else, before a long run and not after it.
pub(super) fn check_folder(folder: &Path) -> Result<(), String> {
    let shown = folder.display();
    if folder.as_os_str().is_empty() {
        return Err("--out-dir is empty; name a folder".to_owned());
    }
    if folder.exists() && !folder.is_dir() {
        return Err(format!(
            "--out-dir `{shown}` is a file; name a folder, or a new name for one"
        ));
    }
    Ok(())
}

/// Writes files into a folder: all of them or none.
///
/// A new folder is built aside and renamed as a whole. In a folder that exists, every file is
/// written aside first, and only when all are there they take their names.
pub(super) fn write_folder(folder: &Path, files: &[(&str, String)]) -> io::Result<()> {
    if folder.is_dir() {
        let staged = files
            .iter()
            .map(|(name, text)| Ok((folder.join(name), stage(folder, text)?)))
            .collect::<io::Result<Vec<_>>>()?;
        if let Some((taken, _)) = staged.iter().find(|(target, _)| target.is_dir()) {
            return Err(io::Error::other(format!(
                "`{}` is a folder",
                taken.display()
            )));
        }
        for (target, file) in staged {
            file.persist(target).map_err(|failed| failed.error)?;
        }
        return Ok(());
    }
    let parent = match folder.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    fs::create_dir_all(&parent)?;
    let aside = aside().tempdir_in(&parent)?;
    for (name, text) in files {
        fs::write(aside.path().join(name), text)?;
    }
    fs::rename(aside.path(), folder)?;
    // It has another name now: nothing is left to remove.
    let _ = aside.keep();
    Ok(())
}

/// Writes one file: aside, then renamed.
pub(super) fn write_file(path: &Path, text: &str) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    stage(parent, text)?
        .persist(path)
        .map_err(|failed| failed.error)?;
    Ok(())
}

fn stage(folder: &Path, text: &str) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = aside();
    #[cfg(unix)]
    builder.permissions(permissions(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn aside() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".towtank-");
    #[cfg(unix)]
    builder.permissions(permissions(0o777));
    builder
}

/// Permissions that the user's mask restricts, as for any other file.
#[cfg(unix)]
fn permissions(mode: u32) -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_folder_appears_whole() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a/b");
        write_folder(&target, &[("x.csv", "1".into()), ("y.csv", "2".into())]).unwrap();
        assert_eq!(names(&target), ["x.csv", "y.csv"]);
        assert_eq!(names(&dir.path().join("a")), ["b"], "nothing is left aside");
    }

    #[test]
    fn a_failure_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x.csv"), "old").unwrap();
        fs::create_dir(dir.path().join("y.csv")).unwrap();
        let files = [("x.csv", "new".to_owned()), ("y.csv", "new".to_owned())];
        assert!(write_folder(dir.path(), &files).is_err());
        assert_eq!(fs::read_to_string(dir.path().join("x.csv")).unwrap(), "old");
        assert_eq!(
            names(dir.path()),
            ["x.csv", "y.csv"],
            "nothing is left aside"
        );
    }

    #[test]
    fn a_file_is_no_folder() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x");
        fs::write(&file, "").unwrap();
        assert!(check_folder(&file).unwrap_err().contains("is a file"));
        assert!(check_folder(dir.path()).is_ok());
        assert!(check_folder(&dir.path().join("new")).is_ok());
    }

    #[test]
    fn old_results_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["first", "second"] {
            write_folder(dir.path(), &[("x.csv", text.to_owned())]).unwrap();
            assert_eq!(fs::read_to_string(dir.path().join("x.csv")).unwrap(), text);
        }
    }
}
