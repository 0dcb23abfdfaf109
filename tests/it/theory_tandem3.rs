//! The mesh of `benches/peers` is what its page says: every policy is on, and it answers as the bare
//! queues do that it is compared with.

use towtank::observe::Record;
use towtank::units::SimDuration;
use towtank::xds::cluster::UNLIMITED;
use towtank::xds::{Action, LbPolicy, ProxyKind};

use crate::harness::{Case, sources_of};
use crate::program::root;
use crate::theory_support::{Estimate, failed, mean_ms, runs, tries};

/// One mode of it, for half a minute after one second of warm-up.
fn tandem3(mode: &str) -> Case {
    let folder = root().join("benches/peers/tandem3");
    let mut sources = sources_of(&folder);
    sources.extend(sources_of(&folder.join(mode)));
    let mut case = Case::sources(&sources);
    case.scenario.duration = Some(SimDuration::from_secs(31));
    case
}

fn arrived(record: &Record, workload: &str) -> u64 {
    let name = format!("tandem3/{workload}");
    let found = record.workloads.iter().find(|w| w.name == name);
    found.expect("it took part").requests
}

#[test]
fn every_policy_is_on_while_it_is_measured() {
    for mode in ["plain", "retry"] {
        let snapshot = tandem3(mode).snapshot;
        let proxies: Vec<_> = snapshot.workloads.iter().map(|w| w.proxy).collect();
        assert_eq!(proxies, [ProxyKind::Sidecar; 5], "{mode}");
        let clusters = snapshot.clusters.iter();
        let services: Vec<_> = clusters
            .filter(|c| c.host.contains(".tandem3.svc."))
            .collect();
        assert_eq!(services.len(), 4, "{mode}");
        for cluster in services {
            let name = &cluster.name;
            assert_eq!(cluster.lb, LbPolicy::LEAST_REQUEST, "{name}");
            assert!(cluster.outlier.is_some(), "{name}");
            let limits = &cluster.breakers;
            let limits = [
                limits.max_connections,
                limits.max_pending_requests,
                limits.max_requests,
                limits.max_retries,
            ];
            assert!(limits.iter().all(|limit| *limit < UNLIMITED), "{name}");
        }
        let hosts = snapshot.route_configs.iter().flat_map(|c| &c.virtual_hosts);
        let mut forwarded = 0;
        for host in hosts.filter(|h| h.name.contains(".tandem3.svc.")) {
            let Action::Forward(forward) = &host.routes[0].action else {
                panic!("{mode}: {} forwards", host.name)
            };
            let retry = forward.retry.as_ref().expect("retries are on");
            assert!(
                forward.timeout.is_some() && retry.retries == 2 && retry.per_try_timeout.is_some()
            );
            forwarded += 1;
        }
        assert_eq!(forwarded, 4, "{mode}");
    }
}

#[test]
fn a_mesh_without_timeouts_takes_the_time_of_its_queues() {
    let records = runs(&tandem3("plain"), 10);
    Estimate::of(&records, mean_ms).agrees("tandem3", 32.2173, 0.015);
    for record in &records {
        assert_eq!((tries(record), failed(record)), (1.0, 0.0));
    }
}

#[test]
fn work_that_a_client_gave_up_is_done_all_the_same() {
    for record in runs(&tandem3("retry"), 4) {
        let client = &record.clients[0];
        let made: u64 = client
            .attempts
            .iter()
            .map(|(n, count)| u64::from(*n) * count)
            .sum();
        assert!(made > client.requests, "some tries took longer than 100 ms");
        // What was on its way at either end of the count is all that may differ.
        for workload in ["front", "stage-1", "stage-2", "stage-3"] {
            let difference = arrived(&record, workload).abs_diff(made);
            assert!(difference < 60, "{workload}: {difference} of {made}");
        }
    }
}
