//! Which locality setting is in force (`core/loadbalancer/loadbalancer.go`, GetLocalityLbSetting).

use super::push_context::PushContext;
use super::registry::ServiceModel;
use super::traffic_policy::Effective;
use crate::config::istio::LocalityLbSetting;
use crate::units::Origin;
use crate::xds::endpoint::{LocalityKind, LocalityPolicy};

/// The setting as data: DestinationRule, else `trafficDistribution`, else the mesh.
pub(super) fn policy(
    push: &PushContext<'_>,
    policy: &Effective<'_>,
    service: &ServiceModel,
) -> LocalityPolicy {
    let own = policy.load_balancer.and_then(|lb| lb.locality.as_ref());
    let mesh = &push.config.mesh.locality;
    match (own, service.forced_failover) {
        (Some(setting), _) => from_setting(push, policy, setting),
        (None, Some(labels)) => LocalityPolicy {
            kind: LocalityKind::Failover {
                regions: Vec::new(),
                labels: labels.iter().map(|l| (*l).into()).collect(),
            },
            weighted: true,
            origin: service.origin,
        },
        (None, None) => from_setting(push, policy, mesh),
    }
}

fn from_setting(
    push: &PushContext<'_>,
    policy: &Effective<'_>,
    setting: &LocalityLbSetting,
) -> LocalityPolicy {
    if !setting.enabled {
        return LocalityPolicy::default();
    }
    let written = !setting.failover.is_empty() || !setting.failover_priority.is_empty();
    let kind = if !setting.distribute.is_empty() {
        LocalityKind::Distribute(setting.distribute.clone())
    } else if policy.own_outlier.is_some() {
        LocalityKind::Failover {
            regions: setting.failover.clone(),
            labels: setting.failover_priority.clone(),
        }
    } else {
        LocalityKind::Off
    };
    // Up to 1.23 every cluster picks its locality by weight; later only those that ask for it.
    let weighted = !push.at_least(24)
        || match kind {
            LocalityKind::Distribute(_) => true,
            LocalityKind::Failover { .. } => written,
            LocalityKind::Off => false,
        };
    LocalityPolicy {
        origin: if kind == LocalityKind::Off {
            Origin::BUILT_IN
        } else {
            setting.origin
        },
        kind,
        weighted,
    }
}
