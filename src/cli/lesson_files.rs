//! Files of lessons: written where a reader can change them, read back, and rendered as a book.

use std::fs;
use std::path::{Path, PathBuf};

use super::exit_code::Failure;
use super::output::{self, Console};
use crate::diagnostic::render;
use crate::lesson::{self, LESSON, Lesson};
use crate::manifest::Source;
use crate::report::lesson::{Results, book};

/// Where lessons are written when no folder is named.
const FOLDER: &str = "towtank-lessons";
/// What a lesson consists of, beside its text.
const INPUTS: [&str; 3] = ["manifests.yaml", "model.yaml", "scenario.yaml"];

/// The folder for a lesson's files.
pub(super) fn folder(lesson: &Lesson, asked: Option<&Path>) -> PathBuf {
    asked.map_or_else(|| Path::new(FOLDER).join(&lesson.folder), Path::to_owned)
}

/// Writes a lesson's files. Those that are there and differ stay as they are, unless `force`;
/// their names are returned.
pub(super) fn write(lesson: &Lesson, folder: &Path, force: bool) -> Result<Vec<String>, Failure> {
    let shown = folder.display();
    if folder.as_os_str().is_empty() || (folder.exists() && !folder.is_dir()) {
        return Err(Failure::Usage(format!(
            "--into `{shown}` is no folder; name a folder, or a new name for one"
        )));
    }
    let (mut missing, mut changed) = (Vec::new(), Vec::new());
    for file in &lesson.files {
        let (name, text) = (&*file.path, file.text.clone());
        match fs::read(folder.join(name)) {
            Ok(there) if there == text.as_bytes() => {}
            Ok(_) if !force => changed.push(name.to_owned()),
            // What cannot be read is written, which says why it cannot.
            Ok(_) | Err(_) => missing.push((name, text)),
        }
    }
    if !missing.is_empty() {
        output::write_folder(folder, &missing)
            .map_err(|error| Failure::output(&format!("to `{shown}`"), &error))?;
    }
    Ok(changed)
}

/// The lesson in a folder.
pub(super) fn read(folder: &Path) -> Result<Lesson, Failure> {
    let names = [LESSON].into_iter().chain(INPUTS);
    let file = |name: &str| {
        let path = folder.join(name);
        let text = fs::read_to_string(&path).map_err(|error| {
            Failure::Usage(format!(
                "cannot read `{}`: {error}; `towtank learn 1 --into DIR` writes a lesson",
                path.display()
            ))
        })?;
        Ok(Source::new(name, text))
    };
    let files = names.map(file).collect::<Result<Vec<Source>, Failure>>()?;
    let name = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let name = name.file_name().unwrap_or_default().to_string_lossy();
    let text = files[0].text.clone();
    lesson::read(&name, files).map_err(|all| Failure::Input(render(&all, &[(LESSON, &text)], true)))
}

/// Writes the sources of a book.
pub(super) fn write_book(
    folder: &Path,
    chapters: &[(Lesson, Results)],
    console: Console,
) -> Result<(), Failure> {
    let lessons: Vec<Lesson> = chapters.iter().map(|(lesson, _)| lesson.clone()).collect();
    let introduction = book::introduction(&lessons, env!("CARGO_PKG_VERSION"));
    let mut files = vec![
        ("SUMMARY.md".to_owned(), book::summary(&lessons)),
        ("introduction.md".to_owned(), introduction),
    ];
    files.extend(
        chapters
            .iter()
            .map(|(lesson, results)| (book::file(lesson), book::chapter(lesson, results))),
    );
    let named: Vec<(&str, String)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.clone()))
        .collect();
    let shown = folder.display();
    output::write_folder(&folder.join("src"), &named)
        .and_then(|()| output::write_file(&folder.join("book.toml"), book::BOOK_TOML))
        .map_err(|error| Failure::output(&format!("to `{shown}`"), &error))?;
    console.note(&format!(
        "wrote {} chapters to `{shown}`; `mdbook build {shown}` makes pages of them",
        chapters.len()
    ));
    Ok(())
}
