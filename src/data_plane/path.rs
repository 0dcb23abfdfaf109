//! The request path as routes see it: fragment off, query apart, dot segments resolved.
//!
//! istiod switches `normalize_path` on (mesh default BASE); slashes are not merged.

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
    let slashed = path.replace('\\', "/");
    let mut kept: Vec<&str> = Vec::new();
    let mut open = false;
    for segment in slashed[1..].split('/') {
        let dots = dots(segment);
        open = dots > 0;
        match dots {
            0 => kept.push(segment),
            1 => {}
            _ => {
                kept.pop();
            }
        }
    }
    let mut out = String::with_capacity(slashed.len());
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

/// One look at each byte: most paths have nothing to resolve.
fn is_suspicious(path: &str) -> bool {
    let mut after_slash = false;
    for byte in path.bytes() {
        match byte {
            b'\\' | b'%' => return true,
            b'.' if after_slash => return true,
            _ => after_slash = byte == b'/',
        }
    }
    false
}

/// 1 for `.`, 2 for `..`, in any spelling; 0 for anything else.
fn dots(segment: &str) -> usize {
    let mut rest = segment;
    let mut count = 0;
    while !rest.is_empty() {
        let tail = rest
            .strip_prefix('.')
            .or_else(|| rest.strip_prefix("%2e"))
            .or_else(|| rest.strip_prefix("%2E"));
        match tail {
            Some(tail) if count < 2 => {
                rest = tail;
                count += 1;
            }
            _ => return 0,
        }
    }
    count
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
