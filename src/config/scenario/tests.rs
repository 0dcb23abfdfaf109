//! Documents in, values and complaints out.

use super::read_events;
use super::*;
use crate::engine::Distribution;
use crate::manifest::{Source, read_objects};
use crate::units::{ObjectId, SimDuration};

fn no_files(path: &str) -> Result<String, String> {
    if path == "latencies.csv" {
        return Ok("at,ms\n1,5\n2,7\n".to_owned());
    }
    Err("no such file".to_owned())
}

fn document(kind: &str, spec: &str) -> String {
    let spec = spec.replace('\n', "\n  ");
    format!("apiVersion: towtank/v1alpha1\nkind: {kind}\nmetadata: {{name: t}}\nspec:\n  {spec}\n")
}

/// The value and `line CODE message` of everything that is wrong; line 1 is the first of `spec`.
fn model(spec: &str) -> (Model, Vec<String>) {
    let (objects, read) = read_objects(&[Source::new("m.yaml", document("Model", spec))]);
    assert_eq!(read, []);
    let (value, diagnostics) = decode_model(&objects[0], ObjectId(1), &no_files);
    (value, lines(&diagnostics))
}

fn scenario(spec: &str) -> (Scenario, Vec<String>) {
    let (objects, read) = read_objects(&[Source::new("s.yaml", document("Scenario", spec))]);
    assert_eq!(read, []);
    let (value, diagnostics) = decode_scenario(&objects[0], ObjectId(1), &no_files);
    (value, lines(&diagnostics))
}

fn lines(diagnostics: &[crate::diagnostic::Diagnostic]) -> Vec<String> {
    let line = |d: &crate::diagnostic::Diagnostic| {
        let at = d.place.as_ref().map_or(0, |place| place.line) - 4;
        format!("{at} {} {}", d.code, d.message)
    };
    diagnostics.iter().map(line).collect()
}

/// Each expectation is the beginning of a line of complaint, in order, and there are no others.
fn check(complaints: &[String], expected: &[&str]) {
    let same = complaints.len() == expected.len()
        && complaints
            .iter()
            .zip(expected)
            .all(|(c, e)| c.starts_with(e));
    assert!(same, "got {complaints:#?}\nexpected {expected:#?}");
}

#[test]
fn a_whole_model_is_read() {
    let (read, complaints) = model(
        "network:
  sameZone: 0.25ms
  betweenRegions: {normal: {mean: 35ms, stdDev: 2ms}}
  pairs: [{from: us-east-1, to: us-west-2/a, latency: 60ms}]
proxy: {concurrency: 2}
defaults: {concurrency: 8, queue: unlimited, propagate: [End-User]}
placement: {shop/cart: [us-east/us-east-1, us-west/us-west-1]}
workloads:
  shop/cart:
    queue: 4
    serviceTime: {lognormal: {median: 12ms, p99: 80ms}}
    errors: [{status: 500, rate: 0.1%}, {reset: true, rate: 0.01}, {hang: true, rate: 1%}]
    connections: refuse
    status: 204
    calls:
    - http://reviews:9080/reviews
    - parallel:
      - {url: http://a/, method: post, onError: ignore, timeout: 1s, headers: {X-Kind: a}}
      - {url: http://b/, onError: {fail: 502}}",
    );
    check(&complaints, &[]);
    assert_eq!(read.proxy_concurrency, Some(2));
    assert_eq!(read.network.pairs.len(), 1);
    assert_eq!(read.placement["shop/cart"].len(), 2);
    let cart = &read.workloads["shop/cart"];
    // Not written, so from `defaults`.
    assert_eq!((cart.concurrency, cart.queue), (Some(8), Some(4)));
    assert_eq!(read.defaults.queue, None);
    assert_eq!(&*cart.propagate[0], "end-user");
    assert_eq!(cart.errors.len(), 3);
    assert_eq!(cart.errors[0].rate.ppm(), 1000);
    assert_eq!(cart.connections, Connections::Refuse);
    assert_eq!(cart.origin.line, 14);
    let StepSpec::Parallel(calls) = &cart.calls[1] else {
        panic!("the second step is parallel");
    };
    assert_eq!(&*calls[0].method, "POST");
    assert_eq!(&*calls[0].headers[0].0, "x-kind");
    assert_eq!(calls[0].on_error, OnError::Ignore);
    assert_eq!(calls[1].on_error, OnError::Fail(502));
}

#[test]
fn an_empty_model_is_the_stated_defaults() {
    let (read, complaints) = model("{}");
    check(&complaints, &[]);
    assert_eq!(read.proxy_concurrency, None);
    assert!(read.workloads.is_empty());
}

#[test]
fn every_distribution_is_read() {
    let ms = SimDuration::from_ms;
    let cases: &[(&str, Distribution)] = &[
        ("12ms", Distribution::Constant(ms(12))),
        ("{constant: 5ms}", Distribution::Constant(ms(5))),
        (
            "{uniform: {min: 1ms, max: 2ms}}",
            Distribution::Uniform {
                min: ms(1),
                max: ms(2),
            },
        ),
        (
            "{exponential: 5ms}",
            Distribution::Exponential { mean: ms(5) },
        ),
        (
            "{exponential: {mean: 5ms}}",
            Distribution::Exponential { mean: ms(5) },
        ),
        (
            "{normal: {mean: 5ms, stdDev: 1ms}}",
            Distribution::Normal {
                mean: ms(5),
                std_dev: ms(1),
            },
        ),
        (
            "{lognormal: {median: 2ms, sigma: 0.5}}",
            Distribution::Lognormal {
                median: ms(2),
                sigma: 0.5,
            },
        ),
        (
            "{gamma: {mean: 3ms, shape: 2}}",
            Distribution::Gamma {
                shape: 2.0,
                mean: ms(3),
            },
        ),
        (
            "{erlang: {mean: 3ms, k: 4}}",
            Distribution::erlang(4, ms(3)),
        ),
        (
            "{weibull: {scale: 3ms, shape: 1.5}}",
            Distribution::Weibull {
                shape: 1.5,
                scale: ms(3),
            },
        ),
        (
            "{pareto: {minimum: 3ms, alpha: 2.5}}",
            Distribution::Pareto {
                alpha: 2.5,
                minimum: ms(3),
            },
        ),
        (
            "{empirical: [2ms, 1ms]}",
            Distribution::empirical(vec![ms(1), ms(2)]),
        ),
        (
            "{empirical: {file: latencies.csv, column: ms}}",
            Distribution::empirical(vec![ms(5), ms(7)]),
        ),
    ];
    for (text, expected) in cases {
        let (read, complaints) = model(&format!("defaults: {{serviceTime: {text}}}"));
        check(&complaints, &[]);
        assert_eq!(read.defaults.service_time, *expected, "{text}");
    }
}

#[test]
fn every_mistake_of_a_model_is_reported_at_its_line() {
    let (_, complaints) = model(
        "nework: {}
defaults:
  concurrency: 0
  queue: -1
  serviceTime: 12
  errors:
  - {status: 500, rate: 60%}
  - {status: 503, rate: 60%}
  - {status: 503, reset: true, rate: 1%}
  - {hang: true}
  - {status: 99, rate: 1%}
workloads:
  cart: {}
  shop/a: {serviceTime: -5ms, calls: ['ftp://x', {method: GET}, {parallel: []}]}
  shop/b: {serviceTime: 2d, erorrs: []}
  shop/c: {serviceTime: {lognormal: {median: 10ms, p99: 5ms}}, connections: maybe}
  shop/d: {serviceTime: {lognormal: {median: 10ms}}, calls: [{url: http://x, timeout: 0s}]}
  shop/e: {serviceTime: {normal: {mean: 1ms}, gamma: {}}}
  shop/f: {serviceTime: {empirical: {file: none.csv, column: ms}}}
  shop/g: {serviceTime: {logarithmic: 1ms}, calls: {}}
placement: {shop/a: [//]}",
    );
    check(
        &complaints,
        &[
            "1 TT-UNKNOWN-FIELD `nework` is not a field of a Model's spec",
            "3 TT-NUMBER `0` is not a whole number between 1",
            "4 TT-NUMBER `-1` is not a whole number between 0",
            "5 TT-DURATION `12` is not a duration: the unit is missing",
            "9 TT-ERROR-KIND an error is exactly one of",
            "10 TT-MISSING-FIELD `rate` is missing",
            "11 TT-NUMBER `99` is not a whole number between 200 and 599",
            "7 TT-ERROR-RATE the rates of errors add up to 120%",
            "13 TT-WORKLOAD-NAME `cart` does not name a workload",
            "14 TT-DURATION `-5ms` is not a duration: it is negative",
            "14 TT-URL `ftp://x` is not a URL",
            "14 TT-MISSING-FIELD `url` is missing",
            "14 TT-CALL `parallel` has no calls",
            "15 TT-UNKNOWN-FIELD `erorrs` is not a field of a workload",
            "15 TT-DURATION 48h is absurdly long here",
            "16 TT-DISTRIBUTION p99 5ms is less than the median 10ms",
            "16 TT-WORD `maybe` is not one of accept, refuse, blackhole",
            "17 TT-DISTRIBUTION lognormal needs `median` and either `p99` or `sigma`",
            "17 TT-DURATION a timeout of zero",
            "18 TT-DISTRIBUTION a distribution has exactly one name",
            "19 TT-CSV `none.csv` cannot be read: no such file",
            "20 TT-UNKNOWN-FIELD `logarithmic` is not a field of a distribution",
            "20 TT-WRONG-TYPE expected a list of calls, found a mapping",
            "21 TT-LOCALITY `//` is not a locality",
        ],
    );
}

#[test]
fn calls_that_are_not_always_made_are_read() {
    let (read, complaints) = model(
        "defaults:
  calls:
  - {url: http://a, times: 2, probability: 30%}
  - parallel: [{url: http://b, times: 3, cache: {hitRate: 0.9}}, {url: http://c, async: true}]",
    );
    check(&complaints, &[]);
    let [
        StepSpec::Call(first),
        StepSpec::Call(_),
        StepSpec::Parallel(calls),
    ] = &read.defaults.calls[..]
    else {
        panic!("two calls in a row, then those at once");
    };
    assert_eq!(
        first.probability.map(crate::units::Fraction::ppm),
        Some(300_000)
    );
    assert_eq!(calls.len(), 4);
    assert_eq!(
        calls[2].cache_hit_rate.map(crate::units::Fraction::ppm),
        Some(900_000)
    );
    assert!(calls[3].is_async && !calls[2].is_async);
    let (_, complaints) = model(
        "defaults:
  calls:
  - {url: http://a, times: 0}
  - {url: http://a, probability: 130%}
  - {url: http://a, cache: 90%}
  - {url: http://a, async: true, onError: ignore}
workloads:
  shop/a:
    calls: [{parallel: [{url: http://b, times: 999}, {url: http://b, times: 999}, {url: http://b, times: 999}, {url: http://b, times: 999}, {url: http://b, times: 999}, {url: http://b, times: 999}, {url: http://b, times: 999}, {url: http://b, times: 999}, {url: http://b, times: 999}, {url: http://b, times: 999}, {url: http://b, times: 999}]}]",
    );
    check(
        &complaints,
        &[
            "3 TT-NUMBER `0` is not a whole number between 1 and 1000",
            "4 TT-CALL `130%` is not between 0% and 100%",
            "5 TT-WRONG-TYPE expected a mapping (cache)",
            "5 TT-MISSING-FIELD `hitRate` is missing",
            "6 TT-CALL nobody waits for an `async` call",
            "9 TT-CALL 10989 calls for one request are more than 10000",
        ],
    );
}

#[test]
fn throttles_of_retries_are_read() {
    let (read, complaints) = model(
        "defaults:
  calls:
  - {url: http://a, retries: {attempts: 2, throttle: {maxTokens: 10, tokenRatio: 0.1}}}
  - {url: http://a, retries: {attempts: 2, throttle: {maxTokens: 0.5, tokenRatio: 2, counts: retries}}}",
    );
    check(&complaints, &[]);
    let read: Vec<_> = (read.defaults.calls.iter())
        .filter_map(|step| step.calls()[0].retries.as_ref()?.throttle)
        .map(|t| (t.max_milli, t.ratio_milli, t.rule))
        .collect();
    let expected = [
        (10_000, 100, ThrottleRule::Failures),
        (500, 2_000, ThrottleRule::Retries),
    ];
    assert_eq!(read, expected);
    let (_, complaints) = model(
        "defaults:
  calls:
  - {url: http://a, retries: {attempts: 2, throttle: {maxTokens: 0, tokenRatio: 1001}}}
  - {url: http://a, retries: {attempts: 2, throttle: {tokens: 1}}}
  - {url: http://a, retries: {attempts: 2, throttle: {maxTokens: 1, tokenRatio: 1, counts: tries}}}",
    );
    check(
        &complaints,
        &[
            "3 TT-NUMBER 0 is not between 0.001 and 1000",
            "3 TT-NUMBER 1001 is not between 0.001 and 1000",
            "4 TT-UNKNOWN-FIELD `tokens` is not a field of throttle",
            "4 TT-MISSING-FIELD `maxTokens` is missing",
            "4 TT-MISSING-FIELD `tokenRatio` is missing",
            "5 TT-WORD `tries` is not one of failures, retries",
        ],
    );
}

#[test]
fn what_few_pods_have_is_read() {
    let ms = SimDuration::from_ms;
    let (read, complaints) = model(
        "defaults:
  queueDiscipline: {codel: {target: 10ms}}
  warmUp: {for: 30s, factor: 3, atStart: true}
  pauses: {every: {exponential: 10s}, for: 200ms}
  cpu: {limit: 500m, perRequest: 3ms}
workloads:
  shop/a: {queueDiscipline: lifo, cpu: {limit: 2}}",
    );
    check(&complaints, &[]);
    let (target, interval) = (ms(10), ms(100));
    let codel = QueueDiscipline::CoDel { target, interval };
    assert_eq!(read.defaults.queue_discipline, codel);
    assert_eq!(read.defaults.warm_up.map(|w| w.at_start), Some(true));
    let a = &read.workloads["shop/a"];
    assert_eq!(a.queue_discipline, QueueDiscipline::Lifo);
    assert_eq!(a.cpu.as_ref().map(|cpu| cpu.milli_cores), Some(Some(2000)));
    assert_eq!(
        a.pauses, read.defaults.pauses,
        "not written, so from `defaults`"
    );
    let (_, complaints) = model(
        "defaults:
  queueDiscipline: random
  warmUp: {for: 0s, factor: 0.5}
  pauses: {every: 1us}
  cpu: {limit: half}
workloads:
  shop/a: {queueDiscipline: {codel: {}, adaptiveLifo: {}}, pauses: {every: 1us, for: 1ms}, warmUp: {for: 1s, factor: 0.5}}",
    );
    check(
        &complaints,
        &[
            "2 TT-WORD `random` is not one of fifo, lifo, codel, adaptiveLifo",
            "3 TT-DURATION a timeout of zero",
            "4 TT-MISSING-FIELD `for` is missing",
            "5 TT-CPU `half` is not an amount of CPU",
            "7 TT-QUEUE a queue has one discipline",
            "7 TT-NUMBER factor 0.5 is not between 1 and 1000",
            "7 TT-DURATION pauses less than 1ms apart",
        ],
    );
}

#[test]
fn priorities_pools_and_drawn_numbers_of_calls_are_read() {
    let (read, complaints) = model(
        "workloads:
  shop/a:
    queue: 20
    priority: {header: X-Priority, order: [gold, lead], default: gold, shed: {lead: 25%}}
    pools: {db: {size: 10, timeout: 1s}, cache: {size: 5}}
    cpu: {perRequest: 3ms}
    calls:
    - {url: 'http://b/', pool: db, times: {uniform: [1, 3]}}
    - {url: 'http://b/', times: {shares: {4: 50%, 0: 50%}}}",
    );
    check(&complaints, &[]);
    let a = &read.workloads["shop/a"];
    let priority = a.priority.as_ref().expect("it was read");
    assert_eq!((&*priority.header, priority.default), ("x-priority", 0));
    let shed: Vec<Option<u32>> = (priority.levels.iter())
        .map(|level| level.shed_from.map(crate::units::Fraction::ppm))
        .collect();
    assert_eq!(shed, [None, Some(250_000)]);
    let pools: Vec<(&str, u32)> = a.pools.iter().map(|p| (&*p.name, p.size)).collect();
    assert_eq!(pools, [("cache", 5), ("db", 10)], "in the order of names");
    assert_eq!(a.cpu.as_ref().map(|cpu| cpu.milli_cores), Some(None));
    let calls: Vec<(u32, Option<usize>)> = (a.calls.iter())
        .filter_map(|step| match step {
            StepSpec::Call(call) => Some((call.times.as_ref()?.1, call.pool)),
            StepSpec::Parallel(_) => None,
        })
        .collect();
    let db = Some(1);
    let rows = [
        (0, db),
        (1, db),
        (2, db),
        (0, None),
        (1, None),
        (2, None),
        (3, None),
    ];
    assert_eq!(calls, rows);
    let (_, complaints) = model(
        "workloads:
  shop/a:
    queue: unlimited
    priority: {header: x, order: [a], shed: {b: 3%}}
    pools: {db: {sizes: 3}, x: {size: 0}}
    calls:
    - {url: 'http://x/', pool: dn}
    - {url: 'http://x/', times: {uniform: [5, 1]}}
    - {url: 'http://x/', times: {shares: {1: 90%, 2: 5%}}}
    - {url: 'http://x/', times: {shares: {many: 100%}}}
    - {url: 'http://x/', times: {}}
  shop/b: {queue: 1, priority: {header: x, order: [a, b], default: aa}}
  shop/c: {queue: unlimited, priority: {header: x, order: [a, b], shed: {b: 3%}}}
  shop/d: {pools: [db]}",
    );
    check(
        &complaints,
        &[
            "5 TT-UNKNOWN-FIELD `sizes` is not a field of a pool",
            "5 TT-MISSING-FIELD `size` is missing",
            "5 TT-NUMBER `0` is not a whole number between 1 and 1000000",
            "7 TT-CALL the workload has no pool `dn`",
            "8 TT-CALL 5 is not below 1",
            "9 TT-CALL the shares add up to 95%, not to 100%",
            "10 TT-CALL `many` is not a number of calls (0 to 1000)",
            "11 TT-CALL `times` that are drawn are either `uniform` or `shares`",
            "4 TT-PRIORITY 1 values in `order`, of 2 to 16",
            "12 TT-PRIORITY `aa` is not in `order`",
            "13 TT-PRIORITY `shed` is a share of `queue`, and this one has no end",
            "14 TT-WRONG-TYPE `pools` needs a mapping, found a list",
        ],
    );
}

#[test]
fn a_whole_scenario_is_read() {
    let (read, complaints) = scenario(
        "manifests: [manifests/]
model: model.yaml
istioVersion: '1.24'
duration: 60s
warmUp: 5s
seed: 7
replications: 3
load:
- name: shoppers
  from: production/curl
  url: http://product-service:8080/version
  rate: 200/s
  arrivals: constant
  headers: {x-user-id: {zipf: {prefix: u, count: 10}}}
  mix: [{weight: 9}, {weight: 1, headers: {user-group: beta-testers}}]
- from: {outside: {locality: us-east/a, via: istio-ingress/gw}}
  url: http://api.example.com/
  connections: 5
  requests: 100
  qps: 0
  think: {exponential: 1s}
  timeout: 3s",
    );
    check(&complaints, &[]);
    assert_eq!(read.duration, Some(SimDuration::from_secs(60)));
    assert_eq!((read.seed, read.replications), (7, 3));
    assert_eq!(read.load[0].mix[1].weight, 1);
    let LoadStyle::Open { rate, arrivals, .. } = &read.load[0].style else {
        panic!("a rate is an open loop");
    };
    assert_eq!(
        (rate.to_string().as_str(), *arrivals),
        ("200/s", ArrivalKind::Constant)
    );
    assert_eq!(&*read.load[1].name, "load-2");
    let LoadStyle::Closed {
        connections,
        qps,
        think,
        ..
    } = &read.load[1].style
    else {
        panic!("connections are a closed loop");
    };
    assert_eq!(
        (*connections, qps.is_none(), think.is_some()),
        (5, true, true)
    );
    let LoadSource::Outside { locality, via } = &read.load[1].from else {
        panic!("from outside");
    };
    assert_eq!(
        (&*locality.zone, via.as_deref()),
        ("a", Some("istio-ingress/gw"))
    );
}

#[test]
fn every_mistake_of_a_scenario_is_reported_at_its_line() {
    let (_, complaints) = scenario(
        "istioVersion: 1.30
duration: 5s
warmUp: 5s
replications: 0
sed: 1
load:
- {name: a, from: p/curl, url: http://x, rate: 1/s, connections: 5}
- {name: b, from: p/curl, url: http://x}
- {name: c, from: curl, url: http://x, rate: 0/s}
- {name: d, from: p/curl, url: http://x, rate: 900000000/s}
- {name: d, from: p/curl, url: http://x, connections: 1, requests: 0}
- {name: e, url: 'http://x y', rate: 1/s, qps: 5}
- {name: f, from: p/curl, rate: -1/s, mix: [{weight: 0}, {weight: 0}]}
- {name: g, from: {inside: 1}, url: http://x, connections: 0, headers: {'a b': c, X: 1, x: 2}}",
    );
    check(
        &complaints,
        &[
            "5 TT-UNKNOWN-FIELD `sed` is not a field of a Scenario's spec",
            "1 TT-ISTIO-VERSION the Istio version has to be in quotes",
            "4 TT-NUMBER `0` is not a whole number between 1 and 10000",
            "3 TT-WARM-UP the warm-up of 5s takes the whole duration 5s",
            "7 TT-LOAD-PACING `rate` and `connections` exclude each other",
            "8 TT-LOAD-PACING neither `rate` nor `connections`",
            "9 TT-WORKLOAD-NAME `curl` does not name a workload",
            "9 TT-RATE a rate of zero sends nothing",
            "10 TT-TOO-MUCH load `d` would send 4500000000 requests",
            "11 TT-NUMBER `0` is not a whole number between 1",
            "11 TT-DUPLICATE-LOAD load `d` exists already",
            "12 TT-MISSING-FIELD `from` is missing",
            "12 TT-URL `http://x y` is not a URL",
            "12 TT-LOAD-PACING `qps` goes with `connections` only",
            "13 TT-WEIGHTS the weights of `mix` add up to zero",
            "13 TT-MISSING-FIELD `url` is missing",
            "13 TT-RATE `-1/s` is not a rate",
            "14 TT-UNKNOWN-FIELD `inside` is not a field of from",
            "14 TT-MISSING-FIELD `outside` is missing",
            "14 TT-HEADER `a b` is not a header name",
            "14 TT-HEADER header `x` is given twice",
            "14 TT-NUMBER `0` is not a whole number between 1",
        ],
    );
}

#[test]
fn every_mistake_of_a_profile_is_reported_at_its_line() {
    let (_, complaints) = scenario(
        "duration: 10s
load:
- {name: a, from: p/curl, url: http://x, connections: 1, profile: {}}
- {name: b, from: p/curl, url: http://x, rate: 1/s, profile: {}}
- {name: c, from: p/curl, url: http://x, rate: 1/s, profile: {stages: [], spikes: [{at: 1s, factor: 2}]}}
- {name: d, from: p/curl, url: http://x, rate: 1/s, profile: {stages: [{duration: 1s, target: 1/s, rate: 1/s}]}}
- {name: e, from: p/curl, url: http://x, rate: 1/s, profile: {daily: {amplitude: 120%, peek: 1h}, stages: [{duration: 1s}]}}
- {name: f, from: p/curl, url: http://x, rate: 1/s, profile: {daily: {amplitude: 120%, peek: 1h}}}
- {name: g, from: p/curl, url: http://x, rate: 1/s, profile: {csv: {file: latencies.csv, time: at, rate: ms}}}
- {name: h, from: p/curl, url: http://x, profile: {csv: {file: latencies.csv}}}
- {name: i, from: p/curl, url: http://x, profile: {stages: [{duration: 5s}]}}
- {name: j, from: p/curl, url: http://x, rate: 1/s, start: 10s}
- {name: k, from: p/curl, url: http://x, rate: 1/s, start: 5s, stop: 5s, rampUp: 1s}
- {name: l, from: p/curl, url: http://x, rate: 1/s, profile: {daily: {amplitude: 50%, period: 24us}}}",
    );
    check(
        &complaints,
        &[
            "3 TT-LOAD-PACING `profile` goes with `rate` only",
            "4 TT-PROFILE a profile has `stages`, `daily`, `csv` or `spikes`",
            "5 TT-PROFILE `stages` has no stages",
            "5 TT-MISSING-FIELD `duration` is missing",
            "6 TT-PROFILE `target` and `rate` exclude each other",
            "7 TT-PROFILE `stages` and `daily` exclude each other",
            "8 TT-UNKNOWN-FIELD `peek` is not a field of daily",
            "8 TT-PROFILE `120%` is not between",
            "9 TT-LOAD-PACING `rate` and a file of rates exclude each other",
            "10 TT-CSV `latencies.csv`: there is no column `time`; it has at, ms",
            "11 TT-PROFILE load `i` never sends",
            "12 TT-LOAD-TIME load `j` starts at 10s",
            "13 TT-LOAD-PACING `rampUp` goes with `connections` only",
            "13 TT-LOAD-TIME `stop` is not after `start`",
            "14 TT-PROFILE load `l` has more than 10000 days of 24us",
        ],
    );
}

#[test]
fn a_load_has_to_end_by_time_or_by_count() {
    let load = "from: p/curl, url: 'http://x', connections: 5";
    let (_, endless) = scenario(&format!("load: [{{{load}}}]"));
    check(&endless, &["1 TT-ENDLESS load `load-1` never ends"]);
    let (_, counted) = scenario(&format!("load: [{{{load}, requests: 100}}]"));
    check(&counted, &[]);
    let (_, timed) = scenario(&format!("duration: 1s\nload: [{{{load}}}]"));
    check(&timed, &[]);
    let (_, empty) = scenario("duration: 1s\nload: []");
    check(&empty, &["2 TT-MISSING-FIELD `load` is missing"]);
}

/// Field names of a definition of a schema.
fn properties(schema: &serde_json::Value, definition: &str) -> Vec<String> {
    let fields = schema["$defs"][definition]["properties"].as_object();
    let fields = fields.unwrap_or_else(|| panic!("no definition `{definition}`"));
    let mut names: Vec<String> = fields.keys().cloned().collect();
    names.sort();
    names
}

#[test]
fn the_schemas_have_the_fields_the_decoder_reads() {
    let (model, scenario) = (model_schema(), scenario_schema());
    let cases = [
        (&model, "ModelSpec", read_model::MODEL_FIELDS),
        (&model, "Network", read_model::NETWORK_FIELDS),
        (&model, "Workload", read_model::WORKLOAD_FIELDS),
        (&model, "Call", read_call::CALL_FIELDS),
        (&model, "Cache", read_call::CACHE_FIELDS),
        (&model, "CoDel", read_pod::CODEL_FIELDS),
        (&model, "WarmUp", read_pod::WARM_UP_FIELDS),
        (&model, "Pauses", read_pod::PAUSES_FIELDS),
        (&model, "Cpu", read_pod::CPU_FIELDS),
        (&model, "Priority", read_pod::PRIORITY_FIELDS),
        (&model, "Pool", read_pod::POOL_FIELDS),
        (&scenario, "ScenarioSpec", read_scenario::SCENARIO_FIELDS),
        (&scenario, "Load", read_load::LOAD_FIELDS),
        (&scenario, "RouteTest", read_routes::ROUTE_FIELDS),
        (&scenario, "MixEntry", read_load::MIX_FIELDS),
        (&scenario, "Profile", read_profile::PROFILE_FIELDS),
        (&scenario, "Stage", read_profile::STAGE_FIELDS),
        (&scenario, "Daily", read_profile::DAILY_FIELDS),
        (&scenario, "Spike", read_profile::SPIKE_FIELDS),
        (&scenario, "Rates", read_profile::RATES_FIELDS),
        (&scenario, "Event", read_events::EVENT_FIELDS),
        (&scenario, "Fail", read_events::FAIL_FIELDS),
        (&scenario, "Restore", read_events::RESTORE_FIELDS),
        (&scenario, "Slow", read_events::SLOW_FIELDS),
        (&scenario, "Errors", read_events::ERRORS_FIELDS),
        (&scenario, "Capacity", read_events::CAPACITY_FIELDS),
        (&scenario, "Partition", read_events::PARTITION_FIELDS),
        (&scenario, "Delay", read_events::DELAY_FIELDS),
        (&scenario, "Scale", read_events::SCALE_FIELDS),
        (&scenario, "Rollout", read_events::ROLLOUT_FIELDS),
    ];
    for (schema, definition, fields) in cases {
        let mut fields: Vec<String> = fields.iter().map(|f| (*f).to_owned()).collect();
        fields.sort();
        assert_eq!(properties(schema, definition), fields, "{definition}");
    }
    let named = model["$defs"]["NamedDistribution"]["oneOf"].as_array();
    let mut names: Vec<&str> = named
        .into_iter()
        .flatten()
        .filter_map(|one| one["required"][0].as_str())
        .collect();
    names.sort_unstable();
    let mut known = lengths::NAMES.to_vec();
    known.sort_unstable();
    assert_eq!(names, known);
}
