//! Choices of randomised routing: VirtualServices and requests, the same for the same seed.

use std::fmt::Write as _;

use serde_json::{Value, json};
use towtank::engine::Draws;

/// Request headers that are looked at behind Envoy.
pub(crate) const SEEN: &[&str] = &["x-a", "x-b", "x-new"];

/// Few words, so that matches and near misses are common.
const SEGMENTS: &[&str] = &["a", "A", "ab", "b", "api", "v1", "v10", ""];
/// What requests have besides: dots, letters in percent signs.
const ODD_SEGMENTS: &[&str] = &["..", ".", "%61", "%2f", "a;v=1", "b+c"];
const REGEX_REWRITES: &[(&str, &str)] = &[
    ("^/(\\w+)/(.*)$", "/\\2/\\1"),
    ("a", "z"),
    ("/+", "/"),
    ("^/api", "/x"),
    ("(v)(\\d)", "\\2\\1\\0"),
];
const HEADERS: &[&str] = &["x-a", "x-b", "end-user"];
const VALUES: &[&str] = &["1", "12", "jason", "Jason", ""];
const REGEXES: &[&str] = &[".*", "1.*", "[a-z]+", "j.son", "(1|12)", "^1$"];
const PATH_REGEXES: &[&str] = &[
    "/a.*",
    "/(api|b)/.*",
    "/[^/]*",
    ".*",
    "/v1/?.*",
    "/api/v\\d+",
];
const METHODS: &[&str] = &["GET", "POST", "DELETE"];

/// Seeded choices.
pub(crate) struct Dice(Draws);

impl Dice {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Draws::keyed(seed))
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.0.below(of.len() as u64) as usize]
    }

    /// True once in `n`.
    fn once_in(&mut self, n: u64) -> bool {
        self.0.below(n) == 0
    }

    fn path(&mut self) -> String {
        let mut path = String::new();
        for _ in 0..=self.0.below(3) {
            path.push('/');
            path.push_str(self.one(SEGMENTS));
        }
        path
    }

    fn text_match(&mut self) -> Value {
        match self.0.below(4) {
            0 => json!({"exact": self.one(VALUES)}),
            1 => json!({"prefix": self.one(&["1", "j", "J"])}),
            2 => json!({"regex": self.one(REGEXES)}),
            _ => json!({"exact": self.one(&["1", "jason"])}),
        }
    }

    fn block(&mut self) -> Value {
        let mut block = json!({});
        match self.0.below(5) {
            0 => block["uri"] = json!({"exact": self.path()}),
            1 | 2 => block["uri"] = json!({"prefix": self.path()}),
            3 => block["uri"] = json!({"regex": self.one(PATH_REGEXES)}),
            _ => {}
        }
        if self.once_in(4) {
            block["ignoreUriCase"] = json!(true);
        }
        if self.once_in(3) {
            let value = if self.once_in(4) {
                json!({})
            } else {
                self.text_match()
            };
            block["headers"] = json!({self.one(HEADERS): value});
        }
        if self.once_in(4) {
            let value = if self.once_in(3) {
                json!({})
            } else {
                self.text_match()
            };
            block["withoutHeaders"] = json!({self.one(HEADERS): value});
        }
        if self.once_in(4) {
            block["queryParams"] = json!({self.one(&["q", "r"]): self.text_match()});
        }
        if self.once_in(5) {
            block["method"] = json!({"exact": self.one(METHODS)});
        }
        if block == json!({}) || block == json!({"ignoreUriCase": true}) {
            block["uri"] = json!({"prefix": self.path()});
        }
        block
    }

    fn rule(&mut self, number: u64) -> Value {
        let mut rule = json!({"headers": {"response": {"set": {"x-rule": number.to_string()}}}});
        if !self.once_in(8) {
            let blocks: Vec<Value> = (0..=self.0.below(2)).map(|_| self.block()).collect();
            rule["match"] = blocks.into();
        }
        match self.0.below(6) {
            0 => rule["redirect"] = self.redirect(),
            1 => {
                // Not 201: Envoy adds a `location` to that one.
                rule["directResponse"] = json!({"status": 210 + number, "body": {"string": "x"}});
            }
            _ => {
                rule["route"] = json!([{"destination": {"host": "web"}}]);
                match self.0.below(4) {
                    0 => rule["rewrite"] = json!({"uri": self.path()}),
                    1 => {
                        let at = self.0.below(REGEX_REWRITES.len() as u64) as usize;
                        let (from, to) = REGEX_REWRITES[at];
                        rule["rewrite"] =
                            json!({"uriRegexRewrite": {"match": from, "rewrite": to}});
                    }
                    2 => rule["rewrite"] = json!({"authority": "inner.test"}),
                    _ => {}
                }
                if self.once_in(3) {
                    rule["headers"]["request"] = self.request_headers();
                }
            }
        }
        rule
    }

    fn redirect(&mut self) -> Value {
        let mut redirect = json!({});
        if !self.once_in(3) {
            redirect["uri"] = json!(self.path());
        }
        if self.once_in(2) {
            redirect["authority"] = json!(self.one(&["other.test", "other.test:8080"]));
        }
        match self.0.below(4) {
            0 => redirect["scheme"] = json!("https"),
            1 => redirect["port"] = json!(8443),
            _ => {}
        }
        if redirect == json!({}) {
            redirect["scheme"] = json!("https");
        }
        if self.once_in(2) {
            let at = self.0.below(4) as usize;
            redirect["redirectCode"] = json!([302, 303, 307, 308][at]);
        }
        redirect
    }

    fn request_headers(&mut self) -> Value {
        let mut operations = json!({});
        if self.once_in(2) {
            operations["set"] = json!({self.one(SEEN): "set"});
        }
        if self.once_in(2) {
            operations["add"] = json!({self.one(SEEN): "added"});
        }
        if self.once_in(3) {
            operations["remove"] = json!([self.one(SEEN)]);
        }
        operations
    }

    pub(crate) fn virtual_service(&mut self, host: u64) -> Value {
        let rules: Vec<Value> = (0..=self.0.below(5)).map(|n| self.rule(n)).collect();
        json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": format!("h{host}"), "namespace": "lab"},
            "spec": {"hosts": [format!("h{host}")], "http": rules}})
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) host: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Dice {
    pub(crate) fn asked(&mut self, host: u64) -> Asked {
        let mut path = self.path();
        if self.once_in(6) {
            let _ = write!(path, "/{}/{}", self.one(ODD_SEGMENTS), self.one(SEGMENTS));
        }
        let mut sign = '?';
        while self.once_in(3) {
            let _ = write!(path, "{sign}{}={}", self.one(&["q", "r"]), self.one(VALUES));
            sign = '&';
        }
        let mut headers = Vec::new();
        for name in HEADERS {
            while self.once_in(3) {
                headers.push(((*name).to_owned(), self.one(VALUES).to_owned()));
            }
        }
        let host = match self.0.below(6) {
            0 => format!("H{host}"),
            1 => format!("h{host}:80"),
            2 => format!("h{host}.lab"),
            _ => format!("h{host}"),
        };
        Asked {
            host,
            method: self.one(METHODS).to_owned(),
            path,
            headers,
        }
    }
}
