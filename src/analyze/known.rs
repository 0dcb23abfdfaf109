//! What exists: Services and ServiceEntries as Istio's analyzers look for them, and other objects by
//! name.

use std::collections::BTreeMap;

use super::Context;
use crate::config::MeshConfig;
use crate::config::aside::{ApiGateway, OtherPolicy};
use crate::config::istio::ServiceEntry;
use crate::config::k8s::{Namespace, PodTemplateOwner, Service};
use crate::xds::Name;
use crate::xds::snapshot::Workload;

/// What answers to a host.
#[derive(Clone, Copy)]
pub(super) enum Host<'a> {
    Service(&'a Service),
    Entry(&'a ServiceEntry),
}

pub(super) struct Known<'a> {
    hosts: BTreeMap<String, Vec<Host<'a>>>,
    wildcards: Vec<(String, &'a ServiceEntry)>,
    domain: String,
}

impl<'a> Known<'a> {
    pub(super) fn new(config: &'a MeshConfig) -> Self {
        let domain = config.mesh.domain.to_string();
        let mut hosts: BTreeMap<String, Vec<Host<'a>>> = BTreeMap::new();
        for service in &config.services {
            let name = format!(
                "{}.{}.svc.{domain}",
                service.meta.name, service.meta.namespace
            );
            hosts.entry(name).or_default().push(Host::Service(service));
        }
        let mut wildcards = Vec::new();
        for entry in &config.service_entries {
            for host in &entry.hosts {
                match host.strip_prefix('*') {
                    Some(rest) => wildcards.push((rest.to_owned(), entry)),
                    None => hosts
                        .entry(host.to_string())
                        .or_default()
                        .push(Host::Entry(entry)),
                }
            }
        }
        Self {
            hosts,
            wildcards,
            domain,
        }
    }

    /// A host as written in an object of a namespace: names without a dot are completed, others
    /// are taken as they are (`util.ConvertHostToFQDN`).
    pub(super) fn full_name(&self, host: &str, namespace: &str) -> String {
        if host.contains('.') || host.starts_with('*') {
            host.to_owned()
        } else {
            format!("{host}.{namespace}.svc.{}", self.domain)
        }
    }

    /// What a full name means; a wildcard entry covers it when nothing else does.
    pub(super) fn find(&self, full: &str) -> Option<Host<'a>> {
        let exact = self.hosts.get(full).and_then(|all| all.first()).copied();
        exact.or_else(|| {
            let covering = self.wildcards.iter().find(|(rest, _)| full.ends_with(rest));
            covering.map(|(_, entry)| Host::Entry(entry))
        })
    }

    /// The same for an object of a namespace that is used in `users` (its own `exportTo`; empty: in
    /// its namespace): what is not exported to any of them does not exist for it.
    pub(super) fn find_for(&self, full: &str, own: &str, users: &[Name]) -> Option<Host<'a>> {
        let visible = |host: &Host<'a>| {
            let (to, from) = host.exported();
            let to_user = |user: &str| match &to {
                None => true,
                Some(list) => list.iter().any(|e| match e.trim() {
                    "*" => true,
                    "." => from == user,
                    named => named == user,
                }),
            };
            let user = |user: &Name| match &**user {
                "." | "*" => to_user(own),
                named => to_user(named),
            };
            if users.is_empty() {
                to_user(own)
            } else {
                users.iter().any(user)
            }
        };
        let exact = self
            .hosts
            .get(full)
            .into_iter()
            .flatten()
            .copied()
            .find(visible);
        exact.or_else(|| {
            let covering = self
                .wildcards
                .iter()
                .filter(|(rest, _)| full.ends_with(rest));
            let mut covering = covering.map(|(_, entry)| Host::Entry(entry));
            covering.find(visible)
        })
    }

    /// True when a pattern with a wildcard covers a known host.
    pub(super) fn any_under(&self, pattern: &str) -> bool {
        let rest = pattern.trim_start_matches('*');
        self.hosts.keys().any(|host| host.ends_with(rest))
            || self
                .wildcards
                .iter()
                .any(|(other, _)| other.ends_with(rest) || rest.ends_with(other))
    }

    /// Names that a typing error may have been meant for.
    pub(super) fn names(&self) -> Vec<&str> {
        self.hosts.keys().map(String::as_str).collect()
    }
}

/// Where a Service says whom it is exported to.
const EXPORT_TO: &str = "networking.istio.io/exportTo";

impl<'a> Host<'a> {
    /// Namespaces it is exported to (`None`: all), and its own.
    fn exported(&self) -> (Option<Vec<&'a str>>, &'a str) {
        match self {
            Self::Service(service) => {
                let written = service.meta.annotations.get(EXPORT_TO);
                let list = written.map(|text| text.split(',').collect());
                (list, &service.meta.namespace)
            }
            Self::Entry(entry) => {
                let list: Vec<&str> = entry.export_to.iter().map(|e| &**e).collect();
                ((!list.is_empty()).then_some(list), &entry.meta.namespace)
            }
        }
    }

    pub(super) fn ports(&self) -> Vec<u16> {
        match self {
            Self::Service(service) => service.ports.iter().map(|p| p.port).collect(),
            Self::Entry(entry) => entry.ports.iter().map(|p| p.number).collect(),
        }
    }
}

/// Namespaces that see an object: `*` alone, or those it is exported to (`util/exportto.go`). What is
/// exported to nobody (`~`) is seen by none.
pub(super) fn scopes<'a>(export_to: &'a [Name], own: &'a str) -> Vec<&'a str> {
    if export_to.is_empty() || export_to.iter().any(|e| &**e == "*") {
        return vec!["*"];
    }
    let named = export_to.iter().filter(|e| &***e != "~");
    let mut scopes: Vec<&str> = named
        .map(|e| if &**e == "." { own } else { &**e })
        .collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

impl<'a> Context<'a> {
    /// The Namespace of that name, where there is an object.
    pub(super) fn namespace(&self, name: &str) -> Option<&'a Namespace> {
        let mut all = self.config.namespaces.iter();
        all.find(|namespace| *namespace.meta.name == *name)
    }

    /// What the control plane made of a workload.
    pub(super) fn workload(&self, owner: &PodTemplateOwner) -> Option<&'a Workload> {
        let mut all = self.snapshot.workloads.iter();
        all.find(|w| w.origin == owner.meta.origin)
    }

    /// A Gateway of the Gateway API, which VirtualServices may name as well.
    pub(super) fn api_gateway(&self, namespace: &str, name: &str) -> Option<&'a ApiGateway> {
        let mut all = self.config.aside.gateways.iter();
        all.find(|g| *g.meta.namespace == *namespace && *g.meta.name == *name)
    }

    /// Policies of a kind that is not simulated.
    pub(super) fn policies(&self, kind: &'static str) -> impl Iterator<Item = &'a OtherPolicy> {
        let all = self.config.aside.policies.iter();
        all.filter(move |policy| &*policy.kind == kind)
    }
}
