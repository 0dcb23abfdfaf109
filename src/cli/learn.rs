//! `towtank learn`: lists lessons, tells one, or writes all of them as a book.

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;
use std::sync::atomic::Ordering;

use super::args::LearnArgs;
use super::exit_code::{ExitCode, Failure};
use super::output::{self, Console};
use super::traffic::data;
use super::{interrupt, lesson_files, lesson_run};
use crate::lesson::{self, Lesson};
use crate::report::lesson as report;

/// `towtank learn`.
pub(super) fn learn(args: &LearnArgs, console: Console) -> Result<ExitCode, Failure> {
    if let Some(folder) = &args.book {
        return book(folder, console);
    }
    let Some(asked) = &args.lesson else {
        data(&report::list(&lesson::all()))?;
        console.note("\n`towtank learn 5` or `towtank learn faults` runs one");
        return Ok(ExitCode::Done);
    };
    // As for commands in a shell, a slash says that a path is meant.
    if asked.contains('/') || asked == "." {
        let lesson = lesson_files::read(Path::new(asked))?;
        return tell(&lesson, args, asked, console);
    }
    let lesson = lesson::find(asked).map_err(|near| {
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`towtank learn` lists them; a folder has a `/` in its path".to_owned(),
        };
        Failure::Usage(format!("there is no lesson `{asked}`; {help}"))
    })?;
    let folder = lesson_files::folder(&lesson, args.into.as_deref());
    let written = lesson_files::write(&lesson, &folder, args.force);
    match written {
        Ok(changed) if changed.is_empty() => {}
        Ok(changed) => console.note(&format!(
            "left as you changed it in `{}`: {} (--force writes it anew; `towtank learn ./{0}` runs it as it is)",
            folder.display(),
            changed.join(", ")
        )),
        Err(failure) if args.into.is_some() => return Err(failure),
        // Nobody asked for the files: the lesson is told all the same.
        Err(Failure::Usage(why) | Failure::Input(why) | Failure::Output(why)) => {
            console.warning(&format!("{why}; --into DIR names another folder"));
        }
    }
    tell(&lesson, args, &folder.display().to_string(), console)
}

/// Tells a lesson; asks in between when somebody is there to answer.
fn tell(
    lesson: &Lesson,
    args: &LearnArgs,
    folder: &str,
    console: Console,
) -> Result<ExitCode, Failure> {
    let count = lesson.choices.len();
    let mut guess = args.predict.map(|letter| (letter as u8 - b'a') as usize);
    if guess.is_some_and(|guess| guess >= count) {
        return Err(Failure::Usage(format!(
            "the lesson has no answer `{}`; it has a to {}",
            args.predict.unwrap_or_default(),
            report::letter(count - 1)
        )));
    }
    data(&report::opening(lesson, lesson::FILES.len()))?;
    if guess.is_none() && io::stdin().is_terminal() && io::stdout().is_terminal() {
        guess = ask(count, io::stdin().lock());
    }
    let results = lesson_run::run(lesson, console)?;
    if interrupt::watch().load(Ordering::Relaxed) {
        return Ok(ExitCode::Interrupted);
    }
    data(&report::rest(lesson, &results, guess, folder))?;
    Ok(judged(lesson, &results))
}

/// Says what does not hold: nothing, unless the files were changed.
fn judged(lesson: &Lesson, results: &report::Results) -> ExitCode {
    let broken = results.broken(lesson);
    for what in &broken {
        Console::error(&format!("lesson `{}`: {what}", lesson.folder));
    }
    if broken.is_empty() {
        ExitCode::Done
    } else {
        ExitCode::Expectation
    }
}

/// The choice that was typed; nothing after an empty line or at the end of the input.
fn ask(count: usize, mut answers: impl BufRead) -> Option<usize> {
    let last = report::letter(count - 1);
    loop {
        Console::say(&format!(
            "\n  your prediction, a to {last} (Enter: none) > "
        ));
        let mut line = String::new();
        if !answers.read_line(&mut line).is_ok_and(|read| read > 0) {
            Console::say("\n");
            return None;
        }
        let typed = line.trim().to_ascii_lowercase();
        if typed.is_empty() {
            return None;
        }
        if let Some(choice) = (0..count).find(|choice| report::letter(*choice) == typed) {
            return Some(choice);
        }
    }
}

/// Runs every lesson, and the change that each invites to, and writes them as chapters.
fn book(folder: &Path, console: Console) -> Result<ExitCode, Failure> {
    output::check_folder(folder)
        .map_err(|what| Failure::Usage(what.replace("--out-dir", "--book")))?;
    let mut chapters = Vec::new();
    let mut code = ExitCode::Done;
    for lesson in lesson::all() {
        console.note_progress(&lesson.folder);
        let results = lesson_run::run_with_change(&lesson, console)?;
        if interrupt::watch().load(Ordering::Relaxed) {
            return Ok(ExitCode::Interrupted);
        }
        code = code.max(judged(&lesson, &results));
        chapters.push((lesson, results));
    }
    lesson_files::write_book(folder, &chapters, console)?;
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::ask;

    #[test]
    fn an_answer_is_a_letter_and_anything_else_is_asked_again() {
        let asked = |typed: &str| ask(3, typed.as_bytes());
        assert_eq!(asked("b\n"), Some(1));
        assert_eq!(asked(" C \n"), Some(2));
        assert_eq!(asked("d\nyes\na\n"), Some(0));
        assert_eq!(asked("\nb\n"), None, "no prediction");
        assert_eq!(asked("x\n"), None, "the input ends");
    }
}
