//! Numbers as people read them: few digits, always a unit, never rounded into a claim.

use crate::units::SimDuration;

/// `12,034`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 request`, `12,034 requests`.
pub fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// A length of time with three digits: `850 µs`, `6.13 ms`, `1.25 s`, `2 min 30 s`.
pub fn duration(d: SimDuration) -> String {
    millis(d.as_millis_f64())
}

/// A length of time given in milliseconds; see [`duration`].
pub fn millis(ms: f64) -> String {
    if ms <= 0.0 {
        "0 ms".to_owned()
    } else if ms < 0.9995 {
        format!("{} µs", digits(ms * 1e3))
    } else if ms < 999.5 {
        format!("{} ms", digits(ms))
    } else if ms < 119_950.0 {
        format!("{} s", digits(ms / 1e3))
    } else {
        let s = (ms / 1e3 + 0.5) as u64;
        let (h, m, s) = (s / 3600, s / 60 % 60, s % 60);
        let parts = [(h, "h"), (m, "min"), (s, "s")];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, unit)| format!("{n} {unit}"))
            .collect();
        parts.join(" ")
    }
}

/// Three significant digits without trailing zeros, thousands separated: `0.021`, `6.13`, `1,204`.
pub fn digits(x: f64) -> String {
    if !x.is_finite() {
        return "?".to_owned();
    }
    if x < 0.0 {
        return format!("-{}", digits(-x));
    }
    let decimals = match x {
        _ if x >= 99.95 => return count((x + 0.5) as u64),
        _ if x >= 9.995 => 1,
        _ if x >= 0.9995 => 2,
        _ if x >= 0.09995 => 3,
        _ => 4,
    };
    trim(&format!("{x:.decimals$}"))
}

fn trim(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

/// `200.6/s`.
pub fn rate(per_second: f64) -> String {
    if per_second >= 999.95 {
        format!("{}/s", count((per_second + 0.5) as u64))
    } else {
        format!("{}/s", trim(&format!("{per_second:.1}")))
    }
}

/// A share in per cent: `99.87 %`. Cut off instead of rounded near the ends, so that
/// `100 %` means all and `0 %` means none.
pub fn share(part: u64, total: u64) -> String {
    if total == 0 {
        return "-".to_owned();
    }
    if part == 0 {
        return "0 %".to_owned();
    }
    if part >= total {
        return "100 %".to_owned();
    }
    percent(part as f64 / total as f64)
}

/// A fraction strictly between none and all, in per cent; see [`share`].
pub fn percent(fraction: f64) -> String {
    let percent = fraction * 100.0;
    if percent <= 0.0 {
        "0 %".to_owned()
    } else if percent < 0.01 {
        "<0.01 %".to_owned()
    } else if percent < 100.0 && percent > 99.99 {
        ">99.99 %".to_owned()
    } else if !(10.0..=90.0).contains(&percent) {
        format!("{} %", trim(&format!("{percent:.2}")))
    } else {
        format!("{} %", trim(&format!("{percent:.1}")))
    }
}

/// Breaks `text` at blanks so that no line is longer than `width`: the first line begins with
/// `first`, the others with `indent` blanks. Words longer than a line are cut.
///
/// Only the ordinary blank is a place to break; a no-break space holds words together.
pub fn wrap(text: &str, first: &str, indent: usize, width: usize) -> String {
    let mut out = String::from(first);
    let mut column = first.chars().count();
    let mut at_start = true;
    let room = width.saturating_sub(indent).max(1);
    for word in text
        .split([' ', '\n', '\t'])
        .filter(|word| !word.is_empty())
    {
        let word: Vec<char> = word.chars().collect();
        for piece in word.chunks(room) {
            if !at_start && column + 1 + piece.len() > width {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                column = indent;
                at_start = true;
            }
            if !at_start {
                out.push(' ');
                column += 1;
            }
            out.extend(piece);
            column += piece.len();
            at_start = false;
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        for (n, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(n), text);
        }
    }

    #[test]
    fn times_have_three_digits_and_a_unit() {
        for (ns, text) in [
            (0, "0 ms"),
            (850_000, "850 µs"),
            (999_900, "1 ms"),
            (6_126_000, "6.13 ms"),
            (80_000_000, "80 ms"),
            (7_001_000_000, "7 s"),
            (119_000_000_000, "119 s"),
            (150_000_000_000, "2 min 30 s"),
            (3_600_000_000_000, "1 h"),
        ] {
            assert_eq!(duration(SimDuration::from_ns(ns)), text);
        }
    }

    #[test]
    fn a_share_never_claims_all_or_none() {
        for (part, total, text) in [
            (0, 10, "0 %"),
            (10, 10, "100 %"),
            (99_999_999, 100_000_000, ">99.99 %"),
            (1, 100_000_000, "<0.01 %"),
            (9, 10, "90 %"),
            (1, 3, "33.3 %"),
            (0, 0, "-"),
            (9987, 10_000, "99.87 %"),
        ] {
            assert_eq!(share(part, total), text);
        }
    }

    #[test]
    fn long_sentences_are_broken_at_blanks() {
        let text = wrap("aa bb cc dd", "- ", 2, 7);
        assert_eq!(text, "- aa bb\n  cc dd\n");
    }
}
