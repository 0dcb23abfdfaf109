//! The ways to read a lesson: told, with files to change, from a folder, as a book.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use towtank::lesson;

use crate::lessons::{ends, temporary};
use crate::program::root;

/// Texts that look the same everywhere under `snapshots/lessons/`.
fn approve(name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => root().join("snapshots/lessons"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn the_list_and_two_lessons_read_as_approved() {
    let folder = temporary();
    approve("list", &ends(folder.path(), &[], 0).0);
    approve("faults", &ends(folder.path(), &["5"], 0).0);
    approve(
        "zone-failover",
        &ends(folder.path(), &["zone-failover"], 0).0,
    );
}

#[test]
fn the_files_are_there_to_change_and_what_was_changed_stays() {
    let folder = temporary();
    let at = |path: &str| folder.path().join(path);
    ends(folder.path(), &["1"], 0);
    assert!(at("towtank-lessons/01-weights/manifests.yaml").is_file());
    ends(folder.path(), &["1", "--into", "mine"], 0);
    let names: BTreeSet<String> = fs::read_dir(at("mine"))
        .expect("it was written")
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let wanted = ["lesson.md", "manifests.yaml", "model.yaml", "scenario.yaml"];
    assert_eq!(names, wanted.map(str::to_owned).into_iter().collect());
    let own = fs::read_to_string(root().join("models/lessons/01-weights/manifests.yaml"));
    let own = own.expect("it is readable");

    let changed = own
        .replace("weight: 90", "weight: 80")
        .replace("weight: 10", "weight: 20");
    fs::write(at("mine/manifests.yaml"), &changed).expect("it can be written");
    fs::remove_file(at("mine/model.yaml")).expect("it was there");
    let (_, said) = ends(folder.path(), &["1", "--into", "mine"], 0);
    assert!(
        said.contains("left as you changed it") && said.contains("manifests.yaml"),
        "{said}"
    );
    let read = |path: &str| fs::read_to_string(at(path)).expect("it is readable");
    assert_eq!(read("mine/manifests.yaml"), changed);
    assert!(
        at("mine/model.yaml").is_file(),
        "what is missing comes back"
    );

    let (told, said) = ends(folder.path(), &["./mine"], 5);
    assert!(told.contains(" %, not < 11%"), "{told}");
    assert!(
        said.contains("`share(v2, to: product) < 11%` does not hold"),
        "{said}"
    );
    ends(folder.path(), &["1", "--into", "mine", "--force"], 0);
    assert_eq!(read("mine/manifests.yaml"), own);

    fs::write(at("file"), "").expect("it can be written");
    let (_, said) = ends(folder.path(), &["1", "--into", "file"], 2);
    assert!(said.contains("is no folder"), "{said}");
}

#[test]
fn a_prediction_is_answered() {
    let folder = temporary();
    let told = |letter: &str| ends(folder.path(), &["1", "--predict", letter], 0).0;
    assert!(
        told("b").contains("\nYou were right. It is b: "),
        "{}",
        told("b")
    );
    assert!(
        told("C").contains("\nYou said c; it is b: "),
        "{}",
        told("C")
    );
    let (told, said) = ends(folder.path(), &["1", "--predict", "d"], 2);
    assert!(
        told.is_empty() && said.contains("it has a to c"),
        "{told}{said}"
    );
    let (_, said) = ends(folder.path(), &["1", "--predict", "ab"], 2);
    assert!(said.contains("one letter"), "{said}");
}

#[test]
fn a_lesson_that_does_not_exist_is_refused_with_the_name_that_was_meant() {
    let folder = temporary();
    for (asked, meant) in [
        ("retrystorm", "did you mean `retry-storm`?"),
        ("17", "`towtank learn` lists them"),
        ("0", "`towtank learn` lists them"),
        ("./nowhere", "cannot read `./nowhere/lesson.md`"),
    ] {
        let (_, said) = ends(folder.path(), &[asked], 2);
        assert!(said.contains(meant), "{asked}: {said}");
    }
    for args in [&["--force"][..], &["1", "--book", "x"], &["--into", "x"]] {
        ends(folder.path(), args, 2);
    }
}

#[test]
fn a_lesson_with_faults_is_refused_with_their_lines() {
    let folder = temporary();
    let path = folder.path().join("mine/lesson.md");
    ends(folder.path(), &["1", "--into", "mine"], 0);
    let own = fs::read_to_string(&path).expect("it is readable");
    for (old, new, said) in [
        ("about: step 3 of the recipe\n", "", "lesson.md:1"),
        ("## Run", "## Runs", "the headings are Claim, Predict, Runs"),
        ("- [x] two", "- [ ] two", "3 choices, 0 of them marked"),
        (
            " <!-- share(v2, to: product) > 20% -->",
            "",
            "a choice ends with",
        ),
        (
            "2: share(v2, to: product) < 7%",
            "9: share(v2, to: product) < 7%",
            "said of run 9",
        ),
        (
            "towtank run .\n",
            "towtank run . | less\n",
            "`|` means something to a shell",
        ),
        (
            "| `== 5%` |",
            "|",
            "the row has 2 cells for bounds, and there are 3 runs",
        ),
        (
            "```diff manifests.yaml",
            "```diff other.yaml",
            "there is no file `other.yaml`",
        ),
        (
            "-      weight: 90",
            "~      weight: 90",
            "begins with none of",
        ),
        (
            "- `share(v2, to: product) > 48%`",
            "- share",
            "what to look for begins with",
        ),
    ] {
        assert!(own.contains(old), "{old}");
        fs::write(&path, own.replacen(old, new, 1)).expect("it can be written");
        let (told, error) = ends(folder.path(), &["./mine"], 1);
        assert!(
            error.contains("error[TT-LESSON]") && error.contains(said),
            "{said}: {error}"
        );
        assert!(told.is_empty(), "nothing is told: {told}");
    }
    // What is well-formed and cannot be run is refused as on the command line.
    for (old, new, code, said) in [
        (
            "towtank run .\n",
            "towtank run other.yaml\n",
            2,
            "the lesson has no file `other.yaml`",
        ),
        (
            "towtank run .\n",
            "towtank man\n",
            2,
            "a lesson runs `towtank run`, `load` or `curl`",
        ),
        (
            "`share(v1, to: product)`",
            "`shares(v1, to: product)`",
            2,
            "`shares` is not a figure",
        ),
        (
            "`share(v1, to: product)`",
            "`share(v9, to: product)`",
            1,
            "has the name `v9`",
        ),
    ] {
        fs::write(&path, own.replacen(old, new, 1)).expect("it can be written");
        let (_, error) = ends(folder.path(), &["./mine"], code);
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn a_lesson_whose_marked_answer_is_not_what_the_runs_say_ends_with_5() {
    let folder = temporary();
    let path = folder.path().join("mine/lesson.md");
    ends(folder.path(), &["1", "--into", "mine"], 0);
    let own = fs::read_to_string(&path).expect("it is readable");
    let swapped = own
        .replace("- [x] two", "- [ ] two")
        .replace("- [ ] about 25", "- [x] about 25");
    fs::write(&path, swapped).expect("it can be written");
    let (told, said) = ends(folder.path(), &["./mine"], 5);
    assert!(told.contains("It is b: "), "what the runs say: {told}");
    assert!(
        said.contains("the runs say that b is right, and c is marked"),
        "{said}"
    );
}

/// Fenced blocks of a chapter: language and text.
fn fences(chapter: &str) -> Vec<(String, String)> {
    let blocks = chapter.split("```").skip(1).step_by(2);
    let block = |block: &str| {
        let (language, text) = block.split_once('\n').expect("a fence has lines");
        (language.to_owned(), text.trim().to_owned())
    };
    blocks.map(block).collect()
}

#[test]
fn the_book_has_a_chapter_for_each_lesson_with_what_its_runs_gave() {
    let folder = temporary();
    // Ends with 5 where anything does not hold, after the changes that lessons invite to as well.
    let (_, said) = ends(folder.path(), &["--book", "book"], 0);
    assert!(said.contains("wrote 16 chapters"), "{said}");
    let source = folder.path().join("book/src");
    let read = |name: &str| fs::read_to_string(source.join(name)).expect("it was written");
    let summary = read("SUMMARY.md");
    let lessons = lesson::all();
    let linked = summary
        .split("](")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap_or(""));
    let linked: Vec<&str> = linked.collect();
    assert_eq!(linked.len(), lessons.len() + 1, "{summary}");
    for (name, lesson) in linked.iter().skip(1).zip(&lessons) {
        let chapter = read(name);
        assert!(
            chapter.starts_with(&format!("# {}\n", lesson.title)),
            "{name}"
        );
        let fences = fences(&chapter);
        assert!(fences.len() >= 3 + lesson.runs.len(), "{name}");
        for (language, text) in &fences {
            assert!(!text.is_empty(), "{name}: an empty block of {language}");
        }
        for row in &lesson.rows {
            let row = chapter
                .lines()
                .find(|line| line.starts_with(&format!("| {} |", row.words)));
            let row = row.unwrap_or_else(|| panic!("{name}: a row is missing"));
            let cells: Vec<&str> = row.split('|').skip(2).map(str::trim).collect();
            let numbers = &cells[..lesson.runs.len()];
            let is_number =
                |cell: &&str| cell.starts_with(|c: char| c.is_ascii_digit()) || *cell == "never";
            assert!(numbers.iter().all(is_number), "{name}: {row}");
        }
        assert_eq!(
            chapter.matches("<details>").count(),
            chapter.matches("</details>").count()
        );
        assert!(chapter.contains("What it gave here"), "{name}");
    }
    assert!(read("introduction.md").contains(&lessons[3].claim));
    build(&folder.path().join("book"));
}

/// With mdBook itself, where `TOWTANK_MDBOOK` says where it is (`.ci/mdbook`).
fn build(book: &Path) {
    let Some(mdbook) = std::env::var_os("TOWTANK_MDBOOK") else {
        println!("skipped: TOWTANK_MDBOOK names no mdbook");
        return;
    };
    let output = Command::new(mdbook).arg("build").arg(book).output();
    let output = output.expect("mdbook starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");
    for lesson in lesson::all() {
        let page = book.join("book").join(format!("{}.html", lesson.folder));
        assert!(page.is_file(), "{}", page.display());
    }
}
