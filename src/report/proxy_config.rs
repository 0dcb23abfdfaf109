//! What `istioctl proxy-config` prints: listeners, routes, clusters and endpoints of one workload.
//!
//! Tables have istioctl's columns and nothing else, so that outputs can be compared side by
//! side; the JSON form says more, origins included.

use std::fmt::Write as _;

use serde_json::Value;

use crate::units::Origin;
use crate::xds::dump::{self, words};
use crate::xds::listener::ChainKind;
use crate::xds::{
    Action, Cluster, Endpoint, Inbound, Listener, Name, ProxyKind, ProxyTables, Route, Snapshot,
    WorkloadId,
};

const PASSTHROUGH: &str = "PassthroughCluster";
const INBOUND_PASSTHROUGH: &str = "InboundPassthroughCluster";

/// Narrows what is printed; an empty filter prints everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Listener or service port.
    pub port: Option<u16>,
    /// Name of a route configuration, or exact name of a cluster.
    pub name: Option<String>,
    /// FQDN of a service.
    pub fqdn: Option<String>,
    /// Subset.
    pub subset: Option<String>,
    /// `inbound` or `outbound`.
    pub direction: Option<String>,
    /// Address of an endpoint or listener.
    pub address: Option<String>,
}

impl Filter {
    fn port(&self, port: u16) -> bool {
        self.port.is_none_or(|p| p == port)
    }

    fn text(wanted: Option<&String>, text: &str) -> bool {
        wanted.is_none_or(|w| w == text)
    }

    fn cluster(&self, cluster: &Cluster) -> bool {
        self.port(cluster.port)
            && Self::text(self.name.as_ref(), &cluster.name)
            && Self::text(self.fqdn.as_ref(), &cluster.host)
            && Self::text(self.subset.as_ref(), &cluster.subset)
            && Self::text(self.direction.as_ref(), direction(cluster))
    }
}

/// `ADDRESSES PORT MATCH DESTINATION`, a row per filter chain.
pub fn listeners(snapshot: &Snapshot, workload: WorkloadId, filter: &Filter) -> String {
    let mut table = Columns::new(&["ADDRESSES", "PORT", "MATCH", "DESTINATION"]);
    let all = tables(snapshot, workload)
        .into_iter()
        .flat_map(|t| &t.listeners);
    let mut all: Vec<&Listener> = all.collect();
    all.sort_by_key(|l| (l.port, &l.address));
    for listener in all {
        if !filter.port(listener.port) || !Filter::text(filter.address.as_ref(), &listener.address)
        {
            continue;
        }
        for chain in &listener.chains {
            let to = match &chain.kind {
                ChainKind::Http(id) | ChainKind::HttpsTerminate(id) => {
                    format!("Route: {}", snapshot.route_configs[*id].name)
                }
                ChainKind::Tcp(clusters) => destination(clusters.iter().map(|(n, w)| (n, *w))),
            };
            table.row([
                listener.address.to_string(),
                listener.port.to_string(),
                words::chain_match(&chain.matches),
                to,
            ]);
        }
    }
    if filter.port.is_none_or(|p| p == 15006) {
        for inbound in inbound(snapshot, workload) {
            table.row([
                "0.0.0.0".to_owned(),
                "15006".to_owned(),
                format!("Addr: *:{}", inbound.port),
                destination(std::iter::once((&inbound.cluster.name, 1))),
            ]);
        }
    }
    table.render()
}

/// Listeners as JSON.
pub fn listeners_json(snapshot: &Snapshot, workload: WorkloadId, filter: &Filter) -> Value {
    let all = tables(snapshot, workload)
        .into_iter()
        .flat_map(|t| &t.listeners);
    let wanted =
        all.filter(|l| filter.port(l.port) && Filter::text(filter.address.as_ref(), &l.address));
    wanted.map(|l| dump::listener(snapshot, l)).collect()
}

/// `NAME VHOST NAME DOMAINS MATCH VIRTUAL SERVICE`, a row per route.
pub fn routes(snapshot: &Snapshot, workload: WorkloadId, filter: &Filter) -> String {
    let mut table = Columns::new(&["NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE"]);
    for id in tables(snapshot, workload)
        .into_iter()
        .flat_map(|t| &t.routes)
    {
        let config = &snapshot.route_configs[*id];
        if !Filter::text(filter.name.as_ref(), &config.name) {
            continue;
        }
        for host in &config.virtual_hosts {
            // istioctl leaves out where unknown hosts are passed on to.
            for route in host.routes.iter().filter(|r| !is_passthrough(r)) {
                table.row([
                    config.name.to_string(),
                    host.name.to_string(),
                    domains(&host.domains),
                    words::route_match(&route.matches),
                    virtual_service(snapshot, host.origin, route),
                ]);
            }
            if host.routes.is_empty() {
                let cells = [
                    &*config.name,
                    &host.name,
                    &domains(&host.domains),
                    "/*",
                    "404",
                ];
                table.row(cells.map(str::to_owned));
            }
        }
    }
    table.render()
}

/// Route configurations as JSON.
pub fn routes_json(snapshot: &Snapshot, workload: WorkloadId, filter: &Filter) -> Value {
    let all = tables(snapshot, workload)
        .into_iter()
        .flat_map(|t| &t.routes);
    let configs = all.map(|id| &snapshot.route_configs[*id]);
    let wanted = configs.filter(|c| Filter::text(filter.name.as_ref(), &c.name));
    wanted.map(|c| dump::route_config(snapshot, c)).collect()
}

/// `SERVICE FQDN PORT SUBSET DIRECTION TYPE DESTINATION RULE`, a row per cluster.
pub fn clusters(snapshot: &Snapshot, workload: WorkloadId, filter: &Filter) -> String {
    let columns = [
        "SERVICE FQDN",
        "PORT",
        "SUBSET",
        "DIRECTION",
        "TYPE",
        "DESTINATION RULE",
    ];
    let mut table = Columns::new(&columns);
    let or_dash = |text: &str| if text.is_empty() { "-" } else { text }.to_owned();
    let row = |cluster: &Cluster| {
        let special = direction(cluster) == "-";
        let (name, port) = if special {
            (&cluster.name, "-".to_owned())
        } else {
            (&cluster.host, cluster.port.to_string())
        };
        let cells = [
            name.to_string(),
            port,
            or_dash(&cluster.subset),
            direction(cluster).to_owned(),
            words::cluster_kind(cluster.kind).to_owned(),
            object(snapshot, cluster.policy_origin, "DestinationRule"),
        ];
        // As istioctl sorts: the default clusters of a service before its subsets.
        ((name.clone(), cluster.subset.clone(), cluster.port), cells)
    };
    let wanted = all_clusters(snapshot, workload).filter(|c| filter.cluster(c));
    let mut rows: Vec<_> = wanted.map(row).collect();
    // Every sidecar has it; here it stands among the inbound ports that use it, if any does.
    let passes = snapshot.workloads[workload].proxy == ProxyKind::Sidecar;
    if passes && *filter == Filter::default() {
        let name: Name = INBOUND_PASSTHROUGH.into();
        rows.retain(|((known, ..), _)| *known != name);
        let cells = [INBOUND_PASSTHROUGH, "-", "-", "-", "ORIGINAL_DST", ""];
        rows.push(((name, "".into(), 0), cells.map(str::to_owned)));
    }
    rows.sort();
    for (_, cells) in rows {
        table.row(cells);
    }
    table.render()
}

/// Clusters as JSON.
pub fn clusters_json(snapshot: &Snapshot, workload: WorkloadId, filter: &Filter) -> Value {
    let wanted = all_clusters(snapshot, workload).filter(|c| filter.cluster(c));
    wanted.map(|c| dump::cluster(snapshot, c)).collect()
}

/// `ENDPOINT STATUS OUTLIER CHECK CLUSTER`, a row per endpoint and cluster.
pub fn endpoints(snapshot: &Snapshot, workload: WorkloadId, filter: &Filter) -> String {
    let mut table = Columns::new(&["ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER"]);
    let mut all: Vec<_> = all_endpoints(snapshot, workload, filter).collect();
    all.sort_by_key(|(c, e)| (&e.address, e.port, &c.name));
    for (cluster, endpoint) in all {
        // Nothing has been ejected in tables that never ran.
        table.row([
            endpoint.key(),
            words::health(endpoint.health).to_owned(),
            "OK".to_owned(),
            cluster.name.to_string(),
        ]);
    }
    table.render()
}

/// Endpoints as JSON, each with its cluster.
pub fn endpoints_json(snapshot: &Snapshot, workload: WorkloadId, filter: &Filter) -> Value {
    let entry = |(cluster, endpoint): (&Cluster, &Endpoint)| {
        let mut value = dump::endpoint(endpoint);
        value["cluster"] = Value::from(&*cluster.name);
        value
    };
    all_endpoints(snapshot, workload, filter)
        .map(entry)
        .collect()
}

fn tables(snapshot: &Snapshot, workload: WorkloadId) -> Option<&ProxyTables> {
    snapshot.workloads[workload]
        .tables
        .map(|t| &snapshot.tables[t])
}

fn inbound(snapshot: &Snapshot, workload: WorkloadId) -> impl Iterator<Item = &Inbound> {
    snapshot.workloads[workload].inbound.iter()
}

/// Outbound clusters in name order, then inbound ones by port; passthrough ones once.
fn all_clusters(snapshot: &Snapshot, workload: WorkloadId) -> impl Iterator<Item = &Cluster> {
    let outbound = tables(snapshot, workload)
        .into_iter()
        .flat_map(|t| &t.clusters);
    let of_ports = || inbound(snapshot, workload).map(|i| &i.cluster);
    let is_own = |c: &&Cluster| c.name.starts_with("inbound|");
    let rest = of_ports().find(|c| !is_own(c));
    (outbound.map(|id| &snapshot.clusters[*id]))
        .chain(of_ports().filter(is_own))
        .chain(rest)
}

fn all_endpoints<'a>(
    snapshot: &'a Snapshot,
    workload: WorkloadId,
    filter: &'a Filter,
) -> impl Iterator<Item = (&'a Cluster, &'a Endpoint)> {
    let wanted = all_clusters(snapshot, workload).filter(|c| filter.cluster(c));
    let pairs = wanted.flat_map(|c| c.endpoints.iter().map(move |e| (c, e)));
    pairs.filter(|(_, e)| Filter::text(filter.address.as_ref(), &e.address))
}

fn direction(cluster: &Cluster) -> &'static str {
    if cluster.name.starts_with("outbound|") {
        "outbound"
    } else if cluster.name.starts_with("inbound|") {
        "inbound"
    } else {
        "-"
    }
}

fn destination<'a>(clusters: impl Iterator<Item = (&'a Name, u32)>) -> String {
    let names: Vec<String> = clusters.map(|(n, _)| n.to_string()).collect();
    match names.as_slice() {
        // `PassthroughCluster` says what it is.
        [only] if only.contains("Cluster") => only.clone(),
        [only] => format!("Cluster: {only}"),
        many => format!("Clusters: {}", many.join(", ")),
    }
}

/// istioctl leaves out names that stand there in a shorter form, prints two and counts the rest.
fn domains(all: &[Name]) -> String {
    let is_shorter_there = |name: &&Name| {
        let shorter = [".svc.cluster.local", ".svc"];
        let mut shorter = shorter.iter().filter_map(|end| name.strip_suffix(end));
        shorter.any(|short| all.iter().any(|other| **other == *short))
    };
    let named: Vec<&str> = match all {
        [only] => vec![only],
        _ => (all.iter().filter(|name| !is_shorter_there(name)))
            .map(|name| &**name)
            .collect(),
    };
    match named.as_slice() {
        [a, b, _, ..] => format!("{a}, {b} + {} more...", named.len() - 2),
        _ => named.join(", "),
    }
}

fn is_passthrough(route: &Route) -> bool {
    match &route.action {
        Action::Forward(forward) => {
            matches!(forward.clusters.as_slice(), [only] if &*only.name == PASSTHROUGH)
        }
        _ => false,
    }
}

/// `name.namespace` of the VirtualService behind a route.
fn virtual_service(snapshot: &Snapshot, host: Origin, route: &Route) -> String {
    if matches!(route.action, Action::Unusable) {
        return "404".to_owned();
    }
    let own = object(snapshot, route.origin, "VirtualService");
    if own.is_empty() {
        object(snapshot, host, "VirtualService")
    } else {
        own
    }
}

/// `name.namespace` when the origin is an object of that kind.
fn object(snapshot: &Snapshot, origin: Origin, kind: &str) -> String {
    let object = snapshot.origins.object(origin.object);
    if &*object.kind == kind {
        format!("{}.{}", object.name, object.namespace)
    } else {
        String::new()
    }
}

/// Columns as wide as their widest cell, five blanks apart, as istioctl's tab writer sets them.
struct Columns {
    rows: Vec<Vec<String>>,
}

impl Columns {
    fn new(heading: &[&str]) -> Self {
        Self {
            rows: vec![heading.iter().map(|h| (*h).to_owned()).collect()],
        }
    }

    fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    fn render(&self) -> String {
        let columns = self.rows[0].len();
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0) + 5
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(line, "{cell:<width$}");
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}
