//! Rows on threads, handed over in their order.
//!
//! Threads take rows from the front; what they finish waits until everything before it is there.
//! So the rows that were handed over are always the first ones, however the work ends, and a
//! point's plan is made once and shared by its replications.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;

use super::Row;

/// How rows are made.
pub struct Work<'w, P, T, E> {
    /// Makes the plan of a point.
    pub prepare: &'w (dyn Fn(u32) -> Result<P, E> + Sync),
    /// Makes a row; `None` when it was interrupted.
    pub run: &'w (dyn Fn(&P, Row) -> Option<T> + Sync),
    /// No further rows are begun once it is set.
    pub interrupted: &'w AtomicBool,
}

/// Makes `rows` on so many threads (`None`: one per core) and hands each to `take` in order, until
/// one fails or the work is interrupted. Returns how many were taken.
pub fn run_rows<P, T, E>(
    rows: &[Row],
    threads: Option<usize>,
    work: &Work<'_, P, T, E>,
    mut take: impl FnMut(Row, T) -> Result<(), E>,
) -> Result<usize, E>
where
    P: Send + Sync,
    T: Send,
    E: Clone + Send + Sync,
{
    let shared = Shared {
        rows,
        next: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        points: Mutex::new(BTreeMap::new()),
        work,
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.unwrap_or(cores).clamp(1, rows.len().max(1));
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let mut begun = 0;
        for _ in 0..threads {
            let (sender, shared) = (sender.clone(), &shared);
            let worker = move || shared.work_through(&sender);
            begun += usize::from(thread::Builder::new().spawn_scoped(scope, worker).is_ok());
        }
        if begun == 0 {
            // A sandbox may forbid threads: the same rows, one after another.
            shared.work_through(&sender);
        }
        drop(sender);
        let taken = in_order(&receiver, rows, &mut take);
        shared.stop.store(true, Ordering::Relaxed);
        taken
    })
}

/// A row, why it cannot be made, or `None` when it was interrupted.
type Made<T, E> = Option<Result<T, E>>;

fn in_order<T, E>(
    receiver: &mpsc::Receiver<(usize, Made<T, E>)>,
    rows: &[Row],
    take: &mut impl FnMut(Row, T) -> Result<(), E>,
) -> Result<usize, E> {
    let mut waiting: BTreeMap<usize, Made<T, E>> = BTreeMap::new();
    let mut taken = 0;
    for (number, made) in receiver {
        waiting.insert(number, made);
        while let Some(made) = waiting.remove(&taken) {
            // Behind an interrupted row nothing may be handed over.
            let Some(made) = made else { return Ok(taken) };
            take(rows[taken], made?)?;
            taken += 1;
        }
    }
    Ok(taken)
}

/// A point that is worked on.
struct Point<P, E> {
    plan: Arc<OnceLock<Result<P, E>>>,
    /// Rows that still need it.
    left: usize,
}

struct Shared<'w, P, T, E> {
    rows: &'w [Row],
    next: AtomicUsize,
    /// Nobody takes rows any more.
    stop: AtomicBool,
    points: Mutex<BTreeMap<u32, Point<P, E>>>,
    work: &'w Work<'w, P, T, E>,
}

impl<P, T, E: Clone> Shared<'_, P, T, E> {
    fn work_through(&self, sender: &mpsc::Sender<(usize, Made<T, E>)>) {
        loop {
            let stopped = self.stop.load(Ordering::Relaxed);
            if stopped || self.work.interrupted.load(Ordering::Relaxed) {
                return;
            }
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(row) = self.rows.get(number) else {
                return;
            };
            if sender.send((number, self.make(*row))).is_err() {
                return;
            }
        }
    }

    fn make(&self, row: Row) -> Made<T, E> {
        let slot = self.plan(row.point);
        let plan = slot.get_or_init(|| (self.work.prepare)(row.point));
        let made = match plan {
            Ok(plan) => (self.work.run)(plan, row).map(Ok),
            Err(why) => Some(Err(why.clone())),
        };
        self.give_back(row.point);
        made
    }

    fn plan(&self, point: u32) -> Arc<OnceLock<Result<P, E>>> {
        let mut points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = points.entry(point).or_insert_with(|| Point {
            plan: Arc::default(),
            // Rows are in order, so those of a point stand side by side.
            left: self.rows.partition_point(|row| row.point <= point)
                - self.rows.partition_point(|row| row.point < point),
        });
        Arc::clone(&entry.plan)
    }

    /// The last row of a point frees its plan.
    fn give_back(&self, point: u32) {
        let mut points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = points.get_mut(&point) {
            entry.left -= 1;
            if entry.left == 0 {
                points.remove(&point);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::sweep::{Axis, Grid, Shard};

    fn rows() -> Vec<Row> {
        let axis = Axis::parse("seed=1..25 step 1").unwrap();
        Grid::new(vec![axis], 4).unwrap().shard(Shard::WHOLE)
    }

    #[test]
    fn rows_come_in_order_on_any_number_of_threads_and_a_point_is_prepared_once() {
        for threads in [1, 2, 7] {
            let prepared = AtomicUsize::new(0);
            let interrupted = AtomicBool::new(false);
            let work = Work::<u32, u32, ()> {
                prepare: &|point| {
                    prepared.fetch_add(1, Ordering::Relaxed);
                    Ok(point)
                },
                run: &|plan, row| Some(*plan * 10 + row.replication),
                interrupted: &interrupted,
            };
            let mut taken = Vec::new();
            let count = run_rows(&rows(), Some(threads), &work, |row, made| {
                assert_eq!(made, row.point * 10 + row.replication);
                taken.push(row);
                Ok(())
            });
            assert_eq!((count, taken), (Ok(100), rows()));
            assert_eq!(prepared.into_inner(), 25, "{threads} threads");
        }
    }

    #[test]
    fn an_error_comes_after_all_rows_before_it() {
        let interrupted = AtomicBool::new(false);
        let work = Work::<(), (), u32> {
            prepare: &|point| if point == 20 { Err(point) } else { Ok(()) },
            run: &|(), _| Some(()),
            interrupted: &interrupted,
        };
        let mut taken = 0;
        let result = run_rows(&rows(), Some(4), &work, |_, ()| {
            taken += 1;
            Ok(())
        });
        assert_eq!((result, taken), (Err(20), 80));
    }

    #[test]
    fn nothing_is_handed_over_behind_an_interruption() {
        let interrupted = AtomicBool::new(false);
        let work = Work::<(), u32, ()> {
            prepare: &|_| Ok(()),
            run: &|(), row| {
                if row.point == 10 {
                    interrupted.store(true, Ordering::Relaxed);
                }
                (row.point != 10).then_some(row.point)
            },
            interrupted: &interrupted,
        };
        let mut last = 0;
        let count = run_rows(&rows(), Some(3), &work, |_, point| {
            last = point;
            Ok(())
        });
        assert_eq!((count, last), (Ok(40), 9));
    }
}
