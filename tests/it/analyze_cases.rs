//! Istio's own inputs of its analyzers: the codes it expects, and no others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program;
use crate::shared::shared;

/// What Istio's analyzers give, for those that speak of traffic and those that come free with them.
const ANALYZERS: &[(&str, &[&str])] = &[
    ("annotations.K8sAnalyzer", &["IST0125"]),
    (
        "authz.AuthorizationPoliciesAnalyzer",
        &["IST0101", "IST0127"],
    ),
    ("deprecation.FieldAnalyzer", &["IST0002"]),
    ("deployment.ApplicationUIDAnalyzer", &["IST0144"]),
    (
        "deployment.ServiceAssociationAnalyzer",
        &["IST0116", "IST0137"],
    ),
    (
        "destinationrule.CaCertificateAnalyzer",
        &["IST0128", "IST0129"],
    ),
    (
        "destinationrule.PodNotSelectedAnalyzer",
        &["IST0173", "IST0174"],
    ),
    (
        "gateway.ConflictingGatewayAnalyzer",
        &["IST0101", "IST0145"],
    ),
    (
        "gateway.IngressGatewayPortAnalyzer",
        &["IST0101", "IST0162"],
    ),
    ("gateway.SecretAnalyzer", &["IST0101", "IST0161"]),
    (
        "injection.Analyzer",
        &["IST0102", "IST0103", "IST0123", "IST0148"],
    ),
    ("k8sgateway.SelectorAnalyzer", &["IST0166"]),
    (
        "schemaValidation.CollectionValidationAnalyzer",
        &["IST0106", "IST0130", "IST0131", "IST0133"],
    ),
    ("service.PortNameAnalyzer", &["IST0118", "IST0150"]),
    (
        "serviceentry.ConflictingServiceEntryProtocolAnalyzer",
        &["IST0177"],
    ),
    ("serviceentry.ProtocolAddressesAnalyzer", &["IST0134"]),
    (
        "sidecar.SelectorAnalyzer",
        &["IST0101", "IST0110", "IST0111", "IST0167"],
    ),
    ("telemetry.DefaultSelectorAnalyzer", &["IST0160"]),
    ("telemetry.ProviderAnalyzer", &["IST0157"]),
    ("telemetry.SelectorAnalyzer", &["IST0101", "IST0159"]),
    (
        "virtualservice.ConflictingMeshGatewayHostsAnalyzer",
        &["IST0109"],
    ),
    (
        "virtualservice.DestinationHostAnalyzer",
        &["IST0101", "IST0112"],
    ),
    ("virtualservice.DestinationRuleAnalyzer", &["IST0101"]),
    (
        "virtualservice.GatewayAnalyzer",
        &["IST0101", "IST0132", "IST0165"],
    ),
];

/// Codes that several analyzers give: what one of them expects has to be there, more may be.
const SHARED_CODES: [&str; 2] = ["IST0101", "IST0106"];

/// What Istio's own test of these cases puts beside every input: its default gateway.
const INGRESS_GATEWAY: &str = "
apiVersion: v1
kind: Pod
metadata: {name: ingress, namespace: istio-system, labels: {istio: ingressgateway}}
spec: {containers: [{name: istio-proxy, image: proxyv2, args: [router]}]}
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system, labels: {istio: ingressgateway}}
spec:
  selector: {istio: ingressgateway}
  ports: [{name: http2, port: 80, protocol: TCP}, {name: https, port: 443, protocol: TCP}]
";

/// Cases that do not hold, each with the reason.
const DIFFER: &[(&str, &str)] = &[];

type Found = BTreeSet<(String, String)>;

/// (code, object) of a list; the default namespace is left out, as Istio's cases do.
fn pairs(list: &Value, object: &str) -> Found {
    let text = |v: &Value, key: &str| v[key].as_str().unwrap_or_default().to_owned();
    let all = list.as_array().into_iter().flatten();
    all.map(|f| (text(f, "code"), text(f, object).replace("default/", "")))
        .collect()
}

/// What is missing from a case, and what is too much.
fn compare(folder: &Path, gateway: &str, case: &Value, codes: &[&str]) -> Option<String> {
    let mut arguments = ["analyze", "--fail-on", "never", "-f", gateway]
        .map(str::to_owned)
        .to_vec();
    for file in case["files"].as_array().into_iter().flatten() {
        let path = folder.join(file.as_str().expect("a name"));
        arguments.extend(["-f".to_owned(), path.display().to_string()]);
    }
    arguments.extend(["-o".to_owned(), "json".to_owned()]);
    let output = program::run(&arguments);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let given = pairs(&report["findings"], "object");
    let expected = pairs(&case["expected"], "resource");
    let own =
        |code: &String| codes.contains(&code.as_str()) && !SHARED_CODES.contains(&code.as_str());
    let missing: Vec<_> = expected.difference(&given).collect();
    let more: Vec<_> = given
        .difference(&expected)
        .filter(|(code, _)| own(code))
        .collect();
    (!missing.is_empty() || !more.is_empty())
        .then(|| format!("missing {missing:?}, too much {more:?}"))
}

#[test]
fn istios_own_inputs_give_istios_own_codes() {
    let Some(folder) = shared("data/analyzers") else {
        return;
    };
    let cases = fs::read_to_string(folder.join("cases.json")).expect("readable");
    let cases: Vec<Value> = serde_json::from_str(&cases).expect("JSON");
    let beside = tempfile::tempdir().expect("a folder");
    let gateway = beside.path().join("gateway.yaml");
    fs::write(&gateway, INGRESS_GATEWAY).expect("written");
    let gateway = gateway.display().to_string();
    let (mut all, mut wrong, mut others) = (0, Vec::new(), BTreeSet::new());
    for case in &cases {
        let analyzer = case["analyzer"].as_str().unwrap_or_default();
        let Some((_, codes)) = ANALYZERS.iter().find(|(name, _)| *name == analyzer) else {
            others.insert(analyzer);
            continue;
        };
        all += 1;
        let name = case["name"].as_str().unwrap_or_default();
        if let Some(how) = compare(&folder, &gateway, case, codes) {
            wrong.push((name, how));
        }
    }
    let held = all - wrong.len();
    println!("{held} of {all} of Istio's analyzer cases about traffic hold");
    for (name, how) in &wrong {
        let reason = DIFFER.iter().find(|(known, _)| known == name);
        println!(
            "  {name}: {how} ({})",
            reason.map_or("NOT EXPECTED", |(_, why)| why)
        );
    }
    println!("not about traffic: {}", Vec::from_iter(others).join(", "));
    let names: BTreeSet<&str> = wrong.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        DIFFER.iter().map(|(name, _)| *name).collect(),
        "{wrong:#?}"
    );
}
