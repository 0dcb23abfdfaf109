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
