//! How the rate of an open load changes while it runs.

use crate::engine::RateCurve;
use crate::units::{Fraction, Rate, SimDuration};

/// Pieces in which a day's curve is followed: quarters of an hour.
const PIECES_OF_A_DAY: u32 = 96;
/// More days than this in one run are taken for a wrong unit.
pub(super) const DAYS_MAX: f64 = 10_000.0;

/// A rate over time; time counts from the load's start.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The course of the rate without spikes.
    pub shape: ProfileShape,
    /// Short multiples of it.
    pub spikes: Vec<Spike>,
}

/// The course of a rate.
#[derive(Clone, Debug, PartialEq)]
pub enum ProfileShape {
    /// The load's `rate`.
    Constant,
    /// One after the other from the load's `rate`; the last rate stays.
    Stages(Vec<Stage>),
    /// A sine with the load's `rate` as its mean.
    Daily {
        /// How far the peak is above the mean, as a share of the mean.
        amplitude: Fraction,
        /// Length of a day.
        period: SimDuration,
        /// When the peak is, after the start.
        peak_at: SimDuration,
    },
    /// (seconds, requests per second) from a file; linear between them.
    Points(Vec<(f64, f64)>),
}

/// One stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// How long it takes; zero with a `target` is a jump.
    pub duration: SimDuration,
    /// What the rate does meanwhile.
    pub course: Course,
}

/// What the rate does during a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Goes to this in a straight line, as k6's stages do.
    Ramp(Rate),
    /// Jumps to this and stays.
    Step(Rate),
    /// Stays.
    Hold,
}

/// A multiple of the rate for a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spike {
    /// When it begins, after the start.
    pub at: SimDuration,
    /// How long it lasts.
    pub length: SimDuration,
    /// What the rate is multiplied by.
    pub factor: f64,
}

impl Profile {
    /// Multiplies every rate that it says itself; what hangs on the load's `rate` follows that.
    pub fn scale(&mut self, factor: f64) {
        let times = |rate: Rate| Rate::per_second(rate.as_f64() * factor);
        match &mut self.shape {
            ProfileShape::Constant | ProfileShape::Daily { .. } => {}
            ProfileShape::Stages(stages) => {
                for stage in stages {
                    stage.course = match stage.course {
                        Course::Ramp(rate) => Course::Ramp(times(rate)),
                        Course::Step(rate) => Course::Step(times(rate)),
                        Course::Hold => Course::Hold,
                    };
                }
            }
            ProfileShape::Points(points) => {
                for (_, rate) in points {
                    *rate *= factor;
                }
            }
        }
    }

    /// The rate over the first `length` of a load whose `rate` is this.
    pub fn curve(&self, rate: Rate, length: SimDuration) -> RateCurve {
        let points = match &self.shape {
            ProfileShape::Constant => vec![(0.0, rate.as_f64())],
            ProfileShape::Stages(stages) => staged(rate.as_f64(), stages),
            ProfileShape::Daily {
                amplitude,
                period,
                peak_at,
            } => {
                let (day, peak) = (period.as_secs_f64(), peak_at.as_secs_f64());
                let days = (length.as_secs_f64() / day).min(DAYS_MAX);
                let pieces = (days * f64::from(PIECES_OF_A_DAY)) as u32 + 1;
                let point = |piece: u32| {
                    let at = f64::from(piece) * day / f64::from(PIECES_OF_A_DAY);
                    let angle = 2.0 * std::f64::consts::PI * (at - peak) / day;
                    let above = amplitude.as_f64() * libm::cos(angle);
                    (at, (rate.as_f64() * (1.0 + above)).max(0.0))
                };
                (0..=pieces).map(point).collect()
            }
            ProfileShape::Points(points) => points.clone(),
        };
        let spikes = self.spikes.iter();
        spikes.fold(RateCurve::through(&points), |curve, spike| {
            let from = spike.at.as_secs_f64();
            curve.scaled(from, from + spike.length.as_secs_f64(), spike.factor)
        })
    }
}

fn staged(rate: f64, stages: &[Stage]) -> Vec<(f64, f64)> {
    let mut points = vec![(0.0, rate)];
    let (mut at, mut rate) = (SimDuration::ZERO, rate);
    for stage in stages {
        match stage.course {
            Course::Step(to) => {
                rate = to.as_f64();
                points.push((at.as_secs_f64(), rate));
            }
            Course::Ramp(to) => rate = to.as_f64(),
            Course::Hold => {}
        }
        at = at.plus(stage.duration);
        points.push((at.as_secs_f64(), rate));
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(shape: ProfileShape) -> RateCurve {
        let profile = Profile {
            shape,
            spikes: Vec::new(),
        };
        profile.curve(Rate::per_second(100.0), SimDuration::from_secs(86_400))
    }

    #[test]
    fn stages_ramp_jump_and_hold() {
        let stage = |seconds, course| Stage {
            duration: SimDuration::from_secs(seconds),
            course,
        };
        let to = Rate::per_second;
        let curve = curve(ProfileShape::Stages(vec![
            stage(10, Course::Hold),
            stage(10, Course::Ramp(to(200.0))),
            stage(0, Course::Ramp(to(50.0))),
            stage(5, Course::Hold),
            stage(5, Course::Step(to(400.0))),
        ]));
        for (at, rate) in [
            (5.0, 100.0),
            (15.0, 150.0),
            (22.0, 50.0),
            (26.0, 400.0),
            (99.0, 400.0),
        ] {
            assert!((curve.rate_at(at) - rate).abs() < 1e-9, "{at}");
        }
    }

    #[test]
    fn a_day_has_its_peak_and_its_mean() {
        let curve = curve(ProfileShape::Daily {
            amplitude: Fraction::from_ppm(600_000),
            period: SimDuration::from_secs(86_400),
            peak_at: SimDuration::from_secs(14 * 3600),
        });
        let hour = 3600.0;
        assert!((curve.rate_at(14.0 * hour) - 160.0).abs() < 1e-9);
        assert!((curve.rate_at(2.0 * hour) - 40.0).abs() < 1e-9);
        assert!((curve.expected(24.0 * hour) / 86_400.0 - 100.0).abs() < 1e-6);
    }
}
