//! What the matched route asks for, and what the tables say about the cluster it chose.

use super::narrate::Teller;
use crate::xds::route::{Forward, Redirect, Rewrite};
use crate::xds::{Action, Cluster, LbPolicy};

impl Teller<'_> {
    /// Where the request enters the mesh, when that is not the caller's own sidecar.
    pub(super) fn entrance(&self) -> Option<String> {
        let gateway = self.story.from.strip_prefix("outside via ")?;
        Some(format!(
            "the request comes from outside and enters at the gateway `{gateway}`"
        ))
    }

    /// One sentence for each thing the matched route asks for.
    pub(super) fn settings(&self) -> Vec<String> {
        match self.matched().map(|route| &route.action) {
            Some(Action::Forward(forward)) => self.forwarding(forward),
            Some(Action::Redirect(redirect)) => vec![redirected(redirect)],
            Some(Action::Direct(direct)) => vec![format!(
                "the proxy answers itself with {}: nothing is sent to a pod",
                direct.status
            )],
            Some(Action::Unusable) => vec!["the route has no usable action".to_owned()],
            None => Vec::new(),
        }
    }

    fn forwarding(&self, forward: &Forward) -> Vec<String> {
        let mut said = Vec::new();
        let path = &self.story.request.path;
        match &forward.rewrite {
            Some(Rewrite::Prefix(to)) => said.push(format!(
                "its rewrite replaces the matched path by `{to}`: the upstream sees `{path}`"
            )),
            Some(Rewrite::Regex { .. }) => {
                said.push(format!("its rewrite makes the path `{path}`"));
            }
            None => {}
        }
        if let Some(authority) = &forward.authority {
            said.push(format!("the Host header becomes `{authority}`"));
        }
        if let [only] = forward.clusters.as_slice() {
            let to = match &*only.name {
                "PassthroughCluster" => {
                    "the host is not in the registry: it is passed through to the address that was \
                     asked for (`PassthroughCluster`, outboundTrafficPolicy ALLOW_ANY)"
                        .to_owned()
                }
                "BlackHoleCluster" => {
                    "the host is not in the registry and is blocked (`BlackHoleCluster`, \
                     outboundTrafficPolicy REGISTRY_ONLY)"
                        .to_owned()
                }
                name => format!("it goes to `{name}`{}", self.at(only.origin)),
            };
            said.push(to);
        }
        if let Some(timeout) = forward.timeout.filter(|t| !t.is_zero()) {
            said.push(format!(
                "its timeout is {timeout}, all tries together{}",
                self.at(forward.timeout_origin)
            ));
        }
        said.extend(self.retries(forward));
        for mirror in &forward.mirrors {
            said.push(format!(
                "{} of the requests are copied to `{}`{}",
                mirror.fraction,
                mirror.cluster,
                self.at(mirror.origin)
            ));
        }
        said
    }

    fn retries(&self, forward: &Forward) -> Option<String> {
        let retry = forward.retry.as_ref()?;
        let per_try = retry
            .per_try_timeout
            .map_or_else(String::new, |t| format!(", {t} per try"));
        let many = if retry.retries == 1 {
            "retry"
        } else {
            "retries"
        };
        Some(if retry.origin.is_built_in() {
            format!(
                "no retries are written, so Istio's default holds: {} {many} on {}{per_try}",
                retry.retries, retry.on_text
            )
        } else {
            format!(
                "it allows {} {many} on {}{per_try}{}",
                retry.retries,
                retry.on_text,
                self.at(retry.origin)
            )
        })
    }

    /// The cluster the request was sent to, as the caller's tables have it.
    pub(super) fn cluster(&self) -> Option<&Cluster> {
        let tables = self.snapshot.workloads.get(self.story.caller?)?.tables?;
        let ids = &self.snapshot.tables[tables].clusters;
        let mut all = ids.iter().map(|id| &self.snapshot.clusters[*id]);
        all.find(|c| *c.name == *self.story.request.cluster)
    }

    /// Where the balancing policy comes from: a DestinationRule, or Istio's default.
    pub(super) fn policy_written(&self) -> String {
        let Some(cluster) = self.cluster() else {
            return String::new();
        };
        match cluster.lb {
            // The same whether a DestinationRule writes it or says nothing of balancing.
            LbPolicy::LeastRequest { .. } if cluster.policy_origin.is_built_in() => {
                " (Istio's default)".to_owned()
            }
            LbPolicy::LeastRequest { .. } => String::new(),
            _ => self.at(cluster.policy_origin),
        }
    }

    /// Why the balancer has nobody.
    pub(super) fn no_host(&self) -> String {
        match self.cluster() {
            Some(cluster) if cluster.name.starts_with("Passthrough") => {
                "nothing is known to listen at the address that was asked for".to_owned()
            }
            Some(cluster) if cluster.endpoints.is_empty() => {
                let by = if cluster.origin.is_built_in() {
                    String::new()
                } else {
                    format!(" of {}", self.snapshot.origins.describe(cluster.origin))
                };
                let subset = match &*cluster.subset {
                    "" => String::new(),
                    subset => format!(" and the labels of subset `{subset}`"),
                };
                format!(
                    "`{}` has no endpoint: no ready pod fits the selector{by}{subset}",
                    cluster.name
                )
            }
            _ => "the load balancer has no healthy host".to_owned(),
        }
    }
}

/// `the proxy answers with a redirect (308) to https://www.example.com/new`.
fn redirected(redirect: &Redirect) -> String {
    let mut changes = Vec::new();
    if let Some(scheme) = &redirect.scheme {
        changes.push(format!("scheme `{scheme}`"));
    }
    if let Some(authority) = &redirect.authority {
        changes.push(format!("host `{authority}`"));
    }
    if let Some(port) = redirect.port {
        changes.push(format!("port {port}"));
    }
    if let Some(path) = &redirect.path {
        changes.push(format!("path `{path}`"));
    }
    if let Some(prefix) = &redirect.prefix_rewrite {
        changes.push(format!("`{prefix}` instead of the matched prefix"));
    }
    let to = if changes.is_empty() {
        String::new()
    } else {
        format!(" to {}", changes.join(", "))
    };
    format!(
        "the proxy answers with a redirect ({}){to}",
        redirect.status
    )
}
