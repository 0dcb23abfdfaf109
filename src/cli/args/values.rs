//! Values of flags that need more than their type: each refusal says what to write instead.

use std::str::FromStr;

use crate::config::scenario::DURATION_MAX;
use crate::units::{Rate, SimDuration};

/// An HTTP method in capitals.
pub(super) fn method(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(is_token) {
        return Err("this is not an HTTP method; write for example `POST`".to_owned());
    }
    Ok(text.to_ascii_uppercase())
}

/// A namespace, as Kubernetes names them: a DNS label (RFC 1123).
pub(super) fn namespace(text: &str) -> Result<String, String> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let ends = !text.starts_with('-') && !text.ends_with('-');
    if text.is_empty() || text.len() > 63 || !text.bytes().all(inner) || !ends {
        return Err(
            "a namespace is 1 to 63 lower-case letters, digits and `-`; write for example `production`"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// A rate above zero.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    let rate: Rate = text.parse()?;
    if rate.is_zero() {
        return Err("a rate of zero sends nothing; write for example `200/s`".to_owned());
    }
    Ok(rate)
}

/// How long load is offered: above zero, and no longer than a Scenario may.
pub(super) fn duration(text: &str) -> Result<SimDuration, String> {
    let length = text.parse::<SimDuration>();
    let length = length.map_err(|why| why.to_string())?;
    if length.is_zero() {
        return Err("a duration of zero simulates nothing; write for example `60s`".to_owned());
    }
    if length > DURATION_MAX {
        return Err(format!(
            "the longest duration is {DURATION_MAX}; write for example `60s`"
        ));
    }
    Ok(length)
}

/// A seed.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("a seed is a whole number between 0 and {}", u64::MAX))
}

/// Characters of methods and header names (RFC 9110 §5.6.2).
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// A request header as curl takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderArg {
    /// Lower case.
    pub name: String,
    /// Without surrounding blanks.
    pub value: String,
}

impl FromStr for HeaderArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("`{text}` is not a header: {why}; write for example `user-group: beta-testers`")
        };
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| wrong("the colon is missing"))?;
        let name = name.trim().to_ascii_lowercase();
        if name.is_empty() {
            return Err(wrong("the name is missing"));
        }
        if !name.bytes().all(is_token) {
            return Err(wrong(
                "the name holds a character that header names cannot have",
            ));
        }
        Ok(Self {
            name,
            value: value.trim().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_curl_reads_them() {
        let header: HeaderArg = "User-Group:  beta: testers ".parse().unwrap();
        assert_eq!(
            (&*header.name, &*header.value),
            ("user-group", "beta: testers")
        );
        for wrong in ["no colon", ": value", "a b: c", "é: 1"] {
            assert!(wrong.parse::<HeaderArg>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_way_out() {
        let wrong = [
            method("").unwrap_err(),
            method("G T").unwrap_err(),
            namespace("").unwrap_err(),
            namespace("Production").unwrap_err(),
            namespace("a/b").unwrap_err(),
            rate("0/s").unwrap_err(),
            rate("-5/s").unwrap_err(),
            duration("0s").unwrap_err(),
            duration("-5s").unwrap_err(),
            duration("99999h").unwrap_err(),
        ];
        for said in wrong {
            assert!(
                said.contains("write for example") || said.contains("negative"),
                "{said}"
            );
        }
        assert!(seed("-1").is_err() && seed("99999999999999999999").is_err());
        assert_eq!(method("post").unwrap(), "POST");
        assert_eq!(namespace("team-1").unwrap(), "team-1");
    }
}
