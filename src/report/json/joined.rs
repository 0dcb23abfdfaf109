//! Pods that joined in the JSON of a run.

use schemars::JsonSchema;
use serde::Serialize;

use crate::observe::record::{JoinRecord, JoinWindow};
use crate::units::SimDuration;

/// A pod that became an endpoint during the run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Joined {
    /// When the last proxy heard of it, in seconds of virtual time.
    pub at_seconds: f64,
    /// Its workload.
    pub workload: String,
    /// Its name.
    pub pod: String,
    /// What it got and did in the time after that: windows that grow, up to 40 seconds or until it left. Empty from the twenty-first pod on.
    pub windows: Vec<JoinedWindow>,
}

/// What a pod that joined got and did in a window.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JoinedWindow {
    /// Beginning of the window, in seconds after the pod joined.
    pub from_seconds: f64,
    /// End of the window, in seconds after the pod joined.
    pub until_seconds: f64,
    /// Requests that reached the pod.
    pub requests: u64,
    /// Requests that reached the pods of its workload, this one among them.
    pub workload_requests: u64,
    /// The one by the other; null when there were none.
    pub share: Option<f64>,
    /// The share of each pod if all endpoints of the workload had the same: one by their number, on average over the window.
    pub even_share: f64,
    /// 99th percentile of the time from arrival at the pod to its answer, of what it answered in the window; null when it answered nothing.
    pub p99_ms: Option<f64>,
    /// The same of the workload's other pods.
    pub others_p99_ms: Option<f64>,
}

impl From<&JoinRecord> for Joined {
    fn from(record: &JoinRecord) -> Self {
        Self {
            at_seconds: record.at.as_secs_f64(),
            workload: record.workload.clone(),
            pod: record.pod.clone(),
            windows: record.windows.iter().map(JoinedWindow::from).collect(),
        }
    }
}

impl From<&JoinWindow> for JoinedWindow {
    fn from(window: &JoinWindow) -> Self {
        Self {
            from_seconds: window.from.as_secs_f64(),
            until_seconds: window.until.as_secs_f64(),
            requests: window.requests,
            workload_requests: window.of,
            share: window.share(),
            even_share: window.even_share(),
            p99_ms: window.p99.map(SimDuration::as_millis_f64),
            others_p99_ms: window.others_p99.map(SimDuration::as_millis_f64),
        }
    }
}
