//! Filters added by EnvoyFilter in whole runs, at the client and before the server's application.

use towtank::observe::Record;

use crate::runs_support::{load, outcomes};
use crate::theory_support::Mesh;

const MANAGER: &str = "envoy.filters.network.http_connection_manager";

/// A mesh of a client and a server with one added filter.
fn filtered(context: &str, operation: &str, kind: &str, config: &str) -> Mesh {
    let mesh = Mesh::new().pods("server", "server", 1, "{serviceTime: 1ms}");
    mesh.manifest(&patch(context, operation, kind, config))
}

fn patch(context: &str, operation: &str, kind: &str, config: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {{name: added, namespace: t}}\n\
         spec:\n  priority: 1\n  configPatches:\n  - applyTo: HTTP_FILTER\n    match: {{context: {context}, listener: {{filterChain: {{filter: {{name: {MANAGER}, \
         subFilter: {{name: envoy.filters.http.router}}}}}}}}}}\n    patch:\n      operation: {operation}\n      value:\n        \
         name: envoy.filters.http.added\n        typed_config: {{'@type': type.googleapis.com/udpa.type.v1.TypedStruct, \
         type_url: type.googleapis.com/envoy.extensions.filters.http.{kind}, value: {config}}}\n"
    )
}

const LIMIT: &str = "local_ratelimit.v3.LocalRateLimit";
const ALL: &str = "{default_value: {numerator: 100}}";

fn limit(tokens: u32) -> String {
    format!(
        "{{stat_prefix: rl, token_bucket: {{max_tokens: {tokens}, tokens_per_fill: 1, fill_interval: 60s}}, \
         filter_enabled: {ALL}, filter_enforced: {ALL}}}"
    )
}

fn stat(record: &Record, workload: &str, name: &str) -> u64 {
    let proxy = record.proxies.iter().find(|p| p.workload == workload);
    proxy.map_or(0, |p| p.stats.get(name).copied().unwrap_or(0))
}

fn ten() -> String {
    load("connections: 1, requests: 10")
}

#[test]
fn a_limit_at_the_client_answers_itself() {
    let record = filtered("SIDECAR_OUTBOUND", "INSERT_BEFORE", LIMIT, &limit(3))
        .case(&ten())
        .run();
    assert_eq!(
        outcomes(&record),
        ["200 - via_upstream ×3", "429 RL local_rate_limited ×7"]
    );
    assert_eq!(
        stat(&record, "t/client", "rl.http_local_rate_limit.enforced"),
        7
    );
    assert_eq!(record.endpoints[0].requests, 3);
}

#[test]
fn a_limit_at_the_server_is_an_ordinary_answer_for_its_clients() {
    let record = filtered("SIDECAR_INBOUND", "INSERT_BEFORE", LIMIT, &limit(3))
        .case(&ten())
        .run();
    assert_eq!(
        outcomes(&record),
        ["200 - via_upstream ×3", "429 - via_upstream ×7"]
    );
    assert_eq!(stat(&record, "t/server", "rl.http_local_rate_limit.ok"), 3);
    let server = record.workloads.iter().find(|w| w.name == "t/server");
    assert_eq!(server.map(|w| (w.requests, w.rejected)), Some((3, 7)));
}

#[test]
fn every_pod_of_a_service_has_its_own_tokens() {
    let mesh = Mesh::new().pods("server", "server", 2, "{serviceTime: 1ms}");
    let mesh = mesh.rule("server", "{loadBalancer: {simple: ROUND_ROBIN}}");
    let mesh = mesh.manifest(&patch("SIDECAR_INBOUND", "INSERT_BEFORE", LIMIT, &limit(3)));
    let record = mesh.case(&ten()).run();
    assert_eq!(
        outcomes(&record),
        ["200 - via_upstream ×6", "429 - via_upstream ×4"]
    );
}

#[test]
fn a_route_may_bring_its_own_limit_in_place_of_the_filters() {
    let spec = "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: route, namespace: t}\n\
                spec:\n  configPatches:\n  - applyTo: HTTP_ROUTE\n    match: {context: SIDECAR_INBOUND, routeConfiguration: {vhost: {name: 'inbound|http|8080', route: {action: ANY}}}}\n\
                \x20   patch: {operation: MERGE, value: {typed_per_filter_config: {envoy.filters.http.added: {'@type': type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, \
                stat_prefix: mine, token_bucket: {max_tokens: 4, fill_interval: 60s}, filter_enabled: {default_value: {numerator: 100}}, filter_enforced: {default_value: {numerator: 100}}}}}}\n";
    let bare = format!("{{stat_prefix: rl, filter_enabled: {ALL}}}");
    let mesh = filtered("SIDECAR_INBOUND", "INSERT_BEFORE", LIMIT, &bare).manifest(spec);
    let record = mesh.case(&ten()).run();
    assert_eq!(
        outcomes(&record),
        ["200 - via_upstream ×4", "429 - via_upstream ×6"]
    );
    assert_eq!(
        stat(
            &record,
            "t/server",
            "mine.http_local_rate_limit.rate_limited"
        ),
        6
    );
}

#[test]
fn limited_answers_are_retried_when_their_code_is() {
    let mesh = filtered("SIDECAR_INBOUND", "INSERT_BEFORE", LIMIT, &limit(3));
    let mesh = mesh.route(
        "server",
        "retries: {attempts: 2, retryOn: '429', backoff: 1ms}",
    );
    let record = mesh.case(&ten()).run();
    assert_eq!(
        outcomes(&record),
        ["200 - via_upstream ×3", "429 URX via_upstream ×7"]
    );
    assert_eq!(record.endpoints[0].requests, 3 + 7 * 3);
}

#[test]
fn admission_control_keeps_most_requests_from_a_broken_service() {
    let config = "{success_criteria: {}}";
    let kind = "admission_control.v3.AdmissionControl";
    let mesh = Mesh::new()
        .pods("server", "server", 1, "{serviceTime: 1ms, status: 503}")
        .manifest(&patch("SIDECAR_OUTBOUND", "INSERT_BEFORE", kind, config));
    let record = mesh.case(&load("connections: 1, requests: 1000")).run();
    let name = "http.outbound_0.0.0.0_8080.admission_control.rq_rejected";
    let rejected = stat(&record, "t/client", name);
    assert!((760..830).contains(&rejected), "{rejected} of 1000");
    assert_eq!(record.endpoints[0].requests, 1000 - rejected);
}

#[test]
fn adaptive_concurrency_holds_back_what_is_too_much_at_once() {
    let config = "{gradient_controller_config: {concurrency_limit_params: {concurrency_update_interval: 0.1s, max_concurrency_limit: 4}, \
                  min_rtt_calc_params: {interval: 60s, request_count: 10}}}";
    let kind = "adaptive_concurrency.v3.AdaptiveConcurrency";
    let mesh = Mesh::new()
        .pods("server", "server", 1, "{serviceTime: 20ms}")
        .manifest(&patch("SIDECAR_INBOUND", "INSERT_BEFORE", kind, config));
    let record = mesh
        .case(&load("rate: 400/s, arrivals: constant, requests: 800"))
        .run();
    let blocked = "http.inbound_0.0.0.0_8080.adaptive_concurrency.gradient_controller.rq_blocked";
    let refused = stat(&record, "t/server", blocked);
    assert_eq!(
        outcomes(&record),
        [
            format!("200 - via_upstream ×{}", 800 - refused),
            format!("503 - via_upstream ×{refused}")
        ]
    );
    // Eight at once would be needed; three and then four are allowed.
    assert!((400..510).contains(&refused), "{refused} of 800");
}

#[test]
fn what_is_merged_into_routes_counts() {
    let merged = |value: &str| {
        format!(
            "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {{name: routes, namespace: t}}\n\
             spec:\n  configPatches:\n  - applyTo: HTTP_ROUTE\n    match: {{context: SIDECAR_OUTBOUND, routeConfiguration: {{vhost: {{name: 'server.t.svc.cluster.local:8080'}}}}}}\n    \
             patch: {{operation: MERGE, value: {{route: {value}}}}}\n"
        )
    };
    let run = |server: &str, value: &str| {
        let mesh = Mesh::new().pods("server", "server", 1, server);
        mesh.manifest(&merged(value)).case(&ten()).run()
    };
    let record = run("{serviceTime: 50ms}", "{timeout: 0.02s}");
    assert_eq!(outcomes(&record), ["504 UT response_timeout ×10"]);
    let policy =
        "{retry_policy: {retry_on: 5xx, num_retries: 3, retry_back_off: {base_interval: 0.001s}}}";
    let record = run("{serviceTime: 1ms, status: 503}", policy);
    assert_eq!(outcomes(&record), ["503 URX via_upstream ×10"]);
    assert_eq!(record.endpoints[0].requests, 40);
}
