//! Changes of a lesson's files, written as a diff without line numbers.
//!
//! Numbers would be wrong after the next edit of the file; the lines themselves say where they are.

/// Some lines of a file become others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// File of the lesson.
    pub file: String,
    /// Lines with their mark: `-` goes, `+` comes, a blank stays.
    pub lines: Vec<(char, String)>,
}

impl Change {
    /// Reads the lines of a diff.
    pub fn parse(file: &str, text: &str) -> Result<Self, String> {
        let mut lines = Vec::new();
        for line in text.lines() {
            let mark = line.chars().next().unwrap_or(' ');
            if !"-+ ".contains(mark) {
                return Err(format!("`{line}` begins with none of `-`, `+` and a blank"));
            }
            lines.push((mark, line.get(1..).unwrap_or_default().to_owned()));
        }
        if lines.iter().all(|(mark, _)| *mark == ' ') {
            return Err("a diff has at least one line with `-` or `+`".to_owned());
        }
        if lines.iter().all(|(mark, _)| *mark == '+') {
            return Err("new lines need a line beside them that is there already".to_owned());
        }
        Ok(Self {
            file: file.to_owned(),
            lines,
        })
    }

    /// Line (from 1) of the file on which the first change is.
    pub fn line_in(&self, text: &str) -> Result<usize, String> {
        let before = self.lines.iter().take_while(|(mark, _)| *mark == ' ');
        Ok(self.start(text)? + before.count() + 1)
    }

    /// The text with the change made.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        let start = self.start(text)?;
        let mut lines: Vec<&str> = text.lines().collect();
        let old = self.side('-').count();
        lines.splice(start..start + old, self.side('+'));
        Ok(lines.join("\n") + "\n")
    }

    /// Lines that stay or have this mark.
    fn side(&self, mark: char) -> impl Iterator<Item = &str> {
        let of_it = self
            .lines
            .iter()
            .filter(move |(m, _)| *m == mark || *m == ' ');
        of_it.map(|(_, line)| line.as_str())
    }

    /// Lines before the only place that fits.
    fn start(&self, text: &str) -> Result<usize, String> {
        let lines: Vec<&str> = text.lines().collect();
        let old: Vec<&str> = self.side('-').collect();
        let fits = |at: &usize| lines[*at..].starts_with(&old);
        let mut found = (0..lines.len()).filter(fits);
        match (found.next(), found.next()) {
            (Some(at), None) => Ok(at),
            (None, _) => Err(format!("`{}` is not in `{}`", old.join("\n"), self.file)),
            (Some(_), Some(_)) => Err(format!(
                "`{}` is in `{}` more than once; add a line beside it",
                old.join("\n"),
                self.file
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "a: 1\nb: 2\nc: 3\nb: 2\n";

    #[test]
    fn a_change_finds_its_place_by_the_lines_beside_it() {
        let change = Change::parse("x.yaml", " c: 3\n-b: 2\n+b: 5\n+d: 6").unwrap();
        assert_eq!(change.line_in(FILE), Ok(4));
        assert_eq!(
            change.apply(FILE).unwrap(),
            "a: 1\nb: 2\nc: 3\nb: 5\nd: 6\n"
        );
    }

    #[test]
    fn a_place_that_is_missing_or_not_the_only_one_is_refused() {
        for (diff, said) in [
            ("-x: 1\n+x: 2", "is not in"),
            ("-b: 2\n+b: 3", "more than once"),
        ] {
            let error = Change::parse("x.yaml", diff)
                .unwrap()
                .apply(FILE)
                .unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        assert!(Change::parse("x.yaml", "+b: 3").is_err());
        assert!(Change::parse("x.yaml", " b: 3").is_err());
        assert!(Change::parse("x.yaml", "b: 3").is_err());
    }
}
