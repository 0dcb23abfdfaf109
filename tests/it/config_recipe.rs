//! The published recipe, step by step: exactly the verdicts a cluster gives.

use towtank::config::{LoadOptions, Loaded, load};
use towtank::diagnostic::{Class, Diagnostic};

use crate::shared::{shared, source};

fn load_step(file: &str) -> Option<Loaded> {
    let path = shared("recipe")?.join(file);
    Some(load(vec![source(&path)], &LoadOptions::default()))
}

fn check(file: &str, expected: &[&str]) {
    let Some(loaded) = load_step(file) else {
        return;
    };
    let shown: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(shown, expected, "{file}");
}

#[test]
fn most_steps_are_accepted_without_a_word() {
    for file in [
        "02-deploy.yaml",
        "03-traffic-splitting.yaml",
        "04-header-routing.yaml",
        "05-path-routing.yaml",
        "06-fault-injection.yaml",
        "08-timeouts-retries.yaml",
        "09-mirroring.yaml",
    ] {
        check(file, &[]);
    }
}

#[test]
fn circuit_breaking_warns_that_consecutive_errors_is_ignored() {
    check(
        "07-circuit-breaking.yaml",
        &[
            "warning[IST0133] 07-circuit-breaking.yaml:18:7: DestinationRule production/circuit-breaker: \
           `consecutiveErrors` is deprecated and ignored by every proxy",
        ],
    );
}

#[test]
fn distribute_with_failover_is_refused() {
    check(
        "10-load-balancing.yaml",
        &[
            "error[IST0106] 10-load-balancing.yaml:24:7: DestinationRule production/locality-lb: \
           `spec.trafficPolicy.loadBalancer.localityLbSetting`: \
           `distribute` and `failover` cannot be given together",
        ],
    );
    let Some(loaded) = load_step("10-load-balancing.yaml") else {
        return;
    };
    // Kept all the same: `--force` goes on with it.
    assert_eq!(loaded.config.destination_rules.len(), 2);
    let refused: Vec<&Diagnostic> = loaded.diagnostics.iter().collect();
    assert_eq!(refused[0].class, Class::Admission);
}

#[test]
fn the_whole_recipe_is_read_into_types() {
    let Some(loaded) = load_step("06-fault-injection.yaml") else {
        return;
    };
    let http = &loaded.config.virtual_services[0].http;
    let delay = http[0].fault.as_ref().unwrap().delay.as_ref().unwrap();
    assert_eq!(
        (delay.fraction.ppm(), delay.fixed.ns()),
        (1_000_000, 7_000_000_000)
    );
    let rare = http[2].fault.as_ref().unwrap().abort.as_ref().unwrap();
    assert_eq!(
        rare.fraction.ppm(),
        1_000,
        "0.1 is a percentage: one in a thousand"
    );
    let Some(loaded) = load_step("02-deploy.yaml") else {
        return;
    };
    let replicas: Vec<_> = loaded.config.workloads.iter().map(|w| w.replicas).collect();
    assert_eq!(replicas, [Some(3), Some(1)]);
}
