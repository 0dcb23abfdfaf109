//! What keeps an experiment from ending, or from counting anything: the same rules for a
//! Scenario document and for flags.

use super::profile::{DAYS_MAX, ProfileShape};
use super::run::{Load, LoadStyle, Scenario};
use crate::units::SimDuration;

/// More requests than this do not finish in an hour on any machine.
pub const REQUESTS_MAX: u64 = 2_000_000_000;
/// Each connection is a user with its own state.
pub const CONNECTIONS_MAX: u32 = 1_000_000;
/// Calls, or tries, that may be under way before a run is ended, where nobody says.
pub const IN_FLIGHT: u32 = 4_000_000;
/// More than that no machine holds.
pub(super) const IN_FLIGHT_MAX: u32 = 100_000_000;
/// Enough for any confidence interval.
pub const REPLICATIONS_MAX: u32 = 10_000;
/// A year of virtual time.
pub const DURATION_MAX: SimDuration = SimDuration::from_secs(366 * 86_400);

/// One reason why an experiment makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// Stable code of the diagnostic.
    pub code: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub help: &'static str,
}

impl Scenario {
    /// What is wrong with durations and loads taken together; empty when it can be run.
    pub fn objections(&self) -> Vec<Objection> {
        let loads = self.load.iter();
        let loads = loads.filter_map(|load| end(load, self.duration));
        warm_up(self.duration, self.warm_up)
            .into_iter()
            .chain(loads)
            .collect()
    }
}

/// The warm-up has to leave something to count.
pub(super) fn warm_up(duration: Option<SimDuration>, warm_up: SimDuration) -> Option<Objection> {
    let duration = duration?;
    if warm_up < duration || warm_up.is_zero() {
        return None;
    }
    Some(Objection {
        code: "TT-WARM-UP",
        what: format!(
            "the warm-up of {warm_up} takes the whole duration {duration}: nothing would be counted"
        ),
        help: "make the duration longer or the warm-up shorter; the duration includes it",
    })
}

/// A load has to end, and within a time somebody would wait for.
pub(super) fn end(load: &Load, duration: Option<SimDuration>) -> Option<Objection> {
    let (LoadStyle::Open { requests, .. } | LoadStyle::Closed { requests, .. }) = &load.style;
    let Some(duration) = duration else {
        return requests.is_none().then(|| Objection {
            code: "TT-ENDLESS",
            what: format!("load `{}` never ends", load.name),
            help: "write `duration` in the scenario, for example `duration: 60s`, or `requests` in the load",
        });
    };
    if load.start >= duration {
        return Some(Objection {
            code: "TT-LOAD-TIME",
            what: format!(
                "load `{}` starts at {}, when the duration of {duration} is over",
                load.name, load.start
            ),
            help: "start it earlier, or make the duration longer",
        });
    }
    let profile = load.profile.as_ref();
    if let Some(ProfileShape::Daily { period, .. }) = profile.map(|profile| &profile.shape)
        && duration.as_secs_f64() / period.as_secs_f64() > DAYS_MAX
    {
        return Some(Objection {
            code: "TT-PROFILE",
            what: format!(
                "load `{}` has more than {DAYS_MAX} days of {period} in {duration}",
                load.name
            ),
            help: "is the unit of `period` right? It is the length of a day; 24h when not written",
        });
    }
    let offered = load.expected(duration)?;
    if offered <= 0.0 {
        return Some(Objection {
            code: "TT-PROFILE",
            what: format!("load `{}` never sends: its rate stays at zero", load.name),
            help: "give it a `rate`, or a stage with a `target`",
        });
    }
    (offered > REQUESTS_MAX as f64).then(|| Objection {
        code: "TT-TOO-MUCH",
        what: format!(
            "load `{}` would send {offered:.0} requests ({} for {duration}); that does not finish",
            load.name,
            pace(load)
        ),
        help: "lower the rate or the duration; more than two thousand million requests are refused",
    })
}

/// How fast a load sends, in words.
fn pace(load: &Load) -> String {
    match (&load.style, &load.profile) {
        (LoadStyle::Open { rate, .. }, None) => rate.to_string(),
        _ => "its profile".to_owned(),
    }
}
