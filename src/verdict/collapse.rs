//! `TT-COLLAPSE`: a load whose goodput breaks down and stays down although nothing happened, in
//! some replications or in all.
//!
//! One run lies: a mesh may look perfect for an hour and collapse for good in the next. So the
//! question whether it is safe is answered as a rate, over all replications, with its interval.

use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::course::windows;
use super::{Context, causes, percent};
use crate::observe::Record;
use crate::observe::record::{Finding, Happening, HappeningKind, Severity};

/// Less than this of the best goodput so far is a breakdown.
const BROKEN: f64 = 0.5;
/// Windows at the end that have to be broken.
const AT_THE_END: usize = 5;

/// Collapses per simulated hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hazard {
    /// Best estimate.
    pub per_hour: f64,
    /// 95 % interval (exact, of a Poisson count).
    pub interval: (f64, f64),
}

impl Hazard {
    /// So many collapses in so many hours of healthy time.
    pub fn of(collapses: u32, hours: f64) -> Self {
        let chi =
            |degrees: f64, p: f64| ChiSquared::new(degrees).map_or(0.0, |chi| chi.inverse_cdf(p));
        let count = f64::from(collapses);
        let low = if collapses == 0 {
            0.0
        } else {
            chi(2.0 * count, 0.025) / 2.0
        };
        let high = chi(2.0 * count + 2.0, 0.975) / 2.0;
        let rate = |n: f64| if hours > 0.0 { n / hours } else { 0.0 };
        Self {
            per_hour: rate(count),
            interval: (rate(low), rate(high)),
        }
    }
}

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let record = context.record;
    let end = record.duration.as_secs_f64();
    // What follows a trigger is another finding's business.
    let quiet = quiet_until(record).unwrap_or(end).min(end);
    let length = record.series.window.as_secs_f64();
    for (index, client) in (0..).zip(&record.clients) {
        let mut healthy = 0.0;
        let mut collapses = Vec::new();
        let all: Vec<_> = if record.all_series.is_empty() {
            vec![&record.series]
        } else {
            record.all_series.iter().collect()
        };
        for series in &all {
            let mut course = windows(record, series, index);
            course.retain(|w| w.at + length <= quiet + 1e-9);
            let goodput: Vec<f64> = course.iter().filter_map(|w| w.goodput).collect();
            let collapsed = broken_from(&goodput).map(|at| course[at].at);
            healthy += collapsed.unwrap_or(quiet);
            collapses.extend(collapsed);
        }
        if collapses.is_empty() {
            continue;
        }
        collapses.sort_by(f64::total_cmp);
        let trigger = if quiet < end {
            format!("before anything happens (at {quiet:.1} s)")
        } else {
            "without any trigger".to_owned()
        };
        let hazard = Hazard::of(collapses.len() as u32, healthy / 3600.0);
        findings.push(Finding {
            code: "TT-COLLAPSE",
            severity: Severity::Error,
            what: format!(
                "`{}` collapses and stays down in {} of {} replications, {trigger}: {:.1} times per hour of healthy time (95 %: {:.1} to {:.1})",
                client.name,
                collapses.len(),
                all.len(),
                hazard.per_hour,
                hazard.interval.0,
                hazard.interval.1
            ),
            chain: vec![
                format!(
                    "the first collapse came after {:.1} s, the last after {:.1} s",
                    collapses[0],
                    collapses[collapses.len() - 1]
                ),
                format!("less than {} of the earlier goodput was left", percent(BROKEN)),
            ],
            cause: causes::of_work(context, client),
            help: "more replications tell the rate better; less work per failure lowers it: longer timeouts or fewer retries, a shorter queue, more capacity".to_owned(),
            edges: Vec::new(),
            counterfactual: None,
        });
    }
}

/// When the first thing is done to the mesh, in seconds; `None`: never.
fn quiet_until(record: &Record) -> Option<f64> {
    let disturbs = |h: &&Happening| h.kind != HappeningKind::Passes;
    let first = record.happenings.iter().find(disturbs)?;
    Some(first.at.as_secs_f64())
}

/// The window from which goodput is broken to the end, if it is.
fn broken_from(goodput: &[f64]) -> Option<usize> {
    let mut best: f64 = 0.0;
    let mut from = None;
    for (at, good) in goodput.iter().enumerate() {
        if *good < BROKEN * best {
            from = from.or(Some(at));
        } else {
            from = None;
            // The first windows hold requests whose answers come later.
            best = best.max(good.min(1.0));
        }
    }
    from.filter(|at| goodput.len() - at >= AT_THE_END && *at > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_count_is_poissons() {
        // Published limits of a Poisson count of 13: 6.92 and 22.23; of none: 0 and 3.69.
        let hazard = Hazard::of(13, 1.0);
        assert!((hazard.interval.0 - 6.92).abs() < 0.01, "{hazard:?}");
        assert!((hazard.interval.1 - 22.23).abs() < 0.01, "{hazard:?}");
        let none = Hazard::of(0, 2.0);
        assert!((none.interval.1 - 3.689 / 2.0).abs() < 0.001, "{none:?}");
    }

    #[test]
    fn a_dip_is_no_collapse_and_a_broken_end_is_one() {
        assert_eq!(broken_from(&[1.0, 1.0, 0.2, 1.0, 1.0, 1.0, 1.0]), None);
        let end = [1.0, 0.9, 0.2, 0.1, 0.1, 0.2, 0.1];
        assert_eq!(broken_from(&end), Some(2));
        assert_eq!(
            broken_from(&[1.0, 1.0, 0.2, 0.1]),
            None,
            "too short to tell"
        );
    }
}
