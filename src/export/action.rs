//! What routes do: forwarding with all its policies, redirects (`core/route/route.go`, `core/route/retry/retry.go`).

use serde_json::{Value, json};

use super::route::{header_match, write_ops};
use super::{Writer, duration, fractional_percent};
use crate::units::SimDuration;
use crate::xds::Name;
use crate::xds::route::{
    Forward, HashPolicy, HeaderOps, Redirect, ResetHeader, RetryPolicy, Rewrite, WeightedCluster,
};

const PREVIOUS_HOSTS: &str =
    "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate";
const PREVIOUS_PRIORITIES: &str = "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig";

impl Writer<'_> {
    pub(super) fn forward(&mut self, forward: &Forward) -> Value {
        let mut value = json!({
            "timeout": duration(forward.timeout.unwrap_or(SimDuration::ZERO)),
            "cluster_not_found_response_code": match forward.cluster_not_found_status {
                404 => "NOT_FOUND",
                500 => "INTERNAL_SERVER_ERROR",
                _ => "SERVICE_UNAVAILABLE",
            },
        });
        self.clusters(&mut value, &forward.clusters);
        timers(&mut value, forward);
        if let Some(retry) = &forward.retry {
            value["retry_policy"] = retry_policy(retry);
        }
        if !forward.hash.is_empty() {
            value["hash_policy"] = forward.hash.iter().map(hash_policy).collect();
        }
        match &forward.rewrite {
            Some(Rewrite::Prefix(to)) => value["prefix_rewrite"] = json!(&**to),
            Some(Rewrite::Regex {
                pattern,
                substitution,
            }) => {
                value["regex_rewrite"] =
                    json!({"pattern": {"regex": &**pattern}, "substitution": &**substitution});
            }
            None => {}
        }
        if let Some(authority) = &forward.authority {
            value["host_rewrite_literal"] = json!(&**authority);
        }
        if !forward.mirrors.is_empty() {
            let mirror = |m: &crate::xds::route::Mirror| {
                json!({"cluster": &*m.cluster,
                    "runtime_fraction": {"default_value": fractional_percent(m.fraction)}})
            };
            value["request_mirror_policies"] = forward.mirrors.iter().map(mirror).collect();
        }
        value
    }

    fn clusters(&mut self, value: &mut Value, clusters: &[WeightedCluster]) {
        match clusters {
            [only] if only.request_headers.is_empty() && only.response_headers.is_empty() => {
                value["cluster"] = json!(&*only.name);
            }
            [] => {
                // istiod sends an empty weighted list; Envoy would refuse it.
                self.warn("a route all of whose destinations have weight 0 is exported without cluster: 503 NC");
                value["cluster"] = json!("no-destination-has-weight");
            }
            several => {
                let entries: Vec<Value> = several.iter().map(weighted).collect();
                value["weighted_clusters"] = json!({"clusters": entries});
            }
        }
    }
}

fn timers(value: &mut Value, forward: &Forward) {
    let timeouts = [
        ("max_grpc_timeout", forward.max_grpc_timeout),
        ("idle_timeout", forward.idle_timeout),
    ];
    for (key, timeout) in timeouts {
        if let Some(timeout) = timeout {
            value[key] = json!(duration(timeout));
        }
    }
    if let Some(limits) = &forward.max_stream_duration {
        let limits = [
            ("max_stream_duration", limits.limit),
            ("grpc_timeout_header_max", limits.grpc_max),
            ("grpc_timeout_header_offset", limits.grpc_offset),
        ];
        let written = (limits.iter())
            .filter_map(|(key, limit)| Some(((*key).to_owned(), json!(duration((*limit)?)))));
        value["max_stream_duration"] = written.collect::<serde_json::Map<_, _>>().into();
    }
    if forward.hedge_on_per_try_timeout {
        value["hedge_policy"] = json!({"hedge_on_per_try_timeout": true});
    }
}

fn weighted(cluster: &WeightedCluster) -> Value {
    let mut value = json!({"name": &*cluster.name, "weight": cluster.weight});
    if let Some(host) = host_of(&cluster.request_headers) {
        value["host_rewrite_literal"] = json!(&**host);
    }
    write_ops(&mut value, "request", &cluster.request_headers);
    write_ops(&mut value, "response", &cluster.response_headers);
    value
}

/// A Host among header operations is a rewrite.
fn host_of(ops: &HeaderOps) -> Option<&Name> {
    let mut lines = ops.set.iter().chain(&ops.add);
    let is_host = |name: &str| name.eq_ignore_ascii_case("host") || name == ":authority";
    lines.find(|(name, _)| is_host(name)).map(|(_, host)| host)
}

pub(super) fn retry_policy(retry: &RetryPolicy) -> Value {
    let mut value = json!({
        "retry_on": &*retry.on_text,
        "num_retries": retry.retries,
        "retry_back_off": {
            "base_interval": duration(retry.backoff_base),
            "max_interval": duration(retry.backoff_max),
        },
    });
    if !retry.status_codes.is_empty() {
        value["retriable_status_codes"] = json!(retry.status_codes);
    }
    let timeouts = [
        ("per_try_timeout", retry.per_try_timeout),
        ("per_try_idle_timeout", retry.per_try_idle_timeout),
    ];
    for (key, timeout) in timeouts {
        if let Some(timeout) = timeout {
            value[key] = json!(duration(timeout));
        }
    }
    let conditions = [
        ("retriable_headers", &retry.retriable_headers),
        (
            "retriable_request_headers",
            &retry.retriable_request_headers,
        ),
    ];
    for (key, headers) in conditions {
        if !headers.is_empty() {
            value[key] = headers.iter().map(header_match).collect();
        }
    }
    if let Some(backoff) = &retry.rate_limited_backoff {
        let header = |h: &ResetHeader| {
            let format = if h.unix_timestamp {
                "UNIX_TIMESTAMP"
            } else {
                "SECONDS"
            };
            json!({"name": &*h.name, "format": format})
        };
        value["rate_limited_retry_back_off"] = json!({
            "reset_headers": backoff.reset_headers.iter().map(header).collect::<Vec<_>>(),
            "max_interval": duration(backoff.max_interval),
        });
    }
    if retry.skip_previous_hosts {
        value["retry_host_predicate"] = json!([{
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {"@type": PREVIOUS_HOSTS},
        }]);
    }
    if retry.host_reselects > 0 {
        value["host_selection_retry_max_attempts"] = json!(retry.host_reselects);
    }
    if let Some(frequency) = retry.skip_previous_priorities {
        value["retry_priority"] = json!({
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {"@type": PREVIOUS_PRIORITIES, "update_frequency": frequency},
        });
    }
    value
}

fn hash_policy(policy: &HashPolicy) -> Value {
    match policy {
        HashPolicy::Header(name) => json!({"header": {"header_name": &**name}}),
        HashPolicy::Cookie { name, path, ttl } => {
            let mut cookie = json!({"name": &**name});
            if !path.is_empty() {
                cookie["path"] = json!(&**path);
            }
            if let Some(ttl) = ttl {
                cookie["ttl"] = json!(duration(*ttl));
            }
            json!({"cookie": cookie})
        }
        HashPolicy::SourceIp => json!({"connection_properties": {"source_ip": true}}),
        HashPolicy::Query(name) => json!({"query_parameter": {"name": &**name}}),
    }
}

pub(super) fn redirect(redirect: &Redirect) -> Value {
    let mut value = json!({"response_code": match redirect.status {
        302 => "FOUND",
        303 => "SEE_OTHER",
        307 => "TEMPORARY_REDIRECT",
        308 => "PERMANENT_REDIRECT",
        _ => "MOVED_PERMANENTLY",
    }});
    let texts = [
        ("host_redirect", &redirect.authority),
        ("scheme_redirect", &redirect.scheme),
    ];
    for (key, text) in texts {
        if let Some(text) = text.as_ref().filter(|t| !t.is_empty()) {
            value[key] = json!(&**text);
        }
    }
    // One of the two at most.
    if let Some(path) = redirect.path.as_ref().filter(|p| !p.is_empty()) {
        value["path_redirect"] = json!(&**path);
    } else if let Some(prefix) = &redirect.prefix_rewrite {
        value["prefix_rewrite"] = json!(&**prefix);
    }
    if let Some(port) = redirect.port {
        value["port_redirect"] = json!(port);
    }
    value
}
