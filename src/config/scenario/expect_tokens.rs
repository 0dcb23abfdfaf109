//! Words and marks of an expectation, and what is wrong with one.

/// What is wrong, where (characters from the start), and what to write.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) what: String,
    pub(super) help: String,
}

impl Fault {
    pub(super) fn new(at: usize, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            at,
            what: what.into(),
            help: help.into(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Word(String),
    Mark(&'static str),
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
}

const MARKS: [&str; 11] = ["<=", ">=", "==", "!=", "<", ">", "(", ")", ",", ":", "="];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let chars: Vec<char> = text.chars().collect();
    let mut all = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        if c == '"' || c == '\'' {
            let end = (at + 1..chars.len()).find(|i| chars[*i] == c);
            let Some(end) = end else {
                return Err(Fault::new(at, "a quote is not closed", ""));
            };
            let word = chars[at + 1..end].iter().collect();
            all.push(Token {
                kind: Kind::Word(word),
                at,
            });
            at = end + 1;
            continue;
        }
        let starts = |mark: &&str| {
            mark.chars()
                .enumerate()
                .all(|(i, m)| chars.get(at + i) == Some(&m))
        };
        if let Some(mark) = MARKS.into_iter().find(starts) {
            all.push(Token {
                kind: Kind::Mark(mark),
                at,
            });
            at += mark.len();
            continue;
        }
        let is_end = |c: char| c.is_whitespace() || "()\"',:=<>!".contains(c);
        let end = (at + 1..chars.len())
            .find(|i| is_end(chars[*i]))
            .unwrap_or(chars.len());
        let word = chars[at..end].iter().collect();
        all.push(Token {
            kind: Kind::Word(word),
            at,
        });
        at = end;
    }
    Ok(all)
}

pub(super) struct Parser {
    pub(super) tokens: Vec<Token>,
    pub(super) next: usize,
    pub(super) end: usize,
}

impl Parser {
    pub(super) fn here(&self) -> usize {
        self.tokens
            .get(self.next)
            .map_or(self.end, |token| token.at)
    }

    pub(super) fn take_mark(&mut self, wanted: &[&'static str]) -> Option<&'static str> {
        match self.tokens.get(self.next)?.kind {
            Kind::Mark(mark) if wanted.contains(&mark) => {
                self.next += 1;
                Some(mark)
            }
            _ => None,
        }
    }

    pub(super) fn take_word(&mut self) -> Option<(String, usize)> {
        let token = self.tokens.get(self.next)?;
        let Kind::Word(word) = &token.kind else {
            return None;
        };
        let found = (word.clone(), token.at);
        self.next += 1;
        Some(found)
    }

    pub(super) fn found(&self) -> String {
        match self.tokens.get(self.next).map(|token| &token.kind) {
            Some(Kind::Word(word)) => format!("`{word}`"),
            Some(Kind::Mark(mark)) => format!("`{mark}`"),
            None => "the end".to_owned(),
        }
    }
}
