//! Domains of a service's virtual host (`pilot/pkg/networking/core/httproute.go`, generateVirtualHostDomains).

use std::net::IpAddr;

use crate::config::MeshConfig;
use crate::xds::Name;

/// Names under which a service can be called, made once per service and shared by all classes.
#[derive(Clone, Debug)]
pub(super) struct Domains {
    /// The host itself, from 1.27 on also with a final dot.
    pub(super) full: Vec<Name>,
    /// `reviews`: only proxies of the same namespace have it.
    pub(super) short: Option<Name>,
    /// `reviews.default.svc`, `reviews.default`.
    alternates: [Option<Name>; 2],
    /// Namespace in the host name.
    namespace: Name,
}

impl Domains {
    /// Names of a lower-case host.
    pub(super) fn new(host: &Name, config: &MeshConfig) -> Self {
        let mut full = vec![host.clone()];
        if config.version.at_least(27) && host.parse::<IpAddr>().is_err() {
            full.push(format!("{host}.").into());
        }
        // Only the first label is the name, so a longer host of a ServiceEntry is never short.
        let kube = host
            .strip_suffix(&format!(".svc.{}", config.mesh.domain))
            .and_then(|rest| rest.split_once('.'));
        let Some((name, namespace)) = kube else {
            return Self {
                full,
                short: None,
                alternates: [None, None],
                namespace: "".into(),
            };
        };
        Self {
            full,
            short: Some(name.into()),
            alternates: [
                Some(format!("{name}.{namespace}.svc").into()),
                Some(format!("{name}.{namespace}").into()),
            ],
            namespace: namespace.into(),
        }
    }

    /// Everything but the host itself, as a proxy of `namespace` may call it, in istiod's order.
    pub(super) fn alternates_for(&self, namespace: &str) -> impl Iterator<Item = &Name> {
        let own = *self.namespace == *namespace;
        let [svc, plain] = &self.alternates;
        let (first, second) = if own { (svc, plain) } else { (plain, svc) };
        (self.short.iter().filter(move |_| own)).chain(first.iter().chain(second))
    }
}
