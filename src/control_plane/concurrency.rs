//! Worker threads of a proxy (`pilot/pkg/model/proxy_config.go`, EffectiveProxyConfig).

use std::collections::BTreeMap;

use crate::config::MeshConfig;
use crate::config::istio::ProxyConfig;
use crate::config::k8s::PodTemplateOwner;
use crate::config::selector::{is_everything, selects};
use crate::xds::Name;

/// What is written for a workload's proxies; 0 means every core. In falling order: ProxyConfigs
/// that select the pods, the pods' annotation, ProxyConfigs of the namespace, those of the root
/// namespace, the mesh's `defaultConfig`; and a written CPU limit where none of them speaks.
pub(super) fn of_owner(config: &MeshConfig, owner: &PodTemplateOwner) -> Option<u32> {
    let namespace = &owner.meta.namespace;
    let all = &config.proxy_configs;
    let everywhere = |of: &Name| {
        let whole = |c: &ProxyConfig| is_everything(c.selector.as_ref());
        oldest(all, of, whole, |c| c.concurrency)
    };
    let of_pods = |c: &ProxyConfig| is_selected(c, &owner.labels);
    let selected = oldest(all, namespace, of_pods, |c| c.concurrency);
    selected
        .or(owner.proxy.concurrency)
        .or_else(|| everywhere(namespace))
        .or_else(|| everywhere(&config.mesh.root_namespace))
        .or(config.mesh.concurrency)
        .or(owner.proxy.cpu_limit)
}

/// True for a ProxyConfig that names these pods.
pub(super) fn is_selected(config: &ProxyConfig, labels: &BTreeMap<Name, Name>) -> bool {
    let selector = config.selector.as_ref();
    selector.is_some_and(|s| !s.is_empty() && selects(s, labels))
}

/// Of several, what the oldest says that says anything.
pub(super) fn oldest<T: Ord>(
    all: &[ProxyConfig],
    namespace: &Name,
    applies: impl Fn(&ProxyConfig) -> bool,
    says: impl Fn(&ProxyConfig) -> Option<T>,
) -> Option<T> {
    let written = (all.iter()).filter(|c| c.meta.namespace == *namespace && applies(c));
    let said = written.filter_map(|c| Some((c.meta.age_key(), says(c)?)));
    said.min().map(|(_, what)| what)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{meta, workload};
    use super::*;

    fn proxy_config(namespace: &str, name: &str, app: Option<&str>, count: u32) -> ProxyConfig {
        let pair = |app: &str| BTreeMap::from([(Name::from("app"), Name::from(app))]);
        ProxyConfig {
            meta: meta(namespace, name),
            selector: app.map(pair),
            concurrency: Some(count),
            self_discovery: None,
        }
    }

    fn check(config: &MeshConfig, annotation: Option<u32>, expected: Option<u32>) {
        let mut owner = workload("shop", "web", &[("app", "web")], 1);
        owner.proxy.concurrency = annotation;
        owner.proxy.cpu_limit = Some(9);
        assert_eq!(of_owner(config, &owner), expected);
    }

    #[test]
    fn the_nearest_word_counts() {
        let mut config = MeshConfig::default();
        check(&config, None, Some(9));
        config.mesh.concurrency = Some(2);
        check(&config, None, Some(2));
        config.proxy_configs = vec![proxy_config("istio-system", "all", None, 3)];
        check(&config, None, Some(3));
        let other = proxy_config("shop", "other", Some("cart"), 7);
        config
            .proxy_configs
            .extend([other, proxy_config("shop", "shop", None, 4)]);
        check(&config, None, Some(4));
        check(&config, Some(5), Some(5));
        config
            .proxy_configs
            .push(proxy_config("shop", "web", Some("web"), 6));
        check(&config, Some(5), Some(6));
    }
}
