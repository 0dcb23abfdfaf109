//! A rate that changes over time, and the arrivals of a process that follows it.
//!
//! The rate is linear between points and jumps where two points share a moment, so the number of
//! events expected up to any moment is a sum of trapezia, and its inverse a square root. An event
//! of a process with rate one at `n` becomes an event at the moment where `n` are expected: exact
//! for a Poisson process (Çınlar's inversion) as for evenly spaced events, without thinning.
//! `f64::sqrt` is exact to the last bit on every machine.

/// A rate over time, linear between points; constant before the first and after the last.
#[derive(Clone, Debug, PartialEq)]
pub struct RateCurve {
    points: Vec<Point>,
}

/// The end of one piece and the beginning of the next.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    /// Seconds.
    at: f64,
    /// Events per second from here on.
    rate: f64,
    /// Events per second up to here.
    before: f64,
    /// Events expected up to here.
    total: f64,
}

impl RateCurve {
    /// Through (seconds, events per second), in order of time; nothing finite and positive is
    /// checked here. Two points at one moment are a jump.
    pub fn through(points: &[(f64, f64)]) -> Self {
        let mut curve: Vec<Point> = Vec::with_capacity(points.len() + 1);
        let first = points.first().map_or(0.0, |(_, rate)| *rate);
        curve.push(Point {
            at: 0.0,
            rate: first,
            before: first,
            total: 0.0,
        });
        for (at, rate) in points {
            let last = curve.last_mut().expect("it has a first point");
            if *at <= last.at {
                last.rate = *rate;
                continue;
            }
            let total = last.total + (at - last.at) * (last.rate + rate) / 2.0;
            curve.push(Point {
                at: *at,
                rate: *rate,
                before: *rate,
                total,
            });
        }
        Self { points: curve }
    }

    /// Multiplied by `factor` from `from` to `until`, both in seconds.
    #[must_use]
    pub fn scaled(&self, from: f64, until: f64, factor: f64) -> Self {
        let mut points: Vec<(f64, f64)> = Vec::with_capacity(2 * self.points.len() + 4);
        let inside = |at: f64| at > from && at < until;
        let mut add = |at: f64, before: f64, after: f64| {
            points.push((at, before));
            points.push((at, after));
        };
        let mut edges = [from, until].into_iter().peekable();
        for point in &self.points {
            while let Some(edge) = edges.next_if(|edge| *edge < point.at) {
                self.edge(edge, from, factor, &mut add);
            }
            if edges.next_if(|edge| *edge <= point.at).is_some() {
                let (before, after) = if point.at <= from {
                    (point.before, point.rate * factor)
                } else {
                    (point.before * factor, point.rate)
                };
                add(point.at, before, after);
                continue;
            }
            let by = if inside(point.at) { factor } else { 1.0 };
            add(point.at, point.before * by, point.rate * by);
        }
        for edge in edges {
            self.edge(edge, from, factor, &mut add);
        }
        Self::through(&points)
    }

    /// A jump at a moment between two points.
    fn edge(&self, at: f64, from: f64, factor: f64, add: &mut impl FnMut(f64, f64, f64)) {
        let rate = self.rate_at(at);
        if at <= from {
            add(at, rate, rate * factor);
        } else {
            add(at, rate * factor, rate);
        }
    }

    /// Events per second at a moment; at a jump what comes after it.
    pub fn rate_at(&self, at: f64) -> f64 {
        let next = self.points.partition_point(|p| p.at <= at).max(1);
        let here = &self.points[next - 1];
        here.rate + self.slope(next - 1) * (at - here.at)
    }

    /// The highest rate.
    pub fn peak(&self) -> f64 {
        let rates = self.points.iter().map(|p| p.rate.max(p.before));
        rates.fold(0.0, f64::max)
    }

    /// Events expected in the first `seconds`.
    pub fn expected(&self, seconds: f64) -> f64 {
        let next = self.points.partition_point(|p| p.at <= seconds).max(1);
        let here = &self.points[next - 1];
        let after = seconds - here.at;
        here.total + after * (here.rate + self.slope(next - 1) * after / 2.0)
    }

    /// The second at which `events` are expected; `None` when that many never are. `piece` is
    /// where the last answer was found: moments are asked for in order.
    pub fn when(&self, events: f64, piece: &mut usize) -> Option<f64> {
        while self
            .points
            .get(*piece + 1)
            .is_some_and(|p| p.total < events)
        {
            *piece += 1;
        }
        let here = self.points.get(*piece)?;
        let missing = (events - here.total).max(0.0);
        let slope = self.slope(*piece);
        // The usual root with the sum below the line: nothing cancels, whatever the slope.
        let root = (here.rate * here.rate + 2.0 * slope * missing).max(0.0);
        let below = here.rate + root.sqrt();
        (below > 0.0).then(|| here.at + 2.0 * missing / below)
    }

    fn slope(&self, piece: usize) -> f64 {
        let here = &self.points[piece];
        match self.points.get(piece + 1) {
            Some(next) => (next.before - here.rate) / (next.at - here.at),
            None => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9 * b.abs().max(1.0)
    }

    #[test]
    fn expected_events_and_their_moments_are_inverse() {
        // 10/s, a ramp to 50/s, a jump to zero, and 5/s from second 30 on.
        let curve = RateCurve::through(&[
            (0.0, 10.0),
            (10.0, 10.0),
            (20.0, 50.0),
            (20.0, 0.0),
            (30.0, 0.0),
            (30.0, 5.0),
        ]);
        assert!(close(curve.expected(10.0), 100.0));
        assert!(close(curve.expected(20.0), 400.0));
        assert!(close(curve.expected(30.0), 400.0));
        assert!(close(curve.expected(40.0), 450.0));
        assert!(close(curve.rate_at(15.0), 30.0));
        assert!(close(curve.peak(), 50.0));
        let mut piece = 0;
        for events in 1..500 {
            let at = curve.when(f64::from(events), &mut piece).unwrap();
            assert!(close(curve.expected(at), f64::from(events)), "{events}");
            assert!(events == 400 || !(20.0 + 1e-9..30.0).contains(&at));
        }
        let ending = RateCurve::through(&[(0.0, 10.0), (1.0, 0.0)]);
        assert_eq!(ending.when(5.1, &mut 0), None, "there are five in all");
    }

    #[test]
    fn a_spike_multiplies_what_is_there() {
        let ramp = RateCurve::through(&[(0.0, 0.0), (10.0, 100.0)]);
        let spiked = ramp.scaled(4.0, 6.0, 3.0);
        for (at, rate) in [(3.0, 30.0), (4.0, 120.0), (5.0, 150.0), (6.0, 60.0)] {
            assert!(close(spiked.rate_at(at), rate), "{at}");
        }
        assert!(close(spiked.expected(10.0), 500.0 + 2.0 * 100.0));
        let flat = RateCurve::through(&[(0.0, 10.0)]).scaled(0.0, 2.0, 2.0);
        assert!(close(flat.expected(5.0), 70.0));
        let twice = flat.scaled(1.0, 2.0, 5.0);
        assert!(close(twice.expected(5.0), 20.0 + 100.0 + 30.0));
    }
}
