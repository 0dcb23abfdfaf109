//! The URL a client calls.

use std::fmt;
use std::sync::Arc;

/// `http://host:port/path?query`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Url {
    /// `http` or `https`.
    pub scheme: Arc<str>,
    /// Host as written, lower case.
    pub host: Arc<str>,
    /// Port; the scheme's default when it was not written.
    pub port: u16,
    /// True when the port was written (it is then part of `:authority`).
    pub port_written: bool,
    /// Path with query, starting with `/`.
    pub path: Arc<str>,
}

impl Url {
    /// Reads a URL; the scheme may be left out (`http` is meant).
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("`{text}` is not a URL: {why}; write for example `http://reviews:9080/reviews`")
        };
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None => ("http".to_owned(), text),
        };
        if scheme != "http" && scheme != "https" && scheme != "grpc" {
            return Err(wrong("the scheme must be http, https or grpc"));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = path.split('#').next().unwrap_or("");
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => {
                let number: u16 = port
                    .parse()
                    .map_err(|_| wrong("the port must be between 1 and 65535"))?;
                (host, Some(number))
            }
            None => (authority, None),
        };
        if host.is_empty() {
            return Err(wrong("the host is missing"));
        }
        if port == Some(0) {
            return Err(wrong("the port must be between 1 and 65535"));
        }
        if host.contains(char::is_whitespace) || path.contains(char::is_whitespace) {
            return Err(wrong("it contains a blank"));
        }
        let default_port = if scheme == "https" { 443 } else { 80 };
        Ok(Self {
            scheme: scheme.into(),
            host: host.to_ascii_lowercase().into(),
            port: port.unwrap_or(default_port),
            port_written: port.is_some(),
            path: path.into(),
        })
    }

    /// `:authority` as an HTTP client would send it.
    pub fn authority(&self) -> String {
        if self.port_written {
            format!("{}:{}", self.host, self.port)
        } else {
            self.host.to_string()
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let url = Url::parse("http://product-service:8080/version?x=1").unwrap();
        assert_eq!(
            (&*url.host, url.port, &*url.path),
            ("product-service", 8080, "/version?x=1")
        );
        assert_eq!(url.to_string(), "http://product-service:8080/version?x=1");
        let bare = Url::parse("reviews").unwrap();
        assert_eq!(
            (bare.port, &*bare.path, bare.authority()),
            (80, "/", "reviews".to_owned())
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "http://", "ftp://x", "http://x:99999/", "http://a b/"] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }
}
