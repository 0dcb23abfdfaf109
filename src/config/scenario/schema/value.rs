//! Texts and numbers that may be written in more than one way.

use schemars::JsonSchema;

/// A header's text.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum PlainValue {
    Text(String),
    Number(f64),
    Bool(bool),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum TextOrNumber {
    Text(String),
    Number(f64),
}

/// A text, or drawn for every request.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum HeaderValue {
    Text(String),
    Number(f64),
    Bool(bool),
    Drawn(DrawnHeader),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum DrawnHeader {
    /// All equally likely.
    Uniform(UniformHeader),
    /// The k-th with weight 1/k^exponent.
    Zipf(ZipfHeader),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct UniformHeader {
    /// Text before the number.
    prefix: Option<String>,
    /// Numbers 0 to count - 1.
    #[schemars(range(min = 1))]
    count: u64,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ZipfHeader {
    /// Text before the number.
    prefix: Option<String>,
    /// Numbers 0 to count - 1.
    #[schemars(range(min = 1))]
    count: u64,
    /// 1.0 when not written.
    #[schemars(range(min = 0, max = 10))]
    exponent: Option<f64>,
}
