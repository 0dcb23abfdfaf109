//! `TT-TOO-MUCH-IN-FLIGHT`: a run was ended because more work was under way than it may hold.
//!
//! What arrives faster than it is served piles up wherever queues have no end. A real mesh would
//! run out of memory; a run stops at `maxInFlight` of its Scenario and says where the work was.

use super::Context;
use crate::observe::record::{Ended, Finding, Severity, WorkloadRecord};

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let record = context.record;
    if record.ended != Ended::TooMuchInFlight {
        return;
    }
    let mut chain = Vec::new();
    for client in record.clients.iter().filter(|c| c.in_flight > 0) {
        chain.push(format!(
            "load {}: {} of {} requests have no answer yet",
            client.name, client.in_flight, client.started
        ));
    }
    let waiting = |w: &&WorkloadRecord| w.queue_max;
    let fullest = record.workloads.iter().max_by_key(waiting);
    if let Some(workload) = fullest.filter(|w| w.queue_max > 0) {
        let takes = match record.places_of(&workload.name) {
            Some(places) => format!("its {} pods take {places} at once", workload.pods),
            None => "its pods take any number at once".to_owned(),
        };
        chain.push(format!(
            "up to {} wait at one pod of {}: {takes}",
            workload.queue_max, workload.name
        ));
    }
    findings.push(Finding {
        code: "TT-TOO-MUCH-IN-FLIGHT",
        severity: Severity::Error,
        what: format!(
            "more than {} calls or tries were under way at {:.1} s, and the run ended there",
            record.in_flight_max,
            record.ended_at.as_secs_f64()
        ),
        chain,
        cause: None,
        help: "fewer requests, more pods, or an end to queues (`queue` in the Model); where so much is meant, a greater `maxInFlight` in the Scenario (some 400 bytes each)".to_owned(),
        edges: Vec::new(),
        counterfactual: None,
    });
}
