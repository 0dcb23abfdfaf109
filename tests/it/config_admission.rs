//! More of admission: rules that look at several fields, and Istio's own cases as the oracle.

use std::collections::BTreeSet;

use serde_json::Value;
use towtank::config::{IstioVersion, LoadOptions, load};
use towtank::manifest::Source;

use crate::config_rules::{check, check_at, verdict};
use crate::shared::{shared, source};

const TO: &str = "route: [{destination: {host: a}}]";

/// Codes said about a VirtualService whose `field` has rules with these match lists.
fn check_order(field: &str, matches: &[&str], want: &[&str]) {
    let rules: Vec<String> = (matches.iter())
        .map(|blocks| match *blocks {
            "" => format!("{{{TO}}}"),
            blocks => format!("{{match: [{blocks}], {TO}}}"),
        })
        .collect();
    let spec = format!("{{hosts: [a], {field}: [{}]}}", rules.join(", "));
    let said = verdict("VirtualService", &spec, "1.30");
    let codes: Vec<&str> = said.iter().filter_map(|d| d.split(' ').next()).collect();
    assert_eq!(codes, want, "{spec}: {said:?}");
}

#[test]
fn rules_and_matches_that_nothing_reaches_are_named() {
    check_order("http", &["{uri: {prefix: /x}}", "{uri: {prefix: /y}}"], &[]);
    check_order("http", &["", "{uri: {prefix: /y}}"], &["IST0130"]);
    check_order("http", &["", ""], &["IST0130"]);
    let x = "{uri: {prefix: /x}}";
    check_order("http", &[x, x], &["IST0131", "IST0130"]);
    check_order(
        "http",
        &[x, "{uri: {prefix: /x}}, {port: 80}"],
        &["IST0131"],
    );
    check_order(
        "tcp",
        &["{port: 80}", "{port: 80}"],
        &["IST0131", "IST0130"],
    );
    check_order("tcp", &["", "{port: 80}"], &["IST0130"]);
    let tls = "{sniHosts: [a], port: 443}";
    check_order("tls", &[tls, "{sniHosts: [a]}"], &[]);
    check_order("tls", &[tls, tls], &["IST0131", "IST0130"]);
}

#[test]
fn a_prefix_covers_longer_ones_when_all_else_agrees() {
    let pair = |a: &str, b: &str| {
        let block = |uri: &str, rest: &str| format!("{{uri: {{prefix: {uri}}}, {rest}}}");
        (block("/api", a), block("/api/v1", b))
    };
    let check = |a: &str, b: &str, want: &[&str]| {
        let (a, b) = pair(a, b);
        check_order("http", &[&a, &b], want);
    };
    check("port: 80", "port: 80", &["IST0131"]);
    check("port: 80", "port: 81", &[]);
    // An absent method counts as GET.
    check("name: a", "method: {exact: GET}", &["IST0131"]);
    check("name: a", "method: {exact: POST}", &[]);
    check("headers: {x: {exact: a}}", "headers: {x: {exact: b}}", &[]);
    check(
        "headers: {x: {exact: a}}",
        "headers: {x: {exact: a}}",
        &["IST0131"],
    );
    check("headers: {x: {exact: a}}", "name: b", &[]);
}

#[test]
fn gateway_names_in_match_blocks_are_checked_and_never_warn() {
    let rule = |gateway: &str| {
        format!(
            "{{hosts: [a.b], gateways: [edge/public], http: [{{match: [{{gateways: [{gateway}]}}], {TO}}}]}}"
        )
    };
    check("VirtualService", &[(&rule("edge/public"), "")]);
    check("VirtualService", &[(&rule("public.edge"), "")]);
    check(
        "VirtualService",
        &[(&rule("edge/a/b"), "is not `namespace/name`")],
    );
    let top = format!("{{hosts: [a.b], gateways: [./public], http: [{{{TO}}}]}}");
    check("VirtualService", &[(&top, "is not `namespace/name`")]);
}

#[test]
fn a_root_rule_may_have_what_its_delegate_would_be_refused_for() {
    let rule = |rest: &str| format!("{{hosts: [a.b], http: [{{delegate: {{name: d}}, {rest}}}]}}");
    check(
        "VirtualService",
        &[(
            &rule("mirror: {host: a}, mirrors: [{destination: {host: b}}]"),
            "",
        )],
    );
    check("VirtualService", &[(&rule(TO), "excludes `route`")]);
    let nameless = "{hosts: [a.b], http: [{delegate: {namespace: x}}]}";
    check("VirtualService", &[(nameless, "TT-NO-DELEGATE")]);
}

#[test]
fn the_own_namespace_and_a_dot_are_the_same_in_export_to() {
    let spec = |words: &str| format!("{{host: a, exportTo: [{words}]}}");
    check(
        "DestinationRule",
        &[
            (&spec("'.', ns"), "is given twice"),
            (&spec("'.', other"), ""),
        ],
    );
    let entry = |words: &str| format!("{{hosts: [a.b], resolution: DNS, exportTo: [{words}]}}");
    check(
        "ServiceEntry",
        &[
            (&entry("'~'"), ""),
            (&entry("'~', ns"), "is neither"),
            (&entry("'*', ns"), "cannot stand beside"),
        ],
    );
}

#[test]
fn ports_and_endpoints_of_service_entries() {
    let port = |hosts: &str, name: &str, protocol: &str| {
        format!(
            "{{hosts: [{hosts}], resolution: DNS, ports: [{{number: 80, name: {name}, protocol: {protocol}}}]}}"
        )
    };
    check(
        "ServiceEntry",
        &[
            (&port("a.b", "x", "FTP"), "is not a protocol"),
            (&port("a.b", "x_y", "HTTP"), "is not a port name"),
            (&port("a.b, c.d", "x", "HTTPS"), ""),
            (&port("a.b, c.d", "x", "Mongo"), "one host only"),
            (
                "{hosts: ['*.a.b'], resolution: DNS, workloadSelector: {labels: {a: b}}}",
                "cannot be resolved",
            ),
            (
                "{hosts: [a.b], resolution: DNS, endpoints: [{address: 'x y'}]}",
                "is neither an address nor a name",
            ),
            (
                "{hosts: [a.b], resolution: STATIC, workloadSelector: {labels: {}}}",
                "IST0133",
            ),
        ],
    );
    let dynamic = "{hosts: ['*.a.b'], resolution: DYNAMIC_DNS}";
    check_at("1.28", "ServiceEntry", &[(dynamic, "TT-NOT-SIMULATED")]);
    check_at(
        "1.27",
        "ServiceEntry",
        &[(dynamic, "is not known to Istio 1.27")],
    );
    check(
        "WorkloadEntry",
        &[
            ("{address: 10.0.0.1}", ""),
            ("{address: 'unix:///dir/'}", "is not the absolute path"),
            (
                "{address: 'unix://@x', ports: {http: 80}}",
                "a socket has no ports",
            ),
            (
                "{address: a.b, ports: {'@': 80}}",
                "is not the name of a port",
            ),
        ],
    );
}

#[test]
fn listeners_of_sidecars_and_gateways() {
    let egress = |rest: &str| format!("{{egress: [{{hosts: ['./*'], {rest}}}]}}");
    let mode = "{outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS}}";
    check(
        "Sidecar",
        &[
            (
                "{workloadSelector: {labels: {a: b}}}",
                "the Sidecar is empty",
            ),
            (
                &egress("port: {name: x, protocol: HTTP}"),
                "`number` is required",
            ),
            (
                &egress("port: {number: 80, protocol: FTP}"),
                "is not a protocol",
            ),
            (
                &egress("port: {number: 80, targetPort: 8080}"),
                "`targetPort` is not used",
            ),
            (&egress("captureMode: NONE"), "TT-NOT-SIMULATED"),
            (&egress("captureMode: IPTABLES"), ""),
            (
                "{ingress: [{port: {number: 80, protocol: HTTP}, defaultEndpoint: ':8080'}]}",
                "",
            ),
            (mode, "only possible for the whole mesh"),
        ],
    );
    let server = |rest: &str| format!("{{servers: [{{hosts: ['*'], {rest}}}]}}");
    let http = "port: {number: 80, name: http, protocol: HTTP}";
    let https = "port: {number: 443, name: https, protocol: HTTPS}";
    check(
        "Gateway",
        &[
            (&server("name: x"), "`port` is required"),
            (
                &server("port: {name: http, protocol: HTTP}"),
                "`number` is required",
            ),
            (&server(&format!("{http}, bind: edge")), "is not an address"),
            (
                &server(&format!(
                    "{https}, tls: {{mode: SIMPLE, credentialName: a, credentialNames: [b]}}"
                )),
                "more than one way",
            ),
        ],
    );
}

#[test]
fn a_plaintext_server_has_no_certificates() {
    let spec = "{servers: [{hosts: ['*'], port: {number: 80, name: http, protocol: HTTP}, \
                tls: {httpsRedirect: true, serverCertificate: /x}}]}";
    let said = verdict("Gateway", spec, "1.30");
    assert!(
        said.iter().any(|d| d.contains("cannot have certificates")),
        "{said:?}"
    );
}

#[test]
fn peers_of_custom_rules_and_dry_runs() {
    let rule = |action: &str, rest: &str| format!("{{action: {action}, rules: [{{{rest}}}]}}");
    check(
        "AuthorizationPolicy",
        &[
            (&rule("ALLOW", "from: [{}]"), "`source` is required"),
            (&rule("ALLOW", "to: []"), "is empty"),
            (
                &rule("ALLOW", "from: [{source: {ipBlocks: [x]}}]"),
                "neither an address nor a CIDR",
            ),
            (
                &rule("DENY", "from: [{source: {notRequestPrincipals: ['*']}}]"),
                "IST0133",
            ),
            (&rule("DENY", "from: [{source: {namespaces: [a]}}]"), ""),
        ],
    );
    let custom =
        "{action: CUSTOM, provider: {name: p}, rules: [{from: [{source: {principals: [a]}}]}]}";
    let said = verdict("AuthorizationPolicy", custom, "1.30");
    assert!(
        said.iter()
            .any(|d| d.contains("CUSTOM cannot match on peers")),
        "{said:?}"
    );

    let check = |kind: &str, word: &str, want: bool| {
        let spec = if kind == "Sidecar" {
            "egress: [{hosts: ['*/*']}]"
        } else {
            "rules: [{}]"
        };
        let group = if kind == "Sidecar" {
            "networking"
        } else {
            "security"
        };
        let text = format!(
            "apiVersion: {group}.istio.io/v1\nkind: {kind}\nmetadata: {{name: a, annotations: {{istio.io/dry-run: '{word}'}}}}\nspec: {{{spec}}}\n"
        );
        let loaded = load(vec![Source::new("f.yaml", text)], &LoadOptions::default());
        let refused = loaded
            .diagnostics
            .iter()
            .any(towtank::diagnostic::Diagnostic::is_error);
        assert_eq!(refused, want, "{kind} {word}: {:?}", loaded.diagnostics);
    };
    check("AuthorizationPolicy", "true", false);
    check("AuthorizationPolicy", "perhaps", true);
    check("Sidecar", "true", true);
}

#[test]
fn settings_of_the_mesh_that_change_answers_are_named() {
    let text = "discoverySelectors: [{matchLabels: {a: b}}]\naccessLogFile: /dev/stdout\n\
                outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS}\n";
    let said = |minor: &str| {
        let options = LoadOptions {
            version: IstioVersion::parse(minor).unwrap(),
            ..LoadOptions::default()
        };
        let loaded = load(vec![Source::new("mesh.yaml", text)], &options);
        let codes = loaded.diagnostics.iter().map(|d| d.code);
        codes.collect::<Vec<_>>()
    };
    assert_eq!(said("1.31"), ["TT-NOT-SIMULATED", "TT-NOT-SIMULATED"]);
    assert_eq!(said("1.30"), ["TT-NOT-SIMULATED", "IST0106"]);
}

/// Codes that admission's rules bring about; the other analyzers ask for more than one object.
const OF_ADMISSION: [&str; 4] = ["IST0106", "IST0130", "IST0131", "IST0133"];

/// Istio's cases for its own rules about single objects: the same codes for the same objects.
#[test]
fn istios_own_cases_about_single_objects_hold() {
    let Some(cases) = shared("data/analyzers/cases.json") else {
        return;
    };
    let folder = cases.parent().unwrap();
    let cases: Value = serde_json::from_str(&std::fs::read_to_string(&cases).unwrap()).unwrap();
    let mut held = 0;
    for case in cases.as_array().unwrap() {
        if case["analyzer"] != "schemaValidation.CollectionValidationAnalyzer" {
            continue;
        }
        let files = case["files"].as_array().unwrap().iter();
        let sources = files.map(|f| source(&folder.join(f.as_str().unwrap())));
        let loaded = load(sources.collect(), &LoadOptions::default());
        let got: BTreeSet<(String, String)> = (loaded.diagnostics.iter())
            .filter(|d| OF_ADMISSION.contains(&d.code))
            .map(|d| (d.code.to_owned(), d.object.clone().unwrap_or_default()))
            .collect();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let named = |resource: &str| match resource.split_once(' ') {
            Some((kind, name)) if !name.contains('/') => format!("{kind} default/{name}"),
            _ => resource.to_owned(),
        };
        let want: BTreeSet<(String, String)> = (case["expected"].as_array().unwrap().iter())
            .map(|e| (text(&e["code"]), named(&text(&e["resource"]))))
            .collect();
        assert_eq!(got, want, "{}", case["name"]);
        held += 1;
    }
    assert!(held > 0, "no case is about single objects");
}

#[test]
fn a_slip_in_replicas_is_an_error_and_fills_no_memory() {
    let deployment = |name: &str, replicas: u64| {
        format!(
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec: {{replicas: {replicas}}}\n"
        )
    };
    let said = |text: String| {
        let loaded = load(vec![Source::new("f.yaml", text)], &LoadOptions::default());
        let pods = loaded.config.workloads.iter();
        let pods: u32 = pods.map(|w| w.replicas.unwrap_or(1)).sum();
        let said = loaded.diagnostics.iter();
        (said.map(ToString::to_string).collect::<Vec<_>>(), pods)
    };
    let (one, pods) = said(deployment("a", 4_000_000_000));
    assert!(
        one[0].contains("f.yaml:5:8") && one[0].contains("4000000000 pods"),
        "{one:?}"
    );
    assert!(pods <= 200_000, "{pods}");
    let (many, pods) = said(
        (0..3)
            .map(|i| deployment(&format!("a{i}"), 90_000))
            .collect(),
    );
    assert_eq!((many.len(), pods), (1, 180_000), "{many:?}");
    assert!(
        many[0].contains("f.yaml:12:1") && many[0].contains("270000 pods"),
        "{many:?}"
    );
}

#[test]
fn ten_thousand_matches_are_judged_at_once() {
    let block = |i: usize| format!("{{uri: {{prefix: /p{i}/x}}}}");
    let blocks: Vec<String> = (0..10_000).map(block).collect();
    let spec = format!(
        "{{hosts: [a], http: [{{match: [{}], {TO}}}]}}",
        blocks.join(", ")
    );
    assert_eq!(verdict("VirtualService", &spec, "1.30"), [""; 0]);
}

#[test]
fn the_settings_of_a_revision_count() {
    let map = |name: &str| {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: istio-system}}\n\
             data: {{mesh: 'outboundTrafficPolicy: {{mode: REGISTRY_ONLY}}'}}\n"
        );
        let loaded = load(vec![Source::new("f.yaml", text)], &LoadOptions::default());
        loaded.config.mesh.outbound == towtank::config::istio::OutboundMode::RegistryOnly
    };
    assert!(map("istio") && map("istio-canary"));
    assert!(!map("somebody-elses"));
}
