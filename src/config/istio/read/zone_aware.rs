//! `zoneAwareLbSetting` (`ValidateZoneAwareLbSetting`).

use super::super::ZoneAwareLbSetting;
use super::locality::TOPOLOGY;
use super::{Level, schema_warning};
use crate::config::IstioVersion;
use crate::config::decode::Fields;
use crate::diagnostic::{Class, Diagnostic};

/// The block of a policy or of the mesh; a word of 1.31.
pub(super) fn zone_aware_setting(
    f: &Fields<'_>,
    version: IstioVersion,
    level: Level,
    outlier_detection: bool,
) -> Option<ZoneAwareLbSetting> {
    let setting = f.object("zoneAwareLbSetting", |f| {
        zone_aware(f, level, outlier_detection)
    });
    if setting.is_some() && !version.at_least(31) {
        let message = format!(
            "`zoneAwareLbSetting` is new in Istio 1.31 (`--istio-version 1.31`); {version} drops it"
        );
        let warning = Diagnostic::warning("TT-NO-EFFECT", Class::Advice, message);
        f.push_at("zoneAwareLbSetting", warning);
        return None;
    }
    setting
}

fn zone_aware(f: &Fields<'_>, level: Level, outlier_detection: bool) -> ZoneAwareLbSetting {
    let setting = ZoneAwareLbSetting {
        enabled: f.bool("enabled").unwrap_or(true),
        failover: f.objects("failover", |f| {
            (f.text_or_empty("from"), f.text_or_empty("to"))
        }),
        failover_priority: f.texts("failoverPriority"),
        min_cluster_size: f.integer("minClusterSize"),
        origin: f.origin(),
    };
    let fails_over = !setting.failover.is_empty() || !setting.failover_priority.is_empty();
    if fails_over && !outlier_detection && level == Level::Top {
        let message = "failover does nothing without `outlierDetection` in the same policy";
        f.push(schema_warning(message));
    }
    for label in &setting.failover_priority {
        if TOPOLOGY.contains(&&**label) {
            let message =
                format!("`{label}`: regions and zones are dealt with anyway; leave it out");
            f.refuse_field("failoverPriority", message);
        }
    }
    for (from, to) in &setting.failover {
        if from == to {
            f.refuse_field("failover", format!("`from` and `to` are both `{from}`"));
        }
        for name in [from, to] {
            if name.contains('/') {
                f.refuse_field("failover", format!("`{name}`: only a region may be given"));
            } else if name.contains('*') {
                f.refuse_field("failover", format!("`{name}`: wildcards are not allowed"));
            }
        }
    }
    setting
}
