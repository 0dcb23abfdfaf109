//! PeerAuthentication and AuthorizationPolicy (`validatePeerAuthentication`,
//! `validateAuthorizationPolicy`).

use std::collections::BTreeMap;

use super::super::{
    AuthorizationAction, AuthorizationPolicy, AuthorizationRule, DRY_RUN, MtlsSetting,
    PeerAuthentication,
};
use super::l4_route::is_subnet;
use super::{labels, schema_warning};
use crate::config::Meta;
use crate::config::decode::{At, Fields};
use crate::diagnostic::{Class, Diagnostic};
use crate::xds::Name;
use crate::xds::listener::{Attribute, Condition, Operation, Source};

pub(in crate::config) fn peer_authentication(f: &Fields<'_>, meta: Meta) -> PeerAuthentication {
    let selector = selector(f);
    let read = |(key, at): (Name, At<'_>)| {
        let port = key.parse::<u16>().ok().filter(|port| *port > 0);
        if port.is_none() {
            at.refuse(format!("`{key}` is not a port"));
        }
        Some((port?, at.object(mtls)))
    };
    let policy = PeerAuthentication {
        meta,
        mtls: f.object("mtls", mtls).unwrap_or_default(),
        ports: f
            .entries("portLevelMtls")
            .into_iter()
            .filter_map(read)
            .collect(),
        selector,
    };
    let selects = policy
        .selector
        .as_ref()
        .is_some_and(|labels| !labels.is_empty());
    if !policy.ports.is_empty() && !selects {
        f.refuse_field("portLevelMtls", "needs a `selector`");
    }
    if f.get("portLevelMtls")
        .is_some_and(|at| at.entries().is_empty())
    {
        f.refuse_field("portLevelMtls", "is empty");
    }
    policy
}

fn mtls(f: &Fields<'_>) -> MtlsSetting {
    let modes = [
        ("UNSET", MtlsSetting::Unset),
        ("DISABLE", MtlsSetting::Disable),
        ("PERMISSIVE", MtlsSetting::Permissive),
        ("STRICT", MtlsSetting::Strict),
    ];
    f.choice("mode", &modes).unwrap_or_default()
}

fn selector(f: &Fields<'_>) -> Option<BTreeMap<Name, Name>> {
    f.object("selector", |f| {
        let labels = labels(f, "matchLabels");
        if labels.is_empty() {
            f.push(schema_warning(
                "the selector has no labels and selects every workload",
            ));
        }
        labels
    })
}

pub(in crate::config) fn authorization_policy(f: &Fields<'_>, meta: Meta) -> AuthorizationPolicy {
    let actions = [
        ("ALLOW", AuthorizationAction::Allow),
        ("DENY", AuthorizationAction::Deny),
        ("AUDIT", AuthorizationAction::Audit),
        ("CUSTOM", AuthorizationAction::Custom),
    ];
    let action = f.choice("action", &actions).unwrap_or_default();
    let has_target = f.get("targetRef").is_some() || f.get("targetRefs").is_some();
    let namespace = meta.namespace.clone();
    let policy = AuthorizationPolicy {
        meta,
        selector: selector(f),
        has_target,
        action,
        rules: f.objects("rules", |f| rule(f, action, &namespace)),
    };
    check_dry_run(f, &policy);
    if has_target && policy.selector.is_some() {
        f.refuse("`selector` and `targetRefs` exclude each other");
    }
    f.not_simulated("targetRef", "attaching to a Gateway API object");
    f.not_simulated("targetRefs", "attaching to a Gateway API object");
    check_action(f, action);
    policy
}

/// A dry run is for ALLOW and DENY; the word is what Go's `ParseBool` reads.
fn check_dry_run(f: &Fields<'_>, policy: &AuthorizationPolicy) {
    let Some(word) = policy.meta.annotations.get(DRY_RUN) else {
        return;
    };
    let known = ["1", "t", "T", "TRUE", "true", "True"];
    let unknown = ["0", "f", "F", "FALSE", "false", "False"];
    if !known.contains(&&**word) && !unknown.contains(&&**word) {
        f.refuse(format!(
            "the annotation `{DRY_RUN}` is `{word}`, neither true nor false"
        ));
    }
    let blocks = matches!(
        policy.action,
        AuthorizationAction::Allow | AuthorizationAction::Deny
    );
    if !blocks {
        f.refuse(format!("the annotation `{DRY_RUN}` needs ALLOW or DENY"));
    }
}

fn check_action(f: &Fields<'_>, action: AuthorizationAction) {
    let provider = f.object("provider", |f| f.text_or_empty("name"));
    let has_rules = f.get("rules").is_some_and(|at| !at.items().is_empty());
    if action == AuthorizationAction::Custom {
        if !has_rules {
            f.refuse("CUSTOM needs `rules`");
        }
        if provider.is_none_or(|name| name.is_empty()) {
            f.refuse("CUSTOM needs `provider.name`");
        }
        let message = "CUSTOM authorization asks an external service and is not simulated";
        f.push(Diagnostic::warning(
            "TT-NOT-SIMULATED",
            Class::NotSimulated,
            message,
        ));
    } else if provider.is_some() {
        f.refuse_field("provider", "needs `action: CUSTOM`");
    }
    if action == AuthorizationAction::Deny && f.get("rules").is_none() {
        f.refuse("DENY without `rules` would do nothing");
    }
}

fn rule(f: &Fields<'_>, action: AuthorizationAction, namespace: &str) -> AuthorizationRule {
    let mut unsupported: Vec<Name> = Vec::new();
    // Whether peers and ports are spoken of, which TCP knows too.
    let (mut peers_given, mut ports_given) = (false, false);
    let sources = f.objects("from", |f| {
        if f.get("source").is_none() {
            f.missing("source");
        }
        f.object("source", |f| {
            peers_given |= PEER_FIELDS.iter().any(|name| f.get(name).is_some());
            source(f, action, namespace, &mut unsupported)
        })
    });
    let operations = f.objects("to", |f| {
        if f.get("operation").is_none() {
            f.missing("operation");
        }
        f.object("operation", |f| {
            ports_given |= f.get("ports").is_some() || f.get("notPorts").is_some();
            operation(f)
        })
    });
    for name in ["from", "to"] {
        if f.get(name).is_some_and(|at| at.items().is_empty()) {
            f.refuse_field(name, "is empty");
        }
    }
    let conditions = f.objects("when", |f| {
        condition(f, action, namespace, &mut unsupported)
    });
    let http_only = if operations.is_empty() {
        !sources.is_empty() && !peers_given
    } else {
        !ports_given
    };
    if action == AuthorizationAction::Deny && http_only {
        let message = "on TCP ports this DENY rule ignores its HTTP fields and denies more";
        f.push(schema_warning(message));
    }
    if !unsupported.is_empty() {
        let names: Vec<String> = unsupported.iter().map(|name| format!("`{name}`")).collect();
        let message = format!(
            "conditions on {} are not simulated: the rule never matches",
            names.join(", ")
        );
        f.push(Diagnostic::warning(
            "TT-NOT-SIMULATED",
            Class::NotSimulated,
            message,
        ));
    }
    AuthorizationRule {
        sources: sources.into_iter().flatten().collect(),
        operations: operations.into_iter().flatten().collect(),
        conditions: conditions.into_iter().flatten().collect(),
        unsupported,
        origin: f.origin(),
    }
}

/// Fields of a source that a TCP connection can be asked for.
const PEER_FIELDS: [&str; 10] = [
    "principals",
    "notPrincipals",
    "namespaces",
    "notNamespaces",
    "serviceAccounts",
    "notServiceAccounts",
    "ipBlocks",
    "notIpBlocks",
    "remoteIpBlocks",
    "notRemoteIpBlocks",
];

fn source(
    f: &Fields<'_>,
    action: AuthorizationAction,
    namespace: &str,
    unsupported: &mut Vec<Name>,
) -> Source {
    if f.is_empty() {
        f.refuse("the source is empty");
    }
    check_source(f, action);
    // No request has a token here, so what excludes tokens is always true.
    f.known(&["notRequestPrincipals"]);
    for name in [
        "requestPrincipals",
        "remoteIpBlocks",
        "notRemoteIpBlocks",
        "trustDomains",
        "notTrustDomains",
    ] {
        if !f.texts(name).is_empty() {
            unsupported.push(name.into());
        }
    }
    let mut source = Source {
        principals: (f.texts("principals"), f.texts("notPrincipals")),
        namespaces: (f.texts("namespaces"), f.texts("notNamespaces")),
        ip_blocks: (f.texts("ipBlocks"), f.texts("notIpBlocks")),
    };
    let as_principal = |account: Name| principal_of(&account, namespace);
    let (accounts, not_accounts) = (f.texts("serviceAccounts"), f.texts("notServiceAccounts"));
    let named = [&source.principals, &source.namespaces];
    let named = named.iter().any(|(is, not)| is.len() + not.len() > 0);
    if named && accounts.len() + not_accounts.len() > 0 {
        f.refuse_field("serviceAccounts", "excludes `principals` and `namespaces`");
    }
    source
        .principals
        .0
        .extend(accounts.into_iter().map(as_principal));
    source
        .principals
        .1
        .extend(not_accounts.into_iter().map(as_principal));
    source
}

/// `ns/account` or `account`, of whatever trust domain.
fn principal_of(account: &str, namespace: &str) -> Name {
    let (of, name) = account.split_once('/').unwrap_or((namespace, account));
    format!("*/ns/{of}/sa/{name}").into()
}

fn check_source(f: &Fields<'_>, action: AuthorizationAction) {
    for name in [
        "ipBlocks",
        "notIpBlocks",
        "remoteIpBlocks",
        "notRemoteIpBlocks",
    ] {
        let blocks = f.texts(name);
        if let Some(bad) = blocks.iter().find(|block| !is_subnet(block)) {
            f.refuse_field(name, format!("`{bad}` is neither an address nor a CIDR"));
        }
    }
    let others = PEER_FIELDS.iter().chain(&[
        "requestPrincipals",
        "notRequestPrincipals",
        "trustDomains",
        "notTrustDomains",
    ]);
    for name in others {
        let values = f.texts(name);
        if values.iter().any(|value| value.is_empty()) {
            f.refuse_field(name, "a value is empty");
        }
        let about_peer = !name.to_ascii_lowercase().contains("ipblocks");
        if action == AuthorizationAction::Custom && about_peer && !values.is_empty() {
            f.refuse_field(name, "CUSTOM cannot match on peers");
        }
    }
}

fn operation(f: &Fields<'_>) -> Operation {
    if f.is_empty() {
        f.refuse("the operation is empty");
    }
    let ports = |name| {
        let items = f.items(name);
        let text = |at: &At<'_>| {
            let port = at.node().value.scalar_text()?;
            let valid = port.parse::<u16>().is_ok_and(|port| port > 0);
            if !valid {
                at.refuse(format!("`{port}` is not a port"));
            }
            Some(port)
        };
        items.iter().filter_map(text).collect::<Vec<Name>>()
    };
    Operation {
        hosts: (f.texts("hosts"), f.texts("notHosts")),
        ports: (ports("ports"), ports("notPorts")),
        methods: (f.texts("methods"), f.texts("notMethods")),
        paths: (f.texts("paths"), f.texts("notPaths")),
    }
}

/// Attributes of `when` (`authz/model/model.go`).
const CONDITION_KEYS: &[&str] = &[
    "source.ip",
    "remote.ip",
    "source.namespace",
    "source.serviceAccount",
    "source.principal",
    "source.trustDomain",
    "destination.ip",
    "destination.port",
    "connection.sni",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
];

/// A condition, when it is one that is simulated.
fn condition(
    f: &Fields<'_>,
    action: AuthorizationAction,
    namespace: &str,
    unsupported: &mut Vec<Name>,
) -> Option<Condition> {
    let key = f.required_text("key");
    let prefixes = [
        "request.headers[",
        "request.auth.claims[",
        "experimental.envoy.filters.",
    ];
    let known = CONDITION_KEYS.contains(&&*key) || prefixes.iter().any(|p| key.starts_with(p));
    if !key.is_empty() && !known {
        f.refuse_field("key", format!("`{key}` is not an attribute"));
    }
    let (values, others) = (f.texts("values"), f.texts("notValues"));
    if values.is_empty() && others.is_empty() {
        f.refuse("a condition needs `values` or `notValues`");
    }
    let of_token = key.starts_with("request.auth.");
    let of_peer = matches!(
        &*key,
        "source.namespace" | "source.serviceAccount" | "source.trustDomain" | "source.principal"
    );
    if action == AuthorizationAction::Custom && (of_token || of_peer) {
        f.refuse_field("key", format!("CUSTOM cannot match on `{key}`"));
    }
    let attribute = attribute(&key);
    if attribute == Some(Attribute::SourceIp) {
        let mut all = values.iter().chain(&others);
        if let Some(bad) = all.find(|block| !is_subnet(block)) {
            f.refuse_field(
                "values",
                format!("`{bad}` is neither an address nor a CIDR"),
            );
        }
    }
    // No request has a token here: whatever a token must not be, it is not.
    if attribute.is_none() && !(of_token && values.is_empty()) {
        unsupported.push(key);
    }
    let forms = |list: Vec<Name>| -> Vec<Name> {
        if attribute == Some(Attribute::SourceServiceAccount) {
            list.iter()
                .map(|account| principal_of(account, namespace))
                .collect()
        } else {
            list
        }
    };
    let values = (forms(values), forms(others));
    Some(Condition {
        attribute: attribute?,
        values,
    })
}

/// What is simulated of the attributes; headers are of any name.
fn attribute(key: &str) -> Option<Attribute> {
    let header = key.strip_prefix("request.headers[");
    if let Some(name) = header.and_then(|rest| rest.strip_suffix(']')) {
        return Some(Attribute::Header(name.to_ascii_lowercase().into()));
    }
    match key {
        "source.ip" => Some(Attribute::SourceIp),
        "source.namespace" => Some(Attribute::SourceNamespace),
        "source.principal" => Some(Attribute::SourcePrincipal),
        "source.serviceAccount" => Some(Attribute::SourceServiceAccount),
        "source.trustDomain" => Some(Attribute::SourceTrustDomain),
        "destination.port" => Some(Attribute::DestinationPort),
        "connection.sni" => Some(Attribute::Sni),
        _ => None,
    }
}
