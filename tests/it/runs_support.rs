//! What tests of whole runs ask of a record.

use std::collections::BTreeMap;

use towtank::observe::Record;
use towtank::observe::record::RequestRecord;

/// A load of the client on `server`; `shape` says how much.
pub(crate) fn load(shape: &str) -> String {
    format!("load: [{{name: load, from: t/client, url: 'http://server:8080/', {shape}}}]")
}

/// A statistic of the client's cluster for `server`.
pub(crate) fn stat(record: &Record, name: &str) -> u64 {
    stat_of(record, "t/client", name)
}

pub(crate) fn stat_of(record: &Record, workload: &str, name: &str) -> u64 {
    let mut clusters = record.clusters.iter().filter(|c| c.workload == workload);
    let cluster = clusters.next().expect("a cluster of the workload");
    assert!(clusters.next().is_none(), "one cluster only");
    cluster.stats.get(name).copied().unwrap_or(0)
}

/// `status flags details ×count` of all requests, sorted.
pub(crate) fn outcomes(record: &Record) -> Vec<String> {
    let mut all: BTreeMap<String, u32> = BTreeMap::new();
    for r in &record.requests {
        let text = format!("{} {} {}", r.status, r.flags, r.details);
        *all.entry(text).or_insert(0) += 1;
    }
    all.into_iter().map(|(k, n)| format!("{k} ×{n}")).collect()
}

pub(crate) fn in_order(record: &Record) -> Vec<&RequestRecord> {
    let mut all: Vec<_> = record.requests.iter().collect();
    all.sort_by_key(|r| r.number);
    all
}

pub(crate) fn millis(request: &RequestRecord) -> u64 {
    request.duration.ns() / 1_000_000
}
