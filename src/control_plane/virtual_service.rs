//! VirtualServices with names resolved and delegates merged (`pilot/pkg/model/virtualservice.go`).

use std::collections::BTreeSet;

use super::delegate::Delegates;
use super::visibility::Visibility;
use crate::config::MeshConfig;
use crate::config::host::{resolve_gateway_name, resolve_short_name};
use crate::config::istio::{Destination, HttpRoute, L4Route, VirtualService};
use crate::units::Origin;
use crate::xds::Name;

/// A VirtualService that routes by itself.
#[derive(Debug)]
pub(super) struct RootVirtualService {
    pub(super) namespace: Name,
    /// Lower-case, short names expanded.
    pub(super) hosts: Vec<Name>,
    /// `mesh` or `namespace/name`.
    pub(super) gateways: Vec<Name>,
    /// Delegates merged in.
    pub(super) http: Vec<HttpRoute>,
    pub(super) tcp: Vec<L4Route>,
    pub(super) tls: Vec<L4Route>,
    visibility: Visibility,
    pub(super) origin: Origin,
}

impl RootVirtualService {
    /// True when it names that gateway (or `mesh`).
    pub(super) fn is_bound_to(&self, gateway: &str) -> bool {
        self.gateways.iter().any(|g| **g == *gateway)
    }
}

/// All of them, oldest first.
pub(super) fn roots(config: &MeshConfig) -> Vec<RootVirtualService> {
    let mut sources: Vec<&VirtualService> = config.virtual_services.iter().collect();
    sources.sort_by(|a, b| a.meta.age_key().cmp(&b.meta.age_key()));
    let resolved = |vs: &VirtualService| resolve(vs, config);
    let delegates = Delegates::new(config, &sources, &resolved);
    (sources.iter().filter(|vs| !vs.hosts.is_empty()))
        .map(|vs| {
            let mut root = resolved(vs);
            root.http = delegates.merge(&root.namespace, root.http);
            root
        })
        .collect()
}

/// Visibility of a VirtualService's `exportTo`.
pub(super) fn visibility(vs: &VirtualService, config: &MeshConfig) -> Visibility {
    let default = &config.mesh.default_virtual_service_export_to;
    Visibility::of(&vs.export_to, default, &vs.meta.namespace)
}

/// Indexes of the VirtualServices a proxy sees, in istiod's order: private to its namespace,
/// exported to it by name, public; each oldest first.
pub(super) fn visible_to(roots: &[RootVirtualService], namespace: &str) -> Vec<usize> {
    let rank = |vs: &RootVirtualService| match &vs.visibility {
        Visibility::Public => Some(2_u8),
        Visibility::Namespaces(names) if !names.contains(namespace) => None,
        Visibility::Namespaces(_) if *vs.namespace == *namespace => Some(0),
        Visibility::Namespaces(_) => Some(1),
    };
    let mut seen: Vec<(u8, usize)> = (roots.iter().enumerate())
        .filter_map(|(i, vs)| Some((rank(vs)?, i)))
        .collect();
    seen.sort_unstable();
    seen.into_iter().map(|(_, i)| i).collect()
}

fn resolve(vs: &VirtualService, config: &MeshConfig) -> RootVirtualService {
    let namespace = vs.meta.namespace.clone();
    let domain = &config.mesh.domain;
    let host = |h: &Name| resolve_short_name(h, &namespace, domain);
    let gateway = |g: &Name| resolve_gateway_name(g, &namespace);
    let destination = |d: &mut Destination| d.host = host(&d.host);
    let mut http = vs.http.clone();
    for rule in &mut http {
        rule.route
            .iter_mut()
            .for_each(|r| destination(&mut r.destination));
        rule.mirrors
            .iter_mut()
            .for_each(|m| destination(&mut m.destination));
        for block in &mut rule.matches {
            block.gateways = block.gateways.iter().map(gateway).collect();
        }
    }
    let l4 = |rules: &[L4Route]| {
        let mut rules = rules.to_vec();
        for rule in &mut rules {
            rule.route
                .iter_mut()
                .for_each(|r| destination(&mut r.destination));
            for block in &mut rule.matches {
                block.gateways = block.gateways.iter().map(gateway).collect();
            }
        }
        rules
    };
    RootVirtualService {
        hosts: (vs.hosts.iter())
            .map(|h| host(h).to_lowercase().into())
            .collect(),
        gateways: if vs.gateways.is_empty() {
            vec!["mesh".into()]
        } else {
            vs.gateways.iter().map(gateway).collect()
        },
        tcp: l4(&vs.tcp),
        tls: l4(&vs.tls),
        visibility: visibility(vs, config),
        origin: vs.meta.origin,
        http,
        namespace,
    }
}

/// Every `sourceLabels` of any match block: labels that tell proxies of one namespace apart.
pub(super) fn source_selectors(
    roots: &[RootVirtualService],
) -> BTreeSet<&std::collections::BTreeMap<Name, Name>> {
    let http = roots.iter().flat_map(|vs| {
        vs.http
            .iter()
            .flat_map(|r| &r.matches)
            .map(|m| &m.source_labels)
    });
    let l4 = roots.iter().flat_map(|vs| {
        let rules = vs.tcp.iter().chain(&vs.tls);
        rules.flat_map(|r| &r.matches).map(|m| &m.source_labels)
    });
    http.chain(l4).filter(|s| !s.is_empty()).collect()
}
