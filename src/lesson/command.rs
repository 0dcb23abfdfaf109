//! Command lines of lessons, split as a shell splits them.

/// A command line of this program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// As it is written, over several lines where they end with a backslash.
    pub text: String,
    /// Its words without quotes; the first is `towtank`.
    pub words: Vec<String>,
}

impl Command {
    /// Takes a command line apart.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let words = words(&text.replace("\\\n", " "))?;
        match words.first().map(String::as_str) {
            Some("towtank") if words.len() > 1 => Ok(Self {
                text: text.to_owned(),
                words,
            }),
            _ => Err("a command line begins with `towtank` and a command".to_owned()),
        }
    }

    /// The same on one line.
    pub fn line(&self) -> String {
        let lines = self
            .text
            .lines()
            .map(|line| line.trim_end_matches('\\').trim());
        lines.collect::<Vec<_>>().join(" ")
    }
}

/// Quotes of either kind hold words together; no other meaning of a shell's characters is known.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut all, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => all.extend(word.take()),
            None if "|&;<>$`*~".contains(c) => {
                return Err(format!(
                    "`{c}` means something to a shell; quote it or leave it out"
                ));
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    all.extend(word);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_by_a_shell() {
        let command = Command::parse("towtank run . \\\n  --set 'a: {b: \"c\"}' -n \"\"").unwrap();
        assert_eq!(
            command.words,
            ["towtank", "run", ".", "--set", "a: {b: \"c\"}", "-n", ""]
        );
        assert_eq!(
            command.line(),
            "towtank run . --set 'a: {b: \"c\"}' -n \"\""
        );
    }

    #[test]
    fn what_only_a_shell_understands_is_refused() {
        for (line, said) in [
            ("towtank run . | head", "means something to a shell"),
            ("towtank run 'x", "not closed"),
            ("kubectl get pods", "begins with `towtank`"),
            ("towtank", "begins with `towtank`"),
        ] {
            let error = Command::parse(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
