//! Server-side mutual TLS modes (`pilot/pkg/security/authn/policy_applier.go`) and the client's
//! transport (`pilot/pkg/networking/core/cluster_tls.go`, `xds/endpoints/mtls_checker.go`).

use std::collections::{BTreeMap, HashMap};

use crate::config::MeshConfig;
use crate::config::istio::{MtlsSetting, PeerAuthentication};
use crate::config::selector::{is_everything, selects};
use crate::xds::Name;
use crate::xds::listener::MtlsMode;

/// PeerAuthentications by namespace.
#[derive(Debug, Default)]
pub(super) struct Authentication<'a> {
    // Looked up, never iterated; each list is oldest first.
    by_namespace: HashMap<&'a str, Vec<&'a PeerAuthentication>>,
    root: &'a str,
}

impl<'a> Authentication<'a> {
    /// Indexes the policies.
    pub(super) fn new(config: &'a MeshConfig) -> Self {
        let mut by_namespace: HashMap<&str, Vec<&PeerAuthentication>> = HashMap::new();
        let mut policies: Vec<_> = config.peer_authentications.iter().collect();
        policies.sort_by(|a, b| a.meta.age_key().cmp(&b.meta.age_key()));
        for policy in policies {
            let list = by_namespace.entry(&policy.meta.namespace).or_default();
            list.push(policy);
        }
        Self {
            by_namespace,
            root: &config.mesh.root_namespace,
        }
    }

    fn policies(&self, namespace: &str) -> &[&'a PeerAuthentication] {
        self.by_namespace.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// Mode of a pod port: port, workload, namespace, mesh; the first that is set counts.
    pub(super) fn mode(
        &self,
        namespace: &str,
        labels: &BTreeMap<Name, Name>,
        port: u16,
    ) -> MtlsMode {
        // Selectors in the root namespace are ignored: there they would mean the whole mesh.
        let workload = (self.policies(namespace).iter())
            .filter(|_| namespace != self.root)
            .find(|p| {
                !is_everything(p.selector.as_ref())
                    && p.selector.as_ref().is_some_and(|s| selects(s, labels))
            });
        let own = workload
            .and_then(|p| (p.ports.get(&port).copied().and_then(set)).or_else(|| set(p.mtls)));
        own.unwrap_or_else(|| self.namespace_mode(namespace))
    }

    /// Mode of a namespace without regard to workloads.
    pub(super) fn namespace_mode(&self, namespace: &str) -> MtlsMode {
        let whole = |ns: &str| {
            let found = (self.policies(ns).iter()).find(|p| is_everything(p.selector.as_ref()));
            found.and_then(|p| set(p.mtls))
        };
        (whole(namespace).or_else(|| whole(self.root))).unwrap_or(MtlsMode::Permissive)
    }
}

const fn set(setting: MtlsSetting) -> Option<MtlsMode> {
    match setting {
        MtlsSetting::Unset => None,
        MtlsSetting::Disable => Some(MtlsMode::Disable),
        MtlsSetting::Permissive => Some(MtlsMode::Permissive),
        MtlsSetting::Strict => Some(MtlsMode::Strict),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{labels, meta};
    use super::*;

    fn policy(
        ns: &str,
        name: &str,
        selector: &[(&str, &str)],
        mtls: MtlsSetting,
    ) -> PeerAuthentication {
        PeerAuthentication {
            meta: meta(ns, name),
            selector: (!selector.is_empty()).then(|| labels(selector)),
            mtls,
            ports: BTreeMap::new(),
        }
    }

    fn check(policies: Vec<PeerAuthentication>, port: u16, want: MtlsMode) {
        let config = MeshConfig {
            peer_authentications: policies,
            ..MeshConfig::default()
        };
        let authn = Authentication::new(&config);
        assert_eq!(authn.mode("shop", &labels(&[("app", "web")]), port), want);
    }

    #[test]
    fn nothing_written_is_permissive() {
        check(vec![], 80, MtlsMode::Permissive);
    }

    #[test]
    fn the_narrowest_policy_wins() {
        let mesh = policy("istio-system", "mesh", &[], MtlsSetting::Strict);
        let namespace = policy("shop", "ns", &[], MtlsSetting::Disable);
        let workload = policy("shop", "web", &[("app", "web")], MtlsSetting::Permissive);
        check(vec![mesh.clone()], 80, MtlsMode::Strict);
        check(vec![mesh.clone(), namespace.clone()], 80, MtlsMode::Disable);
        check(vec![mesh, namespace, workload], 80, MtlsMode::Permissive);
    }

    #[test]
    fn unset_inherits_and_ports_stand_alone() {
        let mesh = policy("istio-system", "mesh", &[], MtlsSetting::Strict);
        let mut workload = policy("shop", "web", &[("app", "web")], MtlsSetting::Unset);
        workload.ports.insert(8080, MtlsSetting::Disable);
        check(
            vec![mesh.clone(), workload.clone()],
            8080,
            MtlsMode::Disable,
        );
        check(vec![mesh, workload], 9090, MtlsMode::Strict);
    }

    #[test]
    fn selectors_in_the_root_namespace_are_ignored() {
        let root = policy(
            "istio-system",
            "web",
            &[("app", "web")],
            MtlsSetting::Strict,
        );
        check(vec![root], 80, MtlsMode::Permissive);
    }
}
