//! Reading files, folders and standard input: the only file that does.
//!
//! Everything below the command line sees [`Source`]s, texts with names. All problems are
//! collected, so that one call names every file that cannot be read. A file may be a pipe
//! (`-f <(helm template …)`) and is never read without bound.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::diagnostic::{Class, Diagnostic, Place};
use crate::manifest::Source;

/// Largest text that is read: dumps of the largest clusters are well below.
const BYTES_MAX: u64 = 512 << 20;
/// Folders inside folders; deeper is nobody's repository.
const DEPTH_MAX: usize = 40;
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// Texts, and what could not be read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// In the order in which they were asked for; folders in name order.
    pub(super) sources: Vec<Source>,
    /// What could not be read.
    pub(super) problems: Vec<Diagnostic>,
    seen: BTreeSet<PathBuf>,
    /// Files that are read only where they are named themselves.
    left_out: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
}

impl Reader {
    /// Reads a file, a folder or `-`; what was read before is not read again.
    pub(super) fn read(&mut self, path: &Path) {
        if path == Path::new("-") {
            if self.seen.insert(path.to_owned()) {
                self.take(path, &mut io::stdin().lock());
            }
            return;
        }
        match fs::metadata(path) {
            Err(error) => self.cannot(path, &error),
            Ok(meta) if meta.is_dir() => {
                let known = self.folders.len();
                let found = self.problems.len() + self.seen.len();
                self.folder(path, 0);
                let is_new = known < self.folders.len();
                if is_new && found == self.problems.len() + self.seen.len() {
                    let message =
                        format!("`{}` holds no .yaml, .yml or .json file", path.display());
                    self.problem(path, message, "name a folder with manifests, or a file");
                }
            }
            Ok(_) => self.file(path),
        }
    }

    /// From now on a folder that holds this file is read without it.
    pub(super) fn leave_out(&mut self, path: &Path) {
        let identity = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        self.left_out.insert(identity);
    }

    fn is_left_out(&self, path: &Path) -> bool {
        let whole = || fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        !self.left_out.is_empty() && self.left_out.contains(&whole())
    }

    /// Reads a folder once, so that a loop of links ends where it began.
    fn folder(&mut self, folder: &Path, depth: usize) {
        let identity = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        if !self.folders.insert(identity) {
            return;
        }
        if depth > DEPTH_MAX {
            let message = format!("folders are nested more than {DEPTH_MAX} deep");
            return self.problem(folder, message, "name the folder that holds the manifests");
        }
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut paths: Vec<PathBuf> = match entries {
            Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
            Err(error) => return self.cannot(folder, &error),
        };
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            match fs::metadata(&path) {
                Ok(meta) if meta.is_dir() => self.folder(&path, depth + 1),
                Ok(_) if has_ending(&path) && !self.is_left_out(&path) => self.file(&path),
                Ok(_) => {}
                Err(error) => self.cannot(&path, &error),
            }
        }
    }

    fn file(&mut self, path: &Path) {
        let identity = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if !self.seen.insert(identity) {
            return;
        }
        match File::open(path) {
            Ok(mut file) => self.take(path, &mut file),
            Err(error) => self.cannot(path, &error),
        }
    }

    fn take(&mut self, path: &Path, from: &mut dyn Read) {
        let mut bytes = Vec::new();
        if let Err(error) = from.take(BYTES_MAX + 1).read_to_end(&mut bytes) {
            return self.cannot(path, &error);
        }
        if bytes.len() as u64 > BYTES_MAX {
            let message = format!("it is larger than {} MiB", BYTES_MAX >> 20);
            return self.problem(
                path,
                message,
                "split it, or leave out kinds that take no part in traffic",
            );
        }
        match String::from_utf8(bytes) {
            Ok(mut text) => {
                if text.starts_with('\u{feff}') {
                    text.remove(0);
                }
                self.sources.push(Source::new(path.to_string_lossy(), text));
            }
            Err(error) => {
                let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = valid.split(|byte| *byte == b'\n').count();
                let what = "it is not UTF-8 text";
                self.problem_at(path, line as u32, what, "save it as UTF-8");
            }
        }
    }

    fn cannot(&mut self, path: &Path, error: &io::Error) {
        let help = match error.kind() {
            io::ErrorKind::NotFound => "check the path; relative paths start at the current folder",
            io::ErrorKind::PermissionDenied => "check its permissions",
            _ => "check the path",
        };
        self.problem(path, format!("cannot read it: {error}"), help);
    }

    fn problem(&mut self, path: &Path, message: impl Into<String>, help: &str) {
        self.problem_at(path, 0, message, help);
    }

    fn problem_at(&mut self, path: &Path, line: u32, message: impl Into<String>, help: &str) {
        let place = Place {
            file: path.to_string_lossy().into(),
            line,
            column: 0,
        };
        let problem = Diagnostic::error("TT-UNREADABLE", Class::Syntax, message);
        self.problems.push(problem.at(place).help(help));
    }
}

fn has_ending(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| {
            ENDINGS
                .iter()
                .any(|known| ending.eq_ignore_ascii_case(known))
        })
}

/// The file that holds a Scenario: `path` itself, or the one in that folder.
pub(super) fn find_scenario(path: &Path) -> Result<PathBuf, String> {
    if path == Path::new("-") || !path.is_dir() {
        return Ok(path.to_owned());
    }
    let named = ENDINGS.map(|ending| path.join(format!("scenario.{ending}")));
    if let Some(found) = named.into_iter().find(|file| file.is_file()) {
        return Ok(found);
    }
    let entries = fs::read_dir(path)
        .map_err(|error| format!("cannot read folder `{}`: {error}", path.display()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|file| file.is_file() && has_ending(file) && looks_like_scenario(file))
        .collect();
    found.sort();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(format!(
            "folder `{}` holds no Scenario; write one (`towtank schema scenario`), or use -f {0} with --to URL",
            path.display()
        )),
        [first, second, ..] => Err(format!(
            "folder `{}` holds more than one Scenario (`{}`, `{}`); name the file",
            path.display(),
            first.display(),
            second.display()
        )),
    }
}

/// The file with the only Scenario of a folder, or a file that holds one; `None` without.
pub(super) fn scenario_in(path: &Path) -> Option<PathBuf> {
    let file = find_scenario(path).ok()?;
    (file != Path::new("-") && looks_like_scenario(&file)).then_some(file)
}

/// Every file with a Scenario below a folder (or the file itself), in name order.
pub(super) fn scenarios_below(path: &Path) -> Result<Vec<PathBuf>, String> {
    let cannot =
        |error: io::Error| format!("cannot read `{}`: {error}; check the path", path.display());
    if !fs::metadata(path).map_err(cannot)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    collect_scenarios(path, 0, &mut seen, &mut found);
    found.sort();
    Ok(found)
}

fn collect_scenarios(
    folder: &Path,
    depth: usize,
    seen: &mut BTreeSet<PathBuf>,
    found: &mut Vec<PathBuf>,
) {
    let identity = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    if depth > DEPTH_MAX || !seen.insert(identity) {
        return;
    }
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || ["target", "node_modules"].contains(&&*name) {
            continue;
        }
        if path.is_dir() {
            collect_scenarios(&path, depth + 1, seen, found);
        } else if has_ending(&path) && looks_like_scenario(&path) {
            found.push(path);
        }
    }
}

/// A cheap look for `kind: Scenario`; the real reader decides afterwards.
fn looks_like_scenario(file: &Path) -> bool {
    let mut text = String::new();
    let read = File::open(file).and_then(|file| file.take(1 << 20).read_to_string(&mut text));
    read.is_ok()
        && text.contains("towtank/")
        && text.lines().any(|line| {
            let line: String = line
                .chars()
                .filter(|c| !c.is_whitespace() && *c != '"')
                .collect();
            line.starts_with("kind:Scenario")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn folders_are_read_in_name_order_and_every_file_once() {
        let dir = folder(&[
            ("b.yaml", "b"),
            ("a/x.yml", "x"),
            ("c.json", "c"),
            ("d.txt", "d"),
            (".h/e.yaml", "e"),
        ]);
        let mut reader = Reader::default();
        reader.read(dir.path());
        reader.read(&dir.path().join("b.yaml"));
        let texts: Vec<&str> = reader.sources.iter().map(|s| s.text.as_str()).collect();
        assert_eq!(texts, ["x", "b", "c"]);
        assert!(reader.problems.is_empty(), "{:?}", reader.problems);
    }

    #[test]
    fn every_problem_is_named_and_the_rest_is_read() {
        let dir = folder(&[("good.yaml", "\u{feff}g"), ("empty/readme.md", "")]);
        fs::write(dir.path().join("latin.yaml"), b"a\nb: \xff").unwrap();
        let mut reader = Reader::default();
        for name in ["missing.yaml", "latin.yaml", "empty", "good.yaml"] {
            reader.read(&dir.path().join(name));
        }
        let said: Vec<String> = reader.problems.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(
            said[1].contains("latin.yaml:2: it is not UTF-8"),
            "{said:?}"
        );
        assert_eq!(
            reader.sources[0].text, "g",
            "the byte order mark is not text"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_loop_of_links_ends_where_it_began() {
        let dir = folder(&[("a/b.yaml", "b")]);
        std::os::unix::fs::symlink(dir.path(), dir.path().join("a/again")).unwrap();
        let mut reader = Reader::default();
        reader.read(dir.path());
        reader.read(&dir.path().join("a"));
        assert_eq!(reader.sources.len(), 1);
        assert!(reader.problems.is_empty(), "{:?}", reader.problems);
    }

    #[test]
    fn a_folder_with_one_scenario_is_enough() {
        let scenario = "apiVersion: towtank/v1alpha1\nkind: Scenario\n";
        let dir = folder(&[("my.yaml", scenario), ("model.yaml", "kind: Model\n")]);
        assert_eq!(
            find_scenario(dir.path()).unwrap(),
            dir.path().join("my.yaml")
        );
        fs::write(dir.path().join("other.yaml"), scenario).unwrap();
        assert!(
            find_scenario(dir.path())
                .unwrap_err()
                .contains("more than one")
        );
        fs::write(dir.path().join("scenario.yaml"), scenario).unwrap();
        assert!(find_scenario(dir.path()).is_ok());
    }
}
