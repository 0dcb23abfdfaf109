//! A table that grows by a row at a time and can be continued whenever its writer was killed.
//!
//! Rows are written in their order, each in one go, so a file always holds the first rows and at
//! most one torn line behind them. Going on is: check that what is there is ours, cut the torn
//! line off, append. Nothing is lost and nothing is there twice.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::exit_code::Failure;

/// A file of rows, open at its end.
pub(super) struct RowFile {
    file: File,
    done: usize,
    shown: String,
}

impl RowFile {
    /// Opens or makes the file. `lead(k)` gives the first cells of the k-th row, `total` how many
    /// rows there will be.
    pub(super) fn open(
        path: &Path,
        header: &str,
        total: usize,
        lead: &dyn Fn(usize) -> Vec<String>,
    ) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let cannot = |error: std::io::Error| Failure::output(&format!("to `{shown}`"), &error);
        let options = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        let mut file = options.map_err(cannot)?;
        // On a file system without locks the user knows how many are started.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Failure::Output(format!(
                "another towtank is writing `{shown}`; wait for it, or name another file with --out"
            )));
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(cannot)?;
        let (length, done) = ours(&text, header, total, lead).map_err(|why| {
            Failure::Output(format!(
                "`{shown}` is not continued: {why}; name another file with --out, or remove it"
            ))
        })?;
        file.set_len(length as u64).map_err(cannot)?;
        file.seek(SeekFrom::End(0)).map_err(cannot)?;
        if length == 0 {
            file.write_all(header.as_bytes()).map_err(cannot)?;
        }
        Ok(Self { file, done, shown })
    }

    /// Rows that are there.
    pub(super) fn done(&self) -> usize {
        self.done
    }

    /// Appends a row.
    pub(super) fn append(&mut self, line: &str) -> Result<(), Failure> {
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|error| Failure::output(&format!("to `{}`", self.shown), &error))?;
        self.done += 1;
        Ok(())
    }
}

/// How many bytes of a file are ours, and how many rows.
fn ours(
    text: &[u8],
    header: &str,
    total: usize,
    lead: &dyn Fn(usize) -> Vec<String>,
) -> Result<(usize, usize), String> {
    if header.as_bytes().starts_with(text) && text.len() < header.len() {
        return Ok((0, 0));
    }
    let Some(rows) = text.strip_prefix(header.as_bytes()) else {
        return Err(other_columns(text, header));
    };
    let columns = count(header);
    let (mut length, mut done) = (header.len(), 0);
    for line in rows.split_inclusive(|byte| *byte == b'\n') {
        if line.last() != Some(&b'\n') {
            break;
        }
        if done == total {
            return Err(format!("it has more rows than the {total} of this sweep"));
        }
        let line_number = done + 2;
        let cells =
            cells(line).ok_or_else(|| format!("line {line_number} is no row of a table"))?;
        let expected = lead(done);
        if cells.first() != expected.first() {
            return Err(format!(
                "line {line_number} was made from other inputs, another grid or another version (`sweep` {}, now {})",
                cells.first().map_or("", String::as_str),
                expected[0]
            ));
        }
        if cells.len() != columns || cells[..expected.len()] != expected {
            return Err(format!(
                "line {line_number} is not row {done} of this sweep"
            ));
        }
        length += line.len();
        done += 1;
    }
    Ok((length, done))
}

fn other_columns(text: &[u8], header: &str) -> String {
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let (has, needs) = (
        cells(first).unwrap_or_default(),
        cells(header.as_bytes()).unwrap_or_default(),
    );
    if has.first() != needs.first() {
        return "it is not a table of a sweep".to_owned();
    }
    let differs = has.iter().zip(&needs).find(|(has, needs)| has != needs);
    let (has, needs) = differs.map_or(("fewer or more columns", "others"), |(h, n)| (h, n));
    format!("it has other columns (`{has}` where this sweep has `{needs}`)")
}

fn cells(line: &[u8]) -> Option<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(line);
    let record = reader.records().next()?.ok()?;
    Some(record.iter().map(str::to_owned).collect())
}

fn count(header: &str) -> usize {
    cells(header.as_bytes()).map_or(0, |cells| cells.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "sweep,point,x,result\n";

    fn lead(at: usize) -> Vec<String> {
        vec!["f-3".to_owned(), at.to_string(), "a, b".to_owned()]
    }

    fn check(text: &str) -> Result<(usize, usize), String> {
        ours(text.as_bytes(), HEADER, 3, &lead)
    }

    #[test]
    fn whole_rows_count_and_a_torn_one_does_not() {
        let row = |n: usize| format!("f-3,{n},\"a, b\",{n}\n");
        let whole = format!("{HEADER}{}{}{}", row(0), row(1), row(2));
        for end in 0..=whole.len() {
            let text = &whole[..end];
            let lines = text.matches('\n').count();
            let length = text.rfind('\n').map_or(0, |at| at + 1);
            assert_eq!(
                check(text),
                Ok((length, lines.saturating_sub(1))),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        for (text, why) in [
            ("a,b\n1,2\n", "not a table of a sweep"),
            ("sweep,point,y,result\n", "`y` where this sweep has `x`"),
            ("sweep,point,x,result\nf-9,0,\"a, b\",1\n", "other inputs"),
            ("sweep,point,x,result\nf-3,1,\"a, b\",1\n", "not row 0"),
            ("sweep,point,x,result\nf-3,0,\"a, b\"\n", "not row 0"),
            ("sweep,point,x,result\n\n", "no row of a table"),
        ] {
            let said = check(text).unwrap_err();
            assert!(said.contains(why), "{text:?}: {said}");
        }
    }
}
