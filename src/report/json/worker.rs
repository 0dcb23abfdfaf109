//! Worker threads of proxies in the JSON of a run.

use schemars::JsonSchema;
use serde::Serialize;

use crate::observe::record::WorkersRecord;

/// What each worker thread of a proxy had to do; a connection stays with the thread that accepted it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workers {
    /// Its workload.
    pub workload: String,
    /// Pod.
    pub pod: String,
    /// Calls of the application, or requests of clients outside, with their mirrored copies: by replication, then by thread.
    pub sent: Vec<Vec<u64>>,
    /// Requests for the application, by replication, then by thread.
    pub served: Vec<Vec<u64>>,
}

impl From<&WorkersRecord> for Workers {
    fn from(record: &WorkersRecord) -> Self {
        Self {
            workload: record.workload.clone(),
            pod: record.pod.clone(),
            sent: record.sent.clone(),
            served: record.served.clone(),
        }
    }
}
