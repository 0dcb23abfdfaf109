//! Whatever a Model, a Scenario or the mesh beside them say, everything up to a prepared run
//! ends with diagnostics and not with a panic, and what can be prepared can be begun.

use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use towtank::config::load::{LoadOptions, load};
use towtank::config::scenario::{LoadStyle, Model, decode_model, decode_scenario};
use towtank::control_plane::compile;
use towtank::engine::Seed;
use towtank::manifest::Source;
use towtank::simulation::{Control, prepare, run};
use towtank::units::ObjectRef;

/// Every field of both kinds once, and a mesh that answers.
const SEED: &str = "\
apiVersion: towtank/v1alpha1
kind: Model
metadata: {name: m}
spec:
  network:
    sameZone: 0.25ms
    sameRegion: {normal: {mean: 1ms, stdDev: 0.1ms}}
    betweenRegions: {uniform: {min: 30ms, max: 40ms}}
    pairs:
    - {from: r1, to: r2/z, latency: {gamma: {mean: 35ms, shape: 2}}}
  proxy: {concurrency: 2}
  placement: {ns/a: [r1/z1, r2/z2]}
  defaults: {concurrency: unlimited, queue: 0, propagate: [end-user]}
  workloads:
    ns/a:
      concurrency: 16
      queue: 128
      serviceTime: {lognormal: {median: 12ms, p99: 80ms}}
      errors: [{status: 500, rate: 0.1%}, {hang: true, rate: 1%}, {reset: true, rate: 0.01}]
      connections: accept
      status: 200
      calls:
      - http://b:80/x
      - parallel:
        - {url: 'http://b/', method: POST, headers: {h: v}, onError: ignore, timeout: 1s, retries: {attempts: 2, backoff: 1ms, throttle: {maxTokens: 10, tokenRatio: 0.1, counts: retries}}}
        - {url: 'http://c/', onError: {fail: 502}}
    ns/b:
      serviceTime: {erlang: {mean: 3ms, k: 4}}
      priority: {header: x-user, order: [u1, u2, u3], default: u2, shed: {u3: 50%}}
      pools: {db: {size: 2, timeout: 5ms}}
      cpu: {perRequest: 1ms}
      calls:
      - {url: 'http://c/', pool: db, times: {uniform: [0, 3]}}
      - parallel: [{url: 'http://c/', times: {shares: {1: 90%, 4: 10%}}, async: true, pool: db}]
---
apiVersion: towtank/v1alpha1
kind: Scenario
metadata: {name: s}
spec:
  duration: 2s
  warmUp: 1s
  seed: 7
  replications: 2
  istioVersion: '1.24'
  load:
  - name: open
    from: ns/b
    url: http://a/
    rate: 20/s
    arrivals: constant
    headers: {x-user: {zipf: {prefix: u, count: 10, exponent: 1.1}}}
    mix: [{weight: 9}, {weight: 1, url: 'http://a/y', method: PUT, headers: {user-group: beta}}]
  - name: closed
    from: {outside: {locality: r1/z1}}
    url: http://a/
    method: GET
    connections: 5
    requests: 10
    qps: 100
    think: {exponential: 1s}
    timeout: 3s
---
apiVersion: v1
kind: Service
metadata: {name: a, namespace: ns}
spec: {selector: {app: a}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: ns}
spec: {selector: {app: b}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: ns}
spec:
  hosts: [a]
  http:
  - match: [{uri: {prefix: /y}, headers: {user-group: {exact: beta}}}]
    fault: {delay: {percentage: {value: 50}, fixedDelay: 5ms}, abort: {httpStatus: 503, percentage: {value: 1}}}
    route: [{destination: {host: b}}]
  - timeout: 2s
    retries: {attempts: 3, perTryTimeout: 1s, retryOn: 5xx}
    route: [{destination: {host: a, subset: v1}, weight: 90}, {destination: {host: b}, weight: 10}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a, namespace: ns}
spec:
  host: a
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1, maxRequestsPerConnection: 2}}
    outlierDetection: {consecutive5xxErrors: 3, interval: 10s, baseEjectionTime: 30s, maxEjectionPercent: 100}
    loadBalancer: {consistentHash: {httpHeaderName: x-user}}
  subsets: [{name: v1, labels: {app: a}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: a, namespace: ns}
spec: {replicas: 2, selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: b, namespace: ns}
spec: {replicas: 1, selector: {matchLabels: {app: b}}, template: {metadata: {labels: {app: b}}}}
";

/// What an input came to.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// Refused with diagnostics.
    Refused,
    /// Ran for the first events.
    Ran,
    /// Right, but too large for a test.
    Large,
}

/// Larger cases than these are prepared and not begun.
const PODS: usize = 500;
const CONNECTIONS: u32 = 500;

fn check(text: &str) -> Came {
    let mut loaded = load(vec![Source::new("f.yaml", text)], &LoadOptions::default());
    let _ = loaded.render(false);
    let mut errors = loaded.diagnostics.iter().filter(|d| d.is_error()).count();
    let mut id = |object: &towtank::manifest::Object| {
        loaded.config.origins.push(ObjectRef {
            kind: object.kind.clone(),
            namespace: "".into(),
            name: object.name.clone(),
            file: object.place().file,
            line: object.place().line,
        })
    };
    let files = |name: &str| match name {
        "latencies.csv" => Ok("ms,at\n1,2\n,\nx,3\n".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    let model = loaded
        .models
        .first()
        .map(|o| decode_model(o, id(o), &files));
    let scenario = loaded
        .scenarios
        .first()
        .map(|o| decode_scenario(o, id(o), &files));
    let (Some((scenario, said)), model) = (scenario, model) else {
        return Came::Refused;
    };
    errors += said.iter().filter(|d| d.is_error()).count();
    let (model, said) = model.unwrap_or_else(|| (Model::default(), Vec::new()));
    errors += said.iter().filter(|d| d.is_error()).count();
    loaded.config.placement.clone_from(&model.placement);
    // What the command line would refuse before is of no interest here, except for its size.
    let pods = loaded
        .config
        .workloads
        .iter()
        .map(|w| w.replicas.unwrap_or(1) as usize);
    if pods.sum::<usize>() > PODS {
        return Came::Large;
    }
    let snapshot = compile(&loaded.config);
    let Ok(plan) = prepare(&snapshot, &model, &scenario) else {
        return Came::Refused;
    };
    let crowded = scenario.load.iter().any(|load| {
        matches!(load.style, LoadStyle::Closed { connections, .. } if connections > CONNECTIONS)
    });
    if errors > 0 || crowded {
        return if crowded { Came::Large } else { Came::Refused };
    }
    // Interrupted from the beginning: the first question whether to go on ends the run.
    let interrupted = AtomicBool::new(true);
    let control = Control {
        interrupted: &interrupted,
        progress: None,
        keep_requests: 10,
    };
    let _ = run(&plan, Seed::new(1), &control);
    Came::Ran
}

#[test]
fn the_seed_itself_runs() {
    assert_eq!(check(SEED), Came::Ran);
}

/// Values that are wrong, or right in an unexpected place.
const VALUES: &[&str] = &[
    "5",
    "-1",
    "0",
    "1e999",
    ".nan",
    "[]",
    "{}",
    "x",
    "true",
    "~",
    "[~]",
    "{a: ~}",
    "''",
    "99999999999999999999",
    "5h5h",
    "-5s",
    "0s",
    "1e9/s",
    "{constant: 0s}",
    "{pareto: {minimum: 1ms, alpha: 0.001}}",
    "{weibull: {scale: 1h, shape: 0.01}}",
    "{empirical: {file: latencies.csv, column: ms}}",
    "{empirical: []}",
    "{normal: {mean: 0s, stdDev: 24h}}",
    "[http://a/, http://b/]",
    "ns/a",
    "ns/b",
    "4294967295",
    "{lognormal: {median: 0s, p99: 0s}}",
    "{exponential: {mean: 0s}}",
    "100%",
    "http://a",
    "http://nowhere.example:1/",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn values_of_any_kind_anywhere_are_survived(
        edits in proptest::collection::vec((0..SEED.lines().count(), prop::sample::select(VALUES)), 1..4),
    ) {
        let mut lines: Vec<String> = SEED.lines().map(str::to_owned).collect();
        for (line, value) in edits {
            if let Some((key, _)) = lines[line].split_once(": ") {
                lines[line] = format!("{key}: {value}");
            }
        }
        check(&lines.join("\n"));
    }

    #[test]
    fn values_inside_a_line_are_survived(
        at in 0..SEED.len(), value in prop::sample::select(VALUES),
    ) {
        // The next value of a flow mapping after a place.
        let (head, tail) = SEED.split_at(at);
        let Some(colon) = tail.find(": ") else { return Ok(()) };
        let (key, rest) = tail.split_at(colon + 2);
        let end = rest.find([',', '}', ']', '\n']).unwrap_or(rest.len());
        check(&format!("{head}{key}{value}{}", &rest[end..]));
    }

    #[test]
    fn mutated_text_is_survived(
        edits in proptest::collection::vec((0..SEED.len(), 0..12_usize, "[\\PC\n]{0,6}"), 1..4),
    ) {
        let mut text: Vec<char> = SEED.chars().collect();
        for (at, removed, inserted) in edits {
            let at = at.min(text.len());
            let end = (at + removed).min(text.len());
            text.splice(at..end, inserted.chars());
        }
        check(&text.into_iter().collect::<String>());
    }

    #[test]
    fn lines_lost_doubled_or_swapped_are_survived(
        lost in 0..SEED.lines().count(), doubled in 0..SEED.lines().count(), swapped in 0..SEED.lines().count() - 1,
    ) {
        let mut lines: Vec<&str> = SEED.lines().collect();
        lines.swap(swapped, swapped + 1);
        lines.insert(doubled, lines[doubled]);
        lines.remove(lost);
        check(&lines.join("\n"));
    }
}
