//! The entries of `routes`.

use super::read_load::{headers, source};
use super::reader::{Fields, Report};
use super::route_test::{RouteTest, Wanted};
use super::run::HeaderValue;
use crate::manifest::{Node, Value};
use crate::units::Fraction;
use crate::xds::Name;

pub(super) const ROUTE_FIELDS: &[&str] = &[
    "name", "from", "url", "method", "headers", "to", "path", "host", "status", "redirect",
    "mirror",
];
const CODE: &str = "TT-ROUTE-TEST";

/// Reads `routes`.
pub(super) fn routes(report: &mut Report, node: Option<&Node>) -> Vec<RouteTest> {
    let items = report.list(node, "route tests").iter();
    items.filter_map(|item| one(report, item)).collect()
}

fn one(report: &mut Report, node: &Node) -> Option<RouteTest> {
    let fields = report.fields(node, "a route test", ROUTE_FIELDS);
    let help = "write for example `url: http://product-service:8080/version`";
    let url = fields.need(report, "url", help);
    let url = url.and_then(|node| report.url(node));
    let from = fields.get("from").and_then(|node| source(report, node));
    let method = fields.get("method").and_then(|node| report.method(node));
    let method = method.unwrap_or_else(|| "GET".into());
    let headers = fixed_headers(report, fields);
    let wanted = wanted(report, fields);
    if wanted == Wanted::default() {
        let what = "this route test asks for nothing".to_owned();
        let help =
            "write where the request goes: `to`, `path`, `host`, `status`, `redirect` or `mirror`";
        report.error(CODE, node, what, help);
    }
    let url = url?;
    let name = fields.get("name").and_then(|node| report.text(node));
    Some(RouteTest {
        name: name.unwrap_or_else(|| format!("{method} {url}").into()),
        from,
        url,
        method,
        headers,
        wanted,
        origin: report.origin(node),
    })
}

/// Headers of one request have one value.
fn fixed_headers(report: &mut Report, fields: Fields<'_>) -> Vec<(Name, Name)> {
    let mut all = Vec::new();
    for (name, value) in headers(report, fields.get("headers")) {
        if let HeaderValue::Text(text) = value {
            all.push((name, text));
        } else if let Some(node) = fields.get("headers") {
            let what = format!("header `{name}` of a route test is drawn by chance");
            report.error(CODE, node, what, "write one value");
        }
    }
    all
}

fn wanted(report: &mut Report, fields: Fields<'_>) -> Wanted {
    let mut text = |name: &str| fields.get(name).and_then(|node| report.text(node));
    let (path, host) = (text("path"), text("host"));
    let (redirect, mirror) = (text("redirect"), text("mirror"));
    Wanted {
        to: fields
            .get("to")
            .map_or_else(Vec::new, |node| to(report, node)),
        path,
        host,
        status: fields.get("status").and_then(|node| {
            let status = report.count(node, 200, 599)?;
            Some(status as u16)
        }),
        redirect,
        mirror,
    }
}

/// `v2`, or `{v1: 90%, v2: 10%}`.
fn to(report: &mut Report, node: &Node) -> Vec<(Name, Option<Fraction>)> {
    if !matches!(node.value, Value::Mapping(_)) {
        let all = report.text(node).into_iter();
        return all.map(|name| (name, None)).collect();
    }
    let mut all = Vec::new();
    for (key, value) in node.entries() {
        if let Some(share) = report.parsed::<Fraction>(value, CODE) {
            all.push((key.text.clone(), Some(share)));
        }
    }
    let sum: u32 = all
        .iter()
        .filter_map(|(_, share)| *share)
        .map(Fraction::ppm)
        .sum();
    if sum > 1_000_000 {
        let what = "the shares are more than 100 % together".to_owned();
        report.error(
            CODE,
            node,
            what,
            "write for example `to: {v1: 90%, v2: 10%}`",
        );
    }
    all
}
