//! Which type a plain scalar has: YAML 1.1 as Kubernetes' reader applies it.
//!
//! `kubectl` and the API server read through go-yaml v2 (`resolve.go`): `yes`, `on` and `y`
//! are booleans, `0644` is octal, underscores in numbers vanish, `1:30` stays text.

use std::sync::Arc;

use super::tree::Value;

/// The value of a plain (unquoted) scalar.
pub(super) fn resolve_plain(text: &str, share: impl FnOnce(&str) -> Arc<str>) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let numeric_start = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.'));
    if numeric_start && let Some(value) = number(text) {
        return value;
    }
    Value::text(share(text))
}

/// A number by the rules of Go's `ParseInt(…, 0, 64)`, then by go-yaml's float pattern.
fn number(text: &str) -> Option<Value> {
    if text.len() > 64 {
        return None;
    }
    let plain: String = text.chars().filter(|&c| c != '_').collect();
    if let Some(integer) = integer(&plain) {
        return Some(Value::Integer(integer));
    }
    let float = if plain.starts_with('.') { text } else { &plain };
    is_float(float).then(|| Value::Float(float.parse().unwrap_or(f64::NAN)))
}

fn integer(plain: &str) -> Option<i64> {
    let (negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, &plain[1..]),
        b'+' => (false, &plain[1..]),
        _ => (false, plain),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_float(text: &str) -> bool {
    let skip_sign = |t: &str| t.strip_prefix(['-', '+']).map_or(t.len(), str::len);
    let rest = &text[text.len() - skip_sign(text)..];
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        None => digits(mantissa),
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
    };
    let exponent_ok = exponent.is_none_or(|e| digits(&e[e.len() - skip_sign(e)..]));
    mantissa_ok && exponent_ok
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &Value) {
        assert_eq!(&resolve_plain(text, |t| Arc::from(t)), expected, "{text}");
    }

    #[test]
    fn yaml_1_1_words_are_booleans_and_nulls() {
        for text in ["y", "yes", "On", "TRUE"] {
            check(text, &Value::Bool(true));
        }
        for text in ["n", "no", "OFF", "false"] {
            check(text, &Value::Bool(false));
        }
        for text in ["", "~", "Null"] {
            check(text, &Value::Null);
        }
        check("yEs", &Value::text("yEs"));
    }

    #[test]
    fn numbers_follow_go() {
        check("0644", &Value::Integer(0o644));
        check("0o17", &Value::Integer(15));
        check("0x1F", &Value::Integer(31));
        check("-0b11", &Value::Integer(-3));
        check("1_000", &Value::Integer(1000));
        check("08", &Value::Float(8.0));
        check("1e3", &Value::Float(1000.0));
        check("5.", &Value::Float(5.0));
        check(".5", &Value::Float(0.5));
        check("-9223372036854775808", &Value::Integer(i64::MIN));
        check(
            "18446744073709551615",
            &Value::Float(18_446_744_073_709_551_615.0),
        );
    }

    #[test]
    fn what_only_looks_like_a_number_stays_text() {
        for text in [
            "1.2.3",
            "10.0.0.1",
            "1:30",
            "5s",
            "-",
            "+",
            ".",
            "0x",
            "-e5",
            "1e",
            "2001-01-01",
            "v1",
        ] {
            check(text, &Value::text(text));
        }
    }
}
