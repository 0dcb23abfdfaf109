//! The request path as routes see it: fragment off, query apart, normalised.
//!
//! istiod switches `normalize_path` on (mesh default BASE): dot segments are resolved, backslashes
//! become slashes, percent-encoded letters, digits, `-`, `.`, `_` and `~` are decoded, and
//! `"<>^`{|}` are encoded. Slashes are not merged, `%2F` stays (all measured on Envoy 1.40).

use std::borrow::Cow;

/// A request path taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// Normalised, without query.
    pub(crate) path: Cow<'a, str>,
    /// Text after the first `?`.
    pub(crate) query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Takes `path?query#fragment` apart.
    pub(crate) fn of(text: &'a str) -> Self {
        let text = text.split_once('#').map_or(text, |(before, _)| before);
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        Self {
            path: normalise(path),
            query,
        }
    }

    /// Path and query joined again.
    pub(crate) fn joined(&self) -> String {
        with_query(&self.path, self.query)
    }
}

/// Appends the query, if there is one.
pub(crate) fn with_query(path: &str, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// First value of a query parameter, as sent: nothing is decoded, names are case sensitive.
pub(crate) fn query_value<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}

/// Resolves dot segments, percent-encoded ones too, and turns backslashes into slashes.
fn normalise(path: &str) -> Cow<'_, str> {
    if !path.starts_with(['/', '\\']) || !is_suspicious(path) {
        return Cow::Borrowed(path);
    }
    let plain = recoded(path);
    let mut kept: Vec<&str> = Vec::new();
    let mut open = false;
    for segment in plain[1..].split('/') {
        open = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    let mut out = String::with_capacity(plain.len());
    for segment in kept {
        out.push('/');
        out.push_str(segment);
    }
    // A path that ended in a dot segment names the directory.
    if open {
        out.push('/');
    }
    Cow::Owned(out)
}

/// Every character in the one spelling that matchers see.
fn recoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(next) = rest.chars().next() {
        rest = &rest[next.len_utf8()..];
        match next {
            '\\' => out.push('/'),
            '%' => match unreserved(rest) {
                Some(plain) => {
                    out.push(plain);
                    rest = &rest[2..];
                }
                None => out.push('%'),
            },
            '"' => out.push_str("%22"),
            '<' => out.push_str("%3C"),
            '>' => out.push_str("%3E"),
            '^' => out.push_str("%5E"),
            '`' => out.push_str("%60"),
            '{' => out.push_str("%7B"),
            '|' => out.push_str("%7C"),
            '}' => out.push_str("%7D"),
            other => out.push(other),
        }
    }
    out
}

/// The character of two hexadecimal digits, if it need not be encoded.
fn unreserved(digits: &str) -> Option<char> {
    let digits = digits.get(..2)?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let plain = char::from(u8::from_str_radix(digits, 16).ok()?);
    (plain.is_ascii_alphanumeric() || matches!(plain, '-' | '.' | '_' | '~')).then_some(plain)
}

/// One look at each byte: most paths have nothing to resolve.
fn is_suspicious(path: &str) -> bool {
    let mut after_slash = false;
    for byte in path.bytes() {
        match byte {
            b'\\' | b'%' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' => return true,
            b'.' if after_slash => return true,
            _ => after_slash = byte == b'/',
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, path: &str, query: Option<&str>) {
        let target = Target::of(text);
        assert_eq!((&*target.path, target.query), (path, query), "{text}");
    }

    #[test]
    fn dot_segments_are_resolved_in_every_spelling() {
        check("/a/./b", "/a/b", None);
        check("/a/../b?x=/../", "/b", Some("x=/../"));
        check("/a/%2e%2E/b", "/b", None);
        check("/a/..", "/", None);
        check("/a/.", "/a/", None);
        check("/../../x", "/x", None);
        check("/a//../b", "/a/b", None);
        check("/...", "/...", None);
        check("/.hidden/x", "/.hidden/x", None);
    }

    #[test]
    fn characters_have_one_spelling() {
        check("/%41bc%2Dd%7e%5F%30", "/Abc-d~_0", None);
        check("/a%2F%25%20%3a", "/a%2F%25%20%3a", None);
        check("/a|b<c>^`{}\"", "/a%7Cb%3Cc%3E%5E%60%7B%7D%22", None);
        check("/a\\..\\b?q=%41", "/b", Some("q=%41"));
        check("/%zz/%4/%é", "/%zz/%4/%é", None);
    }

    #[test]
    fn slashes_stay_and_the_fragment_goes() {
        check("/a//b%2Fc#top", "/a//b%2Fc", None);
        check("/a?x=1#?y", "/a", Some("x=1"));
        check("*", "*", None);
    }

    #[test]
    fn only_the_first_value_of_a_parameter_counts() {
        let query = Some("a=1&b&a=2&c=%20");
        assert_eq!(query_value(query, "a"), Some("1"));
        assert_eq!(query_value(query, "b"), Some(""));
        assert_eq!(query_value(query, "c"), Some("%20"));
        assert_eq!(query_value(query, "A"), None);
        assert_eq!(query_value(None, "a"), None);
    }
}
