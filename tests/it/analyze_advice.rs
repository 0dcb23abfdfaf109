//! The recipe's "best practices" and "common issues", item by item: the codes that hold each, or why
//! none can.

use std::collections::BTreeSet;
use std::fs;

use crate::analyze_rules::BROKEN;
use crate::program;
use crate::shared::shared;

/// The recipe's advice, with the codes that hold it, or why none can.
const ADVICE: &[(&str, Result<&[&str], &str>)] = &[
    (
        "Start with simple rules and add complexity gradually",
        Err("a way of working; what goes wrong with many rules has codes of its own"),
    ),
    (
        "Test traffic rules in non-production first",
        Err("a way of working; `towtank test` is the place for it"),
    ),
    (
        "Use meaningful subset names for clarity",
        Ok(&["TT-SUBSET-MISNAMED"]),
    ),
    (
        "Monitor request latency when adding retries",
        Ok(&["TT-TRIES-DO-NOT-FIT", "TT-RETRY-LAYERS"]),
    ),
    (
        "Set appropriate circuit breaker thresholds",
        Ok(&["TT-BREAKER-UNLIMITED", "TT-QUEUE-UNLIMITED"]),
    ),
    (
        "Use traffic mirroring before full canary rollout",
        Err("a way of working; manifests without a mirror are no fault"),
    ),
    (
        "Implement gradual rollout with traffic splitting",
        Ok(&["TT-WEIGHT-TO-NOBODY"]),
    ),
    (
        "Configure timeouts for all external calls",
        Ok(&["TT-NO-TIMEOUT-OUTSIDE"]),
    ),
    (
        "Use fault injection for chaos engineering",
        Ok(&["TT-FAULT-LEFT"]),
    ),
    (
        "Monitor Envoy metrics for troubleshooting",
        Err("of a run, not of manifests: `towtank proxy-stats`"),
    ),
    (
        "Verify VirtualService and DestinationRule are in same namespace",
        Ok(&["TT-RULE-ELSEWHERE", "TT-ROUTE-NOWHERE"]),
    ),
    (
        "Check subset labels match pod labels",
        Ok(&["IST0173", "IST0101"]),
    ),
    (
        "Review Istio proxy logs",
        Err("of a run: `towtank curl` and `explain` say what a log would"),
    ),
    (
        "Verify outlierDetection settings are appropriate",
        Ok(&["IST0133", "TT-EJECTS-NOTHING", "TT-FAILOVER-NEVER"]),
    ),
    (
        "Check connection pool limits",
        Ok(&["TT-BREAKER-UNLIMITED", "TT-QUEUE-UNLIMITED"]),
    ),
    (
        "Monitor actual error rates",
        Err("of a run: every report has them"),
    ),
    (
        "Reduce retry attempts",
        Ok(&["TT-RETRY-LAYERS", "TT-TRIES-DO-NOT-FIT"]),
    ),
    (
        "Lower perTryTimeout",
        Ok(&["TT-TRIES-DO-NOT-FIT", "TT-TIMEOUTS-INVERTED"]),
    ),
    (
        "Check upstream service performance",
        Err("of a run: latencies and utilisation are in every report"),
    ),
];

#[test]
fn every_item_of_the_recipes_advice_is_a_rule_or_has_a_reason() {
    let here: BTreeSet<&str> = BROKEN.iter().map(|rule| rule.code).collect();
    let there = include_str!("analyze.rs");
    for (item, held) in ADVICE {
        let Ok(codes) = held else { continue };
        for code in *codes {
            // The rule exists, and a test breaks it.
            program::text(&["analyze", "--explain", code]);
            let tested = here.contains(code) || there.contains(&format!("&[\"{code}\"]"));
            assert!(tested, "{item}: {code} is broken by no test");
        }
    }
    let Some(folder) = shared("recipe") else {
        return;
    };
    let text = fs::read_dir(&folder)
        .expect("readable")
        .filter_map(Result::ok);
    let mut text = text.filter(|entry| entry.file_name().to_string_lossy().ends_with(".txt"));
    let text = fs::read(text.next().expect("the recipe").path()).expect("readable");
    let text = String::from_utf8_lossy(&text).into_owned();
    let begin = text.find("Best Practices").expect("it is there");
    let end = text.find("Related Resources").expect("it is there");
    let items: BTreeSet<&str> = (text[begin..end].lines())
        .filter_map(|line| line.strip_prefix("- "))
        .map(str::trim)
        .collect();
    let named: BTreeSet<&str> = ADVICE.iter().map(|(item, _)| *item).collect();
    assert_eq!(items, named);
}
