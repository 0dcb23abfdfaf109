//! towtank's own rules of `analyze`: each with the line that breaks it, what only looks like a fault,
//! and the repository's own meshes.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::analyze::findings as found;
use crate::program;

/// A chain of three services with everything written well: manifests, Model and Scenario.
pub(crate) const CHAIN: &str = include_str!("analyze/chain.yaml");

/// The chain with some texts in place of others.
pub(crate) fn changed(changes: &[(&str, &str)]) -> String {
    let mut text = CHAIN.to_owned();
    for (from, to) in changes {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text = text.replace(from, to);
    }
    text
}

/// A rule that is broken: what is changed, the code, what the message has to say, and the text of
/// the line it points at.
pub(crate) struct Broken {
    changes: &'static [(&'static str, &'static str)],
    pub(crate) code: &'static str,
    says: &'static str,
    line: &'static str,
}

const DB_RETRIES: (&str, &str) = (
    "retries: {attempts: 0} # of db",
    "retries: {attempts: 2, retryOn: 5xx} # of db",
);

pub(crate) const BROKEN: &[Broken] = &[
    Broken {
        changes: &[DB_RETRIES],
        code: "TT-RETRY-LAYERS",
        says: "one request of shop/front may become 3 × 3 = 9 tries of db.shop",
        line: "retries: {attempts: 2, retryOn: 5xx} # of mid",
    },
    Broken {
        changes: &[
            DB_RETRIES,
            (
                "retries: {attempts: 0} # of front",
                "retries: {attempts: 2, retryOn: gateway-error} # of front",
            ),
            (
                "calls: [\"http://mid:8080/\"] # of front",
                "calls: [{url: \"http://mid:8080/\", onError: {fail: 503}}]",
            ),
        ],
        code: "TT-RETRY-LAYERS",
        says: "one request of shop/client may become 3 × 3 × 3 = 27 tries of db.shop",
        line: "retries: {attempts: 2, retryOn: gateway-error} # of front",
    },
    Broken {
        // The application's own retries are a layer too.
        changes: &[(
            "calls: [\"http://mid:8080/\"] # of front",
            "calls: [{url: \"http://mid:8080/\", retries: {attempts: 3, backoff: 10ms}}]",
        )],
        code: "TT-RETRY-LAYERS",
        says: "one request of shop/front may become 4 × 3 = 12 tries of mid.shop",
        line: "retries: {attempts: 3, backoff: 10ms}",
    },
    Broken {
        changes: &[("timeout: 1s # of db", "timeout: 4s # of db")],
        code: "TT-TIMEOUTS-INVERTED",
        says: "shop/front waits 3s for mid.shop, and shop/mid-v1 waits 4s for db.shop",
        line: "timeout: 3s # of mid",
    },
    Broken {
        // Two calls apart, with no timeout between them.
        changes: &[
            ("timeout: 5s # of front", "timeout: 500ms # of front"),
            ("timeout: 3s # of mid", "# none"),
        ],
        code: "TT-TIMEOUTS-INVERTED",
        says: "shop/client waits 500ms for front.shop, and shop/mid-v1 waits 1s for db.shop",
        line: "timeout: 500ms # of front",
    },
    Broken {
        changes: &[(
            "calls: [\"http://mid:8080/\"] # of front",
            "calls: [{url: \"http://mid:8080/\", timeout: 800ms}]",
        )],
        code: "TT-TIMEOUTS-INVERTED",
        says: "shop/front waits 800ms for mid.shop, and shop/mid-v1 waits 1s for db.shop",
        line: "timeout: 800ms}]",
    },
    Broken {
        changes: &[(
            "headers: {x-user: {uniform: {prefix: u, count: 100}}} # of users",
            "",
        )],
        code: "TT-HASH-NOTHING",
        says: "no request of the scenario to db.shop has the header `x-user` (from shop/mid-v1, shop/mid-v2)",
        line: "loadBalancer: {consistentHash: {httpHeaderName: x-user}}",
    },
    Broken {
        changes: &[(
            "ports: [{name: http, port: 8080}]} # of db",
            "ports: [{name: tcp-sql, port: 8080}]} # of db",
        )],
        code: "TT-HASH-NOTHING",
        says: "db.shop speaks no HTTP on port 8080, and the header `x-user` is HTTP's",
        line: "loadBalancer: {consistentHash: {httpHeaderName: x-user}}",
    },
    Broken {
        changes: &[
            ("replicas: 4", "replicas: 0"),
            ("shop/mid-v2: [eu/a, eu/b, us/a, us/b]", ""),
        ],
        code: "TT-WEIGHT-TO-NOBODY",
        says: "10 % of the requests of this rule go to subset `v2` of `mid`, whose shop/mid-v2 has no pods",
        line: "subset: v2}, weight: 10}",
    },
    Broken {
        changes: &[(
            "shop/mid-v2: [eu/a, eu/b, us/a, us/b]",
            "shop/mid-v2: [eu/a]",
        )],
        code: "TT-SUBSET-ELSEWHERE",
        says: "subset `v2` of mid.shop has no pod in us/a, where the service has 1",
        line: "- {name: v2, labels: {version: v2}}",
    },
    Broken {
        changes: &[("\"us/*\": 20", "\"asia/*\": 20")],
        code: "TT-DISTRIBUTE-NOBODY",
        says: "20 % of the requests from `eu/*` are for `asia/*`, where no pod of front.shop is",
        line: "localityLbSetting: {distribute:",
    },
    Broken {
        changes: &[(
            "failover: [{from: eu, to: us}]",
            "failover: [{from: eu, to: us-east-2}]",
        )],
        code: "TT-FAILOVER-NEVER",
        says: "failover from `eu` to `us-east-2` never happens: no pod of mid.shop is in the region `us-east-2`, they are in `eu`, `us`",
        line: "localityLbSetting: {failover:",
    },
    Broken {
        changes: &[(
            "failover: [{from: eu, to: us}]",
            "failover: [{from: eu-1, to: us}]",
        )],
        code: "TT-FAILOVER-NEVER",
        says: "no client is in the region `eu-1`",
        line: "localityLbSetting: {failover:",
    },
    Broken {
        changes: &[("maxRetries: 10", "maxRetries: 0")],
        code: "TT-BREAKER-UNLIMITED",
        says: "`maxRetries: 0` is no limit (istiod takes a 0 for not written)",
        line: "connectionPool: {tcp: {maxConnections: 100}",
    },
    Broken {
        changes: &[("maxConnections: 100", "maxConnections: 2147483647")],
        code: "TT-BREAKER-UNLIMITED",
        says: "`maxConnections: 2147483647` is no limit (nobody reaches it)",
        line: "connectionPool: {tcp: {maxConnections: 2147483647}",
    },
    Broken {
        changes: &[("http1MaxPendingRequests: 50, ", "")],
        code: "TT-QUEUE-UNLIMITED",
        says: "what finds no connection to mid.shop waits in its proxy, without limit",
        line: "connectionPool: {tcp: {maxConnections: 100}",
    },
    Broken {
        changes: &[("consecutive5xxErrors: 5,", "consecutive5xxErrors: 0,")],
        code: "TT-EJECTS-NOTHING",
        says: "no pod is ever ejected",
        line: "outlierDetection: {consecutive5xxErrors: 0",
    },
    Broken {
        changes: &[(", maxEjectionPercent: 50", "")],
        code: "TT-EJECTS-NOTHING",
        says: "`maxEjectionPercent` is 10 (the default, where it is not written): of the 6 pods of mid.shop that is none",
        line: "outlierDetection: {consecutive5xxErrors: 5}",
    },
    Broken {
        changes: &[
            ("- uri: {prefix: /admin/}", "- uri: {regex: \"/a.*\"}"),
            ("{prefix: /api/}", "{exact: /api/x}"),
        ],
        code: "TT-ROUTE-SHADOWED",
        says: "this rule is never reached: the earlier rule `admin` (regex `/a.*`) takes all of its requests",
        line: "- uri: {exact: /api/x}",
    },
    Broken {
        changes: &[("- uri: {prefix: /admin/}", "- uri: {regex: \"/.*\"}")],
        code: "TT-ROUTE-SHADOWED",
        says: "the earlier rule `admin` (regex `/.*`) takes all of its requests",
        line: "- uri: {prefix: /api/}",
    },
    Broken {
        changes: &[("- uri: {prefix: /admin/}", "- headers: {x-test: {}}")],
        code: "TT-ROUTE-SHADOWED",
        says: "this rule is never reached: the earlier rule `admin` takes all of its requests",
        line: "- uri: {prefix: /api/}",
    },
    Broken {
        changes: &[("hosts: [db] # its host", "hosts: [db.example.com]")],
        code: "TT-ROUTE-NOWHERE",
        says: "`db.example.com` is no Service and no ServiceEntry",
        line: "apiVersion: networking.istio.io/v1",
    },
    Broken {
        changes: &[(
            "ports: [{name: http, port: 8080}]} # of db",
            "ports: [{name: tcp-sql, port: 8080}]} # of db",
        )],
        code: "TT-ROUTE-NOWHERE",
        says: "no port of `db.shop.svc.cluster.local` speaks HTTP",
        line: "apiVersion: networking.istio.io/v1",
    },
    Broken {
        changes: &[("- uri: {prefix: /admin/}", "- port: 80")],
        code: "TT-ROUTE-NOWHERE",
        says: "no proxy has this match: its hosts have no port 80",
        line: "- port: 80",
    },
    Broken {
        changes: &[("- uri: {prefix: /admin/}", "- sourceLabels: {app: clients}")],
        code: "TT-ROUTE-NOWHERE",
        says: "no client with a sidecar has the labels app=clients",
        line: "- sourceLabels: {app: clients}",
    },
    Broken {
        changes: &[
            (
                "- {name: v1, labels: {version: v1}}",
                "- {name: v1, labels: {version: v2}}",
            ),
            (
                "- {name: v2, labels: {version: v2}}",
                "- {name: v2, labels: {version: v1}}",
            ),
        ],
        code: "TT-SUBSET-MISNAMED",
        says: "subset `v1` selects version=v2, and there are pods with version=v1",
        line: "- {name: v1, labels: {version: v2}}",
    },
];

#[test]
fn a_chain_that_is_well_gives_nothing() {
    assert_eq!(found(CHAIN, &[]), Vec::<Value>::new());
}

#[test]
fn each_rule_names_the_line_that_breaks_it() {
    let mut wrong = Vec::new();
    for rule in BROKEN {
        let text = changed(rule.changes);
        let all = found(&text, &[]);
        let said = |f: &&Value| {
            let message = f["message"].as_str().unwrap_or_default();
            f["code"] == rule.code && message.contains(rule.says)
        };
        let Some(finding) = all.iter().find(said) else {
            wrong.push(format!("{}: {} in {all:#?}", rule.code, rule.says));
            continue;
        };
        let line = finding["line"].as_u64().unwrap_or(0) as usize;
        let at = text.lines().nth(line.wrapping_sub(1)).unwrap_or_default();
        if !at.contains(rule.line) {
            wrong.push(format!("{}: line {line} is `{at}`", rule.code));
        }
        if finding["help"].is_null() || finding["object"].is_null() {
            wrong.push(format!("{}: no help or no object", rule.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_layer_of_a_chain_is_named_with_its_line() {
    let text = changed(&[DB_RETRIES]);
    let all = found(&text, &[]);
    let related = all[0]["related"].as_array().expect("a list");
    let lines: Vec<(&str, &str)> = (related.iter())
        .map(|r| {
            let line = r["line"].as_u64().expect("a line") as usize;
            let at = text.lines().nth(line - 1).expect("there is one").trim();
            (at, r["why"].as_str().expect("a text"))
        })
        .collect();
    let expected = [
        (
            "retries: {attempts: 2, retryOn: 5xx} # of mid",
            "shop/front: 3 tries of mid.shop",
        ),
        (
            "retries: {attempts: 2, retryOn: 5xx} # of db",
            "shop/mid-v1: 3 tries of db.shop",
        ),
    ];
    assert_eq!(lines, expected);
}

/// What looks like a fault and is none: changes, and a code that must not be there.
const WELL: &[(&[(&str, &str)], &str)] = &[
    // The caller answers all the same, or with a status nobody retries.
    (
        &[
            DB_RETRIES,
            (
                "calls: [\"http://db:8080/\"] # of v1",
                "calls: [{url: \"http://db:8080/\", onError: ignore}]",
            ),
            (
                "calls: [\"http://db:8080/\"] # of v2",
                "calls: [{url: \"http://db:8080/\", onError: {fail: 404}}]",
            ),
        ],
        "TT-RETRY-LAYERS",
    ),
    // A budget bounds the last layer.
    (
        &[
            DB_RETRIES,
            (
                "loadBalancer: {consistentHash: {httpHeaderName: x-user}}",
                "retryBudget: {percent: 20}",
            ),
        ],
        "TT-RETRY-LAYERS",
    ),
    // Istio's default policy retries no status, so nothing multiplies.
    (
        &[
            ("retries: {attempts: 2, retryOn: 5xx} # of mid", "# default"),
            DB_RETRIES,
        ],
        "TT-RETRY-LAYERS",
    ),
    // The callee gives up with its caller.
    (
        &[
            ("timeout: 1s # of db", "timeout: 4s # of db"),
            (
                "shop/mid-v1:\n      propagate: [x-user]",
                "shop/mid-v1:\n      propagate: [x-user]\n      deadline: propagate",
            ),
            (
                "shop/mid-v2:\n      propagate: [x-user]",
                "shop/mid-v2:\n      propagate: [x-user]\n      deadline: propagate",
            ),
        ],
        "TT-TIMEOUTS-INVERTED",
    ),
    // Equal timeouts, and none at all behind one.
    (
        &[("timeout: 1s # of db", "timeout: 3s # of db")],
        "TT-TIMEOUTS-INVERTED",
    ),
    (&[("timeout: 1s # of db", "# none")], "TT-TIMEOUTS-INVERTED"),
    // A weight of 0 is how a rollout begins.
    (
        &[
            ("replicas: 4", "replicas: 0"),
            ("shop/mid-v2: [eu/a, eu/b, us/a, us/b]", ""),
            ("subset: v2}, weight: 10}", "subset: v2}, weight: 0}"),
            (
                "route: [{destination: {host: mid, subset: v2}}]",
                "route: [{destination: {host: mid, subset: v1}}]",
            ),
        ],
        "TT-WEIGHT-TO-NOBODY",
    ),
    // A narrower match first, and a regex that only looks wider.
    (
        &[("- uri: {prefix: /admin/}", "- uri: {regex: \"/a.i\"}")],
        "TT-ROUTE-SHADOWED",
    ),
    // Matches of one rule are alternatives: one that another covers does no harm.
    (
        &[(
            "- uri: {prefix: /admin/}",
            "- uri: {prefix: /admin/}\n    - uri: {exact: /admin/x}",
        )],
        "TT-ROUTE-SHADOWED",
    ),
    // Clients of one kind only.
    (
        &[("- uri: {prefix: /admin/}", "- sourceLabels: {app: client}")],
        "TT-ROUTE-SHADOWED",
    ),
    (
        &[("- uri: {prefix: /admin/}", "- sourceLabels: {app: client}")],
        "TT-ROUTE-NOWHERE",
    ),
];

#[test]
fn what_only_looks_like_a_fault_is_none() {
    for (changes, code) in WELL {
        let all = found(&changed(changes), &[]);
        let there = all.iter().filter(|f| f["code"] == *code);
        assert_eq!(there.count(), 0, "{code} after {changes:?}: {all:#?}");
    }
}

#[test]
fn what_istio_says_already_is_not_said_again() {
    // The same match twice, and everything behind a rule without one.
    let text = changed(&[(
        "- uri: {prefix: /api/}\n      headers: {x-test: {prefix: t}}",
        "- uri: {prefix: /admin/}",
    )]);
    let codes: BTreeSet<String> = (found(&text, &[]).iter())
        .filter_map(|f| f["code"].as_str().map(str::to_owned))
        .collect();
    assert!(codes.contains("IST0130"), "{codes:?}");
    assert!(!codes.contains("TT-ROUTE-SHADOWED"), "{codes:?}");
}

#[test]
fn rules_of_calls_are_judged_with_a_model_and_with_a_scenario_alone() {
    let both = changed(&[DB_RETRIES, ("timeout: 1s # of db", "timeout: 4s # of db")]);
    let codes = |text: &str| -> Vec<String> {
        let all = found(text, &[]);
        let codes = all.iter().filter_map(|f| f["code"].as_str());
        codes.map(str::to_owned).collect()
    };
    let documents: Vec<&str> = both.split("---\n").collect();
    let but = |kind: &str| {
        let kept = documents
            .iter()
            .filter(|d| !d.contains(&format!("kind: {kind}\n")));
        kept.copied().collect::<Vec<_>>().join("---\n")
    };
    let all = ["TT-RETRY-LAYERS", "TT-TIMEOUTS-INVERTED"];
    for text in [&both, &but("Scenario")] {
        let codes = codes(text);
        assert!(
            all.iter().all(|code| codes.iter().any(|c| c == code)),
            "{codes:?}"
        );
    }
    let alone = codes(&but("Model"));
    assert!(
        !all.iter().any(|code| alone.iter().any(|c| c == code)),
        "{alone:?}"
    );
}

#[test]
fn a_scenario_brings_what_it_names() {
    let lines = |arguments: &[&str]| {
        let report = program::json(&[&["analyze"], arguments].concat());
        let all = report["findings"].as_array().expect("findings").iter();
        let line =
            |f: &Value| format!("{} {}:{}", f["code"], f["file"], f["line"]).replace('"', "");
        all.map(line).collect::<Vec<_>>()
    };
    let expected = ["TT-TIMEOUTS-INVERTED examples/17-timeouts-inverted/manifests/mesh.yaml:47"];
    for arguments in [
        &["examples/17-timeouts-inverted"][..],
        &["examples/17-timeouts-inverted/scenario.yaml"],
        &["-f", "examples/17-timeouts-inverted"],
    ] {
        let lines = lines(arguments);
        assert_eq!(lines, expected, "{arguments:?}");
    }
    // Manifests without a flag, as istioctl has them.
    let faults = lines(&["examples/06-fault-injection/manifests"]);
    assert_eq!(faults.len(), 3, "{faults:?}");
    // A lesson about it: three layers of four tries.
    let report = program::json(&["analyze", "models/lessons/14-retries-multiply"]);
    let message = report["findings"][0]["message"].as_str().expect("a text");
    assert!(
        message.contains("4 × 4 × 4 = 64 tries of stock.shop"),
        "{message}"
    );
    let two = program::fails(&["analyze", "models/shop", "models/w1"], 2);
    assert!(two.contains("analyze one at a time"), "{two}");
}

/// Folders with a scenario in which something is found, on purpose or because it is so.
const KNOWN: &[(&str, &[&str])] = &[
    ("examples/06-fault-injection", &["TT-FAULT-LEFT"]),
    ("examples/07-circuit-breaking", &["IST0133"]),
    ("examples/17-timeouts-inverted", &["TT-TIMEOUTS-INVERTED"]),
    (
        "examples/22-failover-never",
        &["IST0133", "TT-FAILOVER-NEVER"],
    ),
    (
        "examples/24-fault-and-retries",
        &["TT-FAULT-LEFT", "TT-RETRY-LAYERS"],
    ),
    ("examples/33-uneven-load", &["TT-EJECTS-NOTHING"]),
    ("examples/36-timeouts-and-tries", &["TT-TRIES-DO-NOT-FIT"]),
    (
        "models/bookinfo",
        &["TT-FAULT-LEFT", "TT-TIMEOUTS-INVERTED"],
    ),
    // Every service retries 5xx twice: what is measured with it has no failures.
    ("models/w1", &["TT-RETRY-LAYERS"]),
];

#[test]
fn meshes_that_are_well_give_nothing_with_their_scenarios() {
    let mut wrong = Vec::new();
    let mut judged = 0;
    for top in ["models", "examples"] {
        for entry in fs::read_dir(program::root().join(top)).expect("readable") {
            let path = entry.expect("readable").path();
            if !path.join("scenario.yaml").is_file() {
                continue;
            }
            let name = path.file_name().expect("a name").to_string_lossy();
            let folder = format!("{top}/{name}");
            let report = program::json(&["analyze", &folder, "--fail-on", "never"]);
            let all = report["findings"].as_array().expect("findings").iter();
            let codes: BTreeSet<&str> = all.filter_map(|f| f["code"].as_str()).collect();
            let known = KNOWN.iter().find(|(known, _)| *known == folder);
            let expected: BTreeSet<&str> = known.map_or(&[][..], |k| k.1).iter().copied().collect();
            if codes != expected {
                wrong.push(format!("{folder}: {codes:?} instead of {expected:?}"));
            }
            judged += 1;
        }
    }
    assert!(judged >= 30 && wrong.is_empty(), "{judged}: {wrong:#?}");
}
