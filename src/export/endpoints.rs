//! Where things are on one machine: what `--endpoints` says.
//!
//! A flat map. Keys, first that fits wins: `namespace/pod:port`, `namespace/pod`,
//! `address:port` of an endpoint; `listener/NAME` (else a free port is taken), `app/PORT` (the
//! workload's own application; else that port of this machine), `admin`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Writer;
use super::socket;
use crate::xds::{Endpoint, Snapshot};

/// Loopback addresses by key.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    map: BTreeMap<String, (String, u16)>,
    /// Keys that something asked for; the others are typing errors.
    used: RefCell<BTreeSet<String>>,
}

impl Endpoints {
    /// Takes the map; says what is wrong with it.
    pub fn new(written: BTreeMap<String, String>) -> Result<Self, String> {
        let mut map = BTreeMap::new();
        for (key, value) in written {
            let parsed = value.rsplit_once(':').and_then(|(host, port)| {
                let host: std::net::IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
                Some((host.to_string(), port.parse::<u16>().ok()?))
            });
            let Some(address) = parsed else {
                return Err(format!(
                    "`{key}: {value}`: not an address and port; write for example `127.0.0.1:9101`"
                ));
            };
            map.insert(key, address);
        }
        Ok(Self {
            map,
            used: RefCell::default(),
        })
    }

    fn get(&self, key: &str) -> Option<(String, u16)> {
        let found = self.map.get(key).cloned();
        if found.is_some() {
            self.used.borrow_mut().insert(key.to_owned());
        }
        found
    }

    /// The replacement of an endpoint.
    pub(super) fn endpoint(
        &self,
        snapshot: &Snapshot,
        endpoint: &Endpoint,
    ) -> Option<(String, u16)> {
        let pod = endpoint.pod.map(|p| &snapshot.pods[p]);
        let name = pod.map(|p| format!("{}/{}", snapshot.workloads[p.workload].namespace, p.name));
        name.and_then(|name| {
            self.get(&format!("{name}:{}", endpoint.port))
                .or_else(|| self.get(&name))
        })
        .or_else(|| self.get(&endpoint.key()))
    }

    /// Where a listener listens; port 0 lets the kernel choose.
    pub(super) fn listener(&self, name: &str) -> (String, u16) {
        self.get(&format!("listener/{name}"))
            .unwrap_or_else(|| ("127.0.0.1".to_owned(), 0))
    }

    /// Where the application listens that the inbound side forwards to.
    pub(super) fn application(&self, port: u16) -> (String, u16) {
        self.get(&format!("app/{port}"))
            .unwrap_or_else(|| ("127.0.0.1".to_owned(), port))
    }

    pub(super) fn admin(&self) -> (String, u16) {
        self.get("admin")
            .unwrap_or_else(|| ("127.0.0.1".to_owned(), super::ADMIN.1))
    }

    fn unused(&self) -> Vec<String> {
        let used = self.used.borrow();
        let keys = self.map.keys().filter(|key| !used.contains(*key));
        keys.cloned().collect()
    }
}

impl Writer<'_> {
    /// The address of an endpoint, here or in the cluster.
    pub(super) fn address(&mut self, endpoint: &Endpoint) -> Value {
        let Some(map) = self.endpoints else {
            return socket(&endpoint.address, endpoint.port);
        };
        if let Some((host, port)) = map.endpoint(self.snapshot, endpoint) {
            return socket(&host, port);
        }
        self.warn(format!(
            "no entry of the endpoints map is for {}; it stays as it is",
            endpoint.key()
        ));
        socket(&endpoint.address, endpoint.port)
    }

    /// Whether an endpoint is replaced.
    pub(super) fn is_replaced(&self, endpoint: &Endpoint) -> bool {
        self.endpoints
            .is_some_and(|map| map.endpoint(self.snapshot, endpoint).is_some())
    }

    pub(super) fn unused_endpoints(&mut self) {
        let unused = self.endpoints.map(Endpoints::unused).unwrap_or_default();
        for key in unused {
            self.warn(format!(
                "entry `{key}` of the endpoints map fits no endpoint of this proxy; keys are `namespace/pod`, `namespace/pod:port`, `address:port`, `listener/NAME`, `app/PORT` and `admin`"
            ));
        }
    }
}
