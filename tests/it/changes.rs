//! Manifests that are applied and deleted during a run: who works with what when, and what is lost.

use std::fs;

use serde_json::Value;

use crate::program::{self, codes};
use crate::tank::Tank;

const MESH: &str = "apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec: {selector: {app: api}, ports: [{name: http, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: other, namespace: shop}
spec: {selector: {app: other}, ports: [{name: http, port: 8080}]}
";

fn deployment(name: &str, app: &str, version: &str, replicas: u32, image: &str) -> String {
    format!(
        "---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: shop}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {app}, version: {version}}}}}
  template:
    metadata: {{labels: {{app: {app}, version: {version}}}}}
    spec: {{containers: [{{name: app, image: {image}}}]}}
"
    )
}

fn rule(subsets: &[&str], policy: &str) -> String {
    let subset = |s: &&str| format!("  - {{name: {s}, labels: {{version: {s}}}}}\n");
    let subsets: Vec<String> = subsets.iter().map(subset).collect();
    let subsets = subsets.concat();
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: api, namespace: shop}}
spec:
  host: api
{policy}  subsets:
{subsets}"
    )
}

fn routes(subsets: &[&str]) -> String {
    let share = 100 / subsets.len();
    let route =
        |s: &&str| format!("    - {{destination: {{host: api, subset: {s}}}, weight: {share}}}\n");
    let all: Vec<String> = subsets.iter().map(route).collect();
    let all = all.concat();
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: api, namespace: shop}}
spec:
  hosts: [api]
  http:
  - route:
{all}"
    )
}

/// A folder with a mesh of two versions and the files that events name.
fn tank_of(mesh: &str, files: &[(&str, String)], events: &str) -> Tank {
    let both = [
        MESH.to_owned(),
        deployment("web", "web", "v1", 3, "web"),
        deployment("other", "other", "v1", 2, "other"),
        mesh.to_owned(),
    ]
    .concat();
    // The folder itself is named: what is applied later lies in it and is not there before.
    let scenario = format!(
        "apiVersion: towtank/v1alpha1
kind: Model
metadata: {{name: m}}
spec: {{defaults: {{serviceTime: 5ms, startup: 1s}}}}
---
apiVersion: towtank/v1alpha1
kind: Scenario
metadata: {{name: s}}
spec:
  manifests: [.]
  duration: 20s
  load:
  - {{name: api, from: shop/web, url: 'http://api:8080/', rate: 400/s, arrivals: constant}}
  - {{name: other, from: shop/web, url: 'http://other:8080/', rate: 200/s, arrivals: constant}}
  events:
{events}"
    );
    let own = [("mesh.yaml", both.as_str()), ("scenario.yaml", &scenario)];
    let more = files.iter().map(|(name, text)| (*name, text.as_str()));
    Tank::of(&own.into_iter().chain(more).collect::<Vec<_>>())
}

fn versions(replicas: u32) -> String {
    let v1 = deployment("api-v1", "api", "v1", 2, "api:1");
    v1 + &deployment("api-v2", "api", "v2", replicas, "api:2")
}

fn with_flag(run: &Value, flag: &str) -> u64 {
    let clients = run["clients"].as_array().expect("clients").iter();
    let counts = clients.map(|c| c["flags"][flag].as_u64().unwrap_or(0));
    counts.sum()
}

fn served(run: &Value, workload: &str) -> u64 {
    program::per_pod(run, workload).iter().sum()
}

#[test]
fn a_route_that_comes_before_its_subset_finds_no_cluster() {
    let mesh = versions(2) + &rule(&["v1"], "") + &routes(&["v1"]);
    let files = [
        ("vs.yaml", routes(&["v1", "v2"])),
        ("dr.yaml", rule(&["v1", "v2"], "")),
    ];
    let events = "  - {at: 5s, apply: vs.yaml}\n  - {at: 8s, apply: dr.yaml}\n";
    let run = tank_of(&mesh, &files, events).run(&[]);
    // Half of what is sent in three seconds; each proxy is as late with the one as with the other.
    let lost = with_flag(&run, "NC");
    assert!((550..=650).contains(&lost), "{lost}");
    assert!(served(&run, "shop/api-v2") > 2_000);
    assert!(codes(&run).contains(&"TT-NC-WINDOW"), "{:?}", codes(&run));
    let finding = &run["findings"][0];
    let words = finding["counterfactual"].as_str().expect("simulated");
    assert!(words.contains("at once, at 5s: 0.00 %"), "{words}");
    let cause = finding["cause"].as_str().expect("a place");
    assert!(cause.ends_with("vs.yaml:10"), "{cause}");
}

/// What is deleted later is deleted later, also where all that is applied is simulated at once.
#[test]
fn a_later_deletion_has_no_part_in_the_window() {
    let mesh = versions(2) + &rule(&["v1"], "") + &routes(&["v1"]);
    let files = [
        ("vs.yaml", routes(&["v1", "v2"])),
        ("dr.yaml", rule(&["v1", "v2"], "")),
        ("gone.yaml", deployment("other", "other", "v1", 2, "other")),
    ];
    let events = "  - {at: 5s, apply: vs.yaml}\n  - {at: 8s, apply: dr.yaml}\n  - {at: 14s, delete: gone.yaml}\n";
    let run = tank_of(&mesh, &files, events).run(&[]);
    let all = run["findings"].as_array().expect("findings").iter();
    let mut windows = all.filter(|f| f["code"] == "TT-NC-WINDOW");
    let window = windows.next().expect("there is one");
    let words = window["counterfactual"].as_str().expect("simulated");
    let share = words.split("at 5s: ").nth(1).expect(words);
    let share: f64 = share
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .expect(words);
    // 200 of 600 requests a second for the last six of twenty seconds; from 5 s on it were 25 %.
    assert!((8.0..12.0).contains(&share), "{words}");
}

#[test]
fn both_in_one_push_lose_nothing() {
    let mesh = versions(2) + &rule(&["v1"], "") + &routes(&["v1"]);
    let files = [
        ("vs.yaml", routes(&["v1", "v2"])),
        ("dr.yaml", rule(&["v1", "v2"], "")),
    ];
    for events in [
        "  - {at: 5s, apply: [vs.yaml, dr.yaml]}\n",
        "  - {at: 5s, apply: vs.yaml}\n  - {at: 5050ms, apply: dr.yaml}\n",
        "  - {at: 5s, apply: dr.yaml}\n  - {at: 8s, apply: vs.yaml}\n",
    ] {
        let run = tank_of(&mesh, &files, events).run(&[]);
        assert_eq!(with_flag(&run, "NC"), 0, "{events}");
        assert!(served(&run, "shop/api-v2") > 2_000, "{events}");
    }
}

#[test]
fn a_subset_that_goes_first_is_missed_to_the_end() {
    let mesh = versions(2) + &rule(&["v1", "v2"], "") + &routes(&["v1", "v2"]);
    let files = [("dr.yaml", rule(&["v1"], ""))];
    let run = tank_of(&mesh, &files, "  - {at: 10s, apply: dr.yaml}\n").run(&[]);
    let lost = with_flag(&run, "NC");
    assert!((1_850..=2_050).contains(&lost), "{lost}");
    let what = run["findings"][0]["what"].as_str().expect("words");
    assert!(what.contains("is not there to the end"), "{what}");
}

#[test]
fn proxies_change_over_apart() {
    let mesh = versions(2) + &rule(&["v1", "v2"], "") + &routes(&["v1"]);
    let files = [("vs.yaml", routes(&["v2"]))];
    let tank = tank_of(&mesh, &files, "  - {at: 10s, apply: vs.yaml}\n");
    let out = tank.folder().join("out").display().to_string();
    program::text(&["run", &tank.path(), "--out-dir", &out]);
    let csv = fs::read_to_string(format!("{out}/requests.csv")).expect("requests");
    let mut rows = csv.lines();
    let header: Vec<&str> = rows.next().expect("a header").split(',').collect();
    let column = |name: &str| {
        let at = header.iter().position(|c| *c == name);
        at.unwrap_or_else(|| panic!("no {name} in {header:?}"))
    };
    let (load, number, workload) = (column("client"), column("number"), column("workload"));
    // Arrivals are constant: 400 a second, pods in turn.
    let mut to_v2: Vec<u64> = rows
        .map(|row| row.split(',').collect::<Vec<_>>())
        .filter(|row| row[load] == "api" && row[workload] == "shop/api-v2")
        .map(|row| row[number].parse().expect("a number"))
        .collect();
    to_v2.sort_unstable();
    let first = |pod: u64| {
        *to_v2
            .iter()
            .find(|n| *n % 3 == pod)
            .expect("it changes over")
    };
    let firsts = [first(0), first(1), first(2)];
    let apart = firsts.iter().max().expect("three") - firsts.iter().min().expect("three");
    assert!(apart >= 8, "{firsts:?}: more than 20 ms apart");
}

#[test]
fn what_is_not_touched_keeps_its_connections() {
    let mesh = versions(2) + &rule(&["v1"], "") + &routes(&["v1"]);
    let made = |files: &[(&str, String)], cluster: &str| {
        let run = tank_of(&mesh, files, "  - {at: 10s, apply: new.yaml}\n").run(&[]);
        program::stat(&run, cluster, "upstream_cx_total")
    };
    let v1 = "outbound|8080|v1|api.shop.svc.cluster.local";
    let other = "outbound|8080||other.shop.svc.cluster.local";
    let nothing = [("new.yaml", rule(&["v1"], ""))];
    let subset = [("new.yaml", rule(&["v1", "v2"], ""))];
    let policy = [(
        "new.yaml",
        rule(
            &["v1"],
            "  trafficPolicy: {connectionPool: {http: {http1MaxPendingRequests: 77}}}\n",
        ),
    )];
    let (before, same) = (made(&nothing, v1), made(&subset, v1));
    assert_eq!(before, same, "another subset is another cluster");
    let replaced = made(&policy, v1);
    assert!(
        replaced > before + 4,
        "{replaced} connections instead of {before}: the cluster was replaced"
    );
    assert_eq!(made(&policy, other), made(&nothing, other));
}

#[test]
fn an_applied_deployment_starts_and_a_deleted_one_goes() {
    let v2 = deployment("api-v2", "api", "v2", 4, "api:2");
    let mesh = deployment("api-v1", "api", "v1", 2, "api:1");
    let files = [("v2.yaml", v2)];
    let events = "  - {at: 5s, apply: v2.yaml}\n  - {at: 12s, delete: v2.yaml}\n";
    let run = tank_of(&mesh, &files, events).run(&[]);
    let pods = program::per_pod(&run, "shop/api-v2");
    assert_eq!(pods.len(), 4);
    // Four of six pods for six seconds: they start within one, and leave at once.
    let share = pods.iter().sum::<u64>();
    assert!((1_350..=1_750).contains(&share), "{share}");
}

#[test]
fn another_pod_template_is_a_rollout_and_another_number_a_scaling() {
    let mesh = versions(2);
    let more = [("new.yaml", deployment("api-v2", "api", "v2", 5, "api:2"))];
    let run = tank_of(&mesh, &more, "  - {at: 5s, apply: new.yaml}\n").run(&[]);
    let pods = program::per_pod(&run, "shop/api-v2");
    assert_eq!(pods.len(), 5);
    assert!(pods.iter().all(|n| *n > 500), "{pods:?}");
    let image = [("new.yaml", deployment("api-v2", "api", "v2", 2, "api:3"))];
    let run = tank_of(&mesh, &image, "  - {at: 5s, apply: new.yaml}\n").run(&[]);
    let told = run["happenings"].to_string();
    assert!(told.contains("every pod of shop/api-v2 is new"), "{told}");
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let mesh = versions(2) + &rule(&["v1"], "") + &routes(&["v1"]);
    let files = [
        ("vs.yaml", routes(&["v1", "v2"])),
        ("dr.yaml", rule(&["v1", "v2"], "")),
    ];
    let events = "  - {at: 5s, apply: vs.yaml}\n  - {at: 8s, apply: dr.yaml}\n";
    let tank = tank_of(&mesh, &files, events);
    let one = tank.run(&["--replications", "4", "--threads", "1"]);
    let two = tank.run(&["--replications", "4", "--threads", "2"]);
    assert_eq!(one["digest"], two["digest"]);
}

#[test]
fn what_the_api_server_would_refuse_is_refused_with_its_line() {
    let mesh = versions(2);
    let bad = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: shop}
spec:
  hosts: [api]
  http:
  - timeout: soon
    route: [{destination: {host: api}}]
";
    let files = [("bad.yaml", bad.to_owned())];
    let tank = tank_of(&mesh, &files, "  - {at: 5s, apply: bad.yaml}\n");
    let said = program::fails(&["run", &tank.path()], 1);
    assert!(said.contains("bad.yaml:7"), "{said}");
    assert!(said.contains("timeout: soon"), "an excerpt: {said}");
    let tank = tank_of(&mesh, &[], "  - {at: 5s, apply: missing.yaml}\n");
    let said = program::fails(&["run", &tank.path()], 1);
    assert!(said.contains("cannot read `missing.yaml`"), "{said}");
    let tank = tank_of(&mesh, &files, "  - {at: 5s, for: 1s, delete: bad.yaml}\n");
    let said = program::fails(&["run", &tank.path()], 1);
    assert!(said.contains("`delete` has no end of its own"), "{said}");
}
