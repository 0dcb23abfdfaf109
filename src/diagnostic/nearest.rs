//! The nearest known name to a mistyped one.

/// The candidate at most two edits away; the first of the nearest.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = if word.chars().count() <= 3 { 1 } else { 2 };
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if word.eq_ignore_ascii_case(candidate) {
            return Some(candidate);
        }
        let distance = distance(word, candidate);
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Levenshtein distance; anything beyond names of reasonable length is far away.
fn distance(a: &str, b: &str) -> usize {
    const LEN_MAX: usize = 64;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 2 || a.len() > LEN_MAX {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_within_two_edits_is_proposed() {
        let names = ["timeout", "retries", "route", "rewrite"];
        assert_eq!(nearest("retires", names), Some("retries"));
        assert_eq!(nearest("Timeout", names), Some("timeout"));
        assert_eq!(nearest("rout", names), Some("route"));
        assert_eq!(nearest("mirror", names), None);
        assert_eq!(nearest("to", ["tcp"]), None);
    }
}
