//! One row per rule of Istio's admission: what is refused, what only warns, what passes.

use towtank::config::{IstioVersion, LoadOptions, Loaded, load};
use towtank::manifest::Source;

pub(crate) fn load_text(text: &str, version: &str) -> Loaded {
    let options = LoadOptions {
        version: IstioVersion::parse(version).unwrap(),
        ..LoadOptions::default()
    };
    load(vec![Source::new("f.yaml", text)], &options)
}

/// Codes and messages of one object of `kind` with that flow-style spec.
pub(crate) fn verdict(kind: &str, spec: &str, version: &str) -> Vec<String> {
    let group = match kind {
        "PeerAuthentication" | "AuthorizationPolicy" => "security",
        _ => "networking",
    };
    let text = format!(
        "apiVersion: {group}.istio.io/v1beta1\nkind: {kind}\nmetadata: {{name: a, namespace: ns}}\nspec: {spec}\n"
    );
    let loaded = load_text(&text, version);
    let said = loaded.diagnostics.iter();
    said.map(|d| format!("{} {}", d.code, d.message)).collect()
}

/// Each row: a spec and a part of the only thing said about it; nothing is said for an empty part.
pub(crate) fn check_at(version: &str, kind: &str, rows: &[(&str, &str)]) {
    for (spec, part) in rows {
        let said = verdict(kind, spec, version);
        if part.is_empty() {
            assert_eq!(said, [""; 0], "{spec}");
        } else {
            assert_eq!(said.len(), 1, "{spec}: {said:?}");
            assert!(
                said[0].contains(part),
                "{spec}: `{}` lacks `{part}`",
                said[0]
            );
        }
    }
}

pub(crate) fn check(kind: &str, rows: &[(&str, &str)]) {
    check_at("1.30", kind, rows);
}

/// Rows about one http rule of a VirtualService.
fn check_rule(rows: &[(&str, &str)]) {
    let specs: Vec<(String, &str)> = rows
        .iter()
        .map(|(rule, part)| (format!("{{hosts: [a], http: [{{{rule}}}]}}"), *part))
        .collect();
    let rows: Vec<(&str, &str)> = specs
        .iter()
        .map(|(spec, part)| (spec.as_str(), *part))
        .collect();
    check("VirtualService", &rows);
}

/// Rows about a rule that routes to `a` as well.
fn check_routed(rows: &[(&str, &str)]) {
    let rules: Vec<(String, &str)> = rows
        .iter()
        .map(|(rule, part)| {
            (
                format!("{rule}, route: [{{destination: {{host: a}}}}]"),
                *part,
            )
        })
        .collect();
    let rows: Vec<(&str, &str)> = rules
        .iter()
        .map(|(rule, part)| (rule.as_str(), *part))
        .collect();
    check_rule(&rows);
}

/// Rows about `spec.trafficPolicy`.
fn check_policy(rows: &[(&str, &str)]) {
    let specs: Vec<(String, &str)> = rows
        .iter()
        .map(|(policy, part)| (format!("{{host: a, trafficPolicy: {{{policy}}}}}"), *part))
        .collect();
    let rows: Vec<(&str, &str)> = specs
        .iter()
        .map(|(spec, part)| (spec.as_str(), *part))
        .collect();
    check("DestinationRule", &rows);
}

const ROUTE: &str = "http: [{route: [{destination: {host: a}}]}]";

#[test]
fn hosts_and_gateways_of_virtual_services() {
    let with = |head: &str| format!("{{{head}, {ROUTE}}}");
    for (head, part) in [
        ("hosts: [a]", ""),
        ("hosts: [a.b, '*.c']", ""),
        ("hosts: [10.0.0.1]", ""),
        (
            "hosts: ['*']",
            "IST0106 `spec.hosts`: `*` is not allowed for sidecars",
        ),
        ("hosts: ['*'], gateways: [ns/g]", ""),
        (
            "hosts: [a.b, '*.b']",
            "IST0106 `spec.hosts`: `a.b` and `*.b` overlap",
        ),
        (
            "hosts: [a_b]",
            "IST0106 `spec.hosts`: `a_b` is not a DNS name",
        ),
        ("hosts: [a.99]", "its last label is a number"),
        (
            "hosts: [a], gateways: [g.ns.svc]",
            "IST0133 `g.ns.svc` is an old form; write `ns/g`",
        ),
        ("hosts: [a], gateways: [ns/G_1]", "is not `namespace/name`"),
        ("gateways: [g]", "without `hosts` is a delegate"),
        ("exportTo: ['*', ns], hosts: [a]", "`*` cannot stand beside"),
        (
            "exportTo: ['~'], hosts: [a]",
            "is neither `*`, `.` nor a namespace",
        ),
        ("exportTo: [x, x], hosts: [a]", "`x` is given twice"),
        (
            "hosts: [a], http2: 1",
            "TT-UNKNOWN-FIELD unknown field `spec.http2`",
        ),
    ] {
        check("VirtualService", &[(&with(head), part)]);
    }
    check(
        "VirtualService",
        &[("{hosts: [a]}", "at least one of `http`, `tcp` and `tls`")],
    );
}

#[test]
fn actions_that_exclude_each_other() {
    check_rule(&[
        (
            "name: x",
            "the rule needs `route`, `redirect` or `directResponse`",
        ),
        ("redirect: {uri: /x}", ""),
        (
            "redirect: {uri: /x, prefixRewrite: /y}",
            "exclude each other",
        ),
        ("redirect: {redirectCode: 301}", "redirects nowhere"),
        ("redirect: {uri: /x, redirectCode: 404}", "is not a 3xx"),
        (
            "redirect: {uri: /x, scheme: ftp}",
            "neither `http` nor `https`",
        ),
        (
            "match: [{uri: {exact: /a}}], redirect: {prefixRewrite: /y}",
            "every match to be by prefix",
        ),
        (
            "redirect: {uri: /x}, rewrite: {uri: /y}",
            "`spec.http[0].redirect`: excludes `rewrite`",
        ),
        (
            "redirect: {uri: /x}, directResponse: {status: 200}",
            "excludes `directResponse`",
        ),
        ("directResponse: {status: 503}", ""),
        ("directResponse: {status: 700}", "700 is not between"),
        ("delegate: {name: d}", ""),
        (
            "delegate: {name: d}, redirect: {uri: /x}",
            "excludes `route` and `redirect`",
        ),
    ]);
    check_routed(&[
        ("redirect: {uri: /x}", "excludes `route`"),
        ("directResponse: {status: 200}", "excludes `route`"),
        ("rewrite: {}", "rewrites nothing"),
        (
            "rewrite: {uri: /x, uriRegexRewrite: {match: a, rewrite: b}}",
            "exclude each other",
        ),
        ("rewrite: {uriRegexRewrite: {match: a}}", "needs both"),
    ]);
    check(
        "VirtualService",
        &[(
            "{http: [{delegate: {name: d}}]}",
            "a delegate cannot delegate further",
        )],
    );
}

#[test]
fn matches() {
    check_routed(&[
        ("match: [{uri: {prefix: ''}}]", ""),
        (
            "match: [{headers: {h: {prefix: ''}}}]",
            "the prefix is empty",
        ),
        ("match: [{headers: {h: {}}}]", ""),
        ("match: [{headers: {h: ~}}]", "the schema refuses null"),
        (
            "match: [{headers: {h: {regex: '*'}}}]",
            "is not a regular expression",
        ),
        ("match: [{withoutHeaders: {h: {regex: '*'}}}]", ""),
        (
            "match: [{uri: {exact: a, prefix: b}}]",
            "only one of `exact`, `prefix` may be given",
        ),
        (
            "match: [{headers: {'h h': {exact: a}}}]",
            "is not a header name",
        ),
        ("match: [{port: 70000}]", "70000 is out of range"),
        ("match: [{sourceNamespace: a.b}]", "is not a namespace"),
        ("match: [{sourceLabels: {'a b': c}}]", "is not a label key"),
        (
            "match: [{uri: {exat: a}}]",
            "unknown field `spec.http[0].match[0].uri.exat`",
        ),
    ]);
}

#[test]
fn destinations_and_weights() {
    check_rule(&[
        (
            "route: [{destination: {host: '*'}}]",
            "a destination cannot be `*`",
        ),
        (
            "route: [{destination: {host: 10.0.0.1}}]",
            "is not a DNS name",
        ),
        ("route: [{destination: {}}]", "`host` is required"),
        ("route: [{weight: 1}]", "`destination` is required"),
        (
            "route: [{destination: {host: a, subset: v.1}}]",
            "is not a subset name",
        ),
        (
            "route: [{destination: {host: a, port: {}}}]",
            "a port is 1 to 65535",
        ),
        ("route: [{destination: {host: a}, weight: 0}]", ""),
        (
            "route: [{destination: {host: a}}, {destination: {host: b}}]",
            "add up to 0",
        ),
        (
            "route: [{destination: {host: a}, weight: 45}, {destination: {host: b}, weight: 45}]",
            "",
        ),
        (
            "route: [{destination: {host: a}, weight: 90}, {destination: {host: b}}]",
            "TT-WEIGHT-OMITTED",
        ),
        (
            "route: [{destination: {host: a}, weight: -1}]",
            "a weight is negative",
        ),
    ]);
}

#[test]
fn timeouts_retries_and_faults() {
    check_routed(&[
        ("timeout: 10s", ""),
        ("timeout: 0s", "0s must be at least 1ms"),
        ("timeout: 1500us", "must be in whole milliseconds"),
        ("timeout: 10", "the unit is missing"),
        ("retries: {attempts: 0}", ""),
        ("retries: {}", ""),
        ("retries: {attempts: -1}", "cannot be negative"),
        (
            "retries: {attempts: 0, retryOn: 5xx}",
            "needs `attempts` of at least 1",
        ),
        (
            "retries: {perTryTimeout: 1s}",
            "needs `attempts` of at least 1",
        ),
        ("retries: {backoff: 1s}", ""),
        (
            "retries: {attempts: 1, retryOn: 'reset,503,connect-failure'}",
            "",
        ),
        (
            "retries: {attempts: 1, retryOn: '503, 504'}",
            "` 504` is not a condition",
        ),
        (
            "retries: {attempts: 1, retryOn: '999'}",
            "`999` is not a condition",
        ),
        ("fault: {}", "needs `delay` or `abort`"),
        (
            "fault: {delay: {fixedDelay: 5s, percentage: {value: 0.00001}}}",
            "neither 0 nor between",
        ),
        (
            "fault: {delay: {fixedDelay: 5s, percentage: {value: 0.1}}}",
            "",
        ),
        ("fault: {delay: {fixedDelay: 5s, percent: 10}}", "IST0002"),
        ("fault: {delay: {fixedDelay: 5s}}", "TT-FAULT-NEVER-FIRES"),
        ("fault: {abort: {httpStatus: 500}}", "TT-FAULT-NEVER-FIRES"),
        (
            "fault: {abort: {percentage: {value: 50}}}",
            "TT-FAULT-NEVER-FIRES",
        ),
        (
            "fault: {abort: {percentage: {value: 50}, httpStatus: 100}}",
            "100 is not between",
        ),
        (
            "fault: {abort: {percentage: {value: 50}, grpcStatus: UNAVAILABLE}}",
            "",
        ),
        (
            "fault: {abort: {percentage: {value: 50}, grpcStatus: NO}}",
            "expected a text",
        ),
        (
            "fault: {abort: {percentage: {value: 50}, grpcStatus: 'NO'}}",
            "is not the name of a gRPC status",
        ),
        (
            "fault: {abort: {percentage: {value: 50}, httpStatus: 500, grpcStatus: OK}}",
            "only one of",
        ),
    ]);
}

#[test]
fn mirrors_and_headers() {
    check_routed(&[
        (
            "mirror: {host: m}, mirrorPercentage: {value: 101}",
            "is not between 0 and 100",
        ),
        (
            "mirror: {host: m}, mirrorPercentage: 50",
            "TT-WRONG-TYPE `spec.http[0].mirrorPercentage`: expected a mapping",
        ),
        ("mirror: {host: m}, mirrorPercent: 50", "IST0133"),
        (
            "mirror: {host: m}, mirrors: [{destination: {host: m}}]",
            "exclude each other",
        ),
        ("headers: {request: {set: {Host: x}}}", ""),
        (
            "headers: {request: {remove: [host]}}",
            "cannot be changed this way",
        ),
        (
            "headers: {response: {set: {':status': x}}}",
            "cannot be changed this way",
        ),
        ("headers: {request: {add: {x: '50%'}}}", "unbalanced `%`"),
        (
            "headers: {request: {set: {host: x}}}, rewrite: {authority: z}",
            "set more than once",
        ),
    ]);
}

#[test]
fn tcp_and_tls_rules() {
    let to = "route: [{destination: {host: a}}]";
    for (rules, part) in [
        ("tcp: [{}]", "`route` is required"),
        (&*format!("tcp: [{{{to}}}]"), ""),
        (
            &*format!("tcp: [{{match: [{{destinationSubnets: [10.0.0.0/40]}}], {to}}}]"),
            "neither an address nor a CIDR",
        ),
        (
            &*format!("tls: [{{{to}}}]"),
            "needs a `match` with `sniHosts`",
        ),
        (
            &*format!("tls: [{{match: [{{sniHosts: [a.b]}}], {to}}}]"),
            "",
        ),
        (
            &*format!("tls: [{{match: [{{port: 443}}], {to}}}]"),
            "`sniHosts` is required",
        ),
        (
            &*format!("tls: [{{match: [{{sniHosts: [c.d]}}], {to}}}]"),
            "is not covered by",
        ),
    ] {
        check(
            "VirtualService",
            &[(&format!("{{hosts: [a.b], {rules}}}"), part)],
        );
    }
}

#[test]
fn a_rule_after_one_that_takes_everything_is_named() {
    let to = "route: [{destination: {host: a}}]";
    let spec =
        format!("{{hosts: [a], http: [{{{to}}}, {{match: [{{uri: {{prefix: /}}}}], {to}}}]}}");
    check("VirtualService", &[(&spec, "IST0130")]);
}

#[test]
fn destination_rules_and_subsets() {
    check(
        "DestinationRule",
        &[
            ("{host: a}", ""),
            ("{}", "`host` is required"),
            ("{host: a, trafficPolicy: {}}", "the policy is empty"),
            ("{host: a, subsets: [{name: v1}]}", ""),
            ("{host: a, subsets: [{name: v.1}]}", "is not a subset name"),
            (
                "{host: a, subsets: [{labels: {a: b}}]}",
                "`name` is required",
            ),
            (
                "{host: a, subsets: [{name: v1, labels: {a: 'b c'}}]}",
                "is not a value for the label",
            ),
            (
                "{host: a, subsets: [{name: v1}, {name: v1}]}",
                "`v1` is given twice",
            ),
            (
                "{host: a, workloadSelector: {matchLabels: {a: b}}, exportTo: ['*']}",
                "stays in its own namespace",
            ),
            ("{host: a, workloadSelector: {}}", "IST0133"),
        ],
    );
    check_at(
        "1.21",
        "DestinationRule",
        &[("{host: a, subsets: [{name: v1}, {name: v1}]}", "")],
    );
}

#[test]
fn connection_pools_and_outlier_detection() {
    check_policy(&[
        ("connectionPool: {}", "needs `tcp` or `http`"),
        ("connectionPool: {tcp: {maxConnections: 0}}", ""),
        (
            "connectionPool: {tcp: {maxConnections: -1}}",
            "-1 is out of range",
        ),
        (
            "connectionPool: {tcp: {connectTimeout: 0s}}",
            "must be at least 1ms",
        ),
        ("connectionPool: {tcp: {idleTimeout: 0s}}", ""),
        (
            "connectionPool: {http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}",
            "exclude each other",
        ),
        (
            "connectionPool: {http: {h2UpgradePolicy: MAYBE}}",
            "`MAYBE` is unknown",
        ),
        ("outlierDetection: {}", ""),
        ("outlierDetection: {consecutiveErrors: 5}", "IST0133"),
        ("outlierDetection: {consecutiveErrors: 0}", ""),
        (
            "outlierDetection: {consecutiveLocalOriginFailures: 5}",
            "needs `splitExternalLocalOriginErrors: true`",
        ),
        (
            "outlierDetection: {maxEjectionPercent: 101}",
            "is not between 0 and 100",
        ),
        ("outlierDetection: {interval: 0s}", "must be at least 1ms"),
    ]);
    let idle = "{host: a, trafficPolicy: {connectionPool: {tcp: {idleTimeout: 0s}}}}";
    check_at("1.25", "DestinationRule", &[(idle, "must be at least 1ms")]);
}

#[test]
fn warnings_below_the_top_policy_are_lost() {
    check(
        "DestinationRule",
        &[
            (
                "{host: a, subsets: [{name: v1, trafficPolicy: {outlierDetection: {consecutiveErrors: 5}}}]}",
                "",
            ),
            (
                "{host: a, trafficPolicy: {portLevelSettings: [{port: {number: 80}, outlierDetection: {consecutiveErrors: 5}}]}}",
                "",
            ),
        ],
    );
}

#[test]
fn load_balancers() {
    check_policy(&[
        ("loadBalancer: {simple: LEAST_CONN}", ""),
        ("loadBalancer: {simple: FASTEST}", "`FASTEST` is unknown"),
        (
            "loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}",
            "only one of",
        ),
        (
            "loadBalancer: {consistentHash: {httpCookie: {ttl: 0s}}}",
            "`name` is required",
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 10}}",
            "IST0133",
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 10, ringHash: {}}}",
            "excludes `ringHash`",
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 65537}}}",
            "",
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true, maglev: {}}}",
            "must be a prime",
        ),
        (
            "loadBalancer: {warmup: {aggression: 2}}",
            "`duration` is required",
        ),
        (
            "loadBalancer: {warmup: {duration: 5s, minimumPercent: 101}}",
            "is not between 0 and 100",
        ),
        (
            "loadBalancer: {warmup: {duration: 5s, aggression: 0}}",
            "must be above 0",
        ),
    ]);
}

#[test]
fn locality_settings() {
    let rows = [
        (
            "distribute: [{from: r/*, to: {r/*: 80, q/*: 20}}]",
            true,
            "",
        ),
        (
            "distribute: [{from: r/*, to: {r/*: 80}}]",
            true,
            "add up to 80, not 100",
        ),
        (
            "distribute: [{from: r/*, to: {r/*: 0, q: 100}}]",
            true,
            "not between 1 and 100",
        ),
        (
            "distribute: [{from: r/*, to: {q: 100}}, {from: r/z, to: {q: 100}}]",
            true,
            "overlaps",
        ),
        (
            "distribute: [{from: r/z, to: {q: 100}}, {from: r/*, to: {q: 100}}]",
            true,
            "",
        ),
        (
            "distribute: [{from: r/z, to: {q: 100}}, {from: r, to: {q: 100}}]",
            true,
            "overlaps",
        ),
        (
            "distribute: [{from: '*/z', to: {q: 100}}]",
            true,
            "is not `region/zone/subzone`",
        ),
        (
            "distribute: [{from: r, to: {q: 100}}], failover: [{from: a, to: b}]",
            true,
            "given together",
        ),
        ("failover: [{from: us-east-1a, to: us-east-1b}]", true, ""),
        ("failover: [{from: a, to: b}]", false, "IST0133"),
        ("failoverPriority: [x]", false, "IST0133"),
        ("failover: [{from: a, to: a}]", true, "are both `a`"),
        (
            "failover: [{from: a/b, to: c}]",
            true,
            "only a region may be given",
        ),
        (
            "failover: [{from: a, to: '*'}]",
            true,
            "wildcards are not allowed",
        ),
        (
            "failover: [{from: a, to: b}], failoverPriority: [topology.kubernetes.io/zone]",
            true,
            "cannot stand beside `failover`",
        ),
    ];
    for (setting, outlier, part) in rows {
        let outlier = if outlier {
            "outlierDetection: {interval: 1s}, "
        } else {
            ""
        };
        let policy = format!("{outlier}loadBalancer: {{localityLbSetting: {{{setting}}}}}");
        check_policy(&[(&policy, part)]);
    }
}

#[test]
fn client_tls_and_ports() {
    check_policy(&[
        (
            "tls: {mode: MUTUAL}",
            "needs `clientCertificate` and `privateKey`",
        ),
        ("tls: {mode: MUTUAL, credentialName: c}", ""),
        (
            "tls: {mode: SIMPLE, credentialName: c, caCertificates: f}",
            "excludes certificates",
        ),
        (
            "tls: {mode: SIMPLE, insecureSkipVerify: true, caCertificates: f}",
            "what would be verified",
        ),
        ("tls: {mode: ISTIO_MUTUAL, clientCertificate: f}", ""),
        (
            "portLevelSettings: [{tls: {mode: DISABLE}}]",
            "`port.number` is required",
        ),
        (
            "portLevelSettings: [{port: {number: 80}}]",
            "the port has no policy",
        ),
        ("retryBudget: {percent: 120}", "is not between 0 and 100"),
    ]);
}

#[test]
fn service_entries() {
    let head = "hosts: [a.b], ports: [{number: 80, name: http, protocol: HTTP}]";
    for (rest, part) in [
        ("resolution: DNS", ""),
        (
            "resolution: NONE, endpoints: [{address: 1.2.3.4}]",
            "allows no endpoints",
        ),
        (
            "resolution: STATIC, endpoints: [{address: a.b}]",
            "needs addresses",
        ),
        (
            "resolution: DNS_ROUND_ROBIN, endpoints: [{address: a}, {address: b}]",
            "allows one endpoint",
        ),
        (
            "resolution: DNS, addresses: [10.0.0.0/8]",
            "a CIDR cannot stand",
        ),
        (
            "resolution: DNS, endpoints: [{address: a, ports: {grpc: 1}}]",
            "is not the name of a port",
        ),
        (
            "endpoints: [{address: 1.2.3.4}], resolution: STATIC, workloadSelector: {labels: {a: b}}",
            "exclude each other",
        ),
    ] {
        check("ServiceEntry", &[(&format!("{{{head}, {rest}}}"), part)]);
    }
    let tcp = "{hosts: [a.b], ports: [{number: 5, name: x, protocol: TCP}], resolution: DNS}";
    check_at("1.24", "ServiceEntry", &[(tcp, "IST0133")]);
    check(
        "ServiceEntry",
        &[
            (tcp, ""),
            (
                "{hosts: ['*'], resolution: DNS, endpoints: [{address: a}]}",
                "`*` is not a host",
            ),
        ],
    );
}

#[test]
fn gateways() {
    let server = |rest: &str| format!("{{servers: [{{{rest}}}]}}");
    for (rest, part) in [
        (
            "port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']",
            "",
        ),
        (
            "port: {number: 80, name: http, protocol: HTTP}, hosts: [short]",
            "short names are not allowed",
        ),
        (
            "port: {number: 80, name: http, protocol: HTTP}, hosts: ['*'], tls: {httpsRedirect: true}",
            "",
        ),
        (
            "port: {number: 80, protocol: HTTP}, hosts: ['*']",
            "`name` is required",
        ),
        (
            "port: {number: 80, name: x, protocol: FTP}, hosts: ['*']",
            "is not a protocol",
        ),
        (
            "port: {number: 443, name: x, protocol: HTTPS}, hosts: ['*']",
            "HTTPS needs `tls`",
        ),
        (
            "port: {number: 443, name: x, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE}",
            "needs `serverCertificate`",
        ),
        (
            "port: {number: 443, name: x, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: c}",
            "",
        ),
        (
            "port: {number: 80, name: x, protocol: HTTP}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: c}",
            "cannot have TLS",
        ),
    ] {
        check("Gateway", &[(&server(rest), part)]);
    }
    check(
        "Gateway",
        &[("{selector: {a: b}}", "`servers` is required")],
    );
}

#[test]
fn sidecars() {
    check(
        "Sidecar",
        &[
            ("{egress: [{hosts: ['./*', 'ns/*.b.c', '~/*']}]}", ""),
            ("{}", "the Sidecar is empty"),
            ("{egress: [{}]}", "`hosts` is required"),
            ("{egress: [{hosts: [a.b]}]}", "is not `namespace/name`"),
            ("{egress: [{hosts: [ns/a]}]}", "short names are not allowed"),
            (
                "{egress: [{hosts: ['./*']}, {port: {number: 80, name: x, protocol: HTTP}, hosts: ['./*']}]}",
                "must be the last",
            ),
            (
                "{ingress: [{port: {number: 80, name: x, protocol: HTTP}, defaultEndpoint: '1.2.3.4:80'}]}",
                "must be on 127.0.0.1",
            ),
            ("{egress: [{hosts: ['./*', './*']}]}", "IST0133"),
        ],
    );
}

#[test]
fn security_policies() {
    check(
        "PeerAuthentication",
        &[
            ("{mtls: {mode: STRICT}}", ""),
            ("{mtls: {mode: SOMETIMES}}", "is unknown"),
            (
                "{portLevelMtls: {'80': {mode: DISABLE}}}",
                "needs a `selector`",
            ),
            (
                "{selector: {matchLabels: {a: b}}, portLevelMtls: {80: {mode: DISABLE}}}",
                "",
            ),
            (
                "{selector: {matchLabels: {a: b}}, portLevelMtls: {http: {mode: DISABLE}}}",
                "is not a port",
            ),
        ],
    );
    check(
        "AuthorizationPolicy",
        &[
            ("{}", ""),
            ("{rules: [{}]}", ""),
            ("{action: DENY}", "would do nothing"),
            ("{rules: [{from: [{source: {}}]}]}", "the source is empty"),
            (
                "{rules: [{to: [{operation: {}}]}]}",
                "the operation is empty",
            ),
            (
                "{action: DENY, rules: [{to: [{operation: {paths: [/x]}}]}]}",
                "IST0133",
            ),
            (
                "{action: DENY, rules: [{to: [{operation: {ports: ['80']}}]}]}",
                "",
            ),
            ("{provider: {name: x}}", "needs `action: CUSTOM`"),
            (
                "{rules: [{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}]}",
                "excludes `principals`",
            ),
            (
                "{rules: [{when: [{key: remote.ip, values: [1.2.3.4]}]}]}",
                "TT-NOT-SIMULATED",
            ),
        ],
    );
}

#[test]
fn v1_exists_from_1_22_on() {
    let text = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: {host: a}\n";
    assert_eq!(load_text(text, "1.22").diagnostics, []);
    assert_eq!(load_text(text, "1.21").diagnostics.len(), 1);
}
