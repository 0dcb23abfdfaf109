//! `curl` tells why a request went the way it went, with the line of configuration behind each decision.

use crate::program::{json, root};

const MESH: &str = "tests/it/fixtures/explain/mesh.yaml";

/// The story of one request to the mesh above, one sentence a line.
fn story(args: &[&str]) -> String {
    let mut all = vec!["curl", "-f", MESH, "-n", "shop"];
    all.extend(args);
    let curl = json(&all);
    let trail = curl["trail"].as_array().expect("`trail` is a list");
    let sentences = trail.iter().filter_map(|s| s.as_str());
    sentences.collect::<Vec<_>>().join("\n")
}

/// `mesh.yaml:LINE` of the first line that contains `text`.
fn line(text: &str) -> String {
    let mesh = std::fs::read_to_string(root().join(MESH)).expect("the mesh is there");
    let index = mesh.lines().position(|line| line.contains(text));
    format!("{MESH}:{}", index.expect("the line is there") + 1)
}

fn tells(args: &[&str], expected: &[&str]) {
    let story = story(args);
    let mut rest = story.as_str();
    for sentence in expected {
        let at = rest.find(sentence);
        let at =
            at.unwrap_or_else(|| panic!("{args:?}: no `{sentence}` (in this order) in\n{story}"));
        rest = &rest[at + sentence.len()..];
    }
}

#[test]
fn an_answer_of_the_proxy_itself_is_told_apart_from_one_of_a_pod() {
    tells(
        &["http://web/old/1"],
        &[
            &format!("route 1 `old` ({}) matches", line("prefix: /old")),
            "redirect (308) to host `www.example.com`, path `/new`",
            "answer 308 (direct_response)",
        ],
    );
    tells(
        &["http://web/robots.txt"],
        &[
            "route 1 `old`",
            "does not match: path `/robots.txt` does not begin with `/old`",
            "route 2 `robots`",
            "answers itself with 418",
        ],
    );
}

#[test]
fn every_route_that_is_passed_over_says_why() {
    tells(
        &["-X", "POST", "http://web/user/12?v=3"],
        &[
            "does not begin with `/old`",
            "is not `/robots.txt`",
            "does not begin with `/nosubset`",
            "does not begin with `/re/`",
            "query parameter `v` is `3`, not `2`",
            "no route of the virtual host matches",
            "404 with flags NR (route_not_found)",
        ],
    );
    tells(
        &["http://web/user/12?v=2"],
        &["header `:method` is `GET`, not `POST`"],
    );
}

#[test]
fn the_cluster_its_retries_and_the_pod_are_named_with_their_lines() {
    tells(
        &["http://web/re/a"],
        &[
            "the upstream sees `/x/a`",
            "the Host header becomes `other.example.com`",
            "it goes to `outbound|80||web.shop.svc.cluster.local`",
            "Istio's default holds: 2 retries on connect-failure,refused-stream",
            "one of 2 endpoints: LEAST_REQUEST (Istio's default)",
            "answer 200 from shop/web",
        ],
    );
}

#[test]
fn a_subset_that_does_not_exist_and_a_service_without_pods_are_two_different_things() {
    tells(
        &["http://web/nosubset"],
        &[
            "knows no cluster `outbound|80|gone|web.shop.svc.cluster.local`",
            "503 with flags NC",
        ],
    );
    let service = line("apiVersion: v1 # empty");
    tells(
        &["http://empty/"],
        &[
            &format!("no ready pod fits the selector of Service shop/empty ({service})"),
            "503 with flags UH (no_healthy_upstream)",
        ],
    );
}

#[test]
fn a_refusal_by_the_servers_sidecar_names_the_policy() {
    let refuses = "refuses the request (RBAC)";
    tells(
        &["-X", "POST", "http://guarded/"],
        &[
            refuses,
            "no ALLOW rule matches in AuthorizationPolicy shop/only-get",
            "answer 403",
        ],
    );
    tells(
        &["http://guarded/admin/x"],
        &[
            refuses,
            "DENY by AuthorizationPolicy shop/no-admin",
            "answer 403",
        ],
    );
    assert!(!story(&["http://guarded/"]).contains(refuses));
}

#[test]
fn a_host_outside_the_registry_and_a_port_without_a_listener_are_passed_through() {
    tells(
        &["http://nowhere.example.com/"],
        &[
            "the host is not in the registry",
            "ALLOW_ANY",
            "an address outside the mesh",
        ],
    );
    tells(
        &["http://web:8081/"],
        &[
            "no listener of the sidecar takes this port",
            "where nothing listens, is picked",
            "flags UF,URX",
            "after 10s",
        ],
    );
    tells(&["http://web:5432/"], &["handles the bytes as TCP"]);
}

#[test]
fn a_request_from_outside_enters_at_the_gateway_that_serves_its_host() {
    let args = [
        "curl",
        "-f",
        "models/shop/manifests",
        "--from",
        "outside",
        "http://shop.example.com/",
    ];
    let curl = json(&args);
    let first = curl["trail"][0].as_str().expect("a sentence");
    assert!(
        first.contains("enters at the gateway `istio-ingress/ingress-gateway`"),
        "{first}"
    );
}

#[test]
fn a_retried_request_says_which_try_its_upstream_was_told_of() {
    const MESH: &str = "
apiVersion: v1
kind: Service
metadata: {name: sick, namespace: t}
spec: {selector: {app: sick}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: sick, namespace: t}
spec: {selector: {matchLabels: {app: sick}}, template: {metadata: {labels: {app: sick}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: sick, namespace: t}
spec: {hosts: [sick], http: [{route: [{destination: {host: sick}}], retries: {attempts: 2, retryOn: 5xx}}]}
---
apiVersion: towtank/v1alpha1
kind: Model
metadata: {name: t}
spec: {workloads: {t/sick: {errors: [{status: 500, rate: 100%}]}}}
";
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mesh.yaml");
    std::fs::write(&file, MESH).expect("written");
    let path = file.display().to_string();
    let told = crate::program::json(&["curl", "-f", &path, "http://sick/"]);
    let trail: Vec<&str> = (told["trail"].as_array().expect("sentences").iter())
        .filter_map(serde_json::Value::as_str)
        .collect();
    let said = "the last try carries `x-envoy-attempt-count: 3`, the first one 1";
    assert!(trail.contains(&said), "{trail:#?}");
}
