//! Faults, mirrors, weights and clients as whole runs show them (Envoy 1.40, measured).

use crate::harness::Case;
use crate::runs_support::{in_order, load, millis, outcomes, stat};
use crate::theory_support::Mesh;

#[test]
fn a_delay_comes_before_the_router_and_its_timeout() {
    let delayed = |model: &str| {
        let mesh = Mesh::new().pods("server", "server", 1, model).route(
            "server",
            "timeout: 200ms\n    fault: {delay: {percentage: {value: 100}, fixedDelay: 300ms}}",
        );
        mesh.case(&load("connections: 1, requests: 3")).run()
    };
    let record = delayed("{serviceTime: 1ms}");
    assert_eq!(outcomes(&record), ["200 DI via_upstream ×3"]);
    assert!(record.requests.iter().all(|r| millis(r) == 301));
    let record = delayed("{errors: [{hang: true, rate: 100%}]}");
    assert_eq!(outcomes(&record), ["504 DI,UT response_timeout ×3"]);
    assert!(record.requests.iter().all(|r| millis(r) == 500));
}

#[test]
fn aborts_are_drawn_for_themselves_and_nobody_behind_the_filter_sees_them() {
    let mesh = Mesh::new().pods("server", "server", 1, "{serviceTime: 1ms}").route(
        "server",
        "retries: {attempts: 3, retryOn: 5xx}\n    fault: {delay: {percentage: {value: 50}, fixedDelay: 10ms}, abort: {percentage: {value: 50}, httpStatus: 503}}",
    );
    let record = mesh
        .case(&format!("duration: 100s, {}", load("rate: 40/s")))
        .run();
    let total = record.clients[0].requests;
    let flags = &record.clients[0].flags;
    for kind in ["-", "DI", "FI", "DI,FI"] {
        let share = flags[kind] as f64 / total as f64;
        assert!((share - 0.25).abs() < 0.03, "{kind}: {share}");
    }
    let aborted = flags["FI"] + flags["DI,FI"];
    assert_eq!(record.clients[0].attempts[&0], aborted);
    assert_eq!(stat(&record, "upstream_rq_completed"), total - aborted);
    assert_eq!(stat(&record, "upstream_rq_retry"), 0);
}

#[test]
fn a_client_that_leaves_is_logged_as_such_and_charges_nobody() {
    let mesh = Mesh::new()
        .pods(
            "server",
            "server",
            1,
            "{errors: [{hang: true, rate: 100%}]}",
        )
        .rule(
            "server",
            "{outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}}",
        );
    let record = mesh
        .case(&load("connections: 1, requests: 3, timeout: 150ms"))
        .run();
    assert_eq!(outcomes(&record), ["0 DC downstream_remote_disconnect ×3"]);
    assert!(record.requests.iter().all(|r| millis(r) == 150));
    assert_eq!(stat(&record, "upstream_rq_completed"), 0);
    assert_eq!(
        stat(&record, "outlier_detection.ejections_enforced_total"),
        0
    );
    assert_eq!(stat(&record, "upstream_cx_destroy_local_with_active_rq"), 3);
    let delayed = mesh.route(
        "server",
        "fault: {delay: {percentage: {value: 100}, fixedDelay: 1s}}",
    );
    let record = delayed
        .case(&load("connections: 1, requests: 1, timeout: 150ms"))
        .run();
    assert_eq!(
        outcomes(&record),
        ["0 DI,DC downstream_remote_disconnect ×1"]
    );
}

/// A gateway in `t` before `server`, and a client outside.
fn gateway(mesh: Mesh, route: &str, load: &str) -> Case {
    let mesh = mesh.manifest(
        "apiVersion: v1\nkind: Service\nmetadata: {name: gw, namespace: t}\nspec: {selector: {istio: gw}, ports: [{name: http, port: 80}]}\n\
         ---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: gw, namespace: t}\nspec:\n  replicas: 1\n  selector: {matchLabels: {istio: gw}}\n  template:\n    metadata: {annotations: {inject.istio.io/templates: gateway}, labels: {istio: gw, sidecar.istio.io/inject: 'true'}}\n    spec: {containers: [{name: istio-proxy, image: auto, ports: [{containerPort: 80}]}]}\n\
         ---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw, namespace: t}\nspec: {selector: {istio: gw}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}\n",
    );
    let mesh = mesh.manifest(&format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: gw, namespace: t}}\nspec:\n  hosts: ['*']\n  gateways: [gw]\n  http:\n  - route: [{{destination: {{host: server}}}}]\n    {route}\n"
    ));
    mesh.over(
        "10ms",
        &format!("load: [{{name: load, from: {{outside: {{via: t/gw}}}}, url: 'http://shop.test/', {load}}}]"),
    )
}

#[test]
fn a_client_outside_gives_up_on_its_own_clock() {
    // 10 ms to the gateway, 10 ms and 60 ms at the server, 10 ms and 10 ms back: 100 ms and a
    // connect of 40 ms for the first one.
    let server = || Mesh::new().pods("server", "server", 1, "{serviceTime: 60ms}");
    let run = |timeout: &str| {
        let load = format!("connections: 1, requests: 4, timeout: {timeout}");
        gateway(server(), "timeout: 9s", &load).run()
    };
    let patient = run("1s");
    let waits: Vec<u64> = in_order(&patient).iter().map(|r| millis(r)).collect();
    assert_eq!(waits, [140, 100, 100, 100]);
    // Too late by the way back alone: the gateway has answered, the client has not seen it.
    let hasty = run("95ms");
    assert_eq!(outcomes(&hasty), ["0 DC downstream_remote_disconnect ×4"]);
    assert!(hasty.requests.iter().all(|r| millis(r) == 95));
    let hasty = run("50ms");
    assert!(hasty.requests.iter().all(|r| millis(r) == 50));
}

#[test]
fn only_what_got_as_far_as_the_pool_is_mirrored() {
    let copies = |server: &str| {
        let mesh = Mesh::new()
            .pods("server", "server", 1, server)
            .pods("copy", "copy", 1, "{serviceTime: 1ms}")
            .rule("server", "{outlierDetection: {consecutive5xxErrors: 1, baseEjectionTime: 60s, maxEjectionPercent: 100}}");
        let route = "mirrors: [{destination: {host: copy}}]\n    retries: {attempts: 0}";
        let inside = mesh.clone().route("server", route);
        let inside = inside.case(&load("connections: 1, requests: 5")).run();
        let outside = gateway(mesh, route, "connections: 1, requests: 5").run();
        [inside, outside].map(|record| {
            let copies = record.endpoints.iter().find(|e| e.workload == "t/copy");
            copies.map_or(0, |c| c.requests)
        })
    };
    assert_eq!(copies("{serviceTime: 20ms}"), [5, 5]);
    // The first failure ejects the only pod: 503 UH from then on.
    assert_eq!(copies("{errors: [{status: 500, rate: 100%}]}"), [1, 1]);
    assert_eq!(
        copies("{connections: refuse}"),
        [1, 1],
        "connects that fail are copied"
    );
}

#[test]
fn a_mirrored_copy_is_taken_after_the_rewrite() {
    // The copy's server lets only the rewritten path in.
    let mesh = Mesh::new()
        .pods("server", "server", 1, "{serviceTime: 1ms}")
        .pods("copy", "copy", 1, "{serviceTime: 1ms}")
        .route("server", "rewrite: {uri: /new}\n    mirrors: [{destination: {host: copy}}]")
        .manifest("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: copy, namespace: t}\nspec: {selector: {matchLabels: {app: copy}}, action: ALLOW, rules: [{to: [{operation: {paths: [/new]}}]}]}\n");
    let record = mesh.case(&load("connections: 1, requests: 5")).run();
    let copy = record.workloads.iter().find(|w| w.name == "t/copy");
    assert_eq!(copy.map(|w| w.requests), Some(5));
}

#[test]
fn a_grpc_request_brings_its_own_deadline() {
    let mesh = Mesh::new().pods(
        "server",
        "server",
        1,
        "{errors: [{hang: true, rate: 100%}]}",
    );
    let headers = "headers: {content-type: application/grpc, grpc-timeout: 300m}";
    let record = mesh
        .case(&load(&format!("connections: 1, requests: 2, {headers}")))
        .run();
    assert_eq!(record.clients[0].flags["UT"], 2);
    assert!(record.requests.iter().all(|r| millis(r) == 300));
}

/// A VirtualService for `server` with these `http` rules.
fn rules(http: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: server, namespace: t}}\nspec:\n  hosts: [server]\n  http: {http}\n"
    )
}

/// Two workloads behind `server` as the subsets `good` and `bad`, and a rule with these weights.
fn halves(weight: u32, rest: &str) -> Mesh {
    let subset = |name: &str| format!("{{name: {name}, labels: {{run: {name}}}}}");
    let to =
        |name: &str| format!("{{destination: {{host: server, subset: {name}}}, weight: {weight}}}");
    Mesh::new()
        .pods("good", "server", 1, "{serviceTime: 1ms}")
        .pods("bad", "server", 1, "{serviceTime: 1ms, errors: [{status: 503, rate: 100%}]}")
        .pods("copy", "copy", 1, "{serviceTime: 1ms}")
        .manifest(&format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: server, namespace: t}}\nspec: {{host: server, subsets: [{}, {}]}}\n",
            subset("good"),
            subset("bad")
        ))
        .manifest(&rules(&format!("[{{route: [{}, {}], {rest}}}]", to("good"), to("bad"))))
}

#[test]
fn retries_stay_in_the_cluster_that_was_picked() {
    let mesh = halves(50, "retries: {attempts: 3, retryOn: 5xx, backoff: 1ms}");
    let record = mesh
        .case(&format!("duration: 20s, {}", load("rate: 100/s")))
        .run();
    let client = &record.clients[0];
    let failed = client.statuses["503"] as f64 / client.requests as f64;
    assert!((failed - 0.5).abs() < 0.05, "{failed}");
    assert_eq!(client.attempts.keys().copied().collect::<Vec<_>>(), [1, 4]);
}

#[test]
fn weights_and_mirrors_read_the_same_number() {
    // Both are shares of the same million: a copy is made of exactly what goes to the first.
    let mesh = halves(
        500_000,
        "retries: {attempts: 0}, mirrors: [{destination: {host: copy}, percentage: {value: 50}}]",
    );
    let record = mesh
        .case(&format!("duration: 10s, {}", load("rate: 100/s")))
        .run();
    let requests = |name: &str| {
        let pods = record.endpoints.iter().filter(|e| e.workload == name);
        pods.map(|e| e.requests).sum::<u64>()
    };
    assert!(requests("t/good") > 400);
    assert_eq!(requests("t/copy"), requests("t/good"));
}

#[test]
fn answers_of_the_proxy_itself_make_no_try() {
    let answered = |http: &str| {
        let mesh = Mesh::new()
            .pods("server", "server", 1, "{serviceTime: 1ms}")
            .manifest(&rules(http));
        let record = mesh.case(&load("connections: 1, requests: 2")).run();
        assert!(record.requests.iter().all(|r| r.attempts == 0), "{http}");
        outcomes(&record)
    };
    assert_eq!(
        answered("[{redirect: {uri: /new, redirectCode: 302}}]"),
        ["302 - direct_response ×2"]
    );
    assert_eq!(
        answered("[{directResponse: {status: 418}}]"),
        ["418 - direct_response ×2"]
    );
    assert_eq!(
        answered("[{match: [{uri: {prefix: /other}}], route: [{destination: {host: server}}]}]"),
        ["404 NR route_not_found ×2"]
    );
    assert_eq!(
        answered("[{route: [{destination: {host: server, subset: nowhere}}]}]"),
        ["503 NC cluster_not_found ×2"]
    );
}
