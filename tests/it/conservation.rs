//! Nothing is lost and nothing counted twice, however a run goes and wherever it stops.
//!
//! Runs here have no warm-up, so that every count covers the whole run.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use towtank::engine::Seed;
use towtank::observe::Record;
use towtank::observe::record::{ClusterRecord, Ended};
use towtank::simulation::{Control, record, run};

use crate::harness::Case;
use crate::theory_support::Mesh;

/// What holds for every record.
fn conserved(record: &Record) {
    for client in &record.clients {
        let name = &client.name;
        assert_eq!(
            client.started,
            client.requests + client.in_flight,
            "{name}: started"
        );
        assert_eq!(
            client.statuses.values().sum::<u64>(),
            client.requests,
            "{name}: statuses"
        );
        assert_eq!(
            client.flags.values().sum::<u64>(),
            client.requests,
            "{name}: flags"
        );
        assert_eq!(
            client.attempts.values().sum::<u64>(),
            client.requests,
            "{name}: attempts"
        );
        assert_eq!(client.latency.count(), client.requests, "{name}: latencies");
    }
    let started: u64 = record.clients.iter().map(|c| c.started).sum();
    assert!(started > 0, "a run without requests proves nothing");
    let points = &record.series.points;
    assert_eq!(
        points.iter().map(|p| p.started).sum::<u64>(),
        started,
        "series, started"
    );
    let ended: u64 = record.clients.iter().map(|c| c.requests).sum();
    assert_eq!(
        points.iter().map(|p| p.requests).sum::<u64>(),
        ended,
        "series, ended"
    );
    for edge in &record.edges {
        let row = format!("{} -> {}", edge.from, edge.to);
        assert_eq!(
            edge.statuses.values().sum::<u64>(),
            edge.requests,
            "{row}: statuses"
        );
        assert_eq!(
            edge.flags.values().sum::<u64>(),
            edge.requests,
            "{row}: flags"
        );
        assert_eq!(edge.latency.count(), edge.requests, "{row}: latencies");
    }
    for cluster in &record.clusters {
        if is_inbound(cluster) {
            conserved_by_sidecars(record, cluster);
        } else {
            conserved_by_cluster(record, cluster);
        }
    }
    conserved_by_pods(record);
}

/// The cluster of a server's own sidecar.
fn is_inbound(cluster: &ClusterRecord) -> bool {
    cluster.cluster.starts_with("inbound|")
}

/// What a server's sidecar forwarded or refused is what reached its pods.
fn conserved_by_sidecars(record: &Record, cluster: &ClusterRecord) {
    let stat = |name: &str| cluster.stats.get(name).copied().unwrap_or(0);
    let workload = &cluster.workload;
    let pods = record.endpoints.iter().filter(|e| e.workload == *workload);
    let reached: u64 = pods.map(|e| e.requests).sum();
    let ways = stat("upstream_rq_total")
        + stat("upstream_rq_pending_overflow")
        + stat("upstream_rq_active_overflow")
        + stat("upstream_rq_cancelled");
    assert!(ways <= reached, "{workload}: {ways} of {reached}");
    if record.ended == Ended::Complete {
        // Those whose clients left before may still wait.
        let waiting = stat("upstream_rq_pending_total");
        assert!(ways + waiting >= reached, "{workload}: {ways} of {reached}");
    }
    assert!(stat("upstream_rq_completed") <= reached, "{workload}");
}

/// Ways of a try through a proxy's cluster, by Envoy's own counters.
fn conserved_by_cluster(record: &Record, cluster: &ClusterRecord) {
    let stat = |name: &str| cluster.stats.get(name).copied().unwrap_or(0);
    let name = &cluster.cluster;
    let opened = stat("upstream_cx_total");
    assert_eq!(
        opened,
        stat("upstream_cx_destroy") + stat("upstream_cx_active"),
        "{name}: connections"
    );
    let by_protocol = stat("upstream_cx_http1_total") + stat("upstream_cx_http2_total");
    assert_eq!(opened, by_protocol, "{name}: connections by protocol");
    // Whatever became of a try after a host was asked for.
    let ways = stat("upstream_cx_none_healthy")
        + stat("upstream_rq_pending_overflow")
        + stat("upstream_rq_pending_active_overflow")
        + stat("upstream_rq_active_overflow")
        + stat("upstream_rq_cancelled")
        + stat("upstream_rq_pending_failure_eject")
        + stat("upstream_rq_pending_active")
        + stat("upstream_rq_total");
    let rows = record
        .edges
        .iter()
        .filter(|e| e.from == cluster.workload && e.cluster == *name);
    let (calls, tries) = rows.fold((0, 0), |(c, t), e| (c + e.requests, t + e.attempts));
    if record.ended == Ended::Complete {
        assert_eq!(ways, tries, "{name}: tries");
        assert_eq!(
            stat("upstream_rq_active") + stat("upstream_rq_pending_active"),
            0,
            "{name}: in flight"
        );
    } else {
        assert!(
            ways >= tries,
            "{name}: tries of calls that ended are among all tries"
        );
    }
    assert!(stat("upstream_rq_completed") <= calls, "{name}: completed");
    assert!(
        stat("upstream_rq_retry") >= tries.saturating_sub(calls),
        "{name}: retries"
    );
    let answered = stat("upstream_rq_completed") + stat("retry.upstream_rq_completed");
    assert!(
        stat("upstream_rq_retry") >= stat("retry.upstream_rq_completed"),
        "{name}: {answered}"
    );
}

/// What was sent arrived; what arrived was taken or refused.
fn conserved_by_pods(record: &Record) {
    let outbound = || record.clusters.iter().filter(|c| !is_inbound(c));
    let sent: u64 = outbound().map(|c| c.stats["upstream_rq_total"]).sum();
    assert_eq!(sent, record.hops, "hops are the tries on a connection");
    let reached: u64 = record.endpoints.iter().map(|e| e.requests).sum();
    assert!(reached <= sent);
    if record.ended == Ended::Complete {
        // Abandoned tries may still be on their way when the last answer is in.
        let abandoned: u64 = outbound()
            .map(|c| c.stats["upstream_rq_per_try_timeout"] + c.stats["upstream_rq_timeout"])
            .sum();
        let left: u64 = record.flags_of("DC");
        assert!(
            reached + abandoned + left >= sent,
            "{reached} of {sent} arrived"
        );
    }
    for workload in &record.workloads {
        let pods = record
            .endpoints
            .iter()
            .filter(|e| e.workload == workload.name);
        let reached: u64 = pods.map(|e| e.requests).sum();
        let taken = workload.requests + workload.rejected;
        let mut inbound = record.clusters.iter().filter(|c| is_inbound(c));
        if inbound.any(|c| c.workload == workload.name) {
            assert!(
                reached >= taken,
                "{}: some wait in the sidecar",
                workload.name
            );
        } else {
            assert_eq!(reached, taken, "{}", workload.name);
        }
        assert!(workload.latency.count() <= workload.requests);
        assert!(workload.errors <= workload.latency.count());
    }
}

trait Flagged {
    fn flags_of(&self, flag: &str) -> u64;
}

impl Flagged for Record {
    /// Calls that carry a flag, over all rows.
    fn flags_of(&self, flag: &str) -> u64 {
        let rows = self.edges.iter().flat_map(|e| &e.flags);
        rows.filter(|(f, _)| f.split(',').any(|f| f == flag))
            .map(|(_, n)| n)
            .sum()
    }
}

fn check(mesh: &Mesh, scenario: &str) -> Record {
    let record = mesh.case(scenario).run();
    conserved(&record);
    let delayed = mesh
        .over("{lognormal: {median: 1ms, p99: 10ms}}", scenario)
        .run();
    conserved(&delayed);
    record
}

const LOAD: &str =
    "duration: 5s, load: [{name: load, from: t/client, url: 'http://server:8080/', rate: 400/s}]";

#[test]
fn quiet_runs_lose_nothing() {
    let mesh = Mesh::new().pods("server", "server", 3, "{}");
    let record = check(&mesh, LOAD);
    assert_eq!(record.ended, Ended::Complete);
    assert_eq!(record.clients[0].statuses.len(), 1);
}

#[test]
fn overload_with_every_limit_loses_nothing() {
    let mesh = Mesh::new()
        .pods("server", "server", 3, "{concurrency: 2, queue: 5, serviceTime: {exponential: {mean: 40ms}}}")
        .rule("server", "{connectionPool: {tcp: {maxConnections: 12}, http: {http1MaxPendingRequests: 5, maxRetries: 3, maxRequestsPerConnection: 7}}, outlierDetection: {consecutive5xxErrors: 3, interval: 500ms, baseEjectionTime: 1s, maxEjectionPercent: 70}}")
        .route("server", "timeout: 150ms\n    retries: {attempts: 3, perTryTimeout: 70ms, retryOn: '5xx,reset'}");
    let record = check(&mesh, LOAD);
    let stats = &record.clusters[0].stats;
    for name in [
        "upstream_rq_pending_overflow",
        "upstream_rq_retry",
        "upstream_rq_retry_overflow",
        "upstream_rq_per_try_timeout",
        "upstream_rq_timeout",
        "upstream_cx_max_requests",
        "outlier_detection.ejections_enforced_total",
    ] {
        assert!(stats[name] > 0, "{name} did not happen");
    }
    assert!(record.workloads.iter().any(|w| w.rejected > 0));
}

#[test]
fn resets_hangs_and_refusals_lose_nothing() {
    let mesh = Mesh::new()
        .bare("server", "{errors: [{reset: true, rate: 30%}, {status: 503, rate: 10%}]}")
        .pods("resets", "server", 1, "{errors: [{reset: true, rate: 30%}]}")
        .pods("hangs", "server", 1, "{concurrency: 20, queue: 20, errors: [{hang: true, rate: 10%}]}")
        .pods("refuses", "server", 1, "{connections: refuse}")
        .pods("drops", "server", 1, "{connections: blackhole}")
        .rule("server", "{connectionPool: {tcp: {connectTimeout: 100ms}}}")
        .route("server", "timeout: 2s\n    retries: {attempts: 2, perTryTimeout: 300ms, retryOn: 'connect-failure,reset,503'}");
    let record = check(&mesh, LOAD);
    assert_eq!(record.ended, Ended::Complete);
    let stats = &record.clusters[0].stats;
    for name in [
        "upstream_rq_pending_failure_eject",
        "upstream_cx_connect_timeout",
        "upstream_cx_destroy_remote_with_active_rq",
    ] {
        assert!(stats[name] > 0, "{name} did not happen");
    }
}

#[test]
fn clients_and_applications_that_give_up_lose_nothing() {
    let call = "{url: 'http://server:8080/', timeout: 60ms, onError: ignore}";
    let front = format!(
        "{{concurrency: 30, queue: 30, serviceTime: 1ms, calls: [{{parallel: [{call}, {call}]}}, {call}]}}"
    );
    let mesh = Mesh::new()
        .pods("front", "front", 2, &front)
        .pods(
            "server",
            "server",
            2,
            "{concurrency: 10, queue: 40, serviceTime: {exponential: {mean: 50ms}}}",
        )
        .rule("server", "{connectionPool: {tcp: {maxConnections: 8}}}");
    let scenario = "duration: 5s, load: [{name: load, from: t/client, url: 'http://front:8080/', rate: 200/s, timeout: 120ms}]";
    let record = check(&mesh, scenario);
    assert!(record.clients[0].statuses["0"] > 0);
    assert!(record.flags_of("DC") > 0);
}

#[test]
fn closed_loops_and_http2_lose_nothing() {
    let mesh = Mesh::new()
        .pods("server", "server", 2, "{concurrency: 4, queue: 3, errors: [{reset: true, rate: 5%}]}")
        .rule("server", "{connectionPool: {http: {h2UpgradePolicy: UPGRADE, http2MaxRequests: 9, maxConcurrentStreams: 3, maxRequestsPerConnection: 50}}}")
        .route("server", "retries: {attempts: 1, perTryTimeout: 20ms, retryOn: '5xx'}");
    let scenario = "duration: 5s, load: [{name: load, from: t/client, url: 'http://server:8080/', connections: 16}, {name: counted, from: t/client, url: 'http://server:8080/', connections: 3, requests: 500}]";
    let record = check(&mesh, scenario);
    assert_eq!(record.clients[1].requests, 500);
    assert!(record.clusters[0].stats["upstream_cx_http2_total"] > 0);
}

#[test]
fn the_reference_workload_loses_nothing() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models/w1"));
    let mut case = Case::folder(folder);
    let second = towtank::units::SimDuration::from_secs(1);
    case.scenario.duration = Some(second.plus(second));
    case.scenario.warm_up = towtank::units::SimDuration::ZERO;
    conserved(&case.run());
}

#[test]
fn requests_that_never_end_are_counted_as_in_flight() {
    let mesh = Mesh::new().pods(
        "server",
        "server",
        1,
        "{concurrency: 5, queue: 10, errors: [{hang: true, rate: 20%}]}",
    );
    let record = mesh.case("duration: 2s, load: [{name: load, from: t/client, url: 'http://server:8080/', rate: 100/s}]").run();
    conserved(&record);
    assert_eq!(record.ended, Ended::InFlight);
    assert!(record.clients[0].in_flight > 0);
}

/// Stops a run from outside when this share of it is done.
fn interrupted_at(case: &Case, share: f64) -> Record {
    let interrupted = AtomicBool::new(false);
    let progress = |done: f64| {
        if done >= share {
            interrupted.store(true, Ordering::Relaxed);
        }
    };
    let control = Control {
        interrupted: &interrupted,
        progress: Some(&progress),
        keep_requests: 0,
    };
    let plan = case.plan();
    let outcome = run(&plan, Seed::new(1).replication(0), &control);
    record(&plan, 1, &[outcome])
}

#[test]
fn an_interrupted_run_reports_what_was_done_so_far() {
    let mesh = Mesh::new().pods(
        "server",
        "server",
        2,
        "{serviceTime: {exponential: {mean: 50ms}}}",
    );
    let case = mesh.over("1ms", LOAD);
    let whole = case.run().clients[0].started;
    for share in [0.0, 0.1, 0.5, 0.9] {
        let record = interrupted_at(&case, share);
        conserved(&record);
        assert_eq!(record.ended, Ended::Interrupted);
        let done = record.clients[0].started as f64 / whole as f64;
        assert!((done - share).abs() < 0.06, "{done} of {share}");
        assert!(record.clients[0].in_flight > 0 || share < 0.05);
    }
}

#[test]
fn too_much_in_flight_ends_a_run_early() {
    let mesh = Mesh::new().pods(
        "server",
        "server",
        1,
        "{concurrency: 1, queue: unlimited, serviceTime: 1s}",
    );
    let mut plan = mesh.case("duration: 1h, load: [{name: load, from: t/client, url: 'http://server:8080/', rate: 100000/s}]").plan();
    plan.in_flight_max = 2_000;
    let interrupted = AtomicBool::new(false);
    let control = Control {
        interrupted: &interrupted,
        progress: None,
        keep_requests: 0,
    };
    let outcome = run(&plan, Seed::new(1).replication(0), &control);
    let record = record(&plan, 1, &[outcome]);
    conserved(&record);
    assert_eq!(record.ended, Ended::TooMuchInFlight);
    let started = record.clients[0].started;
    assert!(
        (2_000..200_000).contains(&started),
        "stopped after {started}"
    );
}
