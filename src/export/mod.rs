//! Tables as a static Envoy bootstrap: what a workload's own proxy would run.
//!
//! A reader of the waist, like `report`: the same [`Snapshot`] that is simulated is written in
//! Envoy's words, so that a real Envoy 1.40 can be put beside the simulator. Names are istiod's.
//! Configuration that istiod sends over xDS (routes, endpoints) is written inline.
//!
//! Two uses. Without [`Endpoints`] the listeners stand where a sidecar's stand: bound to nothing,
//! behind `virtualOutbound` that asks for the original destination. With them everything runs on
//! one machine: endpoints are replaced by loopback addresses and listeners listen themselves.
//!
//! TLS needs certificates, which istiod would issue: a folder of them can be named, and without
//! it what goes as plaintext is said in a warning. Not written at all: Istio's own filters
//! (metadata exchange, telemetry), which are not part of Envoy.

mod action;
mod authorization;
mod cluster;
mod endpoints;
mod filter;
mod health_check;
mod inbound;
mod listener;
mod local_cluster;
mod outlier_detection;
mod route;
mod tls;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::units::{Fraction, Origin, SimDuration};
use crate::xds::{Name, Pod, ProxyTables, Snapshot, Workload, WorkloadId};

pub use endpoints::Endpoints;
use local_cluster::LOCAL_CLUSTER;

/// Where a sidecar's admin interface is.
const ADMIN: (&str, u16) = ("127.0.0.1", 15000);

/// A bootstrap, and what it does not say.
#[derive(Clone, Debug, Default)]
pub struct Export {
    /// `envoy -c`; null when something is refused.
    pub bootstrap: Value,
    /// What cannot be exported: sentences.
    pub warnings: Vec<String>,
    /// What Envoy would refuse: sentences with file and line.
    pub refused: Vec<String>,
}

/// Writes the bootstrap of a workload's first pod; `certificates` is a folder as the Istio agent
/// fills it.
pub fn bootstrap(
    snapshot: &Snapshot,
    id: WorkloadId,
    endpoints: Option<&Endpoints>,
    certificates: Option<&str>,
) -> Export {
    let workload = &snapshot.workloads[id];
    let mut writer = Writer {
        snapshot,
        id,
        workload,
        endpoints,
        certificates,
        plaintext: BTreeMap::new(),
        warnings: Vec::new(),
        refused: Vec::new(),
    };
    let Some(tables) = workload.tables.map(|t| &snapshot.tables[t]) else {
        let why = format!(
            "`{}` has no proxy: its pods are not injected",
            workload.full_name()
        );
        writer.refused.push(why);
        return writer.finish(Value::Null);
    };
    let value = writer.bootstrap(tables);
    writer.finish(value)
}

/// Collects what is said while the tables are written.
struct Writer<'a> {
    snapshot: &'a Snapshot,
    id: WorkloadId,
    workload: &'a Workload,
    /// One machine instead of a cluster.
    endpoints: Option<&'a Endpoints>,
    /// Folder of certificates.
    certificates: Option<&'a str>,
    /// Clusters that lost their TLS, by kind.
    plaintext: BTreeMap<&'static str, Vec<Name>>,
    warnings: Vec<String>,
    refused: Vec<String>,
}

impl Writer<'_> {
    fn bootstrap(&mut self, tables: &ProxyTables) -> Value {
        let mut listeners = self.listeners(tables);
        listeners.extend(self.inbound_listeners());
        let mut clusters: Vec<Value> = tables
            .clusters
            .iter()
            .map(|c| self.cluster(&self.snapshot.clusters[*c]))
            .collect();
        clusters.extend(self.inbound_clusters());
        self.lost_tls();
        self.unused_endpoints();
        let own = self.local_cluster();
        let mut bootstrap = json!({
            "node": self.node(),
            "admin": {"address": self.admin()},
        });
        if let Some(own) = own {
            bootstrap["cluster_manager"] = json!({"local_cluster_name": LOCAL_CLUSTER});
            clusters.push(own);
        }
        bootstrap["static_resources"] = json!({"listeners": listeners, "clusters": clusters});
        bootstrap
    }

    fn pod(&self) -> Option<&Pod> {
        self.workload.pods.first().map(|p| &self.snapshot.pods[*p])
    }

    /// As `pilot-agent` names a proxy: `sidecar~IP~POD.NAMESPACE~NAMESPACE.svc.cluster.local`.
    fn node(&self) -> Value {
        let kind = match self.workload.proxy {
            crate::xds::ProxyKind::Gateway => "router",
            _ => "sidecar",
        };
        let namespace = &self.workload.namespace;
        let (ip, name) = self
            .pod()
            .map_or(("127.0.0.1", &*self.workload.name), |p| (&*p.ip, &*p.name));
        let mut node = json!({
            "id": format!("{kind}~{ip}~{name}.{namespace}~{namespace}.svc.cluster.local"),
            "cluster": format!("{}.{namespace}", self.workload.name),
        });
        if let Some(place) = self.pod().map(|p| &p.locality).filter(|l| !l.is_empty()) {
            node["locality"] = locality(place);
        }
        node
    }

    fn admin(&self) -> Value {
        let given = self.endpoints.map(Endpoints::admin);
        let (host, port) = given.unwrap_or((ADMIN.0.to_owned(), ADMIN.1));
        socket(&host, port)
    }

    fn warn(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if !self.warnings.contains(&sentence) {
            self.warnings.push(sentence);
        }
    }

    /// A sentence about a place in the manifests.
    fn refuse(&mut self, origin: Origin, sentence: &str) {
        let place = self.snapshot.origins.describe(origin);
        let said = format!("{place}: {sentence}");
        if !self.refused.contains(&said) {
            self.refused.push(said);
        }
    }

    fn finish(self, bootstrap: Value) -> Export {
        Export {
            bootstrap: if self.refused.is_empty() {
                bootstrap
            } else {
                Value::Null
            },
            warnings: self.warnings,
            refused: self.refused,
        }
    }
}

fn socket(host: &str, port: u16) -> Value {
    json!({"socket_address": {"address": host, "port_value": port}})
}

/// Protobuf's JSON form of a duration: seconds with up to nine decimals.
fn duration(length: SimDuration) -> String {
    let (seconds, ns) = (length.ns() / 1_000_000_000, length.ns() % 1_000_000_000);
    if ns == 0 {
        return format!("{seconds}s");
    }
    let decimals = format!("{ns:09}");
    format!("{seconds}.{}s", decimals.trim_end_matches('0'))
}

/// istiod always sends millionths.
fn fractional_percent(share: Fraction) -> Value {
    json!({"numerator": share.ppm(), "denominator": "MILLION"})
}

/// A protobuf `Percent`.
fn percent(share: Fraction) -> Value {
    json!({"value": f64::from(share.ppm()) / 10_000.0})
}

fn locality(place: &crate::xds::Locality) -> Value {
    let parts = [
        ("region", &place.region),
        ("zone", &place.zone),
        ("sub_zone", &place.subzone),
    ];
    let known = parts.iter().filter(|(_, text)| !text.is_empty());
    known
        .map(|(key, text)| ((*key).to_owned(), json!(&***text)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_every_nanosecond() {
        assert_eq!(duration(SimDuration::from_ms(1500)), "1.5s");
        assert_eq!(duration(SimDuration::from_secs(10)), "10s");
        assert_eq!(duration(SimDuration::from_ns(25_000_001)), "0.025000001s");
        assert_eq!(duration(SimDuration::ZERO), "0s");
    }
}
