//! What the HTTP filters of proxies counted.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::observe::record::ProxyRecord;

/// Envoy's statistics of HTTP filters, over all proxies of one workload.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Proxy {
    /// Workload.
    pub workload: String,
    /// Envoy's stat name (`http.outbound_0.0.0.0_80.admission_control.rq_rejected`) → value.
    pub stats: BTreeMap<String, u64>,
}

impl From<&ProxyRecord> for Proxy {
    fn from(proxy: &ProxyRecord) -> Self {
        Self {
            workload: proxy.workload.clone(),
            stats: proxy.stats.clone(),
        }
    }
}
