//! The proxy's own cluster, by which Envoy knows how proxies of its kind are spread over zones
//! (`tools/packaging/common/envoy_bootstrap.json`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Writer, locality, socket};
use crate::xds::{Locality, Pod};

/// Its name, for Envoy and in istiod.
pub(super) const LOCAL_CLUSTER: &str = "local_cluster";

impl Writer<'_> {
    /// The cluster, when self-discovery is on. Nothing is ever sent to it.
    pub(super) fn local_cluster(&self) -> Option<Value> {
        let here = self.pod().map(|p| p.locality.clone()).unwrap_or_default();
        let peers = self.snapshot.peers(self.id, &here)?;
        let port = self.snapshot.local_clusters[&self.id].port;
        let mut places: BTreeMap<&Locality, Vec<&Pod>> = BTreeMap::new();
        for pod in peers {
            places.entry(&pod.locality).or_default().push(pod);
        }
        let groups: Vec<Value> = places
            .iter()
            .map(|(at, pods)| group(at, pods, port))
            .collect();
        Some(json!({
            "name": LOCAL_CLUSTER,
            "alt_stat_name": "local_cluster;",
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": {"cluster_name": LOCAL_CLUSTER, "endpoints": groups},
        }))
    }
}

fn group(at: &Locality, pods: &[&Pod], port: u16) -> Value {
    let member = |pod: &&Pod| {
        let mut value = json!({"endpoint": {"address": socket(&pod.ip, port)}});
        if !pod.ready {
            value["health_status"] = json!("UNHEALTHY");
        }
        value
    };
    let members: Vec<Value> = pods.iter().map(member).collect();
    let mut value = json!({"lb_endpoints": members});
    if !at.is_empty() {
        value["locality"] = locality(at);
    }
    value
}
