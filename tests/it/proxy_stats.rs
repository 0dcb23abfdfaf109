//! `proxy-stats`: what a proxy's admin interface would show, against the run it is of.

use std::collections::BTreeMap;

use crate::program;
use crate::tank::Tank;

const OUTAGE: &str = "examples/14-zone-outage";
const CLUSTER: &str = "outbound|8080||catalog.shop.svc.cluster.local";

/// `/stats` as a map.
fn stats(arguments: &[&str]) -> BTreeMap<String, u64> {
    let text = program::text(&[&["proxy-stats"], arguments].concat());
    let lines = text
        .lines()
        .map(|line| line.rsplit_once(": ").expect("name: value"));
    lines
        .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
        .collect()
}

/// `/clusters`: (address, figure) → value.
fn clusters(arguments: &[&str]) -> BTreeMap<(String, String), String> {
    let text = program::text(&[&["proxy-stats"], arguments, &["--clusters"]].concat());
    text.lines()
        .map(|line| {
            let parts: Vec<&str> = line.splitn(4, "::").collect();
            (
                (parts[1].to_owned(), parts[2].to_owned()),
                parts[3].to_owned(),
            )
        })
        .collect()
}

#[test]
fn hosts_add_up_to_their_cluster_and_a_lost_zone_is_seen() {
    let at = ["web-0", OUTAGE, "--at", "25s"];
    let (stats, hosts) = (stats(&at), clusters(&at));
    let stat = |name: &str| stats[&format!("cluster.{CLUSTER}.{name}")];
    let sum = |figure: &str| -> u64 {
        let of_hosts = hosts
            .iter()
            .filter(|((address, f), _)| f == figure && address.contains(':'));
        of_hosts
            .map(|(_, value)| value.parse::<u64>().expect("a number"))
            .sum()
    };
    assert!(stat("upstream_rq_total") > 1_000);
    assert_eq!(sum("rq_total"), stat("upstream_rq_total"));
    assert_eq!(sum("cx_active"), stat("upstream_cx_active"));
    assert_eq!(sum("rq_active"), stat("upstream_rq_active"));
    let ended = sum("rq_success") + sum("rq_error") + sum("rq_timeout");
    assert_eq!(ended + sum("rq_active"), stat("upstream_rq_total"));
    let flags = hosts.iter().filter(|((_, f), _)| f == "health_flags");
    let out = flags
        .filter(|(_, value)| *value == "/failed_outlier_check")
        .count() as u64;
    assert_eq!(out, stat("outlier_detection.ejections_active"));
    assert_eq!(out, 6, "the failover has ejected the healthy zone too");
    // Before the zone is lost nothing is wrong.
    let before = clusters(&["web-0", OUTAGE, "--at", "15s"]);
    let mut flags = before.iter().filter(|((_, f), _)| f == "health_flags");
    assert!(flags.all(|(_, value)| value == "healthy"));
}

#[test]
fn pods_add_up_to_what_the_run_says_of_their_workload() {
    let run = program::json(&["run", "models/w1", "--duration", "3s", "--warm-up", "0s"]);
    let clusters = run["clusters"].as_array().expect("clusters");
    // A workload of several pods that calls others.
    let caller = clusters
        .iter()
        .find(|c| {
            c["cluster"]
                .as_str()
                .is_some_and(|n| n.starts_with("outbound"))
        })
        .expect("one that calls");
    let workload = caller["workload"].as_str().expect("a name");
    let cluster = caller["cluster"].as_str().expect("a name");
    let endpoints = run["endpoints"].as_array().expect("endpoints");
    let pods = endpoints.iter().filter(|e| e["workload"] == workload);
    let pods: Vec<String> = pods
        .map(|e| e["pod"].as_str().expect("a pod").to_owned())
        .collect();
    let pods = if pods.is_empty() {
        vec![format!(
            "{}-0",
            workload.rsplit('/').next().expect("a name")
        )]
    } else {
        pods
    };
    let mut sum = 0;
    for pod in &pods {
        let stats = stats(&[
            pod,
            "models/w1",
            "--set",
            "Scenario:duration=3s",
            "--at",
            "4s",
        ]);
        sum += stats
            .get(&format!("cluster.{cluster}.upstream_rq_total"))
            .copied()
            .unwrap_or(0);
    }
    assert_eq!(
        Some(sum),
        caller["stats"]["upstream_rq_total"].as_u64(),
        "{workload} {cluster} {pods:?}"
    );
}

#[test]
fn prometheus_has_a_type_for_every_family_and_labels_for_codes() {
    let text = program::text(&[
        "proxy-stats",
        "shop/web-0",
        OUTAGE,
        "--at",
        "25s",
        "-o",
        "prometheus",
    ]);
    let mut family = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().expect("a name");
            continue;
        }
        assert!(
            line.starts_with(&format!("{family}{{")),
            "{line} under {family}"
        );
        assert!(
            line.contains(&format!("envoy_cluster_name=\"{CLUSTER}\"")),
            "{line}"
        );
    }
    assert!(
        text.contains("envoy_cluster_upstream_rq{envoy_response_code=\"503\","),
        "{text}"
    );
    assert!(
        text.contains("envoy_cluster_upstream_rq_xx{envoy_response_code_class=\"5\","),
        "{text}"
    );
    assert!(
        text.contains("# TYPE envoy_cluster_membership_healthy gauge"),
        "{text}"
    );
}

#[test]
fn a_pod_without_a_proxy_is_answered_with_those_that_have_one() {
    let said = program::fails(&["proxy-stats", "shop/web-9", OUTAGE], 2);
    assert!(said.contains("did you mean `shop/web-0`?"), "{said}");
    let said = program::fails(&["proxy-stats", "nobody", OUTAGE], 2);
    assert!(said.contains("there are shop/catalog-a-0"), "{said}");
}

/// The server's side of every pod: together they are the workload, and what limits it is in each.
#[test]
fn each_pod_has_a_server_side_of_its_own() {
    let inbound = "cluster.inbound|8080||.upstream_rq_total";
    for (folder, workload) in [
        // With limits of its own, and without any.
        ("examples/18-breaker-hurts", "shop/reports"),
        ("examples/14-zone-outage", "shop/catalog-b"),
    ] {
        let run = program::json(&[
            "run",
            folder,
            "--duration",
            "6s",
            "--warm-up",
            "0s",
            "--set",
            "Scenario:spec.expect=[]",
            "--set",
            "Scenario:spec.events=[]",
        ]);
        let endpoints = run["endpoints"].as_array().expect("endpoints").iter();
        let mut seen = 0;
        for endpoint in endpoints.filter(|e| e["workload"] == workload) {
            let pod = endpoint["pod"].as_str().expect("a name");
            let at = [
                pod,
                folder,
                "--set",
                "Scenario:spec.duration=6s",
                "--set",
                "Scenario:spec.events=[]",
                "--at",
                "8s",
            ];
            let stats = stats(&at);
            let refused = ["active", "pending"].map(|which| {
                let name = format!("cluster.inbound|8080||.upstream_rq_{which}_overflow");
                stats.get(&name).copied().unwrap_or(0)
            });
            let reached = stats[inbound] + refused.iter().sum::<u64>();
            assert_eq!(
                Some(reached),
                endpoint["requests"].as_u64(),
                "{folder} {pod}"
            );
            assert_eq!(
                stats["cluster.inbound|8080||.upstream_rq_active"], 0,
                "all is answered"
            );
            seen += 1;
            let hosts = clusters(&at);
            let total = hosts
                .iter()
                .find(|((address, figure), _)| figure == "rq_total" && address.ends_with(":8080"));
            let (_, total) = total.expect("the pod itself is the host");
            assert_eq!(total.parse::<u64>().ok(), Some(stats[inbound]));
        }
        assert!(seen >= 2, "{folder}");
    }
}

/// Counts of a server's filters belong to its pods as well.
#[test]
fn policies_of_a_server_are_counted_in_each_of_its_pods() {
    let mesh = "
apiVersion: v1
kind: Namespace
metadata: {name: t, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: t}
spec: {selector: {app: api}, ports: [{name: http, port: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: t}
spec: {replicas: 2, selector: {matchLabels: {app: api}}, template: {metadata: {labels: {app: api}}, spec: {containers: [{name: api, image: i, ports: [{containerPort: 8080}]}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: t}
spec: {replicas: 1, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: i}]}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: api, namespace: t}
spec: {selector: {matchLabels: {app: api}}, action: DENY, rules: [{to: [{operation: {methods: [PUT]}}]}]}
---
apiVersion: towtank/v1alpha1
kind: Scenario
metadata: {name: t}
spec: {duration: 5s, load: [{name: l, from: t/web, url: 'http://api:8080/', rate: 100/s, mix: [{weight: 1}, {weight: 1, method: PUT}]}]}
";
    let tank = Tank::of(&[("scenario.yaml", mesh)]);
    let path = tank.path();
    let counts = ["api-0", "api-1"].map(|pod| {
        let stats = stats(&[pod, &path, "--at", "7s"]);
        let of = |name: &str| {
            let found = stats
                .iter()
                .find(|(key, _)| key.starts_with("http.inbound") && key.ends_with(name));
            *found.unwrap_or_else(|| panic!("{name}: {stats:?}")).1
        };
        (of("rbac.allowed"), of("rbac.denied"))
    });
    let run = tank.run(&[]);
    let reached: Vec<u64> = program::per_pod(&run, "t/api");
    for ((allowed, denied), reached) in counts.into_iter().zip(reached) {
        assert_eq!(allowed + denied, reached);
        assert!(allowed > 50 && denied > 50, "{allowed} {denied}");
    }
}
