//! Endpoints, and what a client's place in the world makes of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Name;
use super::snapshot::PodId;
use crate::units::Origin;

pub use super::localize::localize;

/// `region/zone/subzone`; missing parts are empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locality {
    /// Region.
    pub region: Name,
    /// Zone.
    pub zone: Name,
    /// Subzone.
    pub subzone: Name,
}

impl Default for Locality {
    fn default() -> Self {
        Self {
            region: "".into(),
            zone: "".into(),
            subzone: "".into(),
        }
    }
}

impl Locality {
    /// Reads `region[/zone[/subzone]]`.
    pub fn parse(text: &str) -> Self {
        let mut parts = text.splitn(3, '/');
        let mut part = || Name::from(parts.next().unwrap_or("").trim());
        Self {
            region: part(),
            zone: part(),
            subzone: part(),
        }
    }

    /// Is this place in `*`, `region/*`, `region/zone/*` or a plain locality? Parts of the pattern
    /// that are not written hold every place.
    pub fn is_in(&self, pattern: &str) -> bool {
        let pattern = Self::parse(pattern);
        let fits = |want: &str, got: &str| want == "*" || want == got;
        let open = |want: &str, got: &str| want.is_empty() || fits(want, got);
        fits(&pattern.region, &self.region)
            && open(&pattern.zone, &self.zone)
            && open(&pattern.subzone, &self.subzone)
    }

    /// True when no part is known.
    pub fn is_empty(&self) -> bool {
        self.region.is_empty() && self.zone.is_empty() && self.subzone.is_empty()
    }
}

impl fmt::Display for Locality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.region, &*self.zone, &*self.subzone) {
            (r, "", "") => f.write_str(r),
            (r, z, "") => write!(f, "{r}/{z}"),
            (r, z, s) => write!(f, "{r}/{z}/{s}"),
        }
    }
}

/// Health as the control plane reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Ready.
    #[default]
    Healthy,
    /// Not ready, but sent (`istio-config.md` §4.2).
    Unhealthy,
    /// Terminating.
    Draining,
}

/// One member of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// IP, or a DNS name in DNS clusters.
    pub address: Name,
    /// Port of the pod.
    pub port: u16,
    /// The pod behind it; `None` for addresses outside the manifests.
    pub pod: Option<PodId>,
    /// `load_balancing_weight`, at least 1.
    pub weight: u32,
    /// Health.
    pub health: Health,
    /// Where it runs.
    pub locality: Locality,
    /// True when it carries `security.istio.io/tlsMode=istio` and its PeerAuthentication for the port is not DISABLE.
    pub mtls: bool,
    /// Labels for subsets and `failoverPriority`, topology labels included.
    pub labels: Arc<BTreeMap<Name, Name>>,
}

impl Endpoint {
    /// `10.0.0.1:8080`: the key of rings and Maglev tables.
    pub fn key(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }
}

/// Which locality settings are in force for a cluster (`istio-config.md` §3.7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalityPolicy {
    /// The setting.
    pub kind: LocalityKind,
    /// `locality_weighted_lb_config` is on the cluster.
    pub weighted: bool,
    /// Where it was written.
    pub origin: Origin,
}

/// The kinds of locality setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LocalityKind {
    /// All endpoints are equal.
    #[default]
    Off,
    /// Priorities by nearness (needs outlier detection, or is forced by `trafficDistribution`).
    Failover {
        /// (from region, to region).
        regions: Vec<(Name, Name)>,
        /// `failoverPriority` labels, `key` or `key=value`.
        labels: Vec<Name>,
    },
    /// Priorities by region alone, so that Envoy shares a region out by zone (1.31+).
    ZoneAware {
        /// (from region, to region).
        regions: Vec<(Name, Name)>,
        /// `failoverPriority` labels, before regions.
        labels: Vec<Name>,
    },
    /// Weights by client locality: (from, [(to, weight)]).
    Distribute(Vec<(Name, Vec<(Name, u32)>)>),
}

/// What one client sees of a cluster's endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadAssignment {
    /// Ordered by (priority, locality).
    pub groups: Vec<LocalityGroup>,
}

/// The endpoints of one locality at one priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalityGroup {
    /// The locality.
    pub locality: Locality,
    /// 0 is used first.
    pub priority: u32,
    /// Locality weight; `None` gets no traffic when the cluster is locality weighted.
    pub weight: Option<u32>,
    /// Indexes into the cluster's endpoints.
    pub endpoints: Vec<u32>,
}
