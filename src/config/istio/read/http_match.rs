//! Match blocks of `http` rules (`validateHTTPRouteMatchRequest`).

use std::collections::BTreeMap;

use super::super::{HttpMatch, StringMatch, rules};
use super::{at_most_one, gateway_names, labels, port};
use crate::config::decode::{At, Fields};
use crate::manifest::Value;
use crate::xds::Name;

/// Which rules a string match follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// An empty prefix is allowed.
    Uri,
    Other,
    /// A regex `*` is allowed and means presence.
    WithoutHeader,
}

pub(super) fn http_match(f: &Fields<'_>) -> HttpMatch {
    f.known(&["statPrefix"]);
    let source_namespace = f.text_or_empty("sourceNamespace");
    if !source_namespace.is_empty() && !rules::is_dns_label(&source_namespace) {
        f.refuse_field(
            "sourceNamespace",
            format!("`{source_namespace}` is not a namespace"),
        );
    }
    let gateways = f.texts("gateways");
    gateway_names(f, &gateways, false);
    HttpMatch {
        name: f.text_or_empty("name"),
        uri: string_field(f, "uri", Of::Uri),
        ignore_uri_case: f.flag("ignoreUriCase"),
        scheme: string_field(f, "scheme", Of::Other),
        method: string_field(f, "method", Of::Other),
        authority: string_field(f, "authority", Of::Other),
        headers: string_map(f, "headers", Of::Other, true),
        without_headers: string_map(f, "withoutHeaders", Of::WithoutHeader, true),
        query_params: string_map(f, "queryParams", Of::Other, false),
        port: port(f, "port").unwrap_or(0),
        source_labels: labels(f, "sourceLabels"),
        source_namespace,
        gateways,
        origin: f.origin(),
    }
}

fn string_field(f: &Fields<'_>, name: &'static str, of: Of) -> Option<StringMatch> {
    string_match(&f.get(name)?, of)
}

fn string_map(
    f: &Fields<'_>,
    name: &'static str,
    of: Of,
    is_header: bool,
) -> BTreeMap<Name, Option<StringMatch>> {
    let read = |(key, at): (Name, At<'_>)| {
        let is_claim = key.starts_with("@request.auth.claims");
        if is_header
            && !is_claim
            && let Some(error) = rules::header_name_error(&key)
        {
            at.refuse(error);
        }
        if at.node().value == Value::Null {
            at.refuse("write `{}` for presence; the schema refuses null");
            return (key, None);
        }
        let condition = string_match(&at, of);
        (key, condition)
    };
    f.entries(name).into_iter().map(read).collect()
}

/// A `StringMatch`; `None` is presence. Of two kinds the one declared last in the API wins.
fn string_match(at: &At<'_>, of: Of) -> Option<StringMatch> {
    at.object(|f| {
        at_most_one(f, &["exact", "prefix", "regex"]);
        let exact = f.text("exact").map(StringMatch::Exact);
        let prefix = f.text("prefix").map(|prefix| {
            if prefix.is_empty() && of != Of::Uri {
                f.refuse_field("prefix", "the prefix is empty");
            }
            StringMatch::Prefix(prefix)
        });
        let regex = f.text("regex").and_then(|regex| {
            // Presence by an old habit, which the generator knows everywhere.
            let presence = &*regex == "*";
            if !(presence && of == Of::WithoutHeader)
                && let Some(error) = rules::regex_error(&regex)
            {
                f.refuse_field("regex", error);
            }
            (!presence).then_some(StringMatch::Regex(regex))
        });
        regex.or(prefix).or(exact)
    })
}

/// A `StringMatch` of some other block, judged by the same rules.
pub(super) fn check_string_match(f: &Fields<'_>) {
    string_match(&f.here(), Of::Other);
}
