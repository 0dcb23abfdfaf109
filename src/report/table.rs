//! Aligned columns without borders, never wider than the page.
//!
//! A column that may give way (`Flex`) loses the middle of its longest cells when a row
//! would not fit: names of clusters and workloads differ at both ends.

/// Widest line of a text report, in characters.
pub(super) const PAGE: usize = 100;
/// Blanks between columns.
const GAP: usize = 2;
/// A flexible column is never narrower than this.
const FLEX_MIN: usize = 16;

/// How a column is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Text that may be shortened.
    Flex,
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table being filled.
#[derive(Debug)]
pub(super) struct Table {
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this heading.
    pub(super) fn new(heading: &[(&str, Align)]) -> Self {
        Self {
            align: heading.iter().map(|(_, align)| *align).collect(),
            rows: vec![heading.iter().map(|(text, _)| (*text).to_owned()).collect()],
        }
    }

    /// Adds a row; it has as many cells as the heading.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.align.len(), "a row has a cell per column");
        self.rows.push(cells);
    }

    /// Adds a line that belongs to the rows below it and has no cells; it may be as long as the page.
    pub(super) fn title(&mut self, text: &str) {
        self.rows.push(vec![text.to_owned()]);
    }

    /// True without any row below the heading.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The table as lines, each begun by `indent` blanks.
    pub(super) fn render(&self, indent: usize) -> String {
        let widths = self.widths(PAGE - indent);
        let mut out = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            if let [title] = row.as_slice()
                && self.align.len() > 1
            {
                line.push_str(&shorten(title, PAGE - indent));
                out.push_str(line.trim_end());
                out.push('\n');
                continue;
            }
            for ((cell, align), width) in row.iter().zip(&self.align).zip(&widths) {
                let cell = shorten(cell, *width);
                let pad = " ".repeat(width - cell.chars().count());
                match align {
                    Align::Right => line.push_str(&format!("{pad}{cell}")),
                    Align::Left | Align::Flex => line.push_str(&format!("{cell}{pad}")),
                }
                line.push_str(&" ".repeat(GAP));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    fn widths(&self, room: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = (0..self.align.len())
            .map(|c| {
                let whole = self.rows.iter().filter(|row| row.len() == self.align.len());
                let cells = whole.filter_map(|row| row.get(c));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut total = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        while total > room {
            let widest = (0..widths.len())
                .filter(|c| self.align[*c] == Align::Flex && widths[*c] > FLEX_MIN)
                .max_by_key(|c| widths[*c]);
            let Some(widest) = widest else { break };
            widths[widest] -= 1;
            total -= 1;
        }
        widths
    }
}

/// Takes out the middle until `text` fits.
pub(super) fn shorten(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width || width == 0 {
        return text.to_owned();
    }
    let head = (width - 1) / 2;
    let tail = width - 1 - head;
    let mut short: String = text.chars().take(head).collect();
    short.push('…');
    short.extend(text.chars().skip(length - tail));
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_loses_its_middle_and_keeps_the_page_width() {
        let mut table = Table::new(&[("NAME", Align::Flex), ("N", Align::Right)]);
        table.row(["x".repeat(150), "12".to_owned()]);
        for line in table.render(2).lines() {
            assert!(line.chars().count() <= PAGE, "{line}");
        }
        assert_eq!(shorten("abcdefgh", 5), "ab…gh");
    }

    #[test]
    fn a_title_has_the_whole_line_and_does_not_widen_a_column() {
        let mut table = Table::new(&[("A", Align::Left), ("N", Align::Right)]);
        table.title("a long title");
        table.row(["x".to_owned(), "1".to_owned()]);
        assert_eq!(table.render(0), "A  N\na long title\nx  1\n");
    }

    #[test]
    fn numbers_stand_at_the_right() {
        let mut table = Table::new(&[("A", Align::Left), ("N", Align::Right)]);
        table.row(["x".to_owned(), "1".to_owned()]);
        table.row(["yy".to_owned(), "100".to_owned()]);
        assert_eq!(table.render(0), "A     N\nx     1\nyy  100\n");
    }
}
