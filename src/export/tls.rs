//! Mutual TLS of the mesh (`core/cluster_tls.go`, `core/tls`), from a folder that looks like the
//! one istio-agent writes: `cert-chain.pem`, `key.pem`, `root-cert.pem`.
//!
//! istiod refers to secrets that the agent serves; a file of its own needs paths.

use serde_json::{Value, json};

use super::Writer;
use crate::xds::{Cluster, Name, Tls};

const DOWNSTREAM: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
const UPSTREAM: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
const RAW: &str = "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";

impl Writer<'_> {
    /// The server's end; `mutual` asks the client for a certificate.
    pub(super) fn downstream_tls(&self, mutual: bool) -> Value {
        let mut common = self.common(&["h2", "http/1.1"]);
        if !mutual && let Some(entries) = common.as_object_mut() {
            entries.remove("validation_context");
        }
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": DOWNSTREAM, "common_tls_context": common,
                "require_client_certificate": mutual},
        })
    }

    fn common(&self, alpn: &[&str]) -> Value {
        let folder = self.certificates.unwrap_or_default();
        let file = |name: &str| json!({"filename": format!("{folder}/{name}")});
        json!({
            "tls_certificates": [
                {"certificate_chain": file("cert-chain.pem"), "private_key": file("key.pem")},
            ],
            "validation_context": {"trusted_ca": file("root-cert.pem")},
            "alpn_protocols": alpn,
        })
    }

    fn upstream_tls(&self, cluster: &Cluster) -> Value {
        let alpn: &[&str] = match cluster.upstream {
            crate::xds::cluster::Upstream::Http2 => &["istio", "h2"],
            _ => &["istio"],
        };
        let sni = format!(
            "outbound_.{}_.{}_.{}",
            cluster.port, cluster.subset, cluster.host
        );
        let mut common = self.common(alpn);
        // Without it an Envoy client speaks TLS 1.2, whose handshake takes a round trip more
        // (seen on 1.40; `defaultUpstreamCommonTlsContext` of cluster_tls.go).
        common["tls_params"] = json!({
            "tls_minimum_protocol_version": "TLSv1_2",
            "tls_maximum_protocol_version": "TLSv1_3",
        });
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": UPSTREAM, "common_tls_context": common, "sni": sni},
        })
    }

    /// The client's end: as the DestinationRule says, else as each endpoint can.
    pub(super) fn transport(&mut self, value: &mut Value, cluster: &Cluster) {
        let mutual = cluster.endpoints.iter().any(|e| e.mtls);
        match &cluster.tls {
            Tls::Auto if mutual && self.certificates.is_some() => {
                value["transport_socket_matches"] = json!([
                    {"name": "tlsMode-istio", "match": {"tlsMode": "istio"},
                        "transport_socket": self.upstream_tls(cluster)},
                    {"name": "tlsMode-disabled", "match": {},
                        "transport_socket": {"name": "envoy.transport_sockets.raw_buffer",
                            "typed_config": {"@type": RAW}}},
                ]);
            }
            Tls::IstioMutual if self.certificates.is_some() => {
                value["transport_socket"] = self.upstream_tls(cluster);
            }
            Tls::Auto if mutual => self.lost("mutual TLS", &cluster.name),
            Tls::IstioMutual => self.lost("ISTIO_MUTUAL TLS", &cluster.name),
            Tls::Simple { .. } => self.lost("TLS origination", &cluster.name),
            Tls::Auto | Tls::Disable => {}
        }
    }

    fn lost(&mut self, kind: &'static str, cluster: &Name) {
        self.plaintext
            .entry(kind)
            .or_default()
            .push(cluster.clone());
    }

    /// What goes as plaintext is named once.
    pub(super) fn lost_tls(&mut self) {
        for (kind, clusters) in std::mem::take(&mut self.plaintext) {
            let (first, others) = (&clusters[0], clusters.len() - 1);
            let rest = match others {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            self.warn(format!(
                "{kind} is not exported (certificates come from istiod), plaintext instead: `{first}`{rest}"
            ));
        }
    }
}
