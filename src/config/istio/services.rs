//! ServiceEntry, WorkloadEntry, Sidecar and Gateway as written.

use std::collections::BTreeMap;

use super::mesh::OutboundMode;
use super::policy::ConnectionPool;
use crate::config::Meta;
use crate::units::Origin;
use crate::xds::Name;

/// `ServiceEntry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEntry {
    /// Metadata.
    pub meta: Meta,
    /// Hosts, taken literally.
    pub hosts: Vec<Name>,
    /// Addresses (IPs or CIDRs).
    pub addresses: Vec<Name>,
    /// Ports.
    pub ports: Vec<PortSpec>,
    /// `location: MESH_INTERNAL`.
    pub mesh_internal: bool,
    /// How endpoints are found.
    pub resolution: Resolution,
    /// Written endpoints.
    pub endpoints: Vec<EndpointSpec>,
    /// `workloadSelector.labels`.
    pub workload_selector: Option<BTreeMap<Name, Name>>,
    /// As written; empty means the mesh default.
    pub export_to: Vec<Name>,
    /// `status.addresses` lists some: istiod allocated them.
    pub has_allocated: bool,
}

/// A port of a ServiceEntry, Gateway server or Sidecar listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortSpec {
    /// Number; 0 when not written.
    pub number: u16,
    /// `protocol` text as written.
    pub protocol: Name,
    /// Name.
    pub name: Name,
    /// `targetPort`; 0 when not written.
    pub target_port: u16,
    /// Where it was written.
    pub origin: Origin,
}

/// `resolution`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolution {
    /// Original destination.
    #[default]
    None,
    /// Endpoints are addresses.
    Static,
    /// Endpoints are names.
    Dns,
    /// One name, newest address.
    DnsRoundRobin,
    /// Wildcard hosts through DNS.
    DynamicDns,
}

/// An endpoint of a ServiceEntry, or the spec of a WorkloadEntry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSpec {
    /// IP or name.
    pub address: Name,
    /// Port by port name.
    pub ports: BTreeMap<Name, u16>,
    /// Labels.
    pub labels: BTreeMap<Name, Name>,
    /// `network`.
    pub network: Name,
    /// `locality`.
    pub locality: Name,
    /// `weight`; 0 counts as 1.
    pub weight: u32,
    /// `serviceAccount`.
    pub service_account: Name,
    /// Where it was written.
    pub origin: Origin,
}

/// `WorkloadEntry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadEntry {
    /// Metadata (labels win over the spec's).
    pub meta: Meta,
    /// Spec.
    pub endpoint: EndpointSpec,
}

/// `Sidecar`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecar {
    /// Metadata.
    pub meta: Meta,
    /// `workloadSelector.labels`.
    pub workload_selector: Option<BTreeMap<Name, Name>>,
    /// `egress`.
    pub egress: Vec<EgressListener>,
    /// `ingress`.
    pub ingress: Vec<IngressListener>,
    /// `outboundTrafficPolicy`; `Some` when the block is present (without mode: REGISTRY_ONLY).
    pub outbound: Option<OutboundMode>,
    /// `inboundConnectionPool`.
    pub inbound_connection_pool: Option<ConnectionPool>,
}

/// One `egress` entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressListener {
    /// Restricts to services with this port.
    pub port: Option<PortSpec>,
    /// `ns/dnsName`.
    pub hosts: Vec<Name>,
    /// Where it was written.
    pub origin: Origin,
}

/// One `ingress` entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngressListener {
    /// Port.
    pub port: PortSpec,
    /// `defaultEndpoint`.
    pub default_endpoint: Name,
    /// `connectionPool`.
    pub connection_pool: Option<ConnectionPool>,
    /// Where it was written.
    pub origin: Origin,
}

/// `Gateway` (Istio's kind).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Metadata.
    pub meta: Meta,
    /// Labels of the gateway pods; empty selects every gateway.
    pub selector: BTreeMap<Name, Name>,
    /// Servers.
    pub servers: Vec<Server>,
}

/// One server of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Port.
    pub port: PortSpec,
    /// `dns`, `ns/dns`, `./dns`, `*/dns`.
    pub hosts: Vec<Name>,
    /// `bind`.
    pub bind: Name,
    /// TLS settings.
    pub tls: Option<ServerTls>,
    /// Where it was written.
    pub origin: Origin,
}

/// `tls` of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerTls {
    /// `httpsRedirect`.
    pub https_redirect: bool,
    /// Mode text: `PASSTHROUGH` (default), `SIMPLE`, `MUTUAL`, `AUTO_PASSTHROUGH`, `ISTIO_MUTUAL`, `OPTIONAL_MUTUAL`.
    pub mode: Name,
    /// `credentialName`, possibly empty.
    pub credential_name: Name,
    /// `serverCertificate` and `privateKey`, each possibly empty.
    pub files: (Name, Name),
}
