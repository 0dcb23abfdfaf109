//! RANDOM: uniform over the candidates, weights ignored.

/// The candidate at `hash % n`. It is the same number that chose the priority, so with
/// several priorities the hosts of one are not equally likely.
#[inline]
pub(super) fn any(hosts: &[u32], hash: u64) -> Option<u32> {
    let at = hash.checked_rem(hosts.len() as u64)?;
    Some(hosts[at as usize])
}

#[cfg(test)]
mod tests {
    use super::super::priority::choose_priority;
    use super::*;

    #[test]
    fn one_number_for_priority_and_host_skews_the_hosts() {
        // Measured: loads 35/65 and 50 hosts in P1 give indexes 35–49 twice the share.
        let hosts: Vec<u32> = (0..50).collect();
        let mut counts = [0; 50];
        for hash in (0..100).filter(|h| choose_priority(&[35, 65], *h) == 1) {
            counts[any(&hosts, hash).unwrap() as usize] += 1;
        }
        assert!(counts[..35].iter().all(|c| *c == 1));
        assert!(counts[35..].iter().all(|c| *c == 2));
    }
}
