//! `towtank merge`: the parts of a sweep put together to the table that one machine would have made.

use std::collections::BTreeMap;
use std::fs;

use super::args::MergeArgs;
use super::exit_code::{ExitCode, Failure};
use super::output::{self, Console};
use super::traffic::data;
use crate::report::format::plural;
use crate::report::sweep as table;

/// `towtank merge`.
pub(super) fn merge(args: &MergeArgs, console: Console) -> Result<ExitCode, Failure> {
    let mut whole = Whole::default();
    for path in &args.files {
        let shown = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("cannot read `{shown}`: {error}")))?;
        whole.add(&shown, &text).map_err(Failure::Usage)?;
    }
    let text = whole.finish().map_err(Failure::Usage)?;
    let Some(out) = &args.out else {
        data(&text)?;
        return Ok(ExitCode::Done);
    };
    let shown = out.display();
    output::write_file(out, &text)
        .map_err(|error| Failure::output(&format!("to `{shown}`"), &error))?;
    let rows = plural(whole.rows.len() as u64, "row", "rows");
    let files = plural(args.files.len() as u64, "file", "files");
    console.note(&format!("`{shown}`: {rows} of {files}"));
    Ok(ExitCode::Done)
}

/// Rows by (point, replication), with the file each comes from.
#[derive(Default)]
struct Whole {
    header: Option<(Vec<String>, String)>,
    fingerprint: Option<(String, String)>,
    rows: BTreeMap<(u32, u32), (Vec<String>, String)>,
}

impl Whole {
    fn add(&mut self, shown: &str, text: &str) -> Result<(), String> {
        let torn = !text.is_empty() && !text.ends_with('\n');
        if torn {
            return Err(format!(
                "`{shown}` ends in the middle of a row; run its part again to complete it"
            ));
        }
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(text.as_bytes());
        for (number, record) in reader.records().enumerate() {
            let record = record
                .map_err(|_| format!("`{shown}`, row {number}: not as long as the first line"))?;
            let cells: Vec<String> = record.iter().map(str::to_owned).collect();
            if number == 0 {
                self.head(shown, cells)?;
            } else {
                self.row(shown, number, cells)?;
            }
        }
        if text.is_empty() {
            return Err(format!("`{shown}` is empty; run its part again"));
        }
        Ok(())
    }

    fn head(&mut self, shown: &str, cells: Vec<String>) -> Result<(), String> {
        let starts = table::BEFORE
            .iter()
            .zip(&cells)
            .all(|(needs, has)| needs == has);
        if !starts || cells.len() < table::BEFORE.len() {
            return Err(format!("`{shown}` is not a table of `towtank sweep`"));
        }
        match &self.header {
            Some((known, file)) if *known != cells => Err(format!(
                "`{shown}` has other columns than `{file}`: these are parts of different sweeps"
            )),
            Some(_) => Ok(()),
            None => {
                self.header = Some((cells, shown.to_owned()));
                Ok(())
            }
        }
    }

    fn row(&mut self, shown: &str, number: usize, cells: Vec<String>) -> Result<(), String> {
        let key = cells[1].parse().ok().zip(cells[2].parse().ok());
        let key =
            key.ok_or_else(|| format!("`{shown}`, row {number}: no `point` and `replication`"))?;
        let (known, file) = self
            .fingerprint
            .get_or_insert_with(|| (cells[0].clone(), shown.to_owned()));
        if *known != cells[0] {
            return Err(format!(
                "`{shown}` and `{file}` are parts of different sweeps: inputs, grid or version differ (`sweep` {} and {known})",
                cells[0]
            ));
        }
        if let Some((_, file)) = self.rows.get(&key) {
            let (point, replication) = key;
            return Err(format!(
                "point {point}, replication {replication} is in `{file}` and in `{shown}`; name each part once"
            ));
        }
        self.rows.insert(key, (cells, shown.to_owned()));
        Ok(())
    }

    /// The table, once all rows are there.
    fn finish(&self) -> Result<String, String> {
        let total = self
            .fingerprint
            .as_ref()
            .and_then(|(sweep, _)| sweep.rsplit_once('-')?.1.parse().ok());
        let Some(total) = total.filter(|_| !self.rows.is_empty()) else {
            return Err("there is no row in these files; run the parts again".to_owned());
        };
        let missing = usize::saturating_sub(total, self.rows.len());
        if missing > 0 {
            return Err(format!(
                "{missing} of {total} rows are missing: a part was left out or is not complete; run it again (it goes on where it ended) and name all parts"
            ));
        }
        let header = self.header.iter().map(|(cells, _)| cells);
        let lines = header.chain(self.rows.values().map(|(cells, _)| cells));
        Ok(lines
            .map(|cells| table::line(cells.iter().map(String::as_str)))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "sweep,point,replication,seed,x\n";

    fn merged(parts: &[&str]) -> Result<String, String> {
        let mut whole = Whole::default();
        for (number, part) in parts.iter().enumerate() {
            whole.add(&format!("{number}.csv"), part)?;
        }
        whole.finish()
    }

    #[test]
    fn parts_come_together_in_the_order_of_the_grid() {
        let a = format!("{HEADER}f-3,0,0,1,a\nf-3,10,0,1,\"c, d\"\n");
        let b = format!("{HEADER}f-3,2,0,1,b\n");
        let whole = format!("{HEADER}f-3,0,0,1,a\nf-3,2,0,1,b\nf-3,10,0,1,\"c, d\"\n");
        assert_eq!(merged(&[&b, &a]), Ok(whole.clone()));
        assert_eq!(merged(&[&whole]), Ok(whole));
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let row = |sweep: &str, point: u32| format!("{HEADER}{sweep},{point},0,1,a\n");
        for (parts, why) in [
            (
                vec![row("f-2", 0), row("f-2", 0)],
                "is in `0.csv` and in `1.csv`",
            ),
            (vec![row("f-2", 0), row("g-2", 1)], "different sweeps"),
            (vec![row("f-2", 0)], "1 of 2 rows are missing"),
            (vec!["a,b\n1,2\n".to_owned()], "not a table"),
            (vec![format!("{HEADER}f-1,0,0,1,a")], "middle of a row"),
            (vec![format!("{HEADER}f-1,x,0,1,a\n")], "no `point`"),
            (vec![format!("{HEADER}f-1,0,0\n")], "not as long"),
            (vec![HEADER.to_owned()], "no row"),
            (vec![String::new()], "empty"),
        ] {
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            let said = merged(&parts).unwrap_err();
            assert!(said.contains(why), "{parts:?}: {said}");
        }
    }
}
