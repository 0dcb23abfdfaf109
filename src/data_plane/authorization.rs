//! AuthorizationPolicies at the server's proxy: DENY first, then ALLOW.
//!
//! Knows policies, the peer's identity and one HTTP request; a refusal is 403 without a
//! response flag (Istio `pilot/pkg/security/authz`). Peers without mutual TLS have no
//! principal and no namespace: such fields never match, their negations do. Not modelled:
//! CUSTOM, AUDIT, conditions on tokens and on addresses behind other proxies, path templates, TCP.

use std::net::IpAddr;

use super::path::Target;
use super::router::RequestView;
use crate::xds::Name;
use crate::xds::listener::{Attribute, Authorization, Condition, Operation, Policy, Rule, Source};

/// Who is on the other end of the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// `cluster.local/ns/default/sa/sleep`, from its certificate.
    pub principal: Option<Name>,
    /// Namespace in its certificate.
    pub namespace: Option<Name>,
    /// Its address.
    pub ip: Option<Name>,
    /// Server name of its TLS handshake: `outbound_.80_.v1_.reviews.default.svc.cluster.local`.
    pub sni: Option<Name>,
}

/// True when a rule asks for the peer's address: then clients of one workload differ.
pub fn asks_for_addresses(authorization: &Authorization) -> bool {
    let of_rule = |rule: &Rule| {
        let blocks = |s: &Source| !s.ip_blocks.0.is_empty() || !s.ip_blocks.1.is_empty();
        let asked = |c: &Condition| c.attribute == Attribute::SourceIp;
        rule.sources.iter().any(blocks) || rule.conditions.iter().any(asked)
    };
    let policies = authorization.deny.iter().chain(&authorization.allow);
    policies.flat_map(|p| &p.rules).any(of_rule)
}

/// The server name that istiod's mutual TLS brings for a cluster.
pub fn sni_of(cluster: &str) -> Option<Name> {
    let mut parts = cluster.splitn(4, '|');
    let (direction, port) = (parts.next()?, parts.next()?);
    let (subset, host) = (parts.next()?, parts.next()?);
    Some(format!("{direction}_.{port}_.{subset}_.{host}").into())
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Goes on.
    Allowed,
    /// 403.
    Denied {
        /// The DENY policy that matched; `None`: ALLOW policies exist and none matched.
        policy: Option<Name>,
    },
}

/// Judges a request that arrived on a pod port.
pub fn check(
    authorization: &Authorization,
    peer: &Peer,
    request: &RequestView<'_>,
    port: u16,
) -> Decision {
    let matches = |policy: &&Policy| {
        let mut rules = policy.rules.iter();
        rules.any(|rule| rule_matches(rule, peer, request, port))
    };
    if let Some(policy) = authorization.deny.iter().find(matches) {
        return Decision::Denied {
            policy: Some(policy.name.clone()),
        };
    }
    if authorization.allow.is_empty() || authorization.allow.iter().any(|policy| matches(&policy)) {
        return Decision::Allowed;
    }
    Decision::Denied { policy: None }
}

fn rule_matches(rule: &Rule, peer: &Peer, request: &RequestView<'_>, port: u16) -> bool {
    let sources = &rule.sources;
    let operations = &rule.operations;
    !rule.has_unsupported_conditions
        && rule
            .conditions
            .iter()
            .all(|c| condition_matches(c, peer, request, port))
        && (sources.is_empty() || sources.iter().any(|s| source_matches(s, peer)))
        && (operations.is_empty()
            || (operations.iter()).any(|o| operation_matches(o, request, port)))
}

fn source_matches(source: &Source, peer: &Peer) -> bool {
    let principal = |form: &str| text(form, peer.principal.as_deref());
    let namespace = |form: &str| text(form, peer.namespace.as_deref());
    let address = |block: &str| in_block(block, peer.ip.as_deref());
    field(&source.principals, principal)
        && field(&source.namespaces, namespace)
        && field(&source.ip_blocks, address)
}

fn condition_matches(
    condition: &Condition,
    peer: &Peer,
    request: &RequestView<'_>,
    port: u16,
) -> bool {
    let values = &condition.values;
    let principal = peer.principal.as_deref();
    match &condition.attribute {
        Attribute::Header(name) => field(values, |form| text(form, request.headers.get(name))),
        Attribute::SourceIp => field(values, |block| in_block(block, peer.ip.as_deref())),
        Attribute::SourceNamespace => field(values, |form| text(form, peer.namespace.as_deref())),
        Attribute::SourcePrincipal | Attribute::SourceServiceAccount => {
            field(values, |form| text(form, principal))
        }
        Attribute::SourceTrustDomain => {
            let domain = principal.and_then(|p| p.split('/').next());
            field(values, |form| text(form, domain))
        }
        Attribute::DestinationPort => field(values, |form| form.parse() == Ok(port)),
        Attribute::Sni => field(values, |form| text(form, peer.sni.as_deref())),
    }
}

fn operation_matches(operation: &Operation, request: &RequestView<'_>, port: u16) -> bool {
    let target = Target::of(request.path);
    let authority = request.authority.to_ascii_lowercase();
    let host = |form: &str| text(&form.to_ascii_lowercase(), Some(&authority));
    let at_port = |form: &str| form.parse() == Ok(port);
    field(&operation.hosts, host)
        && field(&operation.ports, at_port)
        && field(&operation.methods, |form| text(form, Some(request.method)))
        && field(&operation.paths, |form| text(form, Some(&target.path)))
}

/// Some value fits, if there are any, and no not-value fits.
fn field((values, not_values): &(Vec<Name>, Vec<Name>), fits: impl Fn(&str) -> bool) -> bool {
    (values.is_empty() || values.iter().any(|value| fits(value)))
        && !not_values.iter().any(|value| fits(value))
}

/// The four forms: exact, `prefix*`, `*suffix`, `*` (there and not empty).
fn text(form: &str, got: Option<&str>) -> bool {
    let Some(got) = got else { return false };
    if form == "*" {
        !got.is_empty()
    } else if let Some(prefix) = form.strip_suffix('*') {
        got.starts_with(prefix)
    } else if let Some(suffix) = form.strip_prefix('*') {
        got.ends_with(suffix)
    } else {
        got == form
    }
}

/// `10.0.0.0/8` or a single address.
fn in_block(block: &str, ip: Option<&str>) -> bool {
    let parsed = |text: &str| text.parse::<IpAddr>().ok();
    let (network, bits) = match block.split_once('/') {
        Some((network, bits)) => (network, bits.parse::<u32>().ok()),
        None => (block, Some(128)),
    };
    let (Some(network), Some(ip), Some(bits)) = (parsed(network), ip.and_then(parsed), bits) else {
        return false;
    };
    match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => {
            let shift = 32 - bits.min(32);
            let part = |ip: u32| ip.checked_shr(shift).unwrap_or(0);
            part(network.to_bits()) == part(ip.to_bits())
        }
        (IpAddr::V6(network), IpAddr::V6(ip)) => {
            let shift = 128 - bits.min(128);
            let part = |ip: u128| ip.checked_shr(shift).unwrap_or(0);
            part(network.to_bits()) == part(ip.to_bits())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Headers;
    use crate::units::Origin;

    fn names(texts: &[&str]) -> Vec<Name> {
        texts.iter().map(|text| Name::from(*text)).collect()
    }

    fn policy(rule: Rule) -> Vec<Policy> {
        vec![Policy {
            name: "ns[a]-policy[p]".into(),
            rules: vec![rule],
            origin: Origin::BUILT_IN,
        }]
    }

    fn from(values: &[&str], not_values: &[&str]) -> Rule {
        Rule {
            sources: vec![Source {
                principals: (names(values), names(not_values)),
                ..Source::default()
            }],
            ..Rule::default()
        }
    }

    fn to(operation: Operation) -> Rule {
        Rule {
            operations: vec![operation],
            ..Rule::default()
        }
    }

    fn paths(values: &[&str]) -> Rule {
        to(Operation {
            paths: (names(values), Vec::new()),
            ..Operation::default()
        })
    }

    fn judge(authorization: &Authorization, principal: Option<&str>) -> Decision {
        let peer = Peer {
            principal: principal.map(Name::from),
            namespace: Some("default".into()),
            ip: Some("10.1.2.3".into()),
            sni: Some("outbound_.80_._.shop".into()),
        };
        let headers: Headers = [("x-user", "ann")].into_iter().collect();
        let request = RequestView {
            method: "GET",
            scheme: "http",
            authority: "Shop.Example:8080",
            path: "/api/../api/v1?x=1",
            headers: &headers,
        };
        check(authorization, &peer, &request, 8080)
    }

    fn allows(rule: Rule, principal: Option<&str>) -> bool {
        let authorization = Authorization {
            allow: policy(rule),
            ..Authorization::default()
        };
        judge(&authorization, principal) == Decision::Allowed
    }

    const SLEEP: Option<&str> = Some("cluster.local/ns/default/sa/sleep");

    #[test]
    fn the_four_string_forms_are_read() {
        assert!(allows(
            from(&["cluster.local/ns/default/sa/sleep"], &[]),
            SLEEP
        ));
        assert!(allows(from(&["cluster.local/ns/default/*"], &[]), SLEEP));
        assert!(allows(from(&["*/sa/sleep"], &[]), SLEEP));
        assert!(allows(from(&["*"], &[]), SLEEP));
        assert!(!allows(from(&["sleep"], &[]), SLEEP));
    }

    #[test]
    fn plaintext_peers_match_only_negations() {
        assert!(!allows(from(&["*"], &[]), None));
        assert!(allows(from(&[], &["*/sa/sleep"]), None));
        assert!(!allows(from(&[], &["*/sa/sleep"]), SLEEP));
    }

    #[test]
    fn operations_see_normalised_paths_and_any_case_of_hosts() {
        assert!(allows(paths(&["/api/v1"]), None));
        assert!(!allows(paths(&["/api/v2", "/other*"]), None));
        let host = Operation {
            hosts: (names(&["shop.example:*"]), Vec::new()),
            ports: (names(&["8080"]), Vec::new()),
            methods: (names(&["GET"]), names(&["POST"])),
            ..Operation::default()
        };
        assert!(allows(to(host), None));
        let method = Operation {
            methods: (names(&["get"]), Vec::new()),
            ..Operation::default()
        };
        assert!(!allows(to(method), None));
    }

    #[test]
    fn address_blocks_are_compared_by_bits() {
        let block = |text: &str| Rule {
            sources: vec![Source {
                ip_blocks: (names(&[text]), Vec::new()),
                ..Source::default()
            }],
            ..Rule::default()
        };
        assert!(allows(block("10.1.0.0/16"), None) && allows(block("0.0.0.0/0"), None));
        assert!(allows(block("10.1.2.3"), None));
        assert!(!allows(block("10.1.2.4"), None) && !allows(block("::/0"), None));
    }

    #[test]
    fn conditions_are_anded_and_negations_hold_for_what_is_missing() {
        let when = |attribute: Attribute, values: &[&str], others: &[&str]| Condition {
            attribute,
            values: (names(values), names(others)),
        };
        let check = |conditions: Vec<Condition>, expected: bool| {
            let rule = Rule {
                conditions,
                ..Rule::default()
            };
            assert_eq!(allows(rule.clone(), SLEEP), expected, "{rule:?}");
        };
        let header = |name: &str| Attribute::Header(name.into());
        check(vec![when(header("x-user"), &["a*"], &[])], true);
        check(vec![when(header("x-user"), &["bob"], &[])], false);
        check(vec![when(header("x-none"), &["*"], &[])], false);
        check(vec![when(header("x-none"), &[], &["bob"])], true);
        check(
            vec![when(Attribute::SourceIp, &["10.0.0.0/8"], &["10.1.2.4"])],
            true,
        );
        check(
            vec![when(Attribute::SourceNamespace, &["default"], &[])],
            true,
        );
        check(
            vec![when(Attribute::SourceTrustDomain, &["cluster.local"], &[])],
            true,
        );
        check(vec![when(Attribute::DestinationPort, &["8080"], &[])], true);
        check(
            vec![when(Attribute::DestinationPort, &[], &["8080"])],
            false,
        );
        check(
            vec![when(Attribute::Sni, &["*.shop", "*_.shop"], &[])],
            true,
        );
        let both = vec![
            when(Attribute::SourceNamespace, &["default"], &[]),
            when(header("x-user"), &["bob"], &[]),
        ];
        check(both, false);
    }

    #[test]
    fn deny_goes_first_and_an_empty_allow_list_allows() {
        assert_eq!(judge(&Authorization::default(), None), Decision::Allowed);
        let both = Authorization {
            deny: policy(Rule::default()),
            allow: policy(Rule::default()),
        };
        let denied = Decision::Denied {
            policy: Some("ns[a]-policy[p]".into()),
        };
        assert_eq!(judge(&both, None), denied);
        let nothing = Authorization {
            allow: vec![Policy {
                name: "allow-nothing".into(),
                rules: Vec::new(),
                origin: Origin::BUILT_IN,
            }],
            ..Authorization::default()
        };
        assert_eq!(judge(&nothing, None), Decision::Denied { policy: None });
        let unsupported = Rule {
            has_unsupported_conditions: true,
            ..Rule::default()
        };
        assert!(!allows(unsupported, SLEEP));
    }
}
