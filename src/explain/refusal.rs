//! Why a server's sidecar refused a request.
//!
//! The caller's proxy sees an ordinary 403 (`via_upstream`, no flag), so the policies are asked
//! once more, with the peer as mutual TLS would show it.

use super::narrate::Teller;
use crate::data_plane::authorization::{Decision, Peer, check, sni_of};
use crate::xds::listener::{Inbound, Policy};
use crate::xds::{Endpoint, ProxyKind, Workload};

impl Teller<'_> {
    /// A sentence for a 403 that AuthorizationPolicies explain; nothing for one of the application.
    pub(super) fn refused(&self) -> Option<String> {
        let request = &self.story.request;
        if request.status != 403 || request.flags != "-" {
            return None;
        }
        let class = self.story.class.as_ref()?;
        let server = self.server()?;
        let inbound = self.inbound(server)?;
        let peer = self.peer();
        let Decision::Denied { policy } =
            check(&inbound.authorization, &peer, &class.view(), inbound.port)
        else {
            return None;
        };
        let rules = &inbound.authorization;
        let why = if let Some(name) = policy {
            format!("DENY by {}", self.policy(&rules.deny, &name))
        } else {
            let all = rules.allow.iter();
            let all: Vec<String> = all.map(|p| self.policy(&rules.allow, &p.name)).collect();
            format!("no ALLOW rule matches in {}", all.join(", "))
        };
        Some(format!(
            "the sidecar of {} refuses the request (RBAC): {why}",
            request.pod
        ))
    }

    fn server(&self) -> Option<&Workload> {
        let mut all = self.snapshot.workloads.iter();
        all.find(|w| w.full_name() == self.story.request.workload)
    }

    /// The listener that took the request: that of the port behind the picked endpoint.
    fn inbound<'w>(&self, server: &'w Workload) -> Option<&'w Inbound> {
        let pods = &self.snapshot.pods;
        let picked = |e: &&Endpoint| {
            let pod = e.pod.and_then(|id| pods.get(id));
            pod.is_some_and(|pod| *pod.name == *self.story.request.pod)
        };
        let endpoint = self.cluster()?.endpoints.iter().find(picked)?;
        server.inbound.iter().find(|i| i.port == endpoint.port)
    }

    fn peer(&self) -> Peer {
        let workloads = &self.snapshot.workloads;
        let caller = self.story.caller.and_then(|id| workloads.get(id));
        let caller = caller.filter(|w| w.proxy != ProxyKind::None);
        Peer {
            principal: caller.map(|w| {
                format!("cluster.local/ns/{}/sa/{}", w.namespace, w.service_account).into()
            }),
            namespace: caller.map(|w| w.namespace.clone()),
            // The story is that of a request of the first pod.
            ip: caller.and_then(|w| Some(self.snapshot.pods[*w.pods.first()?].ip.clone())),
            sni: self.cluster().and_then(|cluster| sni_of(&cluster.name)),
        }
    }

    fn policy(&self, policies: &[Policy], name: &str) -> String {
        let found = policies.iter().find(|p| *p.name == *name);
        found.map_or_else(
            || name.to_owned(),
            |p| self.snapshot.origins.describe(p.origin),
        )
    }
}
