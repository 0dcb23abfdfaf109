//! The inbound side of a sidecar (`core/listener_inbound.go`, `core/networkfilter.go`).
//!
//! In a cluster: `virtualInbound`, with filter chains by the port that was meant. On one machine
//! nothing is redirected: every port has a listener of its own, and the application stands where
//! the endpoints map says.

use serde_json::{Value, json};

use super::{Writer, duration, listener, socket};
use crate::xds::cluster::Upstream;
use crate::xds::listener::MtlsMode;
use crate::xds::snapshot::Protocol;
use crate::xds::{Cluster, ClusterKind, Inbound};

/// Where iptables sends what arrives.
const VIRTUAL_INBOUND: (&str, u16) = ("0.0.0.0", 15006);
/// Address from which the proxy speaks to its application.
const LOOPBACK: &str = "127.0.0.6";

impl Writer<'_> {
    /// Listeners of the workload's own ports.
    pub(super) fn inbound_listeners(&mut self) -> Vec<Value> {
        let ports = &self.workload.inbound;
        if ports.is_empty() {
            return Vec::new();
        }
        if self.endpoints.is_some() {
            return ports.iter().map(|port| self.own_listener(port)).collect();
        }
        let chains: Vec<Value> = ports
            .iter()
            .flat_map(|port| self.inbound_chains(port, true))
            .collect();
        let (host, port) = VIRTUAL_INBOUND;
        let inspectors =
            ["original_dst", "tls_inspector", "http_inspector"].map(listener::inspector);
        vec![json!({
            "name": "virtualInbound",
            "address": socket(host, port),
            "traffic_direction": "INBOUND",
            "use_original_dst": true,
            "filter_chains": chains,
            "listener_filters": inspectors,
            "listener_filters_timeout": "0s",
            "continue_on_listener_filters_timeout": true,
        })]
    }

    /// A port's listener where nothing is redirected.
    fn own_listener(&mut self, inbound: &Inbound) -> Value {
        let name = format!("inbound_{}", inbound.port);
        let place = self.endpoints.map(|map| map.listener(&name));
        let (host, port) = place.unwrap_or_default();
        let chains = self.inbound_chains(inbound, false);
        let inspectors = ["tls_inspector", "http_inspector"].map(listener::inspector);
        json!({
            "name": name,
            "address": socket(&host, port),
            "traffic_direction": "INBOUND",
            "filter_chains": chains,
            "listener_filters": inspectors,
            "listener_filters_timeout": "0s",
            "continue_on_listener_filters_timeout": true,
        })
    }

    /// Mutual TLS and plaintext, as the mode allows; sniffed ports tell HTTP from other bytes.
    fn inbound_chains(&mut self, inbound: &Inbound, by_port: bool) -> Vec<Value> {
        let tls = inbound.mtls != MtlsMode::Disable && self.certificates.is_some();
        let plain = inbound.mtls != MtlsMode::Strict;
        if inbound.mtls != MtlsMode::Disable && self.certificates.is_none() {
            self.warn(
                "mutual TLS of the inbound side is not exported (no certificates were given)",
            );
        }
        let sniffed = inbound.protocol == Protocol::Auto;
        let mut chains = Vec::new();
        if tls {
            let mut chain = self.inbound_chain(inbound, !is_tcp(inbound));
            chain["filter_chain_match"] = json!({"transport_protocol": "tls"});
            chain["transport_socket"] = self.downstream_tls(true);
            chains.push(chain);
        }
        if plain {
            let mut chain = self.inbound_chain(inbound, !is_tcp(inbound));
            chain["filter_chain_match"] = json!({"transport_protocol": "raw_buffer"});
            if sniffed {
                chain["filter_chain_match"]["application_protocols"] = json!(["http/1.1", "h2c"]);
                let mut rest = self.inbound_chain(inbound, false);
                rest["filter_chain_match"] = json!({"transport_protocol": "raw_buffer"});
                chains.push(rest);
            }
            chains.push(chain);
        }
        if chains.is_empty() {
            self.warn(format!(
                "port {} takes mutual TLS only: without certificates nothing is exported for it",
                inbound.port
            ));
        }
        for chain in &mut chains {
            if by_port {
                chain["filter_chain_match"]["destination_port"] = json!(inbound.port);
            }
        }
        chains
    }

    fn inbound_chain(&mut self, inbound: &Inbound, http: bool) -> Value {
        let mut filters = Vec::new();
        if http {
            filters.push(self.inbound_http(inbound));
        } else {
            filters.extend(self.network_rbac(inbound));
            filters.push(listener::tcp_to(&inbound.cluster.name));
        }
        json!({"filters": filters})
    }

    fn inbound_http(&mut self, inbound: &Inbound) -> Value {
        let name = &*inbound.cluster.name;
        let mut forward = json!({"cluster": name, "timeout": "0s", "max_grpc_timeout": "0s"});
        if let Some(retry) = &inbound.retry {
            forward["retry_policy"] = super::action::retry_policy(retry);
        }
        let own = [
            listener::filter("fault", "fault.v3.HTTPFault"),
            listener::filter("cors", "cors.v3.Cors"),
            listener::filter("router", "router.v3.Router"),
        ];
        let filters = super::filter::chain(&inbound.filters, self.http_rbac(inbound), own);
        let mut route = json!({"name": "default", "match": {"prefix": "/"}, "route": forward});
        if let Some(of_route) = &inbound.route_filters {
            super::filter::per_route(&mut route, of_route);
        }
        json!({
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": listener::HCM,
                "stat_prefix": format!("inbound_0.0.0.0_{}", inbound.port),
                "route_config": {
                    "name": name,
                    "validate_clusters": false,
                    "virtual_hosts": [{
                        "name": &*inbound.virtual_host,
                        "domains": ["*"],
                        "routes": [route],
                    }],
                },
                "http_filters": filters,
                "normalize_path": true,
                "generate_request_id": true,
                "stream_idle_timeout": duration(crate::units::SimDuration::ZERO),
            }
        })
    }

    /// `inbound|PORT||`, whose one host is the application.
    pub(super) fn inbound_clusters(&mut self) -> Vec<Value> {
        let ports = &self.workload.inbound;
        let mut written: Vec<Value> = Vec::new();
        for port in ports {
            let cluster = self.inbound_cluster(&port.cluster, port.port);
            if written.iter().all(|c| c["name"] != cluster["name"]) {
                written.push(cluster);
            }
        }
        written
    }

    fn inbound_cluster(&mut self, cluster: &Cluster, port: u16) -> Value {
        let mut value = self.cluster(cluster);
        if cluster.kind == ClusterKind::OriginalDst {
            value["upstream_bind_config"] =
                json!({"source_address": {"address": LOOPBACK, "port_value": 0}});
        }
        if let Some(map) = self.endpoints {
            let (host, port) = map.application(port);
            let place = json!({"endpoint": {"address": socket(&host, port)}});
            value["type"] = json!("STATIC");
            value["lb_policy"] = json!("ROUND_ROBIN");
            value["load_assignment"] =
                json!({"cluster_name": &*cluster.name, "endpoints": [{"lb_endpoints": [place]}]});
            if let Some(entries) = value.as_object_mut() {
                entries.remove("upstream_bind_config");
            }
        }
        value
    }
}

fn is_tcp(inbound: &Inbound) -> bool {
    inbound.cluster.upstream == Upstream::Tcp
}
