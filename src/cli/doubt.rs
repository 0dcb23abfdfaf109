//! A URL on the command line that names nothing in the mesh: simulated as it is, but said.
//!
//! A sidecar passes requests for hosts it does not know on to wherever their name leads, so a
//! misspelt Service answers in a simulation. In a cluster its name would not even resolve.

use std::net::IpAddr;

use crate::config::decode::nearest;
use crate::config::k8s::Service;
use crate::config::store::MeshConfig;
use crate::http::Url;

/// What looks wrong about calling `url` from a pod in `namespace`.
pub(super) fn doubt(url: &Url, namespace: &str, config: &MeshConfig) -> Option<String> {
    let host = &*url.host;
    let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
    if is_address || is_routed(host, config) {
        return None;
    }
    let (name, namespace) = service_name(host, namespace, config)?;
    let services = || config.services.iter();
    let named = |s: &&Service| *s.meta.name == *name;
    if let Some(service) = services().find(|s| named(s) && *s.meta.namespace == *namespace) {
        return wrong_port(service, url);
    }
    let said = format!(
        "no Service `{name}` is in namespace `{namespace}`, so `{host}` is a host outside the mesh to the proxy"
    );
    if let Some(elsewhere) = services().find(named) {
        return Some(format!(
            "{said}; did you mean `{name}.{}`?",
            elsewhere.meta.namespace
        ));
    }
    let here = services().filter(|s| *s.meta.namespace == *namespace);
    let near = nearest(name, here.map(|s| &*s.meta.name));
    Some(near.map_or_else(
        || said.clone(),
        |near| format!("{said}; did you mean `{near}`?"),
    ))
}

/// True when a ServiceEntry or VirtualService has the host.
fn is_routed(host: &str, config: &MeshConfig) -> bool {
    let entries = config.service_entries.iter().flat_map(|e| &e.hosts);
    let routed = config.virtual_services.iter().flat_map(|v| &v.hosts);
    entries.chain(routed).any(|known| {
        let suffix = known.strip_prefix('*');
        suffix.map_or(**known == *host, |suffix| host.ends_with(suffix))
    })
}

/// (Service, namespace) that a name of the cluster's own DNS stands for; `None` for other names.
fn service_name<'a>(
    host: &'a str,
    namespace: &'a str,
    config: &MeshConfig,
) -> Option<(&'a str, &'a str)> {
    let host = host.trim_end_matches('.');
    let inside = host
        .strip_suffix(".svc.cluster.local")
        .or_else(|| host.strip_suffix(".svc"));
    match (inside.unwrap_or(host).split_once('.'), inside) {
        (None, None) => Some((host, namespace)),
        (Some(parts), Some(_)) => Some(parts),
        (Some((name, second)), None) => {
            let is_namespace = config.services.iter().any(|s| *s.meta.namespace == *second);
            is_namespace.then_some((name, second))
        }
        (None, Some(_)) => None,
    }
}

fn wrong_port(service: &Service, url: &Url) -> Option<String> {
    let is_open = service.ports.iter().any(|p| p.port == url.port);
    if is_open || &*service.kind == "ExternalName" || service.ports.is_empty() {
        return None;
    }
    let ports: Vec<String> = service.ports.iter().map(|p| p.port.to_string()).collect();
    Some(format!(
        "Service {}/{} has no port {}, only {}: nothing listens there",
        service.meta.namespace,
        service.meta.name,
        url.port,
        ports.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::{LoadOptions, load};
    use crate::manifest::Source;

    const MESH: &str = "
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: reviews, namespace: shop}, spec: {ports: [{port: 80}, {port: 81}]}}
- {apiVersion: v1, kind: Service, metadata: {name: cart, namespace: team}, spec: {ports: [{port: 80}]}}
- apiVersion: networking.istio.io/v1
  kind: ServiceEntry
  metadata: {name: e, namespace: shop}
  spec: {hosts: ['*.example.com'], ports: [{number: 80, name: http, protocol: HTTP}]}
";

    fn check(url: &str, expected: Option<&str>) {
        let loaded = load(vec![Source::new("m.yaml", MESH)], &LoadOptions::default());
        let url = Url::parse(url).unwrap();
        let said = doubt(&url, "shop", &loaded.config);
        match (&said, expected) {
            (Some(said), Some(part)) => assert!(said.contains(part), "{url}: {said}"),
            (None, None) => {}
            _ => panic!("{url}: {said:?}, not {expected:?}"),
        }
    }

    #[test]
    fn names_that_lead_somewhere_are_beyond_doubt() {
        for url in [
            "reviews",
            "reviews:81",
            "reviews.shop",
            "cart.team.svc.cluster.local",
            "a.example.com",
            "www.somewhere.org",
            "10.0.0.1",
            "[::1]:80",
        ] {
            check(url, None);
        }
    }

    #[test]
    fn a_misspelt_service_namespace_or_port_gets_the_right_one() {
        check("revews", Some("did you mean `reviews`?"));
        check("cart", Some("did you mean `cart.team`?"));
        check("reviews.tem.svc", Some("did you mean `reviews.shop`?"));
        check("zzz", Some("no Service `zzz` is in namespace `shop`"));
        check("reviews:8080", Some("no port 8080, only 80, 81"));
    }
}
