//! `proxy-stats`: what a proxy's admin interface would show, against the run it is of.

use std::collections::BTreeMap;

use crate::program;

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
