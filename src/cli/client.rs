//! Who calls: a workload of the manifests, somebody outside, or a client made for the purpose.

use std::collections::BTreeMap;

use super::exit_code::Failure;
use super::names;
use crate::config::Meta;
use crate::config::k8s::{PodNotes, PodTemplateOwner, ProxySettings};
use crate::config::scenario::LoadSource;
use crate::config::store::MeshConfig;
use crate::units::Origin;
use crate::xds::snapshot::{Cpu, Lifecycle};
use crate::xds::{Locality, Name};

/// Name of the client that is made when nobody is named.
const CLIENT: &str = "towtank-client";

/// Finds or makes the client that `--from` names, and says what was taken for granted.
pub(super) fn source(
    from: Option<&str>,
    namespace: &str,
    config: &mut MeshConfig,
    assumed: &mut Vec<String>,
) -> Result<LoadSource, Failure> {
    let Some(from) = from else {
        return Ok(implied(namespace, config, assumed));
    };
    if let Some(locality) = outside(from) {
        let locality = locality.map_err(Failure::Usage)?;
        return Ok(LoadSource::Outside {
            locality,
            via: None,
        });
    }
    let known = names::known(config);
    let found = names::resolve(from, namespace, &known).map_err(Failure::Usage)?;
    Ok(LoadSource::Workload {
        name: format!("{}/{}", found.namespace, found.name).into(),
        implied: false,
    })
}

/// `outside` or `outside:region/zone`.
fn outside(from: &str) -> Option<Result<Locality, String>> {
    let rest = from.strip_prefix("outside")?;
    if rest.is_empty() {
        return Some(Ok(Locality::default()));
    }
    let place = rest.strip_prefix(':')?;
    let parts: Vec<&str> = place.split('/').collect();
    Some(if parts.len() > 3 || parts.contains(&"") {
        Err(format!(
            "`{place}` is not a locality; write for example `outside:us-east/us-east-1`"
        ))
    } else {
        Ok(Locality::parse(place))
    })
}

/// A one-replica Deployment with a sidecar in that namespace.
///
/// The pod's own label asks for injection, which works in every namespace that does not
/// forbid it (`istio-injection: disabled`), as in Istio's webhook.
fn implied(namespace: &str, config: &mut MeshConfig, assumed: &mut Vec<String>) -> LoadSource {
    let source = LoadSource::Workload {
        name: format!("{namespace}/{CLIENT}").into(),
        implied: true,
    };
    let key = |w: &PodTemplateOwner| (w.meta.namespace.clone(), w.meta.name.clone());
    let own = (Name::from(namespace), Name::from(CLIENT));
    let Err(at) = config.workloads.binary_search_by_key(&own, key) else {
        return source;
    };
    config.workloads.insert(at, deployment(&own.0));
    assumed.push(format!(
        "requests come from an injected client `{namespace}/{CLIENT}`, one pod made for this; --from names another"
    ));
    source
}

fn deployment(namespace: &Name) -> PodTemplateOwner {
    let app = (Name::from("app"), Name::from(CLIENT));
    let inject = (Name::from("sidecar.istio.io/inject"), Name::from("true"));
    PodTemplateOwner {
        meta: Meta {
            name: CLIENT.into(),
            namespace: namespace.clone(),
            labels: BTreeMap::from([app.clone()]),
            annotations: BTreeMap::new(),
            created: "".into(),
            origin: Origin::BUILT_IN,
        },
        kind: "Deployment".into(),
        replicas: Some(1),
        labels: BTreeMap::from([app, inject]),
        annotations: BTreeMap::new(),
        proxy: ProxySettings::default(),
        ports: Vec::new(),
        service_account: "default".into(),
        host_network: false,
        node_name: None,
        pod_ip: None,
        ready: true,
        has_proxy_container: false,
        is_gateway: false,
        notes: PodNotes::default(),
        lifecycle: Lifecycle::default(),
        cpu: Cpu::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_made_once_and_stands_in_order() {
        let mut config = MeshConfig {
            workloads: vec![deployment(&"a".into()), deployment(&"z".into())],
            ..MeshConfig::default()
        };
        let mut assumed = Vec::new();
        for _ in 0..2 {
            let source = source(None, "m", &mut config, &mut assumed).unwrap();
            let expected = LoadSource::Workload {
                name: "m/towtank-client".into(),
                implied: true,
            };
            assert_eq!(source, expected);
        }
        let namespaces: Vec<&str> = config
            .workloads
            .iter()
            .map(|w| &*w.meta.namespace)
            .collect();
        assert_eq!(namespaces, ["a", "m", "z"]);
        assert_eq!(assumed.len(), 1);
    }

    #[test]
    fn somebody_outside_may_have_a_place() {
        let mut config = MeshConfig::default();
        let got = source(Some("outside:eu/a"), "m", &mut config, &mut Vec::new()).unwrap();
        let LoadSource::Outside {
            locality,
            via: None,
        } = got
        else {
            panic!("{got:?}")
        };
        assert_eq!(locality.to_string(), "eu/a");
        for wrong in ["outsider", "outside:", "outside:a//b", "outside:a/b/c/d"] {
            let got = source(Some(wrong), "m", &mut config, &mut Vec::new());
            assert!(matches!(got, Err(Failure::Usage(_))), "{wrong}: {got:?}");
        }
    }
}
