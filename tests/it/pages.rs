//! The pages beside the meshes: every command they show works when pasted at the root of the repository.

use std::fs;

use crate::program::{root, text};

/// `README.md` of every folder in `models/` and `examples/`, and of the comparison with other simulators.
fn pages() -> Vec<String> {
    let mut found = vec!["benches/peers/README.md".to_owned()];
    for top in ["models", "examples"] {
        for entry in fs::read_dir(root().join(top)).expect("the folder is there") {
            let path = entry.expect("it is readable").path();
            if !path.is_dir() {
                continue;
            }
            let name = path.file_name().expect("it has a name").to_string_lossy();
            found.push(format!("{top}/{name}/README.md"));
        }
    }
    found.sort();
    found
}

/// The words of a command as a shell would split them; quotes of either kind hold words together.
pub(crate) fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c == ' ' => all.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    all.push(word);
    all.retain(|word| !word.is_empty());
    all
}

/// The `towtank` commands in the `sh` blocks of a page, up to a pipe.
fn commands(page: &str) -> Vec<Vec<String>> {
    let blocks = page.split("```").skip(1).step_by(2);
    let shell = blocks.filter(|block| block.starts_with("sh\n"));
    let lines = shell.flat_map(str::lines);
    let own = lines.filter_map(|line| line.strip_prefix("towtank "));
    own.map(|line| words(line.split(" | ").next().unwrap_or(line)))
        .collect()
}

#[test]
fn every_command_of_the_pages_beside_the_meshes_works_when_pasted() {
    for page in pages() {
        let shown = fs::read_to_string(root().join(&page)).expect("the page is there");
        let commands = commands(&shown);
        assert!(!commands.is_empty(), "{page} shows no command");
        for mut command in commands {
            if command[0] == "bench" {
                command.extend(["--seconds".to_owned(), "1".to_owned()]);
            }
            text(&command);
        }
    }
}
