//! Where a cluster's requests can go: its endpoints as pods of the run.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::build::Builder;
use super::plan::{Inbound, NIL, RbacCounts};
use super::resolve::RequestClass;
use crate::data_plane::authorization::{Peer, check, sni_of};
use crate::units::{Fraction, Origin};
use crate::xds::cluster::{ClusterKind, CommonLb, PoolSettings, Thresholds, Upstream as Protocol};
use crate::xds::endpoint::LocalityPolicy;
use crate::xds::listener::MtlsMode;
use crate::xds::snapshot::{Protocol as PortProtocol, Service};
use crate::xds::{Cluster, Endpoint, Health, LbPolicy, Locality, Name, ProxyKind, Tls, WorkloadId};

/// A host of an upstream before the client's locality is known.
#[derive(Clone, Debug)]
pub(super) struct HostRef {
    pub(super) pod: u32,
    pub(super) port: u16,
    pub(super) connect: ConnectKind,
}

/// What decides how connecting goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectKind {
    pub(super) mtls: bool,
    pub(super) tls: bool,
    pub(super) address: Address,
}

/// What is behind an address, before any application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// Whatever the pod does.
    Pod,
    /// Connections are refused at once: the host is there and the port is not, or kube-proxy
    /// rejects what goes to a Service port without endpoints.
    Refuses,
    /// Nobody answers: a port that the Service does not have, for which kube-proxy (in iptables
    /// mode, its default) has no rule. In nftables mode it refuses.
    Silent,
}

/// A cluster with its endpoints turned into pods of the run.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    pub(super) name: Name,
    pub(super) cluster: Cluster,
    pub(super) hosts: Vec<HostRef>,
    pub(super) synthetic: bool,
    /// Endpoints depend on the host that was called.
    pub(super) by_host: bool,
}

impl Upstream {
    /// A cluster of the tables.
    pub(super) fn of_cluster(builder: &mut Builder<'_>, cluster: &Cluster) -> Self {
        let hosts = cluster
            .endpoints
            .iter()
            .map(|e| host_ref(builder, e, &cluster.tls))
            .collect();
        let mut cluster = cluster.clone();
        if cluster.lb == LbPolicy::ClusterProvided {
            // The application resolved the name and chose one of the addresses.
            cluster.lb = LbPolicy::Random;
        }
        Self {
            name: cluster.name.clone(),
            cluster,
            hosts,
            synthetic: false,
            by_host: false,
        }
    }

    /// The address the client itself chose: kube-proxy's choice for a Service, else a place outside the manifests.
    pub(super) fn passthrough(builder: &mut Builder<'_>, app: u32, class: &RequestClass) -> Self {
        let mut upstream = Self::of_service(builder, app, class);
        upstream.name = "PassthroughCluster".into();
        upstream.cluster.name = upstream.name.clone();
        upstream.synthetic = false;
        upstream.by_host = true;
        upstream
    }

    /// The same endpoints under another cluster's name and policies.
    pub(super) fn renamed(mut self, cluster: &Cluster) -> Self {
        let endpoints = self.cluster.endpoints.clone();
        self.name = cluster.name.clone();
        self.cluster = Cluster {
            endpoints,
            lb: LbPolicy::Random,
            kind: ClusterKind::OriginalDst,
            ..cluster.clone()
        };
        self
    }

    /// What Kubernetes alone routes a host and port to.
    pub(super) fn of_service(builder: &mut Builder<'_>, app: u32, class: &RequestClass) -> Self {
        let snapshot = builder.snapshot;
        let namespace = snapshot
            .workloads
            .get(WorkloadId::new(app as usize))
            .map_or_else(|| Name::from("default"), |w| w.namespace.clone());
        let service = builder
            .resolver
            .service(&class.url.host, &namespace)
            .map(|id| &snapshot.services[id]);
        let port = service.and_then(|s| s.ports.iter().find(|p| p.port == class.url.port));
        let (endpoints, address): (Vec<Endpoint>, Address) = match (service, port) {
            (_, Some(port)) if !port.endpoints.is_empty() => (port.endpoints.clone(), Address::Pod),
            (Some(service), port) if !service.external => {
                unmapped(service, class.url.port, port.is_some())
            }
            _ => {
                let outside = outside_endpoint(&class.url.host, class.url.port);
                (vec![outside], Address::Pod)
            }
        };
        let https = &*class.url.scheme == "https";
        let tls = if https {
            Tls::Simple {
                sni: class.url.host.clone(),
                mutual: false,
            }
        } else {
            Tls::Disable
        };
        let hosts = (endpoints.iter())
            .map(|e| {
                let mut host = host_ref(builder, e, &tls);
                host.connect.address = address;
                if address != Address::Pod && e.pod.is_none() {
                    // Nothing is there whose behaviour could be assumed.
                    let app = builder.pods[host.pod as usize].app;
                    builder.apps[app as usize].is_assumed = false;
                }
                host
            })
            .collect();
        let name: Name = format!("kubernetes|{}|{}", class.url.port, class.url.host).into();
        let cluster = Cluster {
            name: name.clone(),
            host: class.url.host.clone(),
            port: class.url.port,
            subset: "".into(),
            kind: ClusterKind::OriginalDst,
            protocol: PortProtocol::Tcp,
            upstream: if &*class.url.scheme == "grpc" {
                Protocol::Http2
            } else {
                Protocol::Http1
            },
            endpoints: endpoints.into(),
            locality: LocalityPolicy::default(),
            lb: LbPolicy::Random,
            warmup: None,
            breakers: Thresholds::default(),
            pool: PoolSettings::default(),
            outlier: None,
            panic_threshold: Fraction::ZERO,
            common_lb: CommonLb::default(),
            health_checks: Vec::new(),
            tls,
            origin: Origin::BUILT_IN,
            policy_origin: Origin::BUILT_IN,
        };
        Self {
            name,
            cluster,
            hosts,
            synthetic: true,
            by_host: false,
        }
    }

    /// True when the proxies speak HTTP/2 to it.
    pub(super) fn is_http2(&self) -> bool {
        self.cluster.upstream == Protocol::Http2
    }

    /// What the server's sidecar does with such a request from a client at that address.
    pub(super) fn inbound(
        &self,
        builder: &Builder<'_>,
        (client, address): (u32, &Name),
        server: u32,
        host: &HostRef,
        class: &RequestClass,
    ) -> (Inbound, RbacCounts) {
        let workloads = &builder.snapshot.workloads;
        let server = workloads
            .get(WorkloadId::new(server as usize))
            .filter(|w| w.proxy == ProxyKind::Sidecar);
        let Some(inbound) = server.and_then(|w| w.inbound.iter().find(|i| i.port == host.port))
        else {
            let inbound = match server {
                Some(_) => Inbound::Forward(NIL),
                None => Inbound::Direct,
            };
            return (inbound, RbacCounts::default());
        };
        let client = workloads
            .get(WorkloadId::new(client as usize))
            .filter(|w| w.proxy != ProxyKind::None);
        let mtls = client.is_some() && host.connect.mtls;
        if !mtls && inbound.mtls == MtlsMode::Strict {
            return (Inbound::NoFilterChain, RbacCounts::default());
        }
        let peer = match client.filter(|_| mtls) {
            Some(w) => Peer {
                principal: Some(
                    format!("cluster.local/ns/{}/sa/{}", w.namespace, w.service_account).into(),
                ),
                namespace: Some(w.namespace.clone()),
                ip: Some(address.clone()),
                sni: sni_of(&self.name),
            },
            None => Peer {
                ip: Some(address.clone()),
                ..Peer::default()
            },
        };
        let rules = &inbound.authorization;
        let decision = check(rules, &peer, &class.view(), host.port);
        (Inbound::Forward(NIL), RbacCounts::of(rules, &decision))
    }
}

/// Where a connection to a port of a Service goes for which the Service has no endpoints.
fn unmapped(service: &Service, port: u16, is_known: bool) -> (Vec<Endpoint>, Address) {
    if let Some(ip) = service.addresses.first() {
        let address = if is_known {
            Address::Refuses
        } else {
            Address::Silent
        };
        return (vec![outside_endpoint(ip, port)], address);
    }
    // Headless: the name is the pods themselves, whatever port is called.
    let pods = service.ports.iter().flat_map(|p| &p.endpoints);
    let open: Vec<Endpoint> = (pods.clone().filter(|e| e.port == port)).cloned().collect();
    if !open.is_empty() {
        return (open, Address::Pod);
    }
    let mut closed: Vec<Endpoint> = Vec::new();
    for endpoint in pods {
        if closed.iter().all(|e| e.address != endpoint.address) {
            closed.push(Endpoint {
                port,
                ..endpoint.clone()
            });
        }
    }
    (closed, Address::Refuses)
}

/// An address that no manifest speaks of.
fn outside_endpoint(host: &Name, port: u16) -> Endpoint {
    Endpoint {
        address: host.clone(),
        port,
        pod: None,
        weight: 1,
        health: Health::Healthy,
        locality: Locality::default(),
        mtls: false,
        labels: Arc::new(BTreeMap::new()),
    }
}

/// The pod behind an endpoint, and what its TLS will be.
fn host_ref(builder: &mut Builder<'_>, endpoint: &Endpoint, tls: &Tls) -> HostRef {
    let pod = if let Some(pod) = endpoint.pod {
        pod.index() as u32
    } else {
        let app = builder.external(&endpoint.address);
        builder.apps[app as usize].pods[0]
    };
    let mtls = match tls {
        Tls::Auto => endpoint.mtls,
        Tls::IstioMutual => true,
        Tls::Disable | Tls::Simple { .. } => false,
    };
    HostRef {
        pod,
        port: endpoint.port,
        connect: ConnectKind {
            mtls,
            tls: matches!(tls, Tls::Simple { .. }),
            address: Address::Pod,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xds::snapshot::ServicePort;

    /// A Service with a port 80 whose pods listen on 8080, and a port 90 without pods.
    fn service(ip: &[&str]) -> Service {
        let port = |port: u16, endpoints: Vec<Endpoint>| ServicePort {
            port,
            name: "http".into(),
            protocol: PortProtocol::Http,
            endpoints,
        };
        Service {
            host: "web.shop.svc.cluster.local".into(),
            namespace: "shop".into(),
            addresses: ip.iter().map(|ip| Name::from(*ip)).collect(),
            headless: ip.is_empty(),
            alias_of: None,
            external: false,
            ports: vec![
                port(80, vec![outside_endpoint(&"10.0.0.1".into(), 8080)]),
                port(90, Vec::new()),
            ],
            origin: Origin::BUILT_IN,
        }
    }

    fn check(ip: &[&str], port: u16, expected: &[&str], address: Address) {
        let service = service(ip);
        let known = service.ports.iter().any(|p| p.port == port);
        let (endpoints, what) = unmapped(&service, port, known);
        let keys: Vec<String> = endpoints.iter().map(Endpoint::key).collect();
        assert_eq!(
            (&*keys, what),
            (
                &*expected.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>(),
                address
            )
        );
    }

    #[test]
    fn a_port_a_service_does_not_have_is_silent_and_one_without_pods_refuses() {
        check(&["10.9.9.9"], 81, &["10.9.9.9:81"], Address::Silent);
        check(&["10.9.9.9"], 90, &["10.9.9.9:90"], Address::Refuses);
    }

    #[test]
    fn a_headless_service_is_its_pods_whatever_port_is_called() {
        check(&[], 8080, &["10.0.0.1:8080"], Address::Pod);
        check(&[], 81, &["10.0.0.1:81"], Address::Refuses);
    }
}
