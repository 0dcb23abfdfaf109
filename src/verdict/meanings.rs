//! What each code of a finding means, for `towtank analyze --explain`.

/// Codes and their meanings, in the order of codes.
pub const MEANINGS: &[(&str, &str)] = &[
    (
        "TT-BREAKER-EXCEEDED",
        "A proxy has more connections than `maxConnections` says: a pool without a connection may always open one, and there is a pool for every pod and worker thread.",
    ),
    (
        "TT-BREAKER-NEVER",
        "A written limit refuses nobody while the pods behind it have more than they can do: limits count in each client proxy by itself, and together they allow too much.",
    ),
    (
        "TT-BREAKER-OPEN",
        "A circuit breaker refuses at least 1 % of the tries (503 UO, or retries that are not made). Whether it protects anybody is told by how busy the pods behind it are.",
    ),
    (
        "TT-CASCADE",
        "One workload fills up and its callers after it, because they wait for it and keep their places meanwhile; the chain tells the order in time.",
    ),
    (
        "TT-COLD-PODS",
        "Latency rises after pods joined: they get their full share before they are warm. A slow start (`warmup`) that lasts longer than their own warm-up helps.",
    ),
    (
        "TT-COLLAPSE",
        "Goodput breaks down without any event in some replications and stays down. The rate per hour of healthy time comes with its exact 95 % interval: one run that looks perfect says nothing.",
    ),
    (
        "TT-EJECTION-COLLAPSE",
        "Outlier detection takes so many pods out that those left, or nobody, cannot bear the load: requests end as 503 UH, or panic mode sends them to ejected pods.",
    ),
    (
        "TT-EJECTION-REFUSED",
        "Pods were found bad and stay in use, because `maxEjectionPercent` allows no more to be ejected.",
    ),
    (
        "TT-FAILOVER-NEVER",
        "A locality fails and no client leaves it: without `outlierDetection` (or with `distribute` to that place alone) nothing tells clients to go elsewhere.",
    ),
    (
        "TT-FAILOVER-OVERLOAD",
        "The locality that takes over has not the places for the load of both.",
    ),
    (
        "TT-FAULT-RETRIED",
        "Injected faults and retries do not meet where they were written: the fault filter answers before the router, so retries beside a fault never see it, while those of the proxy one hop before do and may hide it.",
    ),
    (
        "TT-IMBALANCE",
        "Pods of one workload get very different shares, beyond chance; the finding names the stage that made it: priority, place, hash, ejections, policy or worker threads.",
    ),
    (
        "TT-METASTABLE",
        "The trigger is over and goodput does not come back: retries or queues keep the overload alive by themselves.",
    ),
    (
        "TT-MIRROR-LOAD",
        "Mirrored copies make a workload that mirrors do not name work much more, because the copy's application calls it as the original does.",
    ),
    (
        "TT-NC-WINDOW",
        "Requests are answered 503 NC for a while: a route arrived at a proxy before the cluster that it names.",
    ),
    (
        "TT-NO-HEADROOM",
        "The places of a workload are nearly all busy: a little more load, or one pod less, and it queues.",
    ),
    (
        "TT-RETRY-LAYERS",
        "Several layers of a chain retry what the layer below already retried: tries multiply from layer to layer.",
    ),
    (
        "TT-RETRY-STORM",
        "Retries make the load on a workload that cannot bear it a multiple of what clients asked for.",
    ),
    (
        "TT-ROLLOUT-LOSS",
        "Requests fail while pods are replaced: they end before their clients have heard of it, or too few are ready.",
    ),
    (
        "TT-SLOW-RECOVERY",
        "Goodput comes back, but long after the trigger is over.",
    ),
    (
        "TT-TIMEOUTS-INVERTED",
        "A caller gives up before the one it calls does, which goes on working for nobody.",
    ),
    (
        "TT-TOO-MUCH-IN-FLIGHT",
        "A run was ended because more calls were under way than `maxInFlight` of its Scenario allows: some queue has no end, and more comes than is served.",
    ),
    (
        "TT-WORKER-SKEW",
        "One worker thread of a proxy has most of its requests while others idle: connections stay with the thread that accepted them, and there are few.",
    ),
];

/// The meaning of a code.
pub fn meaning(code: &str) -> Option<&'static str> {
    let found = MEANINGS.iter().find(|(known, _)| *known == code);
    found.map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::CODES;

    #[test]
    fn every_code_has_its_meaning_in_the_order_of_codes() {
        let named: Vec<&str> = MEANINGS.iter().map(|(code, _)| *code).collect();
        assert_eq!(named, CODES);
    }
}
