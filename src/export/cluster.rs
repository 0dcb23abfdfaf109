//! Clusters with their endpoints and policies (`core/cluster_builder.go`, `core/cluster_traffic_policy.go`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::health_check::health_check;
use super::outlier_detection::outlier_detection;
use super::{Writer, duration, locality, percent};
use crate::xds::cluster::{CommonLb, PoolSettings, Thresholds, UNLIMITED, Upstream, Warmup};
use crate::xds::endpoint::{LocalityGroup, localize};
use crate::xds::{Cluster, ClusterKind, Health, LbPolicy, Locality, Name};

const HTTP_OPTIONS: &str =
    "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// Envoy's largest `minimum_ring_size`.
const RING_MAX: u64 = 8_388_608;

impl Writer<'_> {
    pub(super) fn cluster(&mut self, cluster: &Cluster) -> Value {
        let kind = self.kind(cluster);
        let mut value = json!({
            "name": &*cluster.name,
            "type": kind,
            "connect_timeout": duration(cluster.pool.connect_timeout),
            "circuit_breakers": breakers(&cluster.breakers),
            "common_lb_config": common_lb(cluster),
        });
        balancer(&mut value, cluster);
        if kind != "ORIGINAL_DST" {
            value["load_assignment"] = self.load_assignment(cluster);
        }
        if matches!(kind, "STRICT_DNS" | "LOGICAL_DNS") {
            value["dns_lookup_family"] = json!("V4_ONLY");
        }
        if cluster.upstream != Upstream::Tcp {
            value["typed_extension_protocol_options"] = json!({
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions":
                    http_options(&cluster.pool, cluster.upstream),
            });
        }
        if let Some(outlier) = &cluster.outlier {
            value["outlier_detection"] = outlier_detection(outlier);
        }
        if !cluster.health_checks.is_empty() {
            value["health_checks"] = cluster.health_checks.iter().map(health_check).collect();
        }
        self.transport(&mut value, cluster);
        if matches!(cluster.lb, LbPolicy::RingHash { minimum_ring_size } if minimum_ring_size > RING_MAX)
        {
            let said =
                format!("`minimumRingSize` above {RING_MAX}: Envoy would refuse the cluster");
            self.refuse(cluster.policy_origin, &said);
        }
        value
    }

    fn kind(&mut self, cluster: &Cluster) -> &'static str {
        let replaced =
            !cluster.endpoints.is_empty() && cluster.endpoints.iter().all(|e| self.is_replaced(e));
        match cluster.kind {
            // Sent by istiod over EDS; here they are part of the file.
            ClusterKind::Eds | ClusterKind::Static => "STATIC",
            ClusterKind::StrictDns | ClusterKind::LogicalDns if replaced => "STATIC",
            ClusterKind::StrictDns => "STRICT_DNS",
            ClusterKind::LogicalDns => "LOGICAL_DNS",
            ClusterKind::OriginalDst => {
                if self.endpoints.is_some() && !cluster.endpoints.is_empty() {
                    self.warn(format!(
                        "cluster `{}` goes to the address its client chose, which does not exist on one machine",
                        cluster.name
                    ));
                }
                "ORIGINAL_DST"
            }
        }
    }

    /// What this proxy's place makes of the endpoints.
    fn load_assignment(&mut self, cluster: &Cluster) -> Value {
        let here = self.pod().map(|p| p.locality.clone()).unwrap_or_default();
        let labels = self.client_labels(&here);
        let assignment = localize(&cluster.endpoints, &cluster.locality, &here, &labels);
        let groups: Vec<Value> = (assignment.groups.iter())
            .map(|group| self.group(cluster, group))
            .collect();
        json!({"cluster_name": &*cluster.name, "endpoints": groups})
    }

    fn group(&mut self, cluster: &Cluster, group: &LocalityGroup) -> Value {
        let members: Vec<Value> = (group.endpoints.iter())
            .filter_map(|index| cluster.endpoints.get(*index as usize))
            .map(|endpoint| {
                let mut value = json!({"endpoint": {"address": self.address(endpoint)},
                    "load_balancing_weight": endpoint.weight.max(1)});
                if endpoint.mtls && self.certificates.is_some() {
                    value["metadata"] =
                        json!({"filter_metadata": {"envoy.transport_socket_match": {"tlsMode": "istio"}}});
                }
                match endpoint.health {
                    Health::Healthy => {}
                    Health::Unhealthy => value["health_status"] = json!("UNHEALTHY"),
                    Health::Draining => value["health_status"] = json!("DRAINING"),
                }
                value
            })
            .collect();
        let mut value = json!({"lb_endpoints": members, "priority": group.priority});
        if !group.locality.is_empty() {
            value["locality"] = locality(&group.locality);
        }
        if let Some(weight) = group.weight.filter(|w| *w > 0) {
            value["load_balancing_weight"] = json!(weight);
        }
        value
    }

    /// Labels of the proxy for `failoverPriority`: its pod's and its place's.
    fn client_labels(&self, here: &Locality) -> BTreeMap<Name, Name> {
        let mut labels = self.workload.labels.clone();
        let topology = [
            ("topology.kubernetes.io/region", &here.region),
            ("topology.kubernetes.io/zone", &here.zone),
            ("topology.istio.io/subzone", &here.subzone),
        ];
        for (key, value) in topology {
            if !value.is_empty() {
                labels.insert(key.into(), value.clone());
            }
        }
        labels
    }
}

fn common_lb(cluster: &Cluster) -> Value {
    let (common, usual) = (&cluster.common_lb, CommonLb::default());
    let mut value = json!({"healthy_panic_threshold": percent(cluster.panic_threshold)});
    if cluster.locality.weighted {
        value["locality_weighted_lb_config"] = json!({});
    }
    if common.update_merge_window != usual.update_merge_window {
        value["update_merge_window"] = json!(duration(common.update_merge_window));
    }
    if let Some(factor) = common.hash_balance_factor {
        value["consistent_hashing_lb_config"] = json!({"hash_balance_factor": factor});
    }
    if let Some(settings) = common.zone_aware.filter(|_| !cluster.locality.weighted) {
        value["zone_aware_lb_config"] = json!({
            "routing_enabled": percent(settings.routing_enabled),
            "min_cluster_size": settings.min_cluster_size,
            "fail_traffic_on_panic": settings.fail_traffic_on_panic,
        });
    }
    value
}

fn balancer(value: &mut Value, cluster: &Cluster) {
    let (name, config) = match cluster.lb {
        LbPolicy::RoundRobin => ("ROUND_ROBIN", None),
        LbPolicy::LeastRequest {
            choice_count,
            full_scan,
            bias,
        } => {
            let mut config = json!({"choice_count": choice_count});
            if full_scan {
                config["selection_method"] = json!("FULL_SCAN");
            }
            if bias != 1000 {
                let value = f64::from(bias) / 1000.0;
                config["active_request_bias"] =
                    json!({"default_value": value, "runtime_key": "unused"});
            }
            ("LEAST_REQUEST", Some(("least_request_lb_config", config)))
        }
        LbPolicy::Random => ("RANDOM", None),
        LbPolicy::RingHash { minimum_ring_size } => (
            "RING_HASH",
            Some((
                "ring_hash_lb_config",
                json!({"minimum_ring_size": minimum_ring_size}),
            )),
        ),
        LbPolicy::Maglev { table_size } => (
            "MAGLEV",
            Some(("maglev_lb_config", json!({"table_size": table_size}))),
        ),
        LbPolicy::ClusterProvided => ("CLUSTER_PROVIDED", None),
    };
    value["lb_policy"] = json!(name);
    if let Some((key, config)) = config {
        value[key] = config;
    }
    if let Some(warmup) = &cluster.warmup {
        let key = match cluster.lb {
            LbPolicy::RoundRobin => "round_robin_lb_config",
            _ => "least_request_lb_config",
        };
        value[key]["slow_start_config"] = slow_start(warmup);
    }
}

fn slow_start(warmup: &Warmup) -> Value {
    json!({
        "slow_start_window": duration(warmup.duration),
        "aggression": {"default_value": warmup.aggression, "runtime_key": "unused"},
        "min_weight_percent": percent(warmup.minimum),
    })
}

fn breakers(limits: &Thresholds) -> Value {
    let mut value = json!({"thresholds": [thresholds(limits)]});
    if limits.max_connections_per_host != UNLIMITED {
        value["per_host_thresholds"] =
            json!([{"max_connections": limits.max_connections_per_host}]);
    }
    value
}

fn thresholds(limits: &Thresholds) -> Value {
    let mut value = json!({
        "max_connections": limits.max_connections,
        "max_pending_requests": limits.max_pending_requests,
        "max_requests": limits.max_requests,
        "max_retries": limits.max_retries,
    });
    if let Some((share, least)) = limits.retry_budget {
        value["retry_budget"] =
            json!({"budget_percent": percent(share), "min_retry_concurrency": least});
    }
    if limits.max_connection_pools != UNLIMITED {
        value["max_connection_pools"] = json!(limits.max_connection_pools);
    }
    value
}

fn http_options(pool: &PoolSettings, upstream: Upstream) -> Value {
    let mut common = json!({"idle_timeout": duration(pool.idle_timeout)});
    if pool.max_requests_per_connection > 0 {
        common["max_requests_per_connection"] = json!(pool.max_requests_per_connection);
    }
    if let Some(length) = pool.max_stream_duration {
        common["max_stream_duration"] = json!(duration(length));
    }
    if let Some(age) = pool.max_connection_duration {
        common["max_connection_duration"] = json!(duration(age));
    }
    let http2 = json!({"max_concurrent_streams": pool.max_concurrent_streams});
    let mut value = json!({"@type": HTTP_OPTIONS, "common_http_protocol_options": common});
    match upstream {
        Upstream::Http2 => {
            value["explicit_http_config"] = json!({"http2_protocol_options": http2});
        }
        Upstream::Downstream => {
            value["use_downstream_protocol_config"] =
                json!({"http_protocol_options": {}, "http2_protocol_options": http2});
        }
        Upstream::Http1 | Upstream::Tcp => {
            value["explicit_http_config"] = json!({"http_protocol_options": {}});
        }
    }
    value
}
