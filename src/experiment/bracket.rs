//! Where something stops to hold: a search over a positive factor between a value at which it does
//! and one at which it does not.
//!
//! First outwards by doubling or halving, then inwards by geometric bisection, until the two are
//! within a ratio of each other. A value at which the runs do not tell counts as neither: the
//! search goes on beside it, so that the answer is a bracket whose ends were both decided.

/// What was found at a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It holds.
    Holds,
    /// It does not.
    Breaks,
    /// The runs do not tell.
    Unclear,
}

/// How far and how finely is searched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Where to begin.
    pub start: f64,
    /// No smaller value is tried.
    pub least: f64,
    /// No greater value is tried.
    pub most: f64,
    /// The search ends when `breaks / holds` is no more than one plus this.
    pub precision: f64,
}

/// The greatest value at which it held and the smallest at which it did not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bracket {
    /// `None`: it held nowhere.
    pub holds: Option<f64>,
    /// `None`: it broke nowhere.
    pub breaks: Option<f64>,
}

/// Values beside an unclear one that are tried before the bracket is left as it is.
const BESIDE_MAX: u32 = 2;

/// Searches; `at` says how things stand at a value, or that the search has to end.
pub fn bracket<E>(
    search: &Search,
    mut at: impl FnMut(f64) -> Result<Stand, E>,
) -> Result<Bracket, E> {
    let mut found = Bracket::default();
    let mut value = search.start;
    while let Some(next) = outwards(search, &mut found, value, at(value)?) {
        value = next;
    }
    let (Some(mut holds), Some(mut breaks)) = (found.holds, found.breaks) else {
        return Ok(found);
    };
    let mut unclear = 0;
    // Ends of the part in between that the runs tell nothing about.
    let mut blur: Option<(f64, f64)> = None;
    while breaks / holds > 1.0 + search.precision && unclear <= BESIDE_MAX {
        let next = match blur {
            None => (holds * breaks).sqrt(),
            Some((low, high)) if low / holds >= breaks / high => (holds * low).sqrt(),
            Some((_, high)) => (high * breaks).sqrt(),
        };
        match at(next)? {
            Stand::Holds => holds = next,
            Stand::Breaks => breaks = next,
            Stand::Unclear => {
                unclear += 1;
                let (low, high) = blur.unwrap_or((next, next));
                blur = Some((low.min(next), high.max(next)));
            }
        }
        blur = blur.filter(|(low, high)| *low > holds && *high < breaks);
    }
    Ok(Bracket {
        holds: Some(holds),
        breaks: Some(breaks),
    })
}

/// Where it changes between two values: the ends first, then three values between them when both
/// stand alike, then inwards from the first change. `round` gives the nearest value that can be
/// tried. True when things change more than once.
pub fn between<E>(
    (low, high): (f64, f64),
    precision: f64,
    round: impl Fn(f64) -> f64,
    mut at: impl FnMut(f64) -> Result<Stand, E>,
) -> Result<(Bracket, bool), E> {
    let mut known = vec![(low, at(low)?), (high, at(high)?)];
    if known[0].1 == known[1].1 {
        let middle = (low * high).sqrt();
        for value in [middle, (low * middle).sqrt(), (middle * high).sqrt()].map(&round) {
            if known
                .iter()
                .all(|(other, _)| (other - value).abs() > f64::EPSILON)
            {
                known.push((value, at(value)?));
            }
        }
    }
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    let decided: Vec<(f64, Stand)> = (known.iter().copied())
        .filter(|(_, stand)| *stand != Stand::Unclear)
        .collect();
    let changes = decided.windows(2).filter(|pair| pair[0].1 != pair[1].1);
    let several = changes.clone().count() > 1;
    let first = changes.map(|pair| (pair[0], pair[1])).next();
    let Some((mut lower, mut upper)) = first else {
        let is = |wanted| decided.iter().any(|(_, stand)| *stand == wanted);
        let end = |wanted| is(wanted).then(|| decided.iter().map(|(v, _)| *v).fold(low, f64::max));
        let found = Bracket {
            holds: end(Stand::Holds),
            breaks: end(Stand::Breaks),
        };
        return Ok((found, false));
    };
    while upper.0 / lower.0 > 1.0 + precision {
        let value = round((lower.0 * upper.0).sqrt());
        if value <= lower.0 || value >= upper.0 {
            break;
        }
        match at(value)? {
            // What the runs do not tell stays between the ends.
            Stand::Unclear => break,
            stand if stand == lower.1 => lower.0 = value,
            _ => upper.0 = value,
        }
    }
    let (holds, breaks) = if lower.1 == Stand::Holds {
        (lower.0, upper.0)
    } else {
        (upper.0, lower.0)
    };
    let found = Bracket {
        holds: Some(holds),
        breaks: Some(breaks),
    };
    Ok((found, several))
}

/// Notes how things stand at a value; gives the next one to try while one end is missing.
fn outwards(search: &Search, found: &mut Bracket, value: f64, stand: Stand) -> Option<f64> {
    match stand {
        Stand::Holds => {
            found.holds = Some(found.holds.map_or(value, |known| known.max(value)));
        }
        Stand::Breaks => {
            found.breaks = Some(found.breaks.map_or(value, |known| known.min(value)));
        }
        Stand::Unclear => {}
    }
    let next = match (found.holds, found.breaks) {
        (Some(_), Some(_)) => return None,
        (Some(_), None) => value * 2.0,
        (None, _) => value / 2.0,
    };
    (next >= search.least && next <= search.most).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEARCH: Search = Search {
        start: 1.0,
        least: 1.0 / 1024.0,
        most: 1024.0,
        precision: 0.05,
    };

    fn search(at: impl Fn(f64) -> Stand) -> (Bracket, u32) {
        let mut runs = 0;
        let found = bracket::<()>(&SEARCH, |value| {
            runs += 1;
            Ok(at(value))
        });
        (found.expect("nothing ends it"), runs)
    }

    #[test]
    fn a_cliff_is_found_from_either_side() {
        for cliff in [0.013, 0.7, 1.0, 3.3, 700.0] {
            let (found, runs) = search(|value| {
                if value < cliff {
                    Stand::Holds
                } else {
                    Stand::Breaks
                }
            });
            let (holds, breaks) = (found.holds.expect("below"), found.breaks.expect("above"));
            assert!(holds < cliff && cliff <= breaks, "{holds} {cliff} {breaks}");
            assert!(breaks / holds <= 1.05, "{holds} {breaks}");
            assert!(runs < 25, "{runs} for {cliff}");
        }
    }

    #[test]
    fn a_change_between_two_values_is_found_whichever_side_holds() {
        let round = |value: f64| value.round();
        let find = |holds: &dyn Fn(f64) -> bool, high: f64| {
            let stand = |value| {
                if holds(value) {
                    Stand::Holds
                } else {
                    Stand::Breaks
                }
            };
            between::<()>((1.0, high), 0.05, round, |value| Ok(stand(value))).expect("ends")
        };
        let ends = |(found, several): (Bracket, bool)| (found.holds, found.breaks, several);
        let below = find(&|value| value < 37.0, 64.0);
        assert_eq!(ends(below), (Some(36.0), Some(37.0), false));
        let above = find(&|value| value > 3.0, 64.0);
        assert_eq!(ends(above), (Some(4.0), Some(3.0), false));
        let (found, several) = find(&|value| !(20.0..500.0).contains(&value), 1_000.0);
        assert!(
            several && found.holds < Some(20.0) && found.breaks >= Some(20.0),
            "{found:?}"
        );
        assert_eq!(ends(find(&|_| true, 64.0)), (Some(64.0), None, false));
        assert_eq!(ends(find(&|_| false, 64.0)), (None, Some(64.0), false));
    }

    #[test]
    fn without_a_cliff_one_end_is_missing() {
        let (found, _) = search(|_| Stand::Holds);
        assert_eq!((found.holds, found.breaks), (Some(1024.0), None));
        let (found, _) = search(|_| Stand::Breaks);
        assert_eq!((found.holds, found.breaks), (None, Some(1.0 / 1024.0)));
    }

    #[test]
    fn what_the_runs_do_not_tell_stays_between_the_ends() {
        let (found, runs) = search(|value| match value {
            v if v < 2.2 => Stand::Holds,
            v if v < 3.1 => Stand::Unclear,
            _ => Stand::Breaks,
        });
        let (holds, breaks) = (found.holds.expect("below"), found.breaks.expect("above"));
        assert!(holds < 2.2 && breaks >= 3.1, "{holds} {breaks}");
        assert!(holds > 1.9 && breaks < 3.6, "{holds} {breaks}");
        assert!(runs < 20, "{runs}");
    }
}
