//! The same as a JSON value, names in the manner of Envoy's config dump.

use serde_json::{Value, json};

use super::rare::rare;
use super::{filters, words};
use crate::units::{Origin, Origins};
use crate::xds::filter::HttpFilter;
use crate::xds::listener::{Attribute, ChainKind, Condition, Operation, Policy, Rule, Source};
use crate::xds::route::{Forward, HeaderOps, RetryPolicy, Rewrite};
use crate::xds::{
    Action, Cluster, Endpoint, Inbound, Listener, Name, Route, RouteConfig, Snapshot, WorkloadId,
};

/// Everything a workload's proxies were told; sections are null without proxy.
pub fn json(snapshot: &Snapshot, workload: WorkloadId) -> Value {
    let subject = &snapshot.workloads[workload];
    let of = Json { snapshot };
    let tables = subject.tables.map(|t| &snapshot.tables[t]);
    json!({
        "workload": subject.full_name(),
        "proxy": words::proxy_kind(subject.proxy),
        "istio_version": &*snapshot.istio_version,
        "listeners": tables.map(|t| t.listeners.iter().map(|l| of.listener(l)).collect::<Vec<_>>()),
        "routes": tables.map(|t| t.routes.iter().map(|r| of.route_config(&snapshot.route_configs[*r])).collect::<Vec<_>>()),
        "clusters": tables.map(|t| t.clusters.iter().map(|c| of.cluster(&snapshot.clusters[*c])).collect::<Vec<_>>()),
        "inbound": subject.inbound.iter().map(|i| of.inbound(i)).collect::<Vec<_>>(),
    })
}

/// One listener.
pub fn listener(snapshot: &Snapshot, listener: &Listener) -> Value {
    Json { snapshot }.listener(listener)
}

/// One route configuration.
pub fn route_config(snapshot: &Snapshot, config: &RouteConfig) -> Value {
    Json { snapshot }.route_config(config)
}

/// What a server does with connections to one port.
pub fn inbound(snapshot: &Snapshot, inbound: &Inbound) -> Value {
    Json { snapshot }.inbound(inbound)
}

/// One cluster without its endpoints' labels.
pub fn cluster(snapshot: &Snapshot, cluster: &Cluster) -> Value {
    Json { snapshot }.cluster(cluster)
}

struct Json<'a> {
    snapshot: &'a Snapshot,
}

impl Json<'_> {
    fn at(&self, origin: Origin) -> Value {
        place(&self.snapshot.origins, origin)
    }

    fn listener(&self, listener: &Listener) -> Value {
        let chain = |kind: &ChainKind| match kind {
            ChainKind::Http(id) => json!({"route": &*self.snapshot.route_configs[*id].name}),
            ChainKind::HttpsTerminate(id) => {
                json!({"route": &*self.snapshot.route_configs[*id].name, "tls": true})
            }
            ChainKind::Tcp(clusters) => json!({"clusters": clusters.iter()
                .map(|(n, w)| json!({"name": &**n, "weight": w})).collect::<Vec<_>>()}),
        };
        json!({
            "name": &*listener.name,
            "address": &*listener.address,
            "port": listener.port,
            "filter_chains": listener.chains.iter().map(|c| {
                let mut value = json!({
                    "match": words::chain_match(&c.matches),
                    "destination": chain(&c.kind),
                    "origin": self.at(c.origin),
                });
                self.filters(&mut value, &c.hcm.filters);
                value
            }).collect::<Vec<_>>(),
            "origin": self.at(listener.origin),
        })
    }

    /// Added filters, where there are any.
    fn filters(&self, value: &mut Value, added: &[HttpFilter]) {
        if !added.is_empty() {
            let line =
                |f: &HttpFilter| json!({"filter": filters::added(f), "origin": self.at(f.origin)});
            value["added_filters"] = added.iter().map(line).collect();
        }
    }

    fn route_config(&self, config: &RouteConfig) -> Value {
        json!({
            "name": &*config.name,
            "virtual_hosts": config.virtual_hosts.iter().map(|h| json!({
                "name": &*h.name,
                "domains": names(&h.domains),
                "routes": h.routes.iter().map(|r| self.route(r)).collect::<Vec<_>>(),
                "origin": self.at(h.origin),
            })).collect::<Vec<_>>(),
        })
    }

    fn route(&self, route: &Route) -> Value {
        let action = match &route.action {
            Action::Forward(f) => self.forward(f),
            Action::Redirect(r) => json!({"redirect": {
                "status": r.status, "authority": r.authority.as_deref(), "path": r.path.as_deref(),
                "prefix_rewrite": r.prefix_rewrite.as_deref(), "scheme": r.scheme.as_deref(), "port": r.port,
            }}),
            Action::Direct(d) => json!({"direct_response": {"status": d.status, "body": &*d.body}}),
            Action::Unusable => Value::Null,
        };
        let mut value = json!({
            "name": &*route.name,
            "match": words::route_match(&route.matches),
            "action": action,
            "fault": route.fault.as_ref().map(|f| json!({
                "delay": f.delay.as_ref().map(|(s, d)| json!({"percentage": s.to_string(), "fixed_delay": d.to_string()})),
                "abort": f.abort.as_ref().map(|(s, c)| json!({"percentage": s.to_string(), "status": words::abort_status(*c)})),
                "origin": self.at(f.origin),
            })),
            "request_headers": header_ops(&route.request_headers),
            "response_headers": header_ops(&route.response_headers),
            "origin": self.at(route.origin),
        });
        if let Some(of_route) = &route.filters {
            value["filters"] = json!(filters::of_route(of_route));
        }
        value
    }

    fn forward(&self, f: &Forward) -> Value {
        let mut value = json!({
            "clusters": f.clusters.iter().map(|c| json!({
                "name": &*c.name, "weight": c.weight,
                "request_headers": header_ops(&c.request_headers),
                "response_headers": header_ops(&c.response_headers),
                "origin": self.at(c.origin),
            })).collect::<Vec<_>>(),
            "timeout": f.timeout.map(|t| t.to_string()),
            "timeout_origin": self.at(f.timeout_origin),
            "retry_policy": f.retry.as_ref().map(|r| self.retry(r)),
            "hash_policy": f.hash.iter().map(words::hash_policy).collect::<Vec<_>>(),
            "rewrite": f.rewrite.as_ref().map(|r| match r {
                Rewrite::Prefix(to) => json!({"prefix": &**to}),
                Rewrite::Regex { pattern, substitution } => json!({"regex": &**pattern, "substitution": &**substitution}),
            }),
            "authority": f.authority.as_deref(),
            "mirrors": f.mirrors.iter().map(|m| json!({
                "cluster": &*m.cluster, "percentage": m.fraction.to_string(), "origin": self.at(m.origin),
            })).collect::<Vec<_>>(),
        });
        for (key, text) in words::rare_timers(f) {
            value[key] = json!(text);
        }
        value
    }

    fn retry(&self, r: &RetryPolicy) -> Value {
        let mut value = json!({
            "num_retries": r.retries,
            "retry_on": &*r.on_text,
            "retriable_status_codes": r.status_codes,
            "per_try_timeout": r.per_try_timeout.map(|t| t.to_string()),
            "base_interval": r.backoff_base.to_string(),
            "max_interval": r.backoff_max.to_string(),
            "previous_hosts": r.skip_previous_hosts,
            "previous_priorities": r.skip_previous_priorities,
            "host_selection_retry_max_attempts": r.host_reselects,
            "origin": self.at(r.origin),
        });
        for (key, text) in words::rare_conditions(r) {
            value[key] = json!(text);
        }
        value
    }

    fn cluster(&self, c: &Cluster) -> Value {
        let mut value = self.usual_cluster(c);
        for (name, text) in rare(c) {
            value["further"][name] = json!(text);
        }
        value
    }

    fn usual_cluster(&self, c: &Cluster) -> Value {
        json!({
            "name": &*c.name,
            "service": &*c.host,
            "port": c.port,
            "subset": &*c.subset,
            "type": words::cluster_kind(c.kind),
            "protocol": words::protocol(c.protocol),
            "upstream": words::upstream(c.upstream),
            "lb_policy": words::lb_policy(c.lb),
            "tls": words::tls(&c.tls),
            "locality": words::locality(&c.locality),
            "warmup": c.warmup.as_ref().map(|w| json!({
                "duration": w.duration.to_string(), "minimum": w.minimum.to_string(), "aggression": w.aggression,
            })),
            "circuit_breakers": {
                "max_connections": c.breakers.max_connections,
                "max_pending_requests": c.breakers.max_pending_requests,
                "max_requests": c.breakers.max_requests,
                "max_retries": c.breakers.max_retries,
                "retry_budget": c.breakers.retry_budget.map(|(share, least)| json!({
                    "budget_percent": share.to_string(), "min_retry_concurrency": least,
                })),
                "origin": self.at(c.breakers.origin),
            },
            "connect_timeout": c.pool.connect_timeout.to_string(),
            "idle_timeout": c.pool.idle_timeout.to_string(),
            "max_requests_per_connection": c.pool.max_requests_per_connection,
            "max_stream_duration": c.pool.max_stream_duration.map(|t| t.to_string()),
            "max_connection_duration": c.pool.max_connection_duration.map(|t| t.to_string()),
            "max_concurrent_streams": c.pool.max_concurrent_streams,
            "outlier_detection": c.outlier.as_ref().map(|o| json!({
                "consecutive_5xx": o.consecutive_5xx.enforced(),
                "consecutive_gateway_failure": o.consecutive_gateway_failure.enforced(),
                "consecutive_local_origin_failure": o.local_origin(),
                "interval": o.interval.to_string(),
                "base_ejection_time": o.base_ejection_time.to_string(),
                "max_ejection_time": o.max_ejection_time.to_string(),
                "max_ejection_percent": o.max_ejection_percent,
                "origin": self.at(o.origin),
            })),
            "healthy_panic_threshold": c.panic_threshold.to_string(),
            "endpoints": c.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
            "origin": self.at(c.origin),
            "policy_origin": self.at(c.policy_origin),
        })
    }

    fn inbound(&self, i: &Inbound) -> Value {
        let policies = |list: &[Policy]| -> Vec<Value> {
            let of = |p: &Policy| {
                json!({
                    "name": &*p.name,
                    "rules": p.rules.iter().map(rule).collect::<Vec<_>>(),
                    "origin": self.at(p.origin),
                })
            };
            list.iter().map(of).collect()
        };
        let mut value = json!({
            "port": i.port,
            "protocol": words::protocol(i.protocol),
            "mtls": words::mtls_mode(i.mtls),
            "retry_policy": i.retry.as_ref().map(|r| self.retry(r)),
            "authorization": {"deny": policies(&i.authorization.deny), "allow": policies(&i.authorization.allow)},
            "cluster": self.cluster(&i.cluster),
            "origin": self.at(i.origin),
        });
        self.filters(&mut value, &i.filters);
        if let Some(of_route) = &i.route_filters {
            value["route_filters"] = json!(filters::of_route(of_route));
        }
        value
    }
}

fn rule(rule: &Rule) -> Value {
    let mut value = json!({
        "sources": rule.sources.iter().map(source).collect::<Vec<_>>(),
        "operations": rule.operations.iter().map(operation).collect::<Vec<_>>(),
        "unsupported_conditions": rule.has_unsupported_conditions,
    });
    if !rule.conditions.is_empty() {
        value["when"] = rule.conditions.iter().map(condition).collect();
    }
    value
}

fn condition(condition: &Condition) -> Value {
    let key = match &condition.attribute {
        Attribute::Header(name) => format!("request.headers[{name}]"),
        Attribute::SourceIp => "source.ip".to_owned(),
        Attribute::SourceNamespace => "source.namespace".to_owned(),
        Attribute::SourcePrincipal => "source.principal".to_owned(),
        Attribute::SourceServiceAccount => "source.serviceAccount".to_owned(),
        Attribute::SourceTrustDomain => "source.trustDomain".to_owned(),
        Attribute::DestinationPort => "destination.port".to_owned(),
        Attribute::Sni => "connection.sni".to_owned(),
    };
    let (values, others) = &condition.values;
    json!({"key": key, "values": names(values), "not_values": names(others)})
}

/// `file:line` and the object, or null for what nobody wrote.
fn place(origins: &Origins, origin: Origin) -> Value {
    if origin.is_built_in() {
        Value::Null
    } else {
        json!({
            "object": origins.object(origin.object).to_string(),
            "place": origins.place(origin),
        })
    }
}

fn names(list: &[Name]) -> Vec<&str> {
    list.iter().map(|n| &**n).collect()
}

fn header_ops(ops: &HeaderOps) -> Value {
    if ops.is_empty() {
        return Value::Null;
    }
    let pairs = |list: &[(Name, Name)]| -> Vec<Value> {
        list.iter().map(|(n, v)| json!([&**n, &**v])).collect()
    };
    json!({"remove": names(&ops.remove), "set": pairs(&ops.set), "add": pairs(&ops.add)})
}

/// One endpoint.
pub fn endpoint(e: &Endpoint) -> Value {
    json!({
        "address": &*e.address,
        "port": e.port,
        "health": words::health(e.health),
        "weight": e.weight,
        "locality": e.locality.to_string(),
        "mtls": e.mtls,
        "labels": e.labels.iter().map(|(k, v)| (k.to_string(), json!(&**v))).collect::<serde_json::Map<_, _>>(),
    })
}

fn pair(pair: &(Vec<Name>, Vec<Name>)) -> Value {
    json!({"values": names(&pair.0), "not": names(&pair.1)})
}

fn source(s: &Source) -> Value {
    json!({"principals": pair(&s.principals), "namespaces": pair(&s.namespaces), "ip_blocks": pair(&s.ip_blocks)})
}

fn operation(o: &Operation) -> Value {
    json!({"hosts": pair(&o.hosts), "ports": pair(&o.ports), "methods": pair(&o.methods), "paths": pair(&o.paths)})
}
