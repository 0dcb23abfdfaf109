//! Hosts that are called and that nothing in the manifests is called by, where the name says that
//! something in the cluster was meant: most likely a slip of the pen, which a run would otherwise
//! answer as any site outside the mesh does.

use std::collections::BTreeSet;

use super::build::Builder;
use crate::config::scenario::{LoadSource, Scenario, StepSpec};
use crate::diagnostic::nearest;
use crate::units::Origin;

impl Builder<'_> {
    /// Names them, each once, with the place of the first call.
    pub(super) fn note_unknown_hosts(&mut self, scenario: &Scenario) {
        let mut told = BTreeSet::new();
        for (host, caller, origin) in self.called(scenario) {
            let namespace = caller.split('/').next().unwrap_or_default();
            let is_outside = self.externals.contains_key(&*host);
            let is_known = self.resolver.service(&host, namespace).is_some();
            if !is_outside || is_known || !self.means_the_cluster(&host) {
                continue;
            }
            if !told.insert(host.clone()) {
                continue;
            }
            let place = self.snapshot.origins.written(origin);
            let place = place.map_or_else(String::new, |place| format!("{place}: "));
            let near = self.nearest_service(&host, namespace);
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            self.warnings.push(format!(
                "{place}no Service is called `{host}`: it is simulated as a host outside the mesh that answers, while a cluster would find no address for it{near}"
            ));
        }
    }

    /// Hosts that loads and applications call, with who calls and where that is written.
    fn called(&self, scenario: &Scenario) -> Vec<(String, String, Origin)> {
        let loads = scenario.load.iter().filter_map(|load| match &load.from {
            LoadSource::Workload { name, .. } => {
                Some((load.url.host.to_string(), name.to_string(), load.origin))
            }
            LoadSource::Outside { .. } => None,
        });
        let workloads = self.model.workloads.iter();
        let calls = workloads.flat_map(|(name, behaviour)| {
            let calls = behaviour.calls.iter().flat_map(StepSpec::calls);
            calls.map(move |call| (call.url.host.to_string(), name.to_string(), call.origin))
        });
        loads.chain(calls).collect()
    }

    /// A name without a dot, of a namespace that is there, or of the cluster's own domain.
    fn means_the_cluster(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        let Some((_, rest)) = host.split_once('.') else {
            return host != "localhost";
        };
        let second = rest.split('.').next().unwrap_or_default();
        let mut services = self.snapshot.services.iter();
        let mut workloads = self.snapshot.workloads.iter();
        rest.split('.').any(|label| label == "svc")
            || (rest == second
                && (services.any(|s| *s.namespace == *second)
                    || workloads.any(|w| *w.namespace == *second)))
    }

    /// The name of a Service that is meant, as short as the one that was written.
    fn nearest_service(&self, host: &str, namespace: &str) -> Option<String> {
        let dots = host.matches('.').count();
        let services = self.snapshot.services.iter();
        let names = services.filter_map(|service| {
            let short = dots == 0 && *service.namespace != *namespace;
            let labels: Vec<&str> = service.host.split('.').take(dots + 1).collect();
            (!short).then(|| labels.join("."))
        });
        let names: Vec<String> = names.collect();
        nearest(host, names.iter().map(String::as_str)).map(str::to_owned)
    }
}
