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

/// Weight in the schedule: active requests divide it (`active_request_bias` 1).
#[inline]
pub(super) fn scheduled_weight(weight: f64, active: u32) -> f64 {
    weight / (f64::from(active) + 1.0)
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
    fn nobody_is_chosen_from_nobody() {
        assert_eq!(best_of(&[], 2, &mut || 0, &|_| 0), None);
    }
}
