//! `trafficPolicy` (`validateTrafficPolicy` and what it calls).

use super::super::{PortPolicy, RetryBudget, TlsMode, TlsSettings, TrafficPolicy, rules};
use super::connection::{connection_pool, outlier_detection};
use super::load_balancer::load_balancer;
use super::{Level, PolicyContext, counter};
use crate::config::decode::Fields;
use crate::xds::Name;

pub(super) fn traffic_policy(f: &Fields<'_>, context: PolicyContext) -> TrafficPolicy {
    if f.is_empty() {
        f.refuse("the policy is empty");
    }
    let mut policy = blocks(f, context);
    policy.has_tunnel = f.get("tunnel").is_some();
    policy.has_proxy_protocol = f.get("proxyProtocol").is_some();
    if policy.has_tunnel && policy.has_proxy_protocol {
        f.refuse("`tunnel` and `proxyProtocol` exclude each other");
    }
    f.object("tunnel", tunnel);
    f.not_simulated("tunnel", "tunnelling");
    f.object("proxyProtocol", |f| f.known(&["version"]));
    f.not_simulated("proxyProtocol", "the line before each connection");
    policy.retry_budget = f.object("retryBudget", retry_budget);
    policy.ports = f
        .objects("portLevelSettings", |f| port_policy(f, context))
        .into_iter()
        .flatten()
        .collect();
    policy
}

/// The blocks that a port may have too.
fn blocks(f: &Fields<'_>, context: PolicyContext) -> TrafficPolicy {
    let fails_over = f.get("outlierDetection").is_some();
    TrafficPolicy {
        connection_pool: f.object("connectionPool", |f| connection_pool(f, context.version)),
        load_balancer: f.object("loadBalancer", |f| load_balancer(f, context, fails_over)),
        outlier_detection: f.object("outlierDetection", |f| outlier_detection(f, context)),
        tls: f.object("tls", tls),
        origin: f.origin(),
        ..TrafficPolicy::default()
    }
}

fn port_policy(f: &Fields<'_>, context: PolicyContext) -> Option<PortPolicy> {
    let context = PolicyContext {
        level: Level::Port,
        ..context
    };
    let number = f.object("port", |f| f.integer::<u16>("number")).flatten();
    if number.is_none_or(|number| number == 0) {
        f.refuse("`port.number` is required");
    }
    let policy = blocks(f, context);
    let names = ["connectionPool", "loadBalancer", "outlierDetection", "tls"];
    if names.iter().all(|name| f.get(name).is_none()) {
        f.refuse("the port has no policy");
    }
    Some(PortPolicy {
        port: number?,
        policy,
    })
}

fn tunnel(f: &Fields<'_>) {
    let protocol = f.text_or_empty("protocol");
    if !matches!(&*protocol, "" | "CONNECT" | "POST") {
        f.refuse_field(
            "protocol",
            format!("`{protocol}` is neither `CONNECT` nor `POST`"),
        );
    }
    let host = f.text_or_empty("targetHost");
    if let Some(error) = rules::address_error(&host, true) {
        f.refuse_field("targetHost", error);
    }
    if f.integer::<u16>("targetPort").is_none_or(|port| port == 0) {
        f.refuse("`targetPort` is required");
    }
}

fn retry_budget(f: &Fields<'_>) -> RetryBudget {
    f.known(&["budgetInterval"]);
    let percent = f.get("percent").and_then(|at| {
        // A bare number or, in older forms, `{value: …}`.
        if at.is_object() {
            at.object(|f| f.float("value"))
        } else {
            at.float()
        }
    });
    if percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
        f.refuse_field("percent", "is not between 0 and 100");
    }
    RetryBudget {
        percent_milli: percent.map(|percent| (percent.clamp(0.0, 100.0) * 1000.0 + 0.5) as u32),
        min_retry_concurrency: counter(f, "minRetryConcurrency"),
    }
}

fn tls(f: &Fields<'_>) -> TlsSettings {
    let modes = [
        ("DISABLE", TlsMode::Disable),
        ("SIMPLE", TlsMode::Simple),
        ("MUTUAL", TlsMode::Mutual),
        ("ISTIO_MUTUAL", TlsMode::IstioMutual),
    ];
    let given = |name| f.text(name).is_some_and(|text: Name| !text.is_empty());
    let mode = f.choice("mode", &modes).unwrap_or_default();
    let has_credential_name = given("credentialName");
    let (certificate, key) = (given("clientCertificate"), given("privateKey"));
    let (ca, crl) = (given("caCertificates"), given("caCrl"));
    let skip = f.flag("insecureSkipVerify");
    let names = !f.texts("subjectAltNames").is_empty();
    if matches!(mode, TlsMode::Simple | TlsMode::Mutual) {
        if has_credential_name && (certificate || key || ca || crl) {
            f.refuse_field(
                "credentialName",
                "excludes certificates, keys and CAs in files",
            );
        }
        let skip_conflict = ca || names || (mode == TlsMode::Simple && has_credential_name);
        if skip && skip_conflict {
            f.refuse_field("insecureSkipVerify", "excludes what would be verified");
        }
    }
    if mode == TlsMode::Mutual && !has_credential_name && !(certificate && key) {
        f.refuse("MUTUAL needs `clientCertificate` and `privateKey`, or `credentialName`");
    }
    TlsSettings {
        mode,
        sni: f.text_or_empty("sni"),
        has_credential_name,
        has_ca: ca,
        origin: f.origin(),
    }
}
