//! RE2 patterns as Envoy 1.40 runs them.
//!
//! Envoy matches the whole text, byte by byte (Latin-1 mode), so `.` is one byte and `\d`,
//! `\w` are ASCII (`source/common/common/regex.cc`). The `regex` crate has RE2's syntax and
//! linear time; its Unicode mode is switched off here.

use regex::bytes::{Captures, Regex, RegexBuilder};

/// A compiled pattern; one that cannot be compiled never matches.
#[derive(Clone, Debug)]
pub struct Pattern(Option<Regex>);

impl Pattern {
    /// Compiles a pattern that must match the whole text.
    pub fn full(pattern: &str) -> Result<Self, String> {
        compile(&format!(r"\A(?:{pattern})\z"), pattern)
    }

    /// Compiles a pattern that is searched for.
    pub fn search(pattern: &str) -> Result<Self, String> {
        compile(pattern, pattern)
    }

    /// The pattern that never matches: what stands for a bad one.
    pub const fn never() -> Self {
        Self(None)
    }

    /// True when the text matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.0
            .as_ref()
            .is_some_and(|regex| regex.is_match(text.as_bytes()))
    }

    /// Replaces every match; `\0` to `\9` in the substitution are groups, `\\` is a backslash.
    pub fn replace_all(&self, text: &str, substitution: &str) -> String {
        let Some(regex) = &self.0 else {
            return text.to_owned();
        };
        let replaced = regex.replace_all(text.as_bytes(), |groups: &Captures<'_>| {
            expand(substitution, groups)
        });
        // Envoy works on bytes; only a pattern that cuts through a character differs here.
        String::from_utf8_lossy(&replaced).into_owned()
    }
}

fn compile(text: &str, shown: &str) -> Result<Pattern, String> {
    match RegexBuilder::new(text).unicode(false).build() {
        Ok(regex) => Ok(Pattern(Some(regex))),
        Err(error) => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or("it cannot be compiled");
            let why = last.trim().trim_start_matches("error: ");
            Err(format!(
                "the regular expression `{shown}` is refused: {why}"
            ))
        }
    }
}

fn expand(substitution: &str, groups: &Captures<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(substitution.len());
    let mut bytes = substitution.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(digit @ b'0'..=b'9') => {
                if let Some(group) = groups.get(usize::from(digit - b'0')) {
                    out.extend_from_slice(group.as_bytes());
                }
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_text_only() {
        let pattern = Pattern::full("/rx/.*|/a").unwrap();
        assert!(pattern.is_match("/rx/x") && pattern.is_match("/a"));
        assert!(!pattern.is_match("/rx") && !pattern.is_match("/a/b"));
    }

    #[test]
    fn a_dot_is_one_byte_and_a_digit_is_ascii() {
        assert!(!Pattern::full(".").unwrap().is_match("é"));
        assert!(Pattern::full("..").unwrap().is_match("é"));
        assert!(!Pattern::full(r"\d+").unwrap().is_match("٣"));
    }

    #[test]
    fn groups_are_written_with_a_backslash() {
        let pattern = Pattern::search("^/rx/([^/]+)/(.*)$").unwrap();
        assert_eq!(pattern.replace_all("/rx/a/b", r"/\2/i/\1"), "/b/i/a");
        let every = Pattern::search("o").unwrap();
        assert_eq!(every.replace_all("/foo", r"[\0]\\"), r"/f[o]\[o]\");
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let error = Pattern::full("(?=x)").unwrap_err();
        assert!(error.contains("`(?=x)`"), "{error}");
        assert!(!Pattern::never().is_match(""));
    }
}
