//! The entries of `load`: who calls what, and how fast.

use std::sync::Arc;

use super::lengths::{Files, LENGTH_MAX, distribution};
use super::limits::{CONNECTIONS_MAX, DURATION_MAX, REQUESTS_MAX};
use super::profile::{Profile, ProfileShape};
use super::read_call::app_retries;
use super::read_profile::profile;
use super::reader::{Fields, Report};
use super::run::{ArrivalKind, HeaderValue, Load, LoadSource, LoadStyle, MixEntry};
use crate::http::Url;
use crate::manifest::{Node, Value};
use crate::units::{Origin, Rate};
use crate::xds::{Locality, Name};

pub(super) const LOAD_FIELDS: &[&str] = &[
    "name",
    "from",
    "url",
    "method",
    "headers",
    "rate",
    "profile",
    "arrivals",
    "connections",
    "requests",
    "qps",
    "think",
    "rampUp",
    "start",
    "stop",
    "timeout",
    "retries",
    "mix",
];
pub(super) const MIX_FIELDS: &[&str] = &["weight", "url", "method", "headers"];
const WEIGHT_MAX: u32 = 1_000_000;
const PACING_HELP: &str = "open: `rate: 200/s`; closed, as fortio -c 5: `connections: 5`";

/// Reads one entry; `None` when who or what is missing.
pub(super) fn load(
    report: &mut Report,
    node: &Node,
    number: usize,
    files: Files<'_>,
) -> Option<Load> {
    let fields = report.fields(node, "a load", LOAD_FIELDS);
    let name = fields.get("name").and_then(|n| report.text(n));
    let name = name.unwrap_or_else(|| format!("load-{number}").into());
    let help = "name the caller, for example `from: production/curl`";
    let from = fields.need(report, "from", help);
    let from = from.and_then(|node| source(report, node));
    let mix = mix(report, fields.get("mix"));
    let url = match fields.get("url") {
        Some(node) => report.url(node),
        None if !mix.is_empty() && mix.iter().all(|entry| entry.url.is_some()) => {
            mix.first().and_then(|entry| entry.url.clone())
        }
        None => {
            let help = "write for example `url: http://product-service:8080/version`";
            report.missing(node, "url", help);
            None
        }
    };
    let method = fields.get("method").and_then(|n| report.method(n));
    let headers = headers(report, fields.get("headers"));
    let timeout = fields
        .get("timeout")
        .and_then(|n| report.timeout(n, LENGTH_MAX));
    let retries = fields
        .get("retries")
        .and_then(|n| app_retries(report, n, files));
    let [timeout_origin, retries_origin] = ["timeout", "retries"].map(|name| {
        let written = fields.get(name);
        written.map_or(Origin::BUILT_IN, |node| report.origin(node))
    });
    let style = style(report, fields, files);
    let [start, ramp_up] = ["start", "rampUp"].map(|name| {
        let written = fields.get(name);
        let read = written.and_then(|n| report.duration(n, DURATION_MAX));
        read.unwrap_or_default()
    });
    let mut stop = fields
        .get("stop")
        .and_then(|n| report.duration(n, DURATION_MAX));
    if let Some(node) = fields.get("stop")
        && stop.is_some_and(|stop| stop <= start)
    {
        let what = "`stop` is not after `start`: the load would never send".to_owned();
        let help = "both count from the beginning of the run";
        report.error("TT-LOAD-TIME", node, what, help);
        stop = None;
    }
    let (style, profile) = style?;
    Some(Load {
        name,
        from: from?,
        url: url?,
        method: method.unwrap_or_else(|| "GET".into()),
        headers,
        mix,
        style,
        profile,
        start,
        stop,
        ramp_up,
        timeout,
        retries,
        timeout_origin,
        retries_origin,
        origin: report.origin(node),
    })
}

pub(super) fn source(report: &mut Report, node: &Node) -> Option<LoadSource> {
    if let Value::Mapping(_) = &node.value {
        let fields = report.fields(node, "from", &["outside"]);
        let Some(outside) = fields.get("outside") else {
            let help = "a workload `namespace/name`, or `{outside: {locality: us-east}}`";
            report.missing(node, "outside", help);
            return None;
        };
        let fields = report.fields(outside, "outside", &["locality", "via"]);
        let locality = fields.get("locality").and_then(|n| report.locality(n));
        let via = match fields.get("via") {
            Some(node) => {
                let text = report.text(node)?;
                Some(report.workload_name(&text, node)?)
            }
            None => None,
        };
        return Some(LoadSource::Outside {
            locality: locality.map_or_else(Locality::default, |text| Locality::parse(&text)),
            via,
        });
    }
    let text = report.text(node)?;
    let name = report.workload_name(&text, node)?;
    Some(LoadSource::Workload {
        name,
        implied: false,
    })
}

fn style(
    report: &mut Report,
    fields: Fields<'_>,
    files: Files<'_>,
) -> Option<(LoadStyle, Option<Profile>)> {
    let requests = fields
        .get("requests")
        .and_then(|n| report.count(n, 1, REQUESTS_MAX));
    let profile = match fields.get("profile") {
        Some(node) if fields.get("connections").is_none() => Some(profile(report, node, files)?),
        _ => None,
    };
    let shape = profile.as_ref().map(|profile| &profile.shape);
    if let (Some(ProfileShape::Points(_)), Some(node)) = (shape, fields.get("rate")) {
        let what = "`rate` and a file of rates exclude each other".to_owned();
        report.error("TT-LOAD-PACING", node, what, "the file gives the rates");
        return None;
    }
    match (fields.get("rate"), fields.get("connections")) {
        // A file needs no other rate, and stages may begin at none, as k6's do.
        (None, None)
            if matches!(
                shape,
                Some(ProfileShape::Points(_) | ProfileShape::Stages(_))
            ) =>
        {
            misplaced(report, fields, &["qps", "think", "rampUp"], "connections");
            Some((open(report, fields, Rate::default(), requests), profile))
        }
        (Some(_), Some(both)) => {
            let what = "`rate` and `connections` exclude each other: requests come at a rate, or when the last was answered".to_owned();
            report.error("TT-LOAD-PACING", both, what, PACING_HELP);
            None
        }
        (None, None) => {
            let what = "neither `rate` nor `connections` says how fast requests come".to_owned();
            report.error("TT-LOAD-PACING", fields.node, what, PACING_HELP);
            None
        }
        (Some(rate), None) => {
            misplaced(report, fields, &["qps", "think", "rampUp"], "connections");
            let rate = if matches!(shape, Some(ProfileShape::Stages(_))) {
                report.parsed(rate, "TT-RATE")
            } else {
                positive_rate(report, rate)
            };
            let rate = rate?;
            Some((open(report, fields, rate, requests), profile))
        }
        (None, Some(connections)) => {
            misplaced(report, fields, &["arrivals", "profile"], "rate");
            let qps = match fields.get("qps") {
                // fortio's spelling of "as fast as it goes".
                Some(node) if node.value == Value::Integer(0) => None,
                Some(node) => positive_rate(report, node),
                None => None,
            };
            let think = fields.get("think");
            let think = think.and_then(|n| distribution(report, n, files));
            let style = LoadStyle::Closed {
                connections: report.count32(connections, 1, CONNECTIONS_MAX)?,
                requests,
                qps,
                think,
            };
            Some((style, None))
        }
    }
}

fn open(report: &mut Report, fields: Fields<'_>, rate: Rate, requests: Option<u64>) -> LoadStyle {
    let kinds = [
        ("poisson", ArrivalKind::Poisson),
        ("constant", ArrivalKind::Constant),
    ];
    let arrivals = fields.get("arrivals").and_then(|n| report.word(n, &kinds));
    LoadStyle::Open {
        rate,
        arrivals: arrivals.unwrap_or_default(),
        requests,
    }
}

/// Reports fields that belong to the other way of pacing.
fn misplaced(report: &mut Report, fields: Fields<'_>, names: &[&str], owner: &str) {
    for name in names {
        if let Some(node) = fields.get(name) {
            let what = format!("`{name}` goes with `{owner}` only");
            report.error("TT-LOAD-PACING", node, what, PACING_HELP);
        }
    }
}

fn positive_rate(report: &mut Report, node: &Node) -> Option<Rate> {
    let rate: Rate = report.parsed(node, "TT-RATE")?;
    if rate.is_zero() {
        let what = "a rate of zero sends nothing".to_owned();
        report.error("TT-RATE", node, what, "write for example `200/s`");
        return None;
    }
    Some(rate)
}

fn mix(report: &mut Report, node: Option<&Node>) -> Vec<MixEntry> {
    let mut entries = Vec::new();
    for item in report.list(node, "kinds of request") {
        let fields = report.fields(item, "an entry of mix", MIX_FIELDS);
        let weight = fields.need(report, "weight", "write for example `weight: 9`");
        let weight = weight.and_then(|node| report.count32(node, 0, WEIGHT_MAX));
        let url: Option<Url> = fields.get("url").and_then(|n| report.url(n));
        let method = fields.get("method").and_then(|n| report.method(n));
        let headers = headers(report, fields.get("headers"));
        entries.push(MixEntry {
            weight: weight.unwrap_or(1),
            url,
            method,
            headers,
        });
    }
    if let Some(node) = node
        && !entries.is_empty()
        && entries.iter().all(|entry| entry.weight == 0)
    {
        let what =
            "the weights of `mix` add up to zero: no kind of request is ever sent".to_owned();
        let help = "give at least one entry a weight above zero";
        report.error("TT-WEIGHTS", node, what, help);
    }
    entries
}

/// Reads a mapping of header names to values; names become lower case, as HTTP/2 sends them.
pub(super) fn headers(report: &mut Report, node: Option<&Node>) -> Vec<(Name, HeaderValue)> {
    let Some(node) = node else {
        return Vec::new();
    };
    if !matches!(node.value, Value::Mapping(_)) {
        let what = format!("expected a mapping, found {}", node.value.describe());
        let help = "write for example `headers: {user-group: beta-testers}`";
        report.error("TT-WRONG-TYPE", node, what, help);
    }
    let mut read: Vec<(Name, HeaderValue)> = Vec::new();
    for (key, value) in node.entries() {
        let name: Name = key.text.to_ascii_lowercase().into();
        if name.is_empty() || !name.bytes().all(is_token) {
            let what = format!("`{name}` is not a header name");
            report.error("TT-HEADER", value, what, "");
        } else if read.iter().any(|(known, _)| *known == name) {
            let what =
                format!("header `{name}` is given twice (upper and lower case are the same)");
            report.error("TT-HEADER", value, what, "");
        } else if let Some(value) = header_value(report, value) {
            read.push((name, value));
        }
    }
    read
}

/// Header names are tokens (RFC 9110 §5.6.2); pseudo-headers such as `:authority` are not.
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

fn header_value(report: &mut Report, node: &Node) -> Option<HeaderValue> {
    let Value::Mapping(mapping) = &node.value else {
        return report.text(node).map(HeaderValue::Text);
    };
    let help = "write a text, `{uniform: {prefix: user-, count: 1000}}` or `{zipf: {prefix: user-, count: 1000, exponent: 1.0}}`";
    let [(key, body)] = &mapping.entries[..] else {
        let what = "a drawn header value has exactly one name".to_owned();
        report.error("TT-HEADER", node, what, help);
        return None;
    };
    report.fields(node, "a header value", &["uniform", "zipf"]);
    let zipf = match &*key.text {
        "zipf" => true,
        "uniform" => false,
        _ => return None,
    };
    let known: &'static [&'static str] = if zipf {
        &["prefix", "count", "exponent"]
    } else {
        &["prefix", "count"]
    };
    let fields = report.fields(body, &key.text, known);
    let prefix = fields.get("prefix").and_then(|n| report.text(n));
    let prefix: Name = prefix.unwrap_or_else(|| Arc::from(""));
    let count = fields.need(report, "count", help)?;
    let count = report.count(count, 1, REQUESTS_MAX)?;
    if !zipf {
        return Some(HeaderValue::Uniform { prefix, count });
    }
    let exponent = match fields.get("exponent") {
        Some(node) => {
            let exponent = report.number(node)?;
            if !(0.0..=10.0).contains(&exponent) {
                let what = format!("exponent {exponent} is not between 0 and 10");
                report.error("TT-HEADER", node, what, "1.0 is the classic");
                return None;
            }
            exponent
        }
        None => 1.0,
    };
    Some(HeaderValue::Zipf {
        prefix,
        count,
        exponent,
    })
}
