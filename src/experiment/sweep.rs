//! A grid of runs: every combination of some values, each so many times.
//!
//! A *point* is one combination, a *row* one replication of a point, a *shard* the rows that one
//! machine makes. Points and rows are numbered in the order of the grid, whatever is run where and
//! by how many threads, so that shards can be put together and an interrupted sweep can go on.

mod axis;
pub mod results;
mod schedule;

use std::fmt;
use std::str::FromStr;

pub use axis::{Axis, Varied, factor};
pub use schedule::{Work, run_rows};

/// Most rows of a sweep.
pub const ROWS_MAX: u64 = 10_000_000;

/// Axes, and how often each point is repeated.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// The first one changes slowest.
    pub axes: Vec<Axis>,
    /// Rows per point.
    pub replications: u32,
}

/// One row to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Which combination, from 0.
    pub point: u32,
    /// Which repetition, from 0.
    pub replication: u32,
}

impl Grid {
    /// A grid; the error is a sentence.
    pub fn new(axes: Vec<Axis>, replications: u32) -> Result<Self, String> {
        for (at, axis) in axes.iter().enumerate() {
            if axes[..at].iter().any(|other| other.name == axis.name) {
                return Err(format!(
                    "`{}` is varied twice; give all its values in one list",
                    axis.name
                ));
            }
        }
        let grid = Self { axes, replications };
        let points = grid.axes.iter().map(|axis| axis.values.len() as u64);
        let rows = points.fold(u64::from(replications), u64::saturating_mul);
        if rows > ROWS_MAX {
            return Err(format!(
                "this grid has more than {ROWS_MAX} rows; vary fewer values, or split it into several sweeps"
            ));
        }
        Ok(grid)
    }

    /// Number of combinations; 1 without axes.
    pub fn points(&self) -> u32 {
        self.axes
            .iter()
            .map(|axis| axis.values.len() as u32)
            .product()
    }

    /// Number of rows.
    pub fn rows(&self) -> u32 {
        self.points() * self.replications
    }

    /// Which value each axis has at a point.
    pub fn choice(&self, point: u32) -> Vec<usize> {
        let mut rest = point as usize;
        let mut choice: Vec<usize> = self
            .axes
            .iter()
            .rev()
            .map(|axis| {
                let at = rest % axis.values.len();
                rest /= axis.values.len();
                at
            })
            .collect();
        choice.reverse();
        choice
    }

    /// The values at a point, one per axis.
    pub fn values(&self, point: u32) -> Vec<&str> {
        let choice = self.choice(point);
        let pairs = self.axes.iter().zip(choice);
        pairs.map(|(axis, at)| axis.values[at].as_str()).collect()
    }

    /// The rows of a shard in their order. Points go round the shards, so that every shard has
    /// its part of the expensive end; a grid with fewer points than shards is split by rows.
    pub fn shard(&self, shard: Shard) -> Vec<Row> {
        let (points, by_point) = (self.points(), self.points() >= shard.of);
        let rows = (0..points).flat_map(|point| {
            (0..self.replications).map(move |replication| Row { point, replication })
        });
        let numbered = rows.zip(0_u32..);
        numbered
            .filter(|(row, number)| {
                let counted = if by_point { row.point } else { *number };
                counted % shard.of == shard.number - 1
            })
            .map(|(row, _)| row)
            .collect()
    }
}

/// `2/8`: the second of eight parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub number: u32,
    /// At least `number`.
    pub of: u32,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Self = Self { number: 1, of: 1 };
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let numbers = parts.map(|(i, n)| (i.trim().parse(), n.trim().parse()));
        match numbers {
            Some((Ok(number), Ok(of))) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err(format!(
                "`{text}` is no part of a whole; write for example `2/8` for the second of eight, from `1/8` to `8/8`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(replications: u32) -> Grid {
        let axes = ["seed=[1, 2, 3]", "load=[1, 2]"];
        let axes = axes.iter().map(|text| Axis::parse(text).unwrap());
        Grid::new(axes.collect(), replications).unwrap()
    }

    #[test]
    fn the_first_axis_changes_slowest() {
        let grid = grid(4);
        assert_eq!((grid.points(), grid.rows()), (6, 24));
        let all: Vec<Vec<&str>> = (0..6).map(|point| grid.values(point)).collect();
        assert_eq!(all[0], ["1", "1"]);
        assert_eq!(all[1], ["1", "2"]);
        assert_eq!(all[5], ["3", "2"]);
    }

    #[test]
    fn shards_hold_every_row_once_whatever_their_number() {
        for of in [1, 2, 4, 6, 7, 40] {
            let grid = grid(5);
            let shards = (1..=of).flat_map(|number| grid.shard(Shard { number, of }));
            let mut rows: Vec<Row> = shards.collect();
            rows.sort_unstable();
            assert_eq!(rows, grid.shard(Shard::WHOLE), "{of}");
        }
    }

    #[test]
    fn a_shard_outside_of_its_whole_is_refused() {
        for text in ["0/3", "4/3", "x", "1", "1/0", "-1/2"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        assert_eq!("2/3".parse(), Ok(Shard { number: 2, of: 3 }));
    }

    #[test]
    fn a_grid_without_end_is_refused() {
        let axis = |name: &str| Axis::parse(&format!("{name}=1..10000 step 1")).unwrap();
        let said = Grid::new(vec![axis("seed"), axis("load")], 1).unwrap_err();
        assert!(said.contains("rows"), "{said}");
        let said = Grid::new(vec![axis("seed"), axis("seed")], 1).unwrap_err();
        assert!(said.contains("twice"), "{said}");
    }
}
