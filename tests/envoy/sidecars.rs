//! Sidecars of the servers: one Envoy more for every pod of a service that is injected.

use std::collections::BTreeMap;
use std::path::Path;

use towtank::config::scenario::Connections;
use towtank::export::{Endpoints, bootstrap};
use towtank::xds::{PodId, ProxyKind};

use crate::case::Case;
use crate::envoy::Envoy;

/// Where the application of a pod listens when a sidecar has the pod's own address.
pub(crate) fn behind(pod_ip: &str) -> String {
    pod_ip.replacen("127.1.", "127.2.", 1)
}

/// True when a sidecar stands before the pod's application.
pub(crate) fn has_one(case: &Case, pod: PodId) -> bool {
    let workload = case.snapshot.pods[pod].workload;
    case.snapshot.workloads[workload].proxy == ProxyKind::Sidecar
}

/// Starts them; a pod whose connections are refused or dropped has none that listens.
pub(crate) fn start(case: &Case, binary: &Path, certificates: &str) -> Vec<Envoy> {
    let mut running = Vec::new();
    for (id, workload) in case.snapshot.workloads.iter_ids() {
        let behaviour = case.model.workloads.get(workload.full_name().as_str());
        let gone = behaviour.is_some_and(|w| w.connections != Connections::Accept);
        if workload.proxy != ProxyKind::Sidecar || &*workload.name == "client" || gone {
            continue;
        }
        for pod in &workload.pods {
            let ip = &case.snapshot.pods[*pod].ip;
            let mut map = BTreeMap::from([("admin".to_owned(), "127.0.0.1:0".to_owned())]);
            for inbound in &workload.inbound {
                let port = inbound.port;
                map.insert(format!("listener/inbound_{port}"), format!("{ip}:{port}"));
                map.insert(format!("app/{port}"), format!("{}:{port}", behind(ip)));
            }
            let endpoints = Endpoints::new(map).expect("addresses");
            let exported = bootstrap(&case.snapshot, id, Some(&endpoints), Some(certificates));
            assert!(exported.refused.is_empty(), "{:?}", exported.refused);
            running.push(Envoy::start(binary, exported.bootstrap, 1));
        }
    }
    running
}
