//! Adaptive throttling (SRE book, ch. 21) and Envoy's admission control, which looks like it.
//!
//! A client refuses its own requests with the chance max(0, (requests − K · accepts) / (requests + 1)) of
//! the last two minutes. Envoy's filter is written the same way (aggression 1, a success threshold of
//! 1/K), but *does not count what it refuses itself*. With a backend that accepts C of λ requests a
//! second, and x that are sent on:
//!
//! - the book: λ − x = λ (λ − K C) / λ, so x = K C. For each accept K − 1 are rejected by the backend:
//!   one with K = 2, one in ten with K = 1.1.
//! - Envoy: λ − x = λ (x − K C) / x, so x = √(λ K C), between K C and λ. At λ = 4 C that is 1.83
//!   rejects per accept with K = 2, and 1.10 with K = 1.1.

use towtank::data_plane::admission_control::Window;
use towtank::units::{Fraction, SimDuration, SimTime};
use towtank::xds::filter::AdmissionControl;

use crate::theory_support::{Mesh, open, runs};

fn settings(k: f64) -> AdmissionControl {
    AdmissionControl {
        sampling_window: SimDuration::from_secs(120),
        aggression: 1000,
        success_threshold: Fraction::from_percent(100.0 / k),
        rps_threshold: 0,
        max_rejection: Fraction::ONE,
        success: vec![(200, 300)],
    }
}

/// Rejects of the backend per accept: 1000 requests a second, of which it accepts the first 250, of a
/// client that counts its own refusals among its requests. The first four minutes do not count.
fn book(k: f64) -> f64 {
    let settings = settings(k);
    let mut window = Window::default();
    let mut state: u64 = 1;
    let (mut accepts, mut rejects) = (0_u32, 0_u32);
    for second in 0..600_u64 {
        let mut left = 250;
        for ms in 0..1000 {
            let now = SimTime::from_ns((second * 1000 + ms) * 1_000_000);
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            if window.rejects(now, &settings, state >> 33) {
                window.record(now, &settings, 503);
                continue;
            }
            let accepted = left > 0;
            window.record(now, &settings, if accepted { 200 } else { 503 });
            left -= i32::from(accepted);
            if second >= 240 {
                accepts += u32::from(accepted);
                rejects += u32::from(!accepted);
            }
        }
    }
    f64::from(rejects) / f64::from(accepts)
}

#[test]
fn a_client_that_counts_its_refusals_wastes_k_less_one_requests_per_accept() {
    for (k, published) in [(2.0, 1.0), (1.1, 0.1)] {
        let found = book(k);
        println!("K = {k}: {found} rejects per accept");
        // Four standard deviations of the number sent, at most 0.3 % of some 100 000.
        assert!((found - published).abs() < 0.012 * k, "K = {k}: {found}");
    }
}

const FILTER: &str = "{filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.filters.http.router}}}}";

fn filter(name: &str, context: &str, kind: &str, config: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {{name: {name}, namespace: t}}\n\
         spec:\n  configPatches:\n  - applyTo: HTTP_FILTER\n    match: {{context: {context}, listener: {FILTER}}}\n    \
         patch:\n      operation: INSERT_BEFORE\n      value:\n        name: envoy.filters.http.{name}\n        \
         typed_config: {{'@type': type.googleapis.com/envoy.extensions.filters.http.{kind}, {config}}}\n"
    )
}

/// The same of whole runs: 60 requests a second, of which the server's sidecar lets 15 pass. Eight
/// minutes until the window has settled (what it swings by loses four fifths in two minutes), four that count.
fn envoy(k: f64) -> f64 {
    let percent = 100.0 / k;
    let admission = format!(
        "success_criteria: {{http_criteria: {{http_success_status: [{{start: 200, end: 300}}]}}}}, sampling_window: 120s, \
         aggression: {{default_value: 1.0, runtime_key: a}}, sr_threshold: {{default_value: {{value: {percent}}}, runtime_key: b}}, \
         rps_threshold: {{default_value: 0, runtime_key: c}}, max_rejection_probability: {{default_value: {{value: 100}}, runtime_key: d}}"
    );
    let all = "{default_value: {numerator: 100}}";
    let limit = format!(
        "stat_prefix: limit, token_bucket: {{max_tokens: 15, tokens_per_fill: 15, fill_interval: 1s}}, \
         filter_enabled: {all}, filter_enforced: {all}, status: {{code: ServiceUnavailable}}"
    );
    let mesh = Mesh::new()
        .pods(
            "server",
            "server",
            1,
            "{concurrency: unlimited, serviceTime: 1ms}",
        )
        .route("server", "retries: {attempts: 0}")
        .manifest(&filter(
            "admission_control",
            "SIDECAR_OUTBOUND",
            "admission_control.v3.AdmissionControl",
            &admission,
        ))
        .manifest(&filter(
            "limit",
            "SIDECAR_INBOUND",
            "local_ratelimit.v3.LocalRateLimit",
            &limit,
        ));
    let load = open("server", 60.0, 240, 480);
    let load = load.replace("rate: 60/s", "rate: 60/s, arrivals: constant");
    let record = &runs(&mesh.case(&load), 1)[0];
    let server = record.workloads.iter().find(|w| w.name == "t/server");
    let server = server.expect("it was called");
    assert!(
        server.requests.abs_diff(15 * 240) <= 30,
        "{}",
        server.requests
    );
    server.rejected as f64 / server.requests as f64
}

#[test]
fn envoys_admission_control_wastes_more_because_it_forgets_its_refusals() {
    for k in [2.0_f64, 1.1] {
        let theory = (4.0 * k).sqrt() - 1.0;
        let found = envoy(k);
        println!("K = {k}: {found} rejects per accept, theory {theory}");
        // Four standard deviations of what is sent of 14 400 requests, over 3600 accepts.
        assert!((found - theory).abs() < 0.067, "K = {k}: {found} {theory}");
    }
}
