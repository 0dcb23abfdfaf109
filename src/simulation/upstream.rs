//! Where a cluster's requests can go: its endpoints as pods of the run.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::build::Builder;
use super::plan::{Inbound, NIL};
use super::resolve::RequestClass;
use crate::data_plane::authorization::{Decision, Peer, check, sni_of};
use crate::units::{Fraction, Origin};
use crate::xds::cluster::{ClusterKind, CommonLb, PoolSettings, Thresholds, Upstream as Protocol};
use crate::xds::endpoint::LocalityPolicy;
use crate::xds::listener::MtlsMode;
use crate::xds::snapshot::Protocol as PortProtocol;
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
        let endpoints: Vec<Endpoint> = match (service, port) {
            (_, Some(port)) if !port.endpoints.is_empty() => port.endpoints.clone(),
            (Some(service), _) if !service.external => Vec::new(),
            _ => vec![outside_endpoint(&class.url.host, class.url.port)],
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
        let hosts = endpoints
            .iter()
            .map(|e| host_ref(builder, e, &tls))
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
    ) -> Inbound {
        let workloads = &builder.snapshot.workloads;
        let server = workloads
            .get(WorkloadId::new(server as usize))
            .filter(|w| w.proxy == ProxyKind::Sidecar);
        let Some(inbound) = server.and_then(|w| w.inbound.iter().find(|i| i.port == host.port))
        else {
            return match server {
                Some(_) => Inbound::Forward(NIL),
                None => Inbound::Direct,
            };
        };
        let client = workloads
            .get(WorkloadId::new(client as usize))
            .filter(|w| w.proxy != ProxyKind::None);
        let mtls = client.is_some() && host.connect.mtls;
        if !mtls && inbound.mtls == MtlsMode::Strict {
            return Inbound::NoFilterChain;
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
        match check(&inbound.authorization, &peer, &class.view(), host.port) {
            Decision::Denied { .. } => Inbound::Denied,
            Decision::Allowed => Inbound::Forward(NIL),
        }
    }
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
        },
    }
}
