//! AuthorizationPolicies as RBAC filters: DENY, then ALLOW (`pkg/security/authz/builder`, `model`).

use serde_json::{Map, Value, json};

use super::{Writer, listener};
use crate::xds::listener::{Attribute, Condition, Operation, Policy, Rule, Source};
use crate::xds::{Inbound, Name};

const HTTP: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";
const NETWORK: &str = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC";

impl Writer<'_> {
    pub(super) fn http_rbac(&mut self, inbound: &Inbound) -> Vec<Value> {
        let filter = |rules: Value| {
            json!({"name": "envoy.filters.http.rbac",
                "typed_config": {"@type": HTTP, "rules": rules}})
        };
        self.rbac(inbound).into_iter().map(filter).collect()
    }

    pub(super) fn network_rbac(&mut self, inbound: &Inbound) -> Vec<Value> {
        let filter = |rules: Value| {
            json!({"name": "envoy.filters.network.rbac",
                "typed_config": {"@type": NETWORK, "rules": rules, "stat_prefix": "tcp."}})
        };
        self.rbac(inbound).into_iter().map(filter).collect()
    }

    fn rbac(&mut self, inbound: &Inbound) -> Vec<Value> {
        let authorization = &inbound.authorization;
        let sides = [
            ("DENY", &authorization.deny),
            ("ALLOW", &authorization.allow),
        ];
        let written = sides.iter().filter(|(_, policies)| !policies.is_empty());
        written
            .map(
                |(action, policies)| json!({"action": action, "policies": self.policies(policies)}),
            )
            .collect()
    }

    /// One entry for each rule, named as Envoy's refusals name it.
    fn policies(&mut self, policies: &[Policy]) -> Map<String, Value> {
        let mut written = Map::new();
        for policy in policies {
            for (number, rule) in policy.rules.iter().enumerate() {
                if rule.has_unsupported_conditions {
                    self.warn(format!(
                        "rule {number} of {} has conditions that are not exported; it never matches",
                        policy.name
                    ));
                    continue;
                }
                written.insert(format!("{}-rule[{number}]", policy.name), of_rule(rule));
            }
        }
        written
    }
}

fn of_rule(rule: &Rule) -> Value {
    let any = |of: Vec<Value>| {
        if of.is_empty() {
            vec![json!({"any": true})]
        } else {
            of
        }
    };
    let permissions = any(rule.operations.iter().map(permission).collect());
    let principals = any(rule.sources.iter().map(principal).collect());
    let (mut about_request, mut about_peer) = (Vec::new(), Vec::new());
    for condition in &rule.conditions {
        when(&mut about_request, &mut about_peer, condition);
    }
    json!({
        "permissions": with(permissions, &about_request, ("and_rules", "rules")),
        "principals": with(principals, &about_peer, ("and_ids", "ids")),
    })
}

/// Every alternative together with all conditions.
fn with(alternatives: Vec<Value>, conditions: &[Value], (and, set): (&str, &str)) -> Vec<Value> {
    if conditions.is_empty() {
        return alternatives;
    }
    let together = |one: Value| {
        let all: Vec<Value> = std::iter::once(one)
            .chain(conditions.iter().cloned())
            .collect();
        json!({and: {set: all}})
    };
    alternatives.into_iter().map(together).collect()
}

/// `when`: headers and peers are principals for istiod, ports and server names permissions.
fn when(permissions: &mut Vec<Value>, principals: &mut Vec<Value>, condition: &Condition) {
    const RULES: (&str, &str, &str) = ("or_rules", "rules", "not_rule");
    const IDS: (&str, &str, &str) = ("or_ids", "ids", "not_id");
    let values = &condition.values;
    let named = |text: Value| json!({"authenticated": {"principal_name": text}});
    match &condition.attribute {
        Attribute::Header(name) => field(
            principals,
            values,
            IDS,
            |form| json!({"header": {"name": &**name, "string_match": string_match("", form)}}),
        ),
        Attribute::SourceIp => field(
            principals,
            values,
            IDS,
            |block| json!({"direct_remote_ip": listener::cidr(block)}),
        ),
        Attribute::SourceNamespace => {
            field(principals, values, IDS, |namespace| {
                named(namespace_match(namespace))
            });
        }
        Attribute::SourcePrincipal | Attribute::SourceServiceAccount => {
            field(principals, values, IDS, |name| {
                named(string_match("spiffe://", name))
            });
        }
        Attribute::SourceTrustDomain => field(principals, values, IDS, |domain| {
            let pattern = format!("spiffe://{}/.*", regex::escape(domain).replace("\\*", ".*"));
            named(json!({"safe_regex": {"regex": pattern}}))
        }),
        Attribute::DestinationPort => field(
            permissions,
            values,
            RULES,
            |port| json!({"destination_port": port.parse::<u16>().unwrap_or(0)}),
        ),
        Attribute::Sni => field(
            permissions,
            values,
            RULES,
            |name| json!({"requested_server_name": string_match("", name)}),
        ),
    }
}

/// A field: one of the values, none of the others.
fn field(
    found: &mut Vec<Value>,
    (values, others): &(Vec<Name>, Vec<Name>),
    (or, set, not): (&str, &str, &str),
    one: impl Fn(&str) -> Value,
) {
    let of = |names: &[Name]| {
        let all: Vec<Value> = names.iter().map(|name| one(name)).collect();
        json!({or: {set: all}})
    };
    if !values.is_empty() {
        found.push(of(values));
    }
    if !others.is_empty() {
        found.push(json!({not: of(others)}));
    }
}

fn permission(operation: &Operation) -> Value {
    const WORDS: (&str, &str, &str) = ("or_rules", "rules", "not_rule");
    let header = |name: &str, text: Value| json!({"header": {"name": name, "string_match": text}});
    let mut found = Vec::new();
    field(&mut found, &operation.hosts, WORDS, |host| {
        let mut text = string_match("", host);
        if text["safe_regex"].is_null() {
            text["ignore_case"] = json!(true);
        }
        header(":authority", text)
    });
    field(&mut found, &operation.methods, WORDS, |method| {
        header(":method", string_match("", method))
    });
    field(
        &mut found,
        &operation.paths,
        WORDS,
        |path| json!({"url_path": {"path": string_match("", path)}}),
    );
    field(
        &mut found,
        &operation.ports,
        WORDS,
        |port| json!({"destination_port": port.parse::<u16>().unwrap_or(0)}),
    );
    if found.is_empty() {
        return json!({"any": true});
    }
    json!({"and_rules": {"rules": found}})
}

fn principal(source: &Source) -> Value {
    const WORDS: (&str, &str, &str) = ("or_ids", "ids", "not_id");
    let named = |text: Value| json!({"authenticated": {"principal_name": text}});
    let mut found = Vec::new();
    field(&mut found, &source.principals, WORDS, |name| {
        named(string_match("spiffe://", name))
    });
    field(&mut found, &source.namespaces, WORDS, |namespace| {
        named(namespace_match(namespace))
    });
    field(
        &mut found,
        &source.ip_blocks,
        WORDS,
        |block| json!({"direct_remote_ip": listener::cidr(block)}),
    );
    if found.is_empty() {
        return json!({"any": true});
    }
    json!({"and_ids": {"ids": found}})
}

/// A namespace inside a principal.
fn namespace_match(namespace: &str) -> Value {
    let pattern = match namespace.split_once('*') {
        None => format!(".*/ns/{}/.*", regex::escape(namespace)),
        Some((before, after)) => {
            format!(
                ".*/ns/{}.*{}/.*",
                regex::escape(before),
                regex::escape(after)
            )
        }
    };
    json!({"safe_regex": {"regex": pattern}})
}

/// Exact, `prefix*`, `*suffix`, `*` (not empty).
fn string_match(scheme: &str, form: &str) -> Value {
    if form == "*" {
        json!({"safe_regex": {"regex": ".+"}})
    } else if let Some(prefix) = form.strip_suffix('*') {
        json!({"prefix": format!("{scheme}{prefix}")})
    } else if let Some(suffix) = form.strip_prefix('*') {
        json!({"suffix": suffix})
    } else {
        json!({"exact": format!("{scheme}{form}")})
    }
}
