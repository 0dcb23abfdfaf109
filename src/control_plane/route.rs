//! VirtualService rules as Envoy routes (`core/route/route.go`, BuildHTTPRoutesForVirtualService, TranslateRoute).

use super::cluster::outbound_name;
use super::defaults::PASSTHROUGH;
use super::proxy::Proxy;
use super::push_context::PushContext;
use super::registry::{Discovery, ServiceModel};
use super::{hash_policy, retry_policy, route_match};
use crate::config::istio::{
    Destination, HeaderOperations, HttpFault, HttpMatch, HttpRoute, Redirect, RedirectPort,
};
use crate::config::selector::selects;
use crate::units::{Fraction, Origin, SimDuration};
use crate::xds::route::{
    DirectResponse, Fault, Forward, HeaderOps, Mirror, Redirect as XdsRedirect, Rewrite,
    RouteMatch, WeightedCluster,
};
use crate::xds::{Action, Name, Route};

/// Where routes are built for: a class of proxies, a port, and the gateway names that count.
#[derive(Clone, Copy, Debug)]
pub(super) struct RouteBuilder<'a> {
    pub(super) push: &'a PushContext<'a>,
    pub(super) proxy: &'a Proxy<'a>,
    /// Service port at a sidecar, server port at a gateway.
    pub(super) listen_port: u16,
    /// `mesh`, or the gateway's name.
    pub(super) gateway: &'a str,
}

/// A destination after port and alias are settled.
struct Target {
    cluster: Name,
    service: Option<usize>,
}

impl RouteBuilder<'_> {
    /// Routes of a VirtualService; empty when it does not speak of this proxy and port.
    pub(super) fn routes(&self, rules: &[HttpRoute]) -> Vec<Route> {
        let mut routes = Vec::new();
        for (rule, block) in self.admitted(rules) {
            routes.push(self.translate(&rules[rule], block.map(|b| &rules[rule].matches[b])));
        }
        routes
    }

    /// Which rules and blocks make routes, up to the first catch-all: whatever stands behind
    /// one is dropped without a word.
    pub(super) fn admitted(&self, rules: &[HttpRoute]) -> Vec<(usize, Option<usize>)> {
        let mut admitted = Vec::new();
        for (i, rule) in rules.iter().enumerate() {
            if rule.matches.is_empty() {
                admitted.push((i, None));
                return admitted;
            }
            for (b, block) in rule.matches.iter().enumerate() {
                if !self.admits(block) {
                    continue;
                }
                admitted.push((i, Some(b)));
                if route_match::translate(Some(block), false).is_catch_all() {
                    return admitted;
                }
            }
        }
        admitted
    }

    /// The filters that are decided when configuration is made, not when a request comes.
    fn admits(&self, block: &HttpMatch) -> bool {
        if block.port != 0 && block.port != self.listen_port {
            return false;
        }
        if !block.gateways.is_empty() {
            // Source labels and namespace are not even looked at then.
            return block.gateways.iter().any(|g| **g == *self.gateway);
        }
        selects(&block.source_labels, self.proxy.labels)
            && (block.source_namespace.is_empty()
                || block.source_namespace == *self.proxy.namespace)
    }

    fn translate(&self, rule: &HttpRoute, block: Option<&HttpMatch>) -> Route {
        let mut request_headers = HeaderOps::default();
        let mut response_headers = HeaderOps::default();
        add_ops(&mut request_headers, &mut response_headers, &rule.headers);
        let action = if let Some(redirect) = &rule.redirect {
            self.redirect(redirect)
        } else if let Some(direct) = &rule.direct_response {
            Action::Direct(DirectResponse {
                status: direct.status,
                body: direct.body.clone(),
            })
        } else if rule.route.is_empty() {
            Action::Unusable
        } else {
            if let [only] = rule.route.as_slice() {
                // Both lists sit on the route then, the destination's values last.
                add_ops(&mut request_headers, &mut response_headers, &only.headers);
            }
            Action::Forward(Box::new(self.forward(rule)))
        };
        let match_name = block.map_or("", |b| &b.name);
        Route {
            name: if match_name.is_empty() {
                rule.name.clone()
            } else {
                format!("{}.{match_name}", rule.name).into()
            },
            matches: route_match::translate(block, self.push.at_least(22)),
            action,
            fault: rule.fault.as_ref().and_then(fault),
            filters: None,
            request_headers,
            response_headers,
            origin: block.map_or(rule.origin, |b| b.origin),
        }
    }

    fn forward(&self, rule: &HttpRoute) -> Forward {
        let single = rule.route.len() == 1;
        let mut clusters = Vec::new();
        let mut hash = Vec::new();
        for entry in &rule.route {
            // With one destination the weight says nothing; with several, 0 and "not written" mean never.
            let weight = if single {
                1
            } else {
                u32::try_from(entry.weight).unwrap_or(0)
            };
            if weight == 0 {
                continue;
            }
            let target = self.target(&entry.destination);
            let policy = target
                .service
                .and_then(|s| self.hash(s, &entry.destination));
            hash.extend(policy);
            let (mut request_headers, mut response_headers) = Default::default();
            if !single {
                add_ops(&mut request_headers, &mut response_headers, &entry.headers);
            }
            clusters.push(WeightedCluster {
                name: target.cluster,
                weight,
                request_headers,
                response_headers,
                origin: entry.origin,
            });
        }
        let sticky = single && !hash.is_empty();
        let (timeout, timeout_origin) = match rule.timeout {
            Some((timeout, origin)) => (Some(timeout), origin),
            None => (None, Origin::BUILT_IN),
        };
        Forward {
            clusters,
            timeout,
            timeout_origin,
            // Deprecated in Envoy and what istiod sends: the caller's grpc-timeout counts up to it.
            max_grpc_timeout: Some(timeout.unwrap_or_default()),
            idle_timeout: None,
            max_stream_duration: None,
            hedge_on_per_try_timeout: false,
            retry: retry_policy::of_route(self.push, rule.retries.as_ref(), sticky),
            hash,
            rewrite: rewrite(rule),
            authority: authority(rule),
            mirrors: self.mirrors(rule),
            cluster_not_found_status: 503,
        }
    }

    fn hash(&self, service: usize, to: &Destination) -> Option<crate::xds::route::HashPolicy> {
        let port = (to.port != 0).then_some(to.port);
        let hash = hash_policy::consistent_hash(self.push, self.proxy, service, port, &to.subset);
        hash_policy::policy(hash)
    }

    fn mirrors(&self, rule: &HttpRoute) -> Vec<Mirror> {
        let sent = rule.mirrors.iter().filter(|m| m.fraction != Fraction::ZERO);
        sent.map(|m| Mirror {
            cluster: self.target(&m.destination).cluster,
            fraction: m.fraction,
            origin: m.origin,
        })
        .collect()
    }

    /// The cluster of a destination, whether it exists or not.
    ///
    /// A sidecar knows only services that have the listener's port, so an omitted port is
    /// always that port there; a gateway knows whole services and finds an only port.
    fn target(&self, to: &Destination) -> Target {
        let (cluster, service) = destination(
            self.push,
            self.proxy,
            self.listen_port,
            to,
            self.proxy.is_gateway(),
        );
        Target { cluster, service }
    }

    fn redirect(&self, redirect: &Redirect) -> Action {
        let status = match redirect.code {
            0 => 301,
            code @ (301 | 302 | 303 | 307 | 308) => code,
            // Passes validation, and leaves the route without an action.
            _ => return Action::Unusable,
        };
        let port = match redirect.port {
            Some(RedirectPort::Number(port)) => Some(port),
            Some(RedirectPort::FromRequest) => Some(self.listen_port),
            Some(RedirectPort::FromProtocol) | None => None,
        };
        let scheme = redirect.scheme.as_deref().unwrap_or("");
        let implied = |port: &u16| matches!((scheme, *port), ("http", 80) | ("https", 443));
        Action::Redirect(XdsRedirect {
            status,
            authority: redirect.authority.clone(),
            path: redirect.uri.clone(),
            prefix_rewrite: redirect.prefix_rewrite.clone(),
            scheme: redirect.scheme.clone(),
            port: port.filter(|p| !implied(p)),
        })
    }

    /// The route of a service that no VirtualService speaks of.
    pub(super) fn default_route(&self, service: usize) -> Route {
        let model = &self.push.registry.services[service];
        let port = self.listen_port;
        let hash = hash_policy::consistent_hash(self.push, self.proxy, service, Some(port), "");
        let hash: Vec<_> = hash_policy::policy(hash).into_iter().collect();
        // Unlike routes of VirtualServices, this one looks for another host even when it hashes.
        let retry = retry_policy::of_route(self.push, None, false);
        let cluster = outbound_name(port, "", &model.host);
        simple("default", cluster, retry, hash, model.origin)
    }
}

/// The cluster of a destination, whether it exists or not, and the service when it is known.
///
/// `whole` services are known with all their ports, so that an only port is found; otherwise
/// an omitted port is the listener's.
pub(super) fn destination(
    push: &PushContext<'_>,
    proxy: &Proxy<'_>,
    listen_port: u16,
    to: &Destination,
    whole: bool,
) -> (Name, Option<usize>) {
    let registry = &push.registry;
    let service = registry.visible(&to.host, proxy.namespace);
    let model = service.map(|i| &registry.services[i]);
    let port = match model {
        _ if to.port != 0 => to.port,
        Some(ServiceModel { ports, .. }) if whole && ports.len() == 1 => ports[0].port,
        _ => listen_port,
    };
    let mut host = to.host.clone();
    if let Some(model) = model.filter(|m| m.discovery == Discovery::Alias) {
        let declared = model.port(listen_port).is_some() && push.at_least(24);
        if let Some(target) = model.alias_of.as_ref().filter(|_| whole || declared) {
            host = target.clone();
        }
    }
    (outbound_name(port, &to.subset, &host), service)
}

/// The route of unknown hosts: no timeout, no retries.
pub(super) fn passthrough_route() -> Route {
    simple(
        "allow_any",
        PASSTHROUGH.into(),
        None,
        Vec::new(),
        Origin::BUILT_IN,
    )
}

/// An answer by the proxy itself for every request.
pub(super) fn direct_route(name: &str, status: u16) -> Route {
    Route {
        action: Action::Direct(DirectResponse {
            status,
            body: "".into(),
        }),
        ..simple(name, "".into(), None, Vec::new(), Origin::BUILT_IN)
    }
}

fn simple(
    name: &str,
    cluster: Name,
    retry: Option<crate::xds::route::RetryPolicy>,
    hash: Vec<crate::xds::route::HashPolicy>,
    origin: Origin,
) -> Route {
    Route {
        name: name.into(),
        matches: RouteMatch::any(),
        action: Action::Forward(Box::new(Forward {
            clusters: vec![WeightedCluster {
                name: cluster,
                weight: 1,
                request_headers: HeaderOps::default(),
                response_headers: HeaderOps::default(),
                origin,
            }],
            timeout: None,
            timeout_origin: Origin::BUILT_IN,
            max_grpc_timeout: Some(SimDuration::ZERO),
            idle_timeout: None,
            max_stream_duration: None,
            hedge_on_per_try_timeout: false,
            retry,
            hash,
            rewrite: None,
            authority: None,
            mirrors: Vec::new(),
            cluster_not_found_status: 503,
        })),
        fault: None,
        filters: None,
        request_headers: HeaderOps::default(),
        response_headers: HeaderOps::default(),
        origin,
    }
}

fn fault(fault: &HttpFault) -> Option<Fault> {
    let delay = fault.delay.as_ref().map(|d| (d.fraction, d.fixed));
    let abort = fault
        .abort
        .as_ref()
        .and_then(|a| Some((a.fraction, a.status?)));
    let fault = Fault {
        delay: delay.filter(|(share, _)| *share != Fraction::ZERO),
        abort: abort.filter(|(share, _)| *share != Fraction::ZERO),
        max_active: None,
        origin: fault.origin,
    };
    (fault.delay.is_some() || fault.abort.is_some()).then_some(fault)
}

fn rewrite(rule: &HttpRoute) -> Option<Rewrite> {
    let rewrite = rule.rewrite.as_ref()?;
    match (&rewrite.uri_regex, &rewrite.uri) {
        (Some((pattern, substitution)), _) => Some(Rewrite::Regex {
            pattern: pattern.clone(),
            substitution: substitution.clone(),
        }),
        (None, Some(uri)) => Some(Rewrite::Prefix(uri.clone())),
        (None, None) => None,
    }
}

fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority")
}

/// `rewrite.authority`, else a Host among the headers of the route, else of the only destination.
fn authority(rule: &HttpRoute) -> Option<Name> {
    let written = rule.rewrite.as_ref().and_then(|r| r.authority.clone());
    let of = |ops: &HeaderOperations| {
        let mut all = ops.request_set.iter().chain(&ops.request_add);
        all.find(|(name, _)| is_authority(name))
            .map(|(_, v)| v.clone())
    };
    written
        .or_else(|| of(&rule.headers))
        .or_else(|| match rule.route.as_slice() {
            [only] => of(&only.headers),
            _ => None,
        })
}

/// Adds operations; Host and pseudo headers are no headers.
fn add_ops(request: &mut HeaderOps, response: &mut HeaderOps, ops: &HeaderOperations) {
    let plain = |name: &str| !name.starts_with(':') && !is_authority(name);
    let pairs = |to: &mut Vec<(Name, Name)>, from: &[(Name, Name)]| {
        to.extend(from.iter().filter(|(name, _)| plain(name)).cloned());
    };
    pairs(&mut request.set, &ops.request_set);
    pairs(&mut request.add, &ops.request_add);
    pairs(&mut response.set, &ops.response_set);
    pairs(&mut response.add, &ops.response_add);
    request
        .remove
        .extend(ops.request_remove.iter().filter(|n| plain(n)).cloned());
    response
        .remove
        .extend(ops.response_remove.iter().filter(|n| plain(n)).cloned());
}
