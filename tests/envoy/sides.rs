//! The two sides of a case: towtank, and a real Envoy.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use towtank::experiment::replicate;
use towtank::export::{Endpoints, bootstrap};
use towtank::observe::Record;
use towtank::simulation::{Control, prepare};

use crate::case::Case;
use crate::envoy::Envoy;
use crate::figures::{Row, Seen};
use crate::upstream::Upstreams;
use crate::{certificates, load, sidecars};

/// Envoy sees that the connections of a load are closed.
const BETWEEN_LOADS: Duration = Duration::from_millis(100);
/// Address of the client's pod.
const CLIENT: [u8; 4] = [127, 1, 0, 1];

/// One run of towtank.
pub(crate) fn simulated(case: &Case, seed: u64) -> Seen {
    let mut plan =
        prepare(&case.snapshot, &case.model, &case.scenario).unwrap_or_else(|problems| {
            let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{}: {texts:#?}", case.name)
        });
    // As the real one is told to: `envoy::spread_evenly`.
    plan.exact_balance = true;
    let interrupted = AtomicBool::new(false);
    let control = Control {
        interrupted: &interrupted,
        progress: None,
        keep_requests: 100_000,
    };
    seen(&replicate(&plan, seed, 1, Some(1), &control))
}

fn seen(record: &Record) -> Seen {
    let or_dash = |text: &str| {
        let missing = text.is_empty();
        (if missing { "-" } else { text }).to_owned()
    };
    let row = |r: &towtank::observe::record::RequestRecord| Row {
        load: record.clients[r.client as usize].name.clone(),
        status: r.status.to_string(),
        flags: r.flags.clone(),
        details: r.details.clone(),
        tries: r.attempts.to_string(),
        cluster: or_dash(&r.cluster),
        pod: or_dash(&r.pod),
        path: r.path.clone(),
        ms: (r.duration.ns() / 1_000_000) as f64,
    };
    let mut stats = BTreeMap::new();
    for cluster in &record.clusters {
        for (stat, value) in &cluster.stats {
            stats.insert(format!("cluster.{}.{stat}", cluster.cluster), *value);
        }
    }
    let proxies = record.proxies.iter().filter(|p| p.workload == "lab/client");
    stats.extend(proxies.flat_map(|p| p.stats.clone()));
    let servers = record.proxies.iter().filter(|p| p.workload != "lab/client");
    for (stat, value) in servers.flat_map(|p| &p.stats) {
        *stats.entry(format!("server:{stat}")).or_default() += value;
    }
    let hits = record.endpoints.iter();
    Seen {
        rows: record.requests.iter().map(row).collect(),
        stats,
        hits: hits.map(|e| (e.pod.clone(), e.requests)).collect(),
    }
}

/// The bootstrap of the case's client, on one machine.
fn exported(case: &Case, certificates: &str) -> Value {
    let client = case.snapshot.workload_named("lab", case.head.proxy());
    let map = [("admin".to_owned(), "127.0.0.1:0".to_owned())];
    let endpoints = Endpoints::new(map.into()).expect("one entry");
    let exported = bootstrap(
        &case.snapshot,
        client.expect("every case has a client"),
        Some(&endpoints),
        Some(certificates),
    );
    assert!(exported.refused.is_empty(), "{:?}", exported.refused);
    exported.bootstrap
}

/// One run of a real Envoy.
pub(crate) fn real(case: &Case, binary: &Path) -> Seen {
    let folder = tempfile::tempdir().expect("a temporary folder");
    certificates::write(folder.path());
    let certificates = folder.path().to_string_lossy();
    let upstreams = Upstreams::start(case);
    let sidecars = sidecars::start(case, binary, &certificates);
    let envoy = Envoy::start(binary, exported(case, &certificates), case.head.workers);
    let listeners = envoy.listeners();
    play(case, &listeners);
    let requests: u64 = case.scenario.load.iter().map(load::count_of).sum();
    let lines = envoy.access_log(usize::try_from(requests).expect("small"));
    std::thread::sleep(Duration::from_millis(case.head.settle_ms));
    let only = case.head.is_tcp().then(|| &case.scenario.load[0].name);
    let rows = lines.iter().map(|line| Row {
        load: only.map_or_else(|| text(line, "load"), ToString::to_string),
        ..logged(line, &upstreams.pods)
    });
    for proxy in sidecars.iter().chain([&envoy]) {
        // What connecting costs rests on it: one round trip for TLS 1.3, two before.
        let old = proxy.admin("/stats?filter=ssl%5C.versions%5C.TLSv1%5C.%5B012%5D");
        let spoken = old.lines().filter(|line| !line.ends_with(": 0")).count();
        assert_eq!(spoken, 0, "{}: the mesh speaks TLS 1.3\n{old}", case.name);
    }
    let hits = upstreams.hits.iter();
    let mut stats = envoy.cluster_stats();
    for (stat, value) in sidecars.iter().flat_map(Envoy::cluster_stats) {
        *stats.entry(format!("server:{stat}")).or_default() += value;
    }
    Seen {
        rows: rows.collect(),
        stats,
        hits: hits
            .map(|(pod, n)| (pod.clone(), n.load(Ordering::SeqCst)))
            .collect(),
    }
}

/// Plays every load to its end.
fn play(case: &Case, listeners: &BTreeMap<String, SocketAddr>) {
    let mut players = Vec::new();
    for load in &case.scenario.load {
        let port = load.url.port;
        let name = format!("0.0.0.0_{port}");
        // Opaque bytes have a listener at their service's address.
        let own = || {
            listeners
                .iter()
                .find(|l| l.0.ends_with(&format!("_{port}")))
        };
        let to = listeners.get(&name).or_else(|| Some(own()?.1));
        let to = to.unwrap_or_else(|| panic!("no listener {name}"));
        let player = load::play(load, CLIENT.into(), *to, case.head.is_tcp());
        if case.head.workers == 1 {
            players.push(player);
            continue;
        }
        // Whose connection goes to which worker depends on all that are open.
        player.join().expect("a load ends");
        std::thread::sleep(BETWEEN_LOADS);
    }
    for player in players {
        player.join().expect("a load ends");
    }
}

fn text(line: &Value, key: &str) -> String {
    match &line[key] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A line of the access log.
fn logged(line: &Value, pods: &BTreeMap<String, String>) -> Row {
    let text = |key: &str| text(line, key);
    let host = text("host");
    Row {
        load: text("load"),
        status: text("status"),
        flags: text("flags"),
        details: text("details"),
        tries: text("tries"),
        cluster: text("cluster"),
        pod: pods.get(&host).cloned().unwrap_or(host),
        path: text("path"),
        ms: line["ms"].as_f64().unwrap_or(0.0),
    }
}
