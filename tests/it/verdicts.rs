//! Findings: each with a run that shows it and one that does not.

use std::fs;

use serde_json::Value;

use crate::program::{self, codes};

pub(crate) fn finding<'a>(run: &'a Value, code: &str) -> &'a Value {
    program::finding(run, code).unwrap_or_else(|| panic!("no {code} among {:?}", codes(run)))
}

const STORM: &str = "examples/11-retry-storm";

#[test]
fn a_storm_that_outlives_its_trigger_is_told_with_its_line_and_what_ends_it() {
    let run = program::json(&["run", STORM]);
    let stuck = finding(&run, "TT-METASTABLE");
    assert_eq!(stuck["severity"], "error");
    let storm = finding(&run, "TT-RETRY-STORM");
    let cause = storm["cause"].as_str().expect("a cause");
    assert!(cause.contains("mesh.yaml:103 allows 3 retries"), "{cause}");
    let line = fs::read_to_string(program::root().join(STORM).join("manifests/mesh.yaml"));
    let line = line.expect("it is there");
    let named = line.lines().nth(102).expect("so many lines");
    assert!(
        named.contains("attempts: 3") || named.contains("retries:"),
        "{named}"
    );
    let cure = stuck["counterfactual"].as_str().expect("it was simulated");
    assert!(
        cure.starts_with("simulated with `attempts: 0` towards orders: the load recovers"),
        "{cure}"
    );
}

#[test]
fn what_a_counterfactual_promises_is_what_the_change_does() {
    let path = "shop/VirtualService/orders:spec.http[0].retries";
    let cured = program::json(&["run", STORM, "--set", &format!("{path}={{attempts: 0}}")]);
    assert!(
        !codes(&cured).contains(&"TT-METASTABLE"),
        "{:?}",
        codes(&cured)
    );
    assert!(!codes(&cured).contains(&"TT-RETRY-STORM"));
    let one = program::json(&["run", STORM, "--set", &format!("{path}.attempts=1")]);
    assert!(
        codes(&one).contains(&"TT-METASTABLE"),
        "one retry is too many"
    );
}

#[test]
fn a_retry_budget_ends_the_storm_after_a_while() {
    let budget = "shop/DestinationRule/orders:spec.trafficPolicy.retryBudget.percent=20";
    let run = program::json(&["run", STORM, "--set", budget]);
    assert!(!codes(&run).contains(&"TT-METASTABLE"), "{:?}", codes(&run));
    finding(&run, "TT-SLOW-RECOVERY");
    let cause = finding(&run, "TT-BREAKER-OPEN")["cause"].clone();
    assert!(
        cause.as_str().is_some_and(|c| c.contains("mesh.yaml:")),
        "{cause}"
    );
}

#[test]
fn a_mesh_that_is_well_gives_nothing() {
    for model in ["models/bookinfo", "models/shop", "models/w1"] {
        let run = program::json(&["run", model, "--duration", "4s", "--warm-up", "0s"]);
        assert_eq!(codes(&run), [""; 0], "{model}");
    }
    let quiet = "Scenario:spec.events=null";
    let run = program::json(&["run", STORM, "--set", quiet]);
    assert_eq!(codes(&run), [""; 0]);
}

/// A published trap: the same model at 70 % load is perfect in one run and gone for good in the next.
#[test]
fn one_run_lies_and_the_hazard_tells_how_often() {
    let folder = "examples/12-one-run-lies";
    let run = program::json(&["run", folder, "--duration", "200s"]);
    let collapse = finding(&run, "TT-COLLAPSE");
    let what = collapse["what"].as_str().expect("a sentence");
    assert!(what.contains("of 8 replications"), "{what}");
    assert!(
        !what.contains("in 8 of 8") && !what.contains("in 0 of 8"),
        "{what}"
    );
    let patient = "Scenario:spec.load[0].timeout=150ms";
    let run = program::json(&["run", folder, "--duration", "200s", "--set", patient]);
    assert!(!codes(&run).contains(&"TT-COLLAPSE"), "{:?}", codes(&run));
}

#[test]
fn a_workload_that_is_nearly_always_busy_has_no_headroom() {
    let folder = "examples/12-one-run-lies";
    let args = |rate: &str| {
        let rate = format!("Scenario:spec.load[0].rate={rate}");
        let patient = "Scenario:spec.load[0].timeout=10s";
        program::json(&[
            "run",
            folder,
            "--duration",
            "20s",
            "--replications",
            "1",
            "--set",
            &rate,
            "--set",
            patient,
        ])
    };
    assert_eq!(codes(&args("600/s")), [""; 0]);
    let busy = args("900/s");
    assert_eq!(finding(&busy, "TT-NO-HEADROOM")["severity"], "warning");
}

#[test]
fn heavy_users_of_a_hash_are_an_imbalance_and_chance_is_none() {
    let hashed = program::json(&["run", "examples/10-load-balancing", "--duration", "20s"]);
    let what = finding(&hashed, "TT-IMBALANCE")["what"].clone();
    assert!(
        what.as_str().is_some_and(|w| w.contains("times the mean")),
        "{what}"
    );
    let even = program::json(&["run", "models/shop", "--duration", "15s"]);
    assert!(!codes(&even).contains(&"TT-IMBALANCE"));
}

fn failed_share(run: &Value) -> f64 {
    let client = &run["clients"][0];
    let statuses = client["statuses"].as_object().expect("statuses");
    let bad = statuses
        .iter()
        .filter(|(s, _)| *s == "0" || s.starts_with('5'));
    let bad: u64 = bad.filter_map(|(_, n)| n.as_u64()).sum();
    bad as f64 / client["requests"].as_f64().expect("a number")
}

#[test]
fn a_failover_that_ejects_the_healthy_zone_too_is_told_and_each_way_out_is_one() {
    let outage = "examples/14-zone-outage";
    let run = program::json(&["run", outage]);
    let collapse = finding(&run, "TT-EJECTION-COLLAPSE");
    let cause = collapse["cause"].as_str().expect("a cause");
    assert!(
        cause.contains("`outlierDetection` in examples/14-zone-outage/manifests/mesh.yaml:"),
        "{cause}"
    );
    assert!(failed_share(&run) > 0.3, "{}", failed_share(&run));
    let overload = finding(&run, "TT-FAILOVER-OVERLOAD");
    let what = overload["what"].as_str().expect("a sentence");
    assert!(
        what.contains("shop/catalog-a refuses") && what.contains("(0.0 % when nothing is lost)"),
        "{what}"
    );
    let nothing_lost = program::json(&["run", outage, "--set", "Scenario:events=null"]);
    assert!(
        codes(&nothing_lost).is_empty(),
        "{:?}",
        codes(&nothing_lost)
    );
    let policy = "shop/DestinationRule/catalog:spec.trafficPolicy";
    for way_out in [
        format!("{policy}.outlierDetection.maxEjectionPercent=50"),
        format!("{policy}.connectionPool.tcp.connectTimeout=100ms"),
        "Model:spec.defaults.queue=2000".to_owned(),
    ] {
        let run = program::json(&["run", outage, "--set", &way_out]);
        assert!(
            failed_share(&run) < 0.03,
            "{way_out}: {}",
            failed_share(&run)
        );
        assert!(!codes(&run).contains(&"TT-EJECTION-COLLAPSE"), "{way_out}");
    }
    let without = format!("{policy}.outlierDetection=null");
    let without = program::json(&["run", outage, "--set", &without]);
    let points = without["series"]["points"].as_array().expect("points");
    let near_the_end = points.iter().filter(|p| {
        let at = p["atSeconds"].as_f64().unwrap_or(0.0);
        (60.0..70.0).contains(&at)
    });
    let errors: u64 = near_the_end.filter_map(|p| p["errors"].as_u64()).sum();
    assert!(
        errors > 500,
        "no failover without outlier detection: {errors}"
    );
}

const INVERTED: &str = "examples/17-timeouts-inverted";

#[test]
fn a_caller_that_gives_up_before_the_one_it_calls_is_told_with_both_timeouts() {
    let run = program::json(&["run", INVERTED]);
    let found = finding(&run, "TT-TIMEOUTS-INVERTED");
    // One in ten answers of `rates` takes longer than 400 ms.
    let given_up = run["clients"][0]["flags"]["UT"].as_f64().expect("a count");
    let all = run["clients"][0]["requests"].as_f64().expect("a count");
    assert!(
        (0.07..0.11).contains(&(given_up / all)),
        "{given_up} of {all}"
    );
    let chain: Vec<&str> = (found["chain"].as_array().expect("steps").iter())
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(chain[0], "shop/portal waits 400ms for shop/quotes");
    assert!(
        chain[1].starts_with("shop/quotes waits 2s for shop/rates"),
        "{chain:?}"
    );
    assert!(
        found["cause"]
            .as_str()
            .expect("a cause")
            .ends_with("mesh.yaml:47")
    );
    let right = program::json(&[
        "run",
        INVERTED,
        "--set",
        "vs/rates:spec.http[0].timeout=350ms",
    ]);
    assert!(codes(&right).is_empty(), "{:?}", codes(&right));
    // A client's own timeout is a deadline for those who heed it: they go on with nothing.
    let heeds = "Model:spec.workloads.shop/quotes.deadline=propagate";
    let own = "Scenario:spec.load[0].timeout=300ms";
    let ignoring = program::json(&["run", INVERTED, "--set", own]);
    assert!(codes(&ignoring).contains(&"TT-TIMEOUTS-INVERTED"));
    let heeding = program::json(&["run", INVERTED, "--set", own, "--set", heeds]);
    assert!(
        !codes(&heeding).contains(&"TT-TIMEOUTS-INVERTED"),
        "{:?}",
        codes(&heeding)
    );
}

/// Three workloads one behind the other; the last fails, and `RETRIES` are those of both calls.
const CHAIN: &str = "
apiVersion: v1
kind: Service
metadata: {name: b, namespace: t}
spec: {selector: {app: b}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: c, namespace: t}
spec: {selector: {app: c}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: a, namespace: t}
spec: {replicas: 1, selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: b, namespace: t}
spec: {replicas: 2, selector: {matchLabels: {app: b}}, template: {metadata: {labels: {app: b}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: c, namespace: t}
spec: {replicas: 2, selector: {matchLabels: {app: c}}, template: {metadata: {labels: {app: c}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b, namespace: t}
spec: {hosts: [b], http: [{route: [{destination: {host: b}}], retries: OUTER}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: c, namespace: t}
spec: {hosts: [c], http: [{route: [{destination: {host: c}}], retries: {attempts: 3, retryOn: 5xx}}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: c, namespace: t}
spec: {host: c, trafficPolicy: POLICY}
---
apiVersion: towtank/v1alpha1
kind: Model
metadata: {name: t}
spec:
  workloads:
    t/b: {serviceTime: 1ms, calls: [\"http://c/\"]}
    t/c: {serviceTime: 1ms, errors: [{status: 503, rate: 60%}]}
---
apiVersion: towtank/v1alpha1
kind: Scenario
metadata: {name: t}
spec: {duration: 20s, load: [{name: l, from: t/a, url: 'http://b/', rate: 50/s}]}
";

#[test]
fn two_layers_that_retry_the_same_request_are_told_and_one_layer_is_not() {
    const TWICE: &str = "{attempts: 2, retryOn: 5xx}";
    const MANY: &str = "{connectionPool: {http: {maxRetries: 100}}}";
    let run = |outer: &str, policy: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("scenario.yaml");
        let text = CHAIN.replace("OUTER", outer).replace("POLICY", policy);
        fs::write(&file, text).expect("written");
        program::json(&["run", &file.display().to_string()])
    };
    let both = run(TWICE, MANY);
    let layers = finding(&both, "TT-RETRY-LAYERS");
    let what = layers["what"].as_str().expect("a sentence");
    assert!(
        what.starts_with("one request of t/a may become 12 at t/c"),
        "{what}"
    );
    let one = run("{attempts: 0}", MANY);
    assert!(
        !codes(&one).contains(&"TT-RETRY-LAYERS"),
        "{:?}",
        codes(&one)
    );
    let bounded = run(TWICE, "{retryBudget: {percent: 20}}");
    assert!(
        !codes(&bounded).contains(&"TT-RETRY-LAYERS"),
        "{:?}",
        codes(&bounded)
    );
}

const CASCADE: &str = "examples/39-cascade";

#[test]
fn a_cascade_is_told_in_its_order_with_the_timeout_that_is_missing() {
    let run = program::json(&["run", CASCADE]);
    let cascade = finding(&run, "TT-CASCADE");
    assert_eq!(cascade["severity"], "error");
    let what = cascade["what"].as_str().expect("a sentence");
    assert_eq!(
        what,
        "`shop/ledger` fills up, and shop/orders, shop/web after it"
    );
    let chain: Vec<&str> = (cascade["chain"].as_array().expect("a chain").iter())
        .filter_map(Value::as_str)
        .collect();
    // The ledger is slow from 30 s on; 90 requests a second come and it serves 40, so the 60 places
    // of orders are taken after about a second, and those of web (120) about two seconds later.
    let second = |line: &str| line.split(' ').next().and_then(|s| s.parse::<f64>().ok());
    let times: Vec<f64> = chain.iter().filter_map(|line| second(line)).collect();
    assert!((30.0..31.0).contains(&times[0]), "{chain:?}");
    assert!(
        times[1] > times[0] && times[2] > times[1] && times[2] < 36.0,
        "{chain:?}"
    );
    assert!(chain[2].contains("shop/web") && chain[2].ends_with("waiting for shop/orders"));
    let cause = cascade["cause"].as_str().expect("a cause");
    assert!(
        cause.starts_with("the missing timeout of shop/orders for shop/ledger"),
        "{cause}"
    );
    let cure = cascade["counterfactual"]
        .as_str()
        .expect("it was simulated");
    assert!(
        cure.starts_with("simulated with `timeout: 400ms` towards ledger"),
        "{cure}"
    );
}

#[test]
fn what_ends_a_cascade_does_so_when_it_is_written() {
    let path = "vs/ledger:spec.http[0].timeout=400ms";
    let cured = program::json(&["run", CASCADE, "--set", path]);
    assert!(
        !codes(&cured).contains(&"TT-CASCADE"),
        "{:?}",
        codes(&cured)
    );
    let failed = |run: &Value| {
        let statuses = run["clients"][0]["statuses"].as_object().expect("statuses");
        let bad = statuses.iter().filter(|(status, _)| *status != "200");
        bad.filter_map(|(_, n)| n.as_u64()).sum::<u64>()
    };
    let run = program::json(&["run", CASCADE]);
    assert!(
        failed(&cured) < failed(&run),
        "{} {}",
        failed(&cured),
        failed(&run)
    );
}

/// Its own load fills the front alone; what it calls has room.
#[test]
fn who_is_full_by_its_own_load_is_no_cascade() {
    let own = "Model:spec.workloads.shop/web.serviceTime=500ms";
    let run = with(CASCADE, &["Scenario:spec.events=null", own]);
    assert!(!codes(&run).contains(&"TT-CASCADE"), "{:?}", codes(&run));
    let web = (run["workloads"].as_array().expect("workloads").iter())
        .find(|w| w["name"] == "shop/web")
        .expect("it served");
    assert!(web["utilisation"].as_f64() > Some(0.95), "{web}");
}

const LIMIT: &str = "examples/29-connection-limit";

/// Run of a folder with values set; expectations are of no interest here.
fn with(folder: &str, values: &[&str]) -> Value {
    let mut args = vec!["run", folder, "--set", "Scenario:spec.expect=[]"];
    args.extend(values.iter().flat_map(|value| ["--set", value]));
    program::json(&args)
}

fn counterfactual(run: &Value, code: &str) -> String {
    let said = finding(run, code)["counterfactual"].as_str();
    said.unwrap_or_else(|| panic!("{code} was simulated"))
        .to_owned()
}

#[test]
fn a_limit_that_never_acts_before_pods_that_drown_is_told_with_its_sum() {
    let pool = "dr/database:spec.trafficPolicy.connectionPool";
    let high = [
        format!("{pool}.tcp.maxConnections=1000"),
        format!("{pool}.http.http1MaxPendingRequests=1000"),
    ];
    let high: Vec<&str> = high.iter().map(String::as_str).collect();
    let run = with(LIMIT, &high);
    let never = finding(&run, "TT-BREAKER-NEVER");
    let sum = never["chain"][0].as_str().expect("a sentence");
    assert!(sum.starts_with("4 × 2000 = 8000 requests"), "{sum}");
    let cause = never["cause"].as_str().expect("a cause");
    assert!(cause.contains("mesh.yaml:33"), "{cause}");
    let cure = counterfactual(&run, "TT-BREAKER-NEVER");
    assert!(
        cure.starts_with("simulated with `http2MaxRequests: "),
        "{cure}"
    );
    // The same limits where they refuse, and no limits at all, are something else.
    assert!(!codes(&with(LIMIT, &[])).contains(&"TT-BREAKER-NEVER"));
    let none = format!("{pool}={{tcp: {{connectTimeout: 1s}}}}");
    assert!(!codes(&with(LIMIT, &[&none])).contains(&"TT-BREAKER-NEVER"));
}

/// What is promised for limits, ejections and timeouts is what happens when it is written.
#[test]
fn what_other_counterfactuals_promise_happens_too() {
    let share = |run: &Value| {
        let clients = run["clients"].as_array().expect("clients").iter();
        let (mut failed, mut all) = (0, 0);
        for client in clients {
            for (status, n) in client["statuses"].as_object().expect("statuses") {
                let n = n.as_u64().expect("a number");
                all += n;
                failed += if status == "0" || status.starts_with('5') {
                    n
                } else {
                    0
                };
            }
        }
        format!(
            "{:.2} % of requests fail",
            100.0 * f64::from(failed as u32) / f64::from(all as u32)
        )
    };
    let cases: [(&str, &str, &str, &[&str]); 4] = [
        (
            LIMIT,
            "TT-BREAKER-OPEN",
            "`http1MaxPendingRequests: 10, maxConnections: 40` towards database",
            &[
                "dr/database:spec.trafficPolicy.connectionPool.tcp.maxConnections=40",
                "dr/database:spec.trafficPolicy.connectionPool.http.http1MaxPendingRequests=10",
            ],
        ),
        (
            "examples/27-ejection-limit",
            "TT-EJECTION-REFUSED",
            "`maxEjectionPercent: 50` towards backend",
            &["dr/backend:spec.trafficPolicy.outlierDetection.maxEjectionPercent=50"],
        ),
        (
            "examples/17-timeouts-inverted",
            "TT-TIMEOUTS-INVERTED",
            "`timeout: 300ms` of shop/quotes towards rates",
            &["vs/rates:spec.http[0].timeout=300ms"],
        ),
        (
            "examples/22-failover-never",
            "TT-FAILOVER-NEVER",
            "towards catalog",
            &["dr/catalog:spec.trafficPolicy.outlierDetection={maxEjectionPercent: 100}"],
        ),
    ];
    for (folder, code, change, values) in cases {
        let said = counterfactual(&with(folder, &[]), code);
        assert!(said.contains(change), "{code}: {said}");
        let written = with(folder, values);
        assert!(!codes(&written).contains(&code), "{code} is gone: {said}");
        assert!(
            said.contains(&share(&written)),
            "{code}: {said}, and it is {}",
            share(&written)
        );
    }
}

/// Where a change removes the finding and helps nobody, that is said.
#[test]
fn a_change_that_helps_nobody_is_told_as_such() {
    let said = counterfactual(
        &with("examples/26-nobody-left", &[]),
        "TT-EJECTION-COLLAPSE",
    );
    assert!(
        said.ends_with("no better") && said.contains("100.00 % without it"),
        "{said}"
    );
}

/// A hot key is a matter of the hash, a crowded place one of places; more places end a lack of them.
#[test]
fn what_would_spread_the_load_was_simulated_too() {
    let hot = counterfactual(&with("examples/19-hot-key", &[]), "TT-IMBALANCE");
    assert!(
        hot.starts_with("simulated with `simple: LEAST_REQUEST` towards"),
        "{hot}"
    );
    let place = counterfactual(&with("examples/33-uneven-load", &[]), "TT-IMBALANCE");
    assert!(
        place.contains("`localityLbSetting: {enabled: false}`"),
        "{place}"
    );
    let room = counterfactual(&with(LIMIT, &[]), "TT-NO-HEADROOM");
    assert!(room.starts_with("simulated with `concurrency: "), "{room}");
}
