//! The recipe's own checks, on its unmodified files where they are present and on our examples always.
//!
//! Steps 4 to 10 of the recipe name services it does not deploy; `fixtures/recipe` adds them.

use serde_json::Value;

use crate::program::{count, json, per_pod, root, run, stat};
use crate::shared::shared;

/// Manifests of one step, as arguments.
struct Step {
    what: &'static str,
    files: Vec<String>,
}

/// The recipe's own files with ours beside them (when the recipe is there), then our example.
fn step(recipe: &[&str], support: &[&str], example: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let own = format!("examples/{example}/manifests");
    if let Some(folder) = shared("recipe") {
        let theirs = recipe.iter().map(|f| folder.join(f).display().to_string());
        let ours = support.iter().map(|f| {
            root()
                .join("tests/it/fixtures/recipe")
                .join(f)
                .display()
                .to_string()
        });
        steps.push(Step {
            what: "recipe",
            files: theirs.chain(ours).collect(),
        });
    }
    steps.push(Step {
        what: "example",
        files: vec![own],
    });
    steps
}

impl Step {
    fn args(&self, command: &str, rest: &[&str]) -> Vec<String> {
        let mut args = vec![command.to_owned()];
        args.extend(self.files.iter().flat_map(|f| ["-f".to_owned(), f.clone()]));
        let namespace = if command == "load" {
            "--namespace"
        } else {
            "-n"
        };
        args.extend([namespace.to_owned(), "production".to_owned()]);
        args.extend(rest.iter().map(|a| (*a).to_owned()));
        args
    }

    fn curl(&self, rest: &[&str]) -> Value {
        json(&self.args("curl", rest))
    }

    fn load(&self, rest: &[&str]) -> Value {
        json(&self.args("load", rest))
    }
}

fn to(workload: &'static str) -> impl Fn(&Value) -> bool {
    move |outcome| outcome["workload"] == workload
}

fn status(status: u64) -> impl Fn(&Value) -> bool {
    move |outcome| outcome["status"] == status
}

const PRODUCTS: &str = "http://product-service:8080/version";

fn splitting() -> Vec<Step> {
    step(
        &["02-deploy.yaml", "03-traffic-splitting.yaml"],
        &[],
        "03-traffic-splitting",
    )
}

#[test]
fn a_hundred_requests_split_about_nine_to_one_and_exactly_per_seed() {
    for step in splitting() {
        let mut splits = Vec::new();
        for seed in ["1", "2", "3", "4", "5"] {
            let args = ["--repeat", "100", "--seed", seed, PRODUCTS];
            let (first, again) = (step.curl(&args), step.curl(&args));
            assert_eq!(first, again, "{}: seed {seed} repeats itself", step.what);
            let v1 = count(&first, to("production/product-service-v1"));
            let v2 = count(&first, to("production/product-service-v2"));
            assert_eq!((first["requests"].as_u64(), v1 + v2), (Some(100), 100));
            // Four standard deviations of 100 draws at 10 %.
            assert!((78..=99).contains(&v1), "{}: {v1} of 100", step.what);
            splits.push((v1, v2));
        }
        let same = splits.iter().all(|split| *split == splits[0]);
        assert!(!same, "{}: the seed decides: {splits:?}", step.what);
        insta::with_settings!({snapshot_path => root().join("snapshots/recipe"), prepend_module_to_snapshot => false}, {
            insta::assert_debug_snapshot!(format!("03-split-{}", step.what), splits);
        });
    }
}

#[test]
fn beta_testers_always_see_v2() {
    for step in splitting() {
        let curl = step.curl(&[
            "--repeat",
            "100",
            "-H",
            "user-group: beta-testers",
            PRODUCTS,
        ]);
        let v2 = count(&curl, to("production/product-service-v2"));
        assert_eq!(v2, 100, "{}: {curl:#}", step.what);
    }
}

#[test]
fn headers_decide_and_the_first_rule_that_matches_wins() {
    let cases: &[(&[&str], &str)] = &[
        (&["end-user: jason"], "production/reviews-v2"),
        (&["x-region: us-west"], "production/reviews-us"),
        (&["x-region: eu-us-west"], "production/reviews-v1"),
        (&["user-agent: Mobile Safari"], "production/reviews-mobile"),
        (
            &["user-agent: Mobile", "x-region: us-1"],
            "production/reviews-us",
        ),
        (&[], "production/reviews-v1"),
    ];
    for step in step(
        &["04-header-routing.yaml"],
        &["04-support.yaml"],
        "04-header-routing",
    ) {
        for (headers, workload) in cases {
            let mut args: Vec<&str> = headers.iter().flat_map(|h| ["-H", *h]).collect();
            args.push("http://reviews:8080/reviews");
            let curl = step.curl(&args);
            assert_eq!(
                curl["outcomes"][0]["workload"], *workload,
                "{}: {headers:?}",
                step.what
            );
        }
    }
}

#[test]
fn paths_decide_and_a_rewrite_takes_the_prefix_away() {
    let cases = [
        (
            "/v2/items?page=2",
            "production/api-service-v2",
            "/items?page=2",
        ),
        ("/v2", "production/frontend-service", "/v2"),
        (
            "/admin/health",
            "production/admin-service-v1",
            "/admin/health",
        ),
        ("/api/items", "production/api-service-v1", "/api/items"),
        ("/", "production/frontend-service", "/"),
    ];
    for step in step(
        &["05-path-routing.yaml"],
        &["05-support.yaml"],
        "05-path-routing",
    ) {
        for (path, workload, upstream) in cases {
            let curl = step.curl(&[&format!("http://api.example.com{path}")]);
            let outcome = &curl["outcomes"][0];
            assert_eq!(outcome["workload"], workload, "{}: {path}", step.what);
            assert_eq!(outcome["path"], upstream, "{}: {path}", step.what);
        }
    }
}

#[test]
fn faults_delay_by_seven_seconds_and_fail_about_half() {
    for step in step(
        &["06-fault-injection.yaml"],
        &["06-support.yaml"],
        "06-fault-injection",
    ) {
        let url = "http://payment-service:8080/";
        let slow = step.curl(&["-H", "x-test-scenario: latency", url]);
        let outcome = &slow["outcomes"][0];
        let ms = outcome["durationMs"].as_f64().unwrap_or_default();
        assert!((7000.0..8000.0).contains(&ms), "{}: {outcome:#}", step.what);
        assert_eq!(
            (&outcome["status"], &outcome["flags"]),
            (&200.into(), &"DI".into())
        );

        let broken = step.curl(&["-H", "x-test-scenario: error", "--repeat", "400", url]);
        let failed = count(&broken, status(500));
        // Four standard deviations of 400 tosses.
        assert!(
            (160..=240).contains(&failed),
            "{}: {failed} of 400",
            step.what
        );
        assert_eq!(failed + count(&broken, status(200)), 400, "{}", step.what);
        let injected = count(&broken, |o| o["status"] == 500 && o["flags"] == "FI");
        assert_eq!(injected, failed, "{}", step.what);

        let plain = step.curl(&["--repeat", "20000", url]);
        let drizzle = count(&plain, status(503));
        // 20 expected; a Poisson count strays further than this once in a hundred thousand.
        assert!(
            (4..=42).contains(&drizzle),
            "{}: {drizzle} of 20000",
            step.what
        );
    }
}

#[test]
fn fortio_with_five_users_passes_the_breaker_and_the_old_field_is_warned_about() {
    let recipe = &["07-circuit-breaking.yaml"];
    for step in step(recipe, &["07-support.yaml"], "07-circuit-breaking") {
        let load = step.load(&[
            "-c",
            "5",
            "--qps",
            "0",
            "-n",
            "100",
            "http://backend-service:8080/",
        ]);
        assert_eq!(load["clients"][0]["requests"], 100, "{}", step.what);
        assert_eq!(
            load["clients"][0]["statuses"]["200"], 100,
            "{}: {load:#}",
            step.what
        );
        assert_eq!(
            stat(&load, "backend-service", "upstream_rq_pending_overflow"),
            0
        );
        let warnings = load["warnings"].to_string();
        assert!(
            warnings.contains("consecutiveErrors"),
            "{}: {warnings}",
            step.what
        );
    }
}

#[test]
fn a_pod_that_fails_five_times_in_a_row_is_ejected_whatever_the_old_field_says() {
    let recipe = &["07-circuit-breaking.yaml"];
    for step in step(
        recipe,
        &["07-support.yaml", "07-sick.yaml"],
        "07-circuit-breaking",
    ) {
        let mut step = step;
        if step.what == "example" {
            step.files
                .push("examples/07-circuit-breaking/model.yaml".to_owned());
        }
        let load = step.load(&[
            "-c",
            "5",
            "--qps",
            "0",
            "-n",
            "1000",
            "http://backend-service:8080/",
        ]);
        let ejections = stat(
            &load,
            "backend-service",
            "outlier_detection.ejections_enforced_total",
        );
        assert_eq!(ejections, 1, "{}: {load:#}", step.what);
        let failed = load["clients"][0]["statuses"]["500"].as_u64().unwrap_or(0);
        // Five in a row eject it; what was under way by then may still fail.
        assert!((5..=9).contains(&failed), "{}: {failed}", step.what);
    }
}

#[test]
fn a_crowd_overflows_the_breaker() {
    let recipe = &["07-circuit-breaking.yaml"];
    for step in step(recipe, &["07-support.yaml"], "07-circuit-breaking") {
        let load = step.load(&[
            "-c",
            "200",
            "--qps",
            "0",
            "-n",
            "400",
            "http://backend-service:8080/",
        ]);
        let overflow = stat(&load, "backend-service", "upstream_rq_pending_overflow");
        assert!(overflow >= 50, "{}: {overflow}", step.what);
        let flagged = load["clients"][0]["flags"]["UO"].as_u64();
        assert_eq!(flagged, Some(overflow), "{}", step.what);
    }
}

#[test]
fn retries_hide_failures_from_the_caller() {
    for step in step(
        &["08-timeouts-retries.yaml"],
        &["08-support.yaml"],
        "08-timeouts-retries",
    ) {
        let mut step = step;
        if step.what == "example" {
            step.files
                .push("examples/08-timeouts-retries/model.yaml".to_owned());
        }
        let load = step.load(&[
            "-c",
            "4",
            "--qps",
            "0",
            "-n",
            "500",
            "http://api-service:8080/",
        ]);
        let client = &load["clients"][0];
        let good = client["statuses"]["200"].as_u64().unwrap_or(0);
        assert!(good >= 495, "{}: {client:#}", step.what);
        let retried = stat(&load, "api-service", "upstream_rq_retry");
        assert!(retried >= 20, "{}: {retried}", step.what);
    }
}

#[test]
fn a_tenth_is_mirrored_and_nobody_waits_for_it() {
    for step in step(&["09-mirroring.yaml"], &["09-support.yaml"], "09-mirroring") {
        let load = step.load(&[
            "-c",
            "5",
            "--qps",
            "0",
            "-n",
            "2000",
            "http://api-service:8080/",
        ]);
        let served: u64 = per_pod(&load, "production/api-service-v1").iter().sum();
        let copied: u64 = per_pod(&load, "production/api-service-v2-test")
            .iter()
            .sum();
        assert_eq!(served, 2000, "{}", step.what);
        // Four standard deviations of 2000 draws at 10 %.
        assert!((147..=253).contains(&copied), "{}: {copied}", step.what);
        assert_eq!(load["clients"][0]["requests"], 2000, "{}", step.what);
    }
}

#[test]
fn a_user_sticks_to_one_pod() {
    let recipe = step(
        &["10-load-balancing.yaml"],
        &["10-support.yaml"],
        "10-load-balancing",
    );
    for step in recipe {
        // The recipe's second rule is refused by Istio.
        let force: &[&str] = if step.what == "recipe" {
            &["--force"]
        } else {
            &[]
        };
        let load = |header: &str| {
            let url = "http://database-service:8080/";
            let args = ["-c", "3", "--qps", "0", "-n", "60", "-H", header, url];
            step.load(&[force, &args].concat())
        };
        let used = |load: &Value| {
            let pods = per_pod(load, "production/database-service");
            pods.iter().filter(|n| **n > 0).count()
        };
        assert_eq!(used(&load("x-user-id: ada")), 1, "{}", step.what);
        assert!(
            used(&load("x-other: ada")) > 1,
            "{}: no key, no pod",
            step.what
        );
    }
}

#[test]
fn what_admission_refuses_is_refused_with_its_place_and_forced_on_demand() {
    let ours = "examples/10-load-balancing/manifests-rejected/locality-lb.yaml".to_owned();
    let mut cases = vec![Step {
        what: "example",
        files: vec![ours],
    }];
    cases.extend(
        step(
            &["10-load-balancing.yaml"],
            &["10-support.yaml"],
            "10-load-balancing",
        )
        .into_iter()
        .filter(|s| s.what == "recipe"),
    );
    for step in cases {
        let url = "http://api-service:8080/";
        let refused = run(&step.args("curl", &[url]));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{}: {said}", step.what);
        for part in ["IST0106", "distribute", "failover", ".yaml:"] {
            assert!(said.contains(part), "{}: `{part}` in {said}", step.what);
        }
        let forced = run(&step.args("curl", &["--force", url]));
        assert!(
            forced.status.success(),
            "{}",
            String::from_utf8_lossy(&forced.stderr)
        );
    }
}

#[test]
fn localities_get_their_shares() {
    let recipe = step(
        &["10-load-balancing.yaml"],
        &["10-support.yaml"],
        "10-load-balancing",
    );
    for step in recipe {
        let mut step = step;
        let force: &[&str] = if step.what == "recipe" {
            &["--force"]
        } else {
            &[]
        };
        if step.what == "example" {
            step.files
                .push("examples/10-load-balancing/model.yaml".to_owned());
        }
        let url = "http://api-service:8080/";
        let args = [
            "--from",
            "production/curl",
            "-c",
            "4",
            "--qps",
            "0",
            "-n",
            "2000",
            url,
        ];
        let load = step.load(&[force, &args].concat());
        // 20 % cross 30 to 35 ms each way: the median stays near and the 90th percentile does not.
        let (p50, p90) = (
            &load["clients"][0]["latencyMs"]["p50"],
            &load["clients"][0]["latencyMs"]["p90"],
        );
        assert!(
            p50.as_f64().is_some_and(|ms| ms < 30.0),
            "{}: p50 {p50}",
            step.what
        );
        assert!(
            p90.as_f64().is_some_and(|ms| ms > 60.0),
            "{}: p90 {p90}",
            step.what
        );
    }
}

#[test]
fn without_its_services_a_step_shows_what_a_cluster_would() {
    let Some(folder) = shared("recipe") else {
        return;
    };
    let file = folder.join("04-header-routing.yaml").display().to_string();
    // Nothing in the registry has this port, so the request leaves through the passthrough cluster.
    let curl = json(&[
        "curl",
        "-f",
        &file,
        "-n",
        "production",
        "http://reviews:8080/",
    ]);
    assert_eq!(
        curl["outcomes"][0]["cluster"], "PassthroughCluster",
        "{curl:#}"
    );
}
