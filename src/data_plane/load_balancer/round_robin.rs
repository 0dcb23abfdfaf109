//! Round robin with equal weights; unequal ones are scheduled by [`super::edf`].

/// The host whose turn it is. The index starts at the worker's seed and survives changes of
/// the list, so the list's length changes under it.
#[inline]
pub(super) fn turn(hosts: &[u32], index: &mut u64) -> Option<u32> {
    let at = index.checked_rem(hosts.len() as u64)?;
    *index = index.wrapping_add(1);
    Some(hosts[at as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_survives_a_change_of_the_list() {
        let mut index = 5;
        let all: Vec<_> = (0..4)
            .map(|_| turn(&[10, 11, 12], &mut index).unwrap())
            .collect();
        assert_eq!(all, [12, 10, 11, 12]);
        assert_eq!(turn(&[10, 11], &mut index), Some(11), "9 % 2");
        assert_eq!(turn(&[], &mut index), None);
    }
}
