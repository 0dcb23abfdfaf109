//! Ejections in the JSON of a run.

use schemars::JsonSchema;
use serde::Serialize;

use crate::observe::record::EjectionRecord;

/// A host that a proxy stopped using, or that it kept because `maxEjectionPercent` allowed no more.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ejection {
    /// When, in seconds of virtual time.
    pub at_seconds: f64,
    /// Workload whose proxy decided.
    pub workload: String,
    /// Pod whose proxy decided; every proxy decides by its own tries.
    pub proxy: String,
    /// Cluster.
    pub cluster: String,
    /// Pod that was found bad.
    pub pod: String,
    /// Envoy's word for why (`consecutive_5xx`); `rate` when an interval's shares decided.
    pub why: String,
    /// For how long at least, in seconds; null: the host stays, `maxEjectionPercent` allowed no more (told once for each proxy and host).
    pub lasts_seconds: Option<f64>,
    /// When it was used again; null: not before the end.
    pub back_at_seconds: Option<f64>,
    /// Hosts that are out at this proxy from now on.
    pub out: u32,
    /// Hosts of the cluster as this proxy knows it.
    pub hosts: u32,
    /// Failed tries of all proxies of the workload at this cluster up to and with this one.
    pub failures: u64,
}

impl From<&EjectionRecord> for Ejection {
    fn from(record: &EjectionRecord) -> Self {
        Self {
            at_seconds: record.at.as_secs_f64(),
            workload: record.workload.clone(),
            proxy: record.proxy.clone(),
            cluster: record.cluster.clone(),
            pod: record.pod.clone(),
            why: record.why.to_owned(),
            lasts_seconds: record.lasts.map(crate::units::SimDuration::as_secs_f64),
            back_at_seconds: record.back_at.map(crate::units::SimTime::as_secs_f64),
            out: record.out,
            hosts: record.hosts,
            failures: record.failures,
        }
    }
}
