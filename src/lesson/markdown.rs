//! The little of Markdown that lessons are written in: front matter, second-level headings,
//! paragraphs, lists, fenced blocks and tables, each with its line.

/// Something that stands between blank lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// A paragraph, on one line.
    Prose(String),
    /// `- ` items with their lines; continued lines are joined.
    Items(Vec<(u32, String)>),
    /// A fenced block: what follows the backquotes, and the text.
    Fence(String, String),
    /// Rows of cells with their lines; the row of dashes is left out.
    Table(Vec<(u32, Vec<String>)>),
}

/// A heading with what stands below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) line: u32,
    pub(super) title: String,
    pub(super) blocks: Vec<(u32, Block)>,
}

/// A text taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Document {
    /// `key: value` lines between `---`.
    pub(super) front: Vec<(u32, String, String)>,
    pub(super) sections: Vec<Section>,
}

/// What is wrong, and where.
pub(super) type Fault = (u32, String);

pub(super) fn document(text: &str) -> Result<Document, Fault> {
    let mut lines = (1..).zip(text.lines()).peekable();
    let mut document = Document::default();
    if lines.next_if(|(_, line)| *line == "---").is_some() {
        for (number, line) in lines.by_ref().take_while(|(_, line)| *line != "---") {
            let Some((key, value)) = line.split_once(": ") else {
                return Err((number, format!("`{line}` is not `key: value`")));
            };
            let value = value.trim().to_owned();
            document.front.push((number, key.to_owned(), value));
        }
    }
    while let Some((number, line)) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            document.sections.push(Section {
                line: number,
                title: title.trim().to_owned(),
                blocks: Vec::new(),
            });
            continue;
        }
        if line.trim().is_empty() {
            continue;
        }
        let Some(section) = document.sections.last_mut() else {
            return Err((
                number,
                "text stands before the first `## ` heading".to_owned(),
            ));
        };
        let block = if let Some(info) = line.strip_prefix("```") {
            Block::Fence(info.trim().to_owned(), fence(number, &mut lines)?)
        } else {
            let mut own = vec![(number, line)];
            while let Some(next) = lines.next_if(|(_, line)| continues(line)) {
                own.push(next);
            }
            block(&own)
        };
        section.blocks.push((number, block));
    }
    Ok(document)
}

fn continues(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with("```") && !line.starts_with("## ")
}

fn fence<'a>(
    begun: u32,
    lines: &mut impl Iterator<Item = (u32, &'a str)>,
) -> Result<String, Fault> {
    let mut text = String::new();
    for (_, line) in lines {
        if line.trim_end() == "```" {
            return Ok(text);
        }
        text.push_str(line);
        text.push('\n');
    }
    Err((begun, "a fenced block is not closed".to_owned()))
}

fn block(lines: &[(u32, &str)]) -> Block {
    let first = lines[0].1;
    if first.starts_with('|') {
        let is_rule = |line: &str| line.chars().all(|c| "|-: ".contains(c));
        let rows = lines.iter().filter(|(_, line)| !is_rule(line));
        return Block::Table(rows.map(|(number, line)| (*number, cells(line))).collect());
    }
    if first.starts_with("- ") {
        let mut items: Vec<(u32, String)> = Vec::new();
        for (number, line) in lines {
            match (line.strip_prefix("- "), items.last_mut()) {
                (None, Some((_, item))) => {
                    item.push(' ');
                    item.push_str(line.trim());
                }
                (item, _) => items.push((*number, item.unwrap_or(line).trim().to_owned())),
            }
        }
        return Block::Items(items);
    }
    let words: Vec<&str> = lines.iter().map(|(_, line)| line.trim()).collect();
    Block::Prose(words.join(" "))
}

/// Cells of a table's row. `\|` is a bar inside a cell, which no lesson needs, so it is not read.
fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner
        .split('|')
        .map(|cell| cell.trim().to_owned())
        .collect()
}

/// Texts of the code spans of a line.
pub(super) fn spans(text: &str) -> Vec<String> {
    let between = text.split('`').skip(1).step_by(2);
    between.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_block_is_told_apart() {
        let text = "---\ntitle: A: b\n---\n\n## One\n\nSome\nwords.\n- not an item\n\n- an item\n  goes on\n- two\n```sh x\n| a |\n\n```\n\n| a | `b` |\n|---|---|\n| c | |\n";
        let document = document(text).unwrap();
        assert_eq!(document.front, [(2, "title".to_owned(), "A: b".to_owned())]);
        let text = |text: &str| text.to_owned();
        assert_eq!(
            document.sections[0].blocks,
            [
                (7, Block::Prose(text("Some words. - not an item"))),
                (
                    11,
                    Block::Items(vec![(11, text("an item goes on")), (13, text("two"))])
                ),
                (14, Block::Fence(text("sh x"), text("| a |\n\n"))),
                (
                    19,
                    Block::Table(vec![
                        (19, vec![text("a"), text("`b`")]),
                        (21, vec![text("c"), text("")])
                    ])
                ),
            ]
        );
    }

    #[test]
    fn faults_have_lines() {
        assert_eq!(document("---\ntitle\n---\n").unwrap_err().0, 2);
        assert_eq!(document("words\n").unwrap_err().0, 1);
        assert_eq!(document("## A\n\n```sh\nx\n").unwrap_err().0, 3);
    }
}
