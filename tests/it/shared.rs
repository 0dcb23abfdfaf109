//! Data that is read and never copied: found through `TOWTANK_SHARED`, else `../shared`.

use std::path::{Path, PathBuf};

use towtank::manifest::Source;

/// A path below the shared data, or `None` with a word on what was skipped.
#[expect(clippy::print_stdout, reason = "what was skipped must be seen")]
pub(crate) fn shared(below: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TOWTANK_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let path = root.join(below);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: 1 case needs {}", path.display());
    None
}

/// A file as a source under its file name.
pub(crate) fn source(path: &Path) -> Source {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Source::new(&*name, std::fs::read_to_string(path).unwrap())
}

/// Every YAML file below a folder, by path.
pub(crate) fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|ext| ext == "yaml" || ext == "yml")
            {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
