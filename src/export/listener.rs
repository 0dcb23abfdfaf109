//! Listeners with their filter chains (`core/listener.go`, `core/listener_builder.go`).

use serde_json::{Value, json};

use super::{Writer, duration, socket};
use crate::units::Origin;
use crate::xds::listener::{ChainKind, ChainMatch, HttpConnectionManager};
use crate::xds::snapshot::RouteConfigId;
use crate::xds::{FilterChain, Listener, Name, ProxyKind, ProxyTables};

pub(super) const HCM: &str = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const TCP_PROXY: &str =
    "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
/// The listener that iptables sends everything to.
const VIRTUAL_OUTBOUND: &str = "virtualOutbound";

impl Writer<'_> {
    pub(super) fn listeners(&mut self, tables: &ProxyTables) -> Vec<Value> {
        let mut written = Vec::new();
        for listener in &tables.listeners {
            let is_virtual = &*listener.name == VIRTUAL_OUTBOUND;
            // On one machine nothing is redirected, so nothing has an original destination.
            if is_virtual && self.endpoints.is_some() {
                continue;
            }
            written.push(self.listener(listener, tables.kind, is_virtual));
        }
        written
    }

    fn listener(&mut self, listener: &Listener, kind: ProxyKind, is_virtual: bool) -> Value {
        let place = self.endpoints.map(|map| map.listener(&listener.name));
        let (host, port) = place.unwrap_or_else(|| (listener.address.to_string(), listener.port));
        let chains = self.merged(listener);
        let mut value = json!({
            "name": &*listener.name,
            "address": socket(&host, port),
            "traffic_direction": "OUTBOUND",
        });
        // A listener without a chain for a connection closes it; Envoy wants at least one.
        let (default, matched): (Vec<_>, Vec<_>) = chains
            .iter()
            .partition(|c| c.matches == ChainMatch::Any && chains.len() > 1);
        value["filter_chains"] = (matched.iter())
            .map(|c| self.chain(listener, c, chains.len() > 1))
            .collect();
        if let Some(chain) = default.first() {
            value["default_filter_chain"] = self.chain(listener, chain, false);
        }
        let mut filters = Vec::new();
        if is_virtual {
            value["use_original_dst"] = json!(true);
            filters.push("original_dst");
        } else if self.endpoints.is_none() && kind == ProxyKind::Sidecar {
            value["bind_to_port"] = json!(false);
        }
        let any = |test: fn(&ChainMatch) -> bool| chains.iter().any(|c| test(&c.matches));
        if any(|m| matches!(m, ChainMatch::Sni(_) | ChainMatch::PlaintextHttp)) {
            filters.push("tls_inspector");
        }
        if any(|m| *m == ChainMatch::PlaintextHttp) {
            filters.push("http_inspector");
        }
        if !filters.is_empty() {
            value["listener_filters"] = filters.into_iter().map(inspector).collect();
            // istiod waits for ever (0s), except where the server may speak first.
            value["listener_filters_timeout"] = json!("0s");
            value["continue_on_listener_filters_timeout"] = json!(true);
        }
        value
    }

    /// The chains of a listener; what Envoy would call a duplicate is taken once, as first wins.
    fn merged(&mut self, listener: &Listener) -> Vec<FilterChain> {
        let mut chains: Vec<FilterChain> = Vec::new();
        for chain in &listener.chains {
            let open = self.takes_plaintext(chain);
            let same =
                |c: &FilterChain| c.matches == chain.matches || (open && self.takes_plaintext(c));
            if chains.iter().any(same) {
                self.warn(format!(
                    "listener `{}`: a second filter chain with the same match is left out",
                    listener.name
                ));
            } else {
                chains.push(chain.clone());
            }
        }
        chains
    }

    fn chain(&mut self, listener: &Listener, chain: &FilterChain, several: bool) -> Value {
        let filter = match &chain.kind {
            ChainKind::Http(routes) => self.hcm(listener, &chain.hcm, *routes),
            ChainKind::HttpsTerminate(routes) if self.certificates.is_some() => {
                self.hcm(listener, &chain.hcm, *routes)
            }
            ChainKind::HttpsTerminate(routes) => {
                self.warn(format!(
                    "listener `{}`: TLS is not terminated in the export (certificates come from istiod); it takes plaintext",
                    listener.name
                ));
                self.hcm(listener, &chain.hcm, *routes)
            }
            ChainKind::Tcp(clusters) => self.tcp_proxy(clusters, chain.origin),
        };
        let mut value = json!({"filters": [filter]});
        if matches!(chain.kind, ChainKind::HttpsTerminate(_)) && self.certificates.is_some() {
            value["transport_socket"] = self.downstream_tls(false);
        }
        let plaintext = self.takes_plaintext(chain);
        match &chain.matches {
            ChainMatch::PlaintextHttp if several => {
                value["filter_chain_match"] = json!({
                    "transport_protocol": "raw_buffer",
                    "application_protocols": ["http/1.1", "h2c"],
                });
            }
            ChainMatch::Sni(names) if !plaintext => {
                value["filter_chain_match"] =
                    json!({"server_names": names.iter().map(|n| &**n).collect::<Vec<_>>()});
            }
            ChainMatch::Destination(blocks) => {
                let ranges: Vec<Value> = blocks.iter().map(|b| cidr(b)).collect();
                value["filter_chain_match"] = json!({"prefix_ranges": ranges});
            }
            ChainMatch::Any | ChainMatch::PlaintextHttp | ChainMatch::Sni(_) => {}
        }
        value
    }

    /// A terminating chain that lost its TLS cannot be chosen by server name.
    fn takes_plaintext(&self, chain: &FilterChain) -> bool {
        self.endpoints.is_some()
            && self.certificates.is_none()
            && matches!(chain.kind, ChainKind::HttpsTerminate(_))
    }

    fn hcm(
        &mut self,
        listener: &Listener,
        settings: &HttpConnectionManager,
        routes: RouteConfigId,
    ) -> Value {
        let direction = match self.workload.proxy {
            ProxyKind::Gateway => "inbound",
            _ => "outbound",
        };
        let idle = settings.stream_idle_timeout.unwrap_or_default();
        let mut config = json!({
            "@type": HCM,
            "stat_prefix": format!("{direction}_{}", listener.name),
            "route_config": self.route_config(routes),
            // The order of istiod's chain, without Istio's own filters.
            "http_filters": super::filter::chain(&settings.filters, Vec::new(), [
                filter("fault", "fault.v3.HTTPFault"),
                filter("cors", "cors.v3.Cors"),
                router(settings),
            ]),
            "use_remote_address": self.workload.proxy == ProxyKind::Gateway,
            "normalize_path": true,
            "generate_request_id": true,
            "stream_idle_timeout": duration(idle),
        });
        let timeouts = [
            ("request_timeout", settings.request_timeout),
            ("request_headers_timeout", settings.request_headers_timeout),
        ];
        for (key, timeout) in timeouts {
            if let Some(timeout) = timeout {
                config[key] = json!(duration(timeout));
            }
        }
        if let Some(limit) = settings.max_stream_duration {
            config["common_http_protocol_options"] =
                json!({"max_stream_duration": duration(limit)});
        }
        if !settings.internal_addresses.is_empty() {
            let ranges: Vec<Value> = settings
                .internal_addresses
                .iter()
                .map(|b| cidr(b))
                .collect();
            config["internal_address_config"] = json!({"cidr_ranges": ranges});
        }
        json!({
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": config,
        })
    }

    fn tcp_proxy(&mut self, clusters: &[(Name, u32)], origin: Origin) -> Value {
        if clusters.is_empty() {
            self.refuse(origin, "a TCP route without destinations");
        }
        let prefix = clusters.first().map_or("", |(name, _)| &**name);
        let mut config = json!({"@type": TCP_PROXY, "stat_prefix": prefix});
        if let [(only, _)] = clusters {
            config["cluster"] = json!(&**only);
        } else {
            let entries: Vec<Value> = clusters
                .iter()
                .map(|(name, weight)| json!({"name": &**name, "weight": weight}))
                .collect();
            config["weighted_clusters"] = json!({"clusters": entries});
        }
        json!({"name": "envoy.filters.network.tcp_proxy", "typed_config": config})
    }
}

/// A listener filter: what looks at a connection before a chain is chosen.
pub(super) fn inspector(name: &str) -> Value {
    let kind = match name {
        "original_dst" => "original_dst.v3.OriginalDst",
        "tls_inspector" => "tls_inspector.v3.TlsInspector",
        _ => "http_inspector.v3.HttpInspector",
    };
    json!({
        "name": format!("envoy.filters.listener.{name}"),
        "typed_config": {"@type": format!("type.googleapis.com/envoy.extensions.filters.listener.{kind}")},
    })
}

/// A TCP proxy to one cluster.
pub(super) fn tcp_to(cluster: &str) -> Value {
    json!({"name": "envoy.filters.network.tcp_proxy",
        "typed_config": {"@type": TCP_PROXY, "stat_prefix": cluster, "cluster": cluster}})
}

pub(super) fn filter(name: &str, kind: &str) -> Value {
    json!({
        "name": format!("envoy.filters.http.{name}"),
        "typed_config": {"@type": format!("type.googleapis.com/envoy.extensions.filters.http.{kind}")},
    })
}

fn router(settings: &HttpConnectionManager) -> Value {
    let mut router = filter("router", "router.v3.Router");
    for (key, on) in [
        (
            "respect_expected_rq_timeout",
            settings.respect_expected_rq_timeout,
        ),
        ("suppress_envoy_headers", settings.suppress_envoy_headers),
    ] {
        if on {
            router["typed_config"][key] = json!(true);
        }
    }
    router
}

/// `10.0.0.0/8`, or a single address.
pub(super) fn cidr(block: &str) -> Value {
    let whole = if block.contains(':') { 128 } else { 32 };
    let (address, bits) = block.split_once('/').unwrap_or((block, ""));
    json!({"address_prefix": address, "prefix_len": bits.parse::<u8>().unwrap_or(whole)})
}
