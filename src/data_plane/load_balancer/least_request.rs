//! LEAST_REQUEST with equal weights; unequal ones are scheduled by [`super::edf`].

/// The best of `choices` random draws, made with replacement: the first is kept unless a
/// later one has strictly fewer active requests. Returns the host and its active requests.
#[inline]
pub(super) fn best_of(
    hosts: &[u32],
    choices: u32,
    draw: &mut impl FnMut() -> u64,
    active: &impl Fn(u32) -> u32,
) -> Option<(u32, u32)> {
    if let [only] = hosts {
        return Some((*only, active(*only)));
    }
    let count = hosts.len() as u64;
    let mut best = hosts[draw().checked_rem(count)? as usize];
    let mut fewest = active(best);
    for _ in 1..choices {
        let other = hosts[(draw() % count) as usize];
        let theirs = active(other);
        if theirs < fewest {
            (best, fewest) = (other, theirs);
        }
    }
    Some((best, fewest))
}

/// [`best_of`] two draws where the candidates are the hosts 0 to `count` - 1 themselves.
#[expect(clippy::inline_always, reason = "once per call, in one place")]
#[inline(always)]
pub(super) fn better_of_two(
    count: u32,
    draw: &mut impl FnMut() -> u64,
    active: impl Fn(u32) -> u32,
) -> u32 {
    let count = u64::from(count);
    let first = (draw() % count) as u32;
    let second = (draw() % count) as u32;
    if active(second) < active(first) {
        second
    } else {
        first
    }
}

/// The least loaded of all (`FULL_SCAN`); of equal ones each with the same chance.
pub(super) fn least_of_all(
    hosts: &[u32],
    draw: &mut impl FnMut() -> u64,
    active: &impl Fn(u32) -> u32,
) -> Option<(u32, u32)> {
    let mut best = *hosts.first()?;
    let (mut fewest, mut tied) = (active(best), 1);
    for host in &hosts[1..] {
        let theirs = active(*host);
        if theirs < fewest {
            (best, fewest, tied) = (*host, theirs, 1);
        } else if theirs == fewest {
            tied += 1;
            if draw().is_multiple_of(tied) {
                best = *host;
            }
        }
    }
    Some((best, fewest))
}

/// Weight in the schedule: active requests divide it, the more the greater the bias (thousandths).
#[inline]
pub(super) fn scheduled_weight(weight: f64, active: u32, bias: u32) -> f64 {
    let load = f64::from(active) + 1.0;
    match bias {
        1000 => weight / load,
        0 => weight,
        bias => weight / libm::pow(load, f64::from(bias) / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Picks of host 0 in four: one of every pair of draws.
    fn picks(active: [u32; 2]) -> u32 {
        let mut first = 0;
        for pair in 0..4_u64 {
            let mut draws = [pair & 1, pair >> 1].into_iter();
            let mut draw = || draws.next().unwrap();
            let (host, _) = best_of(&[0, 1], 2, &mut draw, &|h| active[h as usize]).unwrap();
            first += u32::from(host == 0);
        }
        first
    }

    #[test]
    fn the_busier_of_two_hosts_still_gets_a_quarter() {
        assert_eq!(picks([1, 0]), 1);
        assert_eq!(picks([0, 0]), 2);
        assert_eq!(picks([0, 7]), 3);
    }

    #[test]
    fn of_all_hosts_the_shortcut_picks_the_same() {
        let active = |host: u32| host * 7 % 5;
        for pair in 0..400_u64 {
            let words = [pair * 0x9e37_79b9, pair ^ 0x5bd1];
            let hosts: Vec<u32> = (0..9).collect();
            let (mut one, mut other) = (words.into_iter(), words.into_iter());
            let slow = best_of(&hosts, 2, &mut || one.next().unwrap(), &active);
            let fast = better_of_two(9, &mut || other.next().unwrap(), active);
            assert_eq!(slow.unwrap().0, fast);
        }
    }

    #[test]
    fn a_full_scan_finds_the_least_loaded_and_draws_among_equals() {
        let active = |host: u32| [3, 1, 2, 1, 1][host as usize];
        let pick = |draws: [u64; 2]| {
            let mut draws = draws.into_iter();
            let mut draw = || draws.next().unwrap();
            least_of_all(&[0, 1, 2, 3, 4], &mut draw, &active).unwrap()
        };
        assert_eq!(pick([1, 1]), (1, 1));
        assert_eq!(pick([0, 1]), (3, 1));
        assert_eq!(pick([0, 3]), (4, 1));
        assert_eq!(least_of_all(&[], &mut || 0, &active), None);
    }

    #[test]
    fn the_bias_says_how_much_active_requests_take() {
        let weight = |bias| scheduled_weight(12.0, 3, bias);
        assert_eq!((weight(1000), weight(0)), (3.0, 12.0));
        assert!((weight(500) - 6.0).abs() < 1e-9);
    }

    #[test]
    fn nobody_is_chosen_from_nobody() {
        assert_eq!(best_of(&[], 2, &mut || 0, &|_| 0), None);
    }
}
