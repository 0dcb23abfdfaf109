//! Which locality setting is in force (`core/loadbalancer/loadbalancer.go`, GetLocalityLbSetting).

use super::push_context::PushContext;
use super::registry::ServiceModel;
use super::traffic_policy::Effective;
use crate::config::istio::{LocalityLbSetting, ZoneAwareLbSetting};
use crate::units::{Fraction, Origin};
use crate::xds::cluster::ZoneAware;
use crate::xds::endpoint::{LocalityKind, LocalityPolicy};

/// The setting as data: DestinationRule, else `trafficDistribution`, else the mesh.
pub(super) fn policy(
    push: &PushContext<'_>,
    policy: &Effective<'_>,
    service: &ServiceModel,
) -> LocalityPolicy {
    if let Some(setting) = zone_aware(push, policy, service) {
        return by_zone(setting);
    }
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

/// The zone-aware setting in force: of the DestinationRule, or of the mesh where nothing else
/// speaks of localities.
pub(super) fn zone_aware<'a>(
    push: &PushContext<'a>,
    policy: &Effective<'a>,
    service: &ServiceModel,
) -> Option<&'a ZoneAwareLbSetting> {
    let own = policy.load_balancer;
    let of_mesh = || push.config.mesh.zone_aware.as_ref();
    match own.and_then(|lb| lb.zone_aware.as_ref()) {
        Some(setting) => Some(setting),
        None if own.is_some_and(|lb| lb.locality.is_some()) => None,
        None if service.forced_failover.is_some() => None,
        None => of_mesh(),
    }
}

/// What Envoy is told for it; switched off, it still keeps Envoy from doing it by itself.
pub(super) fn zone_aware_config(setting: &ZoneAwareLbSetting) -> ZoneAware {
    let usual = ZoneAware::default();
    ZoneAware {
        routing_enabled: if setting.enabled {
            usual.routing_enabled
        } else {
            Fraction::ZERO
        },
        min_cluster_size: (setting.min_cluster_size).map_or(usual.min_cluster_size, u64::from),
        ..usual
    }
}

fn by_zone(setting: &ZoneAwareLbSetting) -> LocalityPolicy {
    if !setting.enabled {
        return LocalityPolicy {
            origin: setting.origin,
            ..LocalityPolicy::default()
        };
    }
    LocalityPolicy {
        kind: LocalityKind::ZoneAware {
            regions: setting.failover.clone(),
            labels: setting.failover_priority.clone(),
        },
        weighted: false,
        origin: setting.origin,
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
            LocalityKind::Off | LocalityKind::ZoneAware { .. } => false,
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
