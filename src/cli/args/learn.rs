//! Arguments of `learn`.

use std::path::PathBuf;

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  What there is:
    towtank learn
  One lesson, by number or name:
    towtank learn 5
    towtank learn retry-storm
  Your own copy of its files somewhere else:
    towtank learn 12 --into zones
  Again, with what you have changed:
    towtank learn ./zones
  All of them as a book:
    towtank learn --book book && mdbook serve book";

/// `towtank learn`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = EXAMPLES)]
pub struct LearnArgs {
    /// Number or name of a lesson, or a folder that holds one; without it, all are listed.
    ///
    /// On a terminal it asks for your prediction before it runs anything; otherwise all of it is
    /// printed. A folder (with a `/` in its path) is one that was written before, with your changes.
    #[arg(value_name = "LESSON")]
    pub lesson: Option<String>,
    /// Folder for the lesson's files [default: towtank-lessons/NUMBER-NAME].
    ///
    /// Files that are there and differ were changed by you and stay as they are.
    #[arg(long, value_name = "DIR", requires = "lesson")]
    pub into: Option<PathBuf>,
    /// Write the lesson's files over those that were changed.
    #[arg(long, requires = "lesson")]
    pub force: bool,
    /// Your prediction (a, b, …): nothing is asked.
    #[arg(long, value_name = "LETTER", requires = "lesson", value_parser = letter)]
    pub predict: Option<char>,
    /// Write all lessons with what their runs give as the sources of a book for mdBook.
    #[arg(long, value_name = "DIR", conflicts_with = "lesson")]
    pub book: Option<PathBuf>,
}

fn letter(text: &str) -> Result<char, String> {
    let mut letters = text.chars().map(|c| c.to_ascii_lowercase());
    match (letters.next(), letters.next()) {
        (Some(letter), None) if letter.is_ascii_lowercase() => Ok(letter),
        _ => Err("a prediction is one letter; write for example `a`".to_owned()),
    }
}
