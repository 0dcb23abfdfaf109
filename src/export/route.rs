//! Route configurations: virtual hosts, matches, header operations (`core/route/route.go`).

use serde_json::{Map, Value, json};

use super::{Writer, duration, fractional_percent};
use crate::xds::route::{
    AbortStatus, Fault, HeaderMatch, HeaderOps, PathMatch, QueryMatch, Rewrite, RouteMatch,
    TextMatch,
};
use crate::xds::snapshot::RouteConfigId;
use crate::xds::{Action, Name, Route, VirtualHost};

const FAULT: &str = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault";

impl Writer<'_> {
    pub(super) fn route_config(&mut self, id: RouteConfigId) -> Value {
        let config = &self.snapshot.route_configs[id];
        let hosts: Vec<Value> = (config.virtual_hosts.iter())
            .map(|h| self.virtual_host(h))
            .collect();
        json!({
            "name": &*config.name,
            "virtual_hosts": hosts,
            "validate_clusters": false,
            "ignore_port_in_host_matching": true,
            "max_direct_response_body_size_bytes": 1_048_576,
        })
    }

    fn virtual_host(&mut self, host: &VirtualHost) -> Value {
        let routes: Vec<Value> = host.routes.iter().map(|r| self.route(r)).collect();
        json!({
            "name": &*host.name,
            "domains": host.domains.iter().map(|d| &**d).collect::<Vec<_>>(),
            "routes": routes,
            "include_request_attempt_count": host.include_attempt_count,
        })
    }

    fn route(&mut self, route: &Route) -> Value {
        let mut value = json!({"match": route_match(&route.matches)});
        if !route.name.is_empty() {
            value["name"] = json!(&*route.name);
        }
        self.refuse_line_breaks(route);
        match &route.action {
            Action::Forward(forward) => value["route"] = self.forward(forward),
            Action::Redirect(redirect) => value["redirect"] = super::action::redirect(redirect),
            Action::Direct(direct) => {
                value["direct_response"] = json!({"status": direct.status});
                if !direct.body.is_empty() {
                    value["direct_response"]["body"] = json!({"inline_string": &*direct.body});
                }
            }
            Action::Unusable => self.refuse(
                route.origin,
                "the route has no usable action, Envoy would refuse the whole route configuration; give it a `route`, a `redirect` or a `directResponse`",
            ),
        }
        write_ops(&mut value, "request", &route.request_headers);
        write_ops(&mut value, "response", &route.response_headers);
        if let Some(settings) = &route.fault {
            value["typed_per_filter_config"] = json!({"envoy.filters.http.fault": fault(settings)});
        }
        if let Some(filters) = &route.filters {
            super::filter::per_route(&mut value, filters);
        }
        value
    }

    /// No header may hold one, and Envoy says so of rewrites and header operations at once.
    fn refuse_line_breaks(&mut self, route: &Route) {
        let mut texts: Vec<&Name> = Vec::new();
        let take = |ops: &HeaderOps| {
            let lines = ops.set.iter().chain(&ops.add);
            lines.filter(|(_, value)| breaks(value)).count()
        };
        let mut broken = take(&route.request_headers) + take(&route.response_headers);
        if let Action::Forward(forward) = &route.action {
            texts.extend(&forward.authority);
            if let Some(Rewrite::Prefix(to)) = &forward.rewrite {
                texts.push(to);
            }
            for cluster in &forward.clusters {
                broken += take(&cluster.request_headers) + take(&cluster.response_headers);
            }
        }
        if broken > 0 || texts.iter().any(|text| breaks(text)) {
            self.refuse(
                route.origin,
                "a rewrite or a header value has a line break, Envoy would refuse the whole route configuration",
            );
        }
    }
}

fn breaks(text: &str) -> bool {
    text.contains(['\r', '\n', '\0'])
}

/// Writes the operations in Envoy's order: removals, then what is set, then what is added.
pub(super) fn write_ops(value: &mut Value, side: &str, ops: &HeaderOps) {
    let line = |(name, text): &(Name, Name), action: &str| {
        json!({"header": {"key": &**name, "value": &**text}, "append_action": action,
            "keep_empty_value": true})
    };
    // Pseudo headers and Host are written as rewrites.
    let plain =
        |(name, _): &&(Name, Name)| !name.starts_with(':') && !name.eq_ignore_ascii_case("host");
    let set = (ops.set.iter().filter(plain)).map(|l| line(l, "OVERWRITE_IF_EXISTS_OR_ADD"));
    let add = (ops.add.iter().filter(plain)).map(|l| line(l, "APPEND_IF_EXISTS_OR_ADD"));
    let lines: Vec<Value> = set.chain(add).collect();
    if !lines.is_empty() {
        value[format!("{side}_headers_to_add")] = lines.into();
    }
    if !ops.remove.is_empty() {
        let names: Vec<&str> = ops.remove.iter().map(|n| &**n).collect();
        value[format!("{side}_headers_to_remove")] = json!(names);
    }
}

fn route_match(matches: &RouteMatch) -> Value {
    let mut value = match &matches.path {
        PathMatch::Prefix(text) => json!({"prefix": &**text}),
        PathMatch::Exact(text) => json!({"path": &**text}),
        PathMatch::Regex(text) => json!({"safe_regex": {"regex": &**text}}),
        PathMatch::SegmentPrefix(text) => json!({"path_separated_prefix": &**text}),
    };
    // Envoy refuses the setting beside a regex only where it has no meaning.
    value["case_sensitive"] = json!(matches.case_sensitive);
    if !matches.headers.is_empty() {
        value["headers"] = matches.headers.iter().map(header_match).collect();
    }
    if !matches.query.is_empty() {
        value["query_parameters"] = matches.query.iter().map(query_match).collect();
    }
    value
}

fn text_match(text: &TextMatch) -> Option<Value> {
    Some(match text {
        TextMatch::Exact(text) => json!({"exact": &**text}),
        // Envoy refuses an empty prefix; everything that is there begins with it.
        TextMatch::Prefix(text) if text.is_empty() => json!({"safe_regex": {"regex": ".*"}}),
        TextMatch::Prefix(text) => json!({"prefix": &**text}),
        TextMatch::Regex(text) => json!({"safe_regex": {"regex": &**text}}),
        TextMatch::Present => return None,
    })
}

pub(super) fn header_match(header: &HeaderMatch) -> Value {
    let mut value = json!({"name": &*header.name});
    match text_match(&header.value) {
        Some(text) => value["string_match"] = text,
        None => value["present_match"] = json!(true),
    }
    if header.invert {
        value["invert_match"] = json!(true);
    }
    if header.missing_as_empty {
        value["treat_missing_header_as_empty"] = json!(true);
    }
    value
}

fn query_match(query: &QueryMatch) -> Value {
    let mut value = json!({"name": &*query.name});
    match text_match(&query.value) {
        Some(text) => value["string_match"] = text,
        None => value["present_match"] = json!(true),
    }
    value
}

fn fault(fault: &Fault) -> Value {
    let mut value = Map::new();
    value.insert("@type".to_owned(), json!(FAULT));
    if let Some((share, length)) = &fault.delay {
        let delay =
            json!({"fixed_delay": duration(*length), "percentage": fractional_percent(*share)});
        value.insert("delay".to_owned(), delay);
    }
    if let Some(max) = fault.max_active {
        value.insert("max_active_faults".to_owned(), json!(max));
    }
    if let Some((share, status)) = &fault.abort {
        let mut abort = json!({"percentage": fractional_percent(*share)});
        match status {
            AbortStatus::Http(code) => abort["http_status"] = json!(code),
            AbortStatus::Grpc(code) => abort["grpc_status"] = json!(code),
        }
        value.insert("abort".to_owned(), abort);
    }
    value.into()
}
