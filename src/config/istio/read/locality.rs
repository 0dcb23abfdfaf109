//! `localityLbSetting` (`validateLocalityLbSetting`).

use super::super::LocalityLbSetting;
use super::{Level, schema_warning};
use crate::config::decode::Fields;
use crate::xds::Name;

pub(super) fn locality(f: &Fields<'_>, level: Level, outlier_detection: bool) -> LocalityLbSetting {
    let distribute = f.objects("distribute", |f| {
        let to = f.entries("to").into_iter();
        let to = to.filter_map(|(key, at)| Some((key, at.integer::<u32>()?)));
        (f.text_or_empty("from"), to.collect())
    });
    let setting = LocalityLbSetting {
        enabled: f.bool("enabled").unwrap_or(true),
        distribute,
        failover: f.objects("failover", |f| {
            (f.text_or_empty("from"), f.text_or_empty("to"))
        }),
        failover_priority: f.texts("failoverPriority"),
        origin: f.origin(),
    };
    // This one ends the look at the block, as in Istio.
    if !setting.distribute.is_empty() && !setting.failover.is_empty() {
        f.refuse("`distribute` and `failover` cannot be given together");
        return setting;
    }
    let fails_over = !setting.failover.is_empty() || !setting.failover_priority.is_empty();
    if fails_over && !outlier_detection && level == Level::Top {
        let message = "failover does nothing without `outlierDetection` in the same policy";
        f.push(schema_warning(message));
    }
    check_distribute(f, &setting);
    check_failover(f, &setting);
    setting
}

fn check_distribute(f: &Fields<'_>, setting: &LocalityLbSetting) {
    let from: Vec<&str> = setting.distribute.iter().map(|(from, _)| &**from).collect();
    check_localities(f, &from);
    for (from, to) in &setting.distribute {
        let names: Vec<&str> = to.iter().map(|(to, _)| &**to).collect();
        check_localities(f, &names);
        if to.iter().any(|(_, weight)| *weight == 0 || *weight > 100) {
            f.refuse_field(
                "distribute",
                format!("from `{from}`: a weight is not between 1 and 100"),
            );
        }
        let sum: u64 = to.iter().map(|(_, weight)| u64::from(*weight)).sum();
        if sum != 100 {
            f.refuse_field(
                "distribute",
                format!("from `{from}`: the weights add up to {sum}, not 100"),
            );
        }
    }
}

/// Localities of one list: no empty parts, `*` only at the end, no overlap with an earlier one.
fn check_localities(f: &Fields<'_>, localities: &[&str]) {
    for (i, locality) in localities.iter().enumerate() {
        let parts: Vec<&str> = locality.split('/').collect();
        let star_inside = parts.iter().rev().skip(1).any(|part| part.contains('*'));
        let empty = parts.iter().any(|part| part.is_empty());
        let mixed = parts
            .last()
            .is_some_and(|last| last.contains('*') && *last != "*");
        if empty || star_inside || mixed || parts.len() > 3 {
            f.refuse_field(
                "distribute",
                format!("`{locality}` is not `region/zone/subzone`"),
            );
        }
        if localities[..i]
            .iter()
            .any(|earlier| is_covered(earlier, locality))
        {
            f.refuse_field(
                "distribute",
                format!("`{locality}` overlaps an earlier locality"),
            );
        }
    }
}

/// Seen only when the wider entry comes first, or when the later one is a bare beginning.
fn is_covered(earlier: &str, later: &str) -> bool {
    let wide = earlier
        .strip_suffix('*')
        .map(|stem| stem.trim_end_matches('/'));
    let within = |stem: &str, text: &str| {
        stem.is_empty()
            || text == stem
            || text.strip_prefix(stem).is_some_and(|t| t.starts_with('/'))
    };
    earlier == later
        || wide.is_some_and(|stem| within(stem, later))
        || (!later.ends_with('*') && (within(earlier, later) || within(later, earlier)))
}

/// Labels that `failover` speaks of already.
pub(super) const TOPOLOGY: &[&str] = &[
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.istio.io/subzone",
];

fn check_failover(f: &Fields<'_>, setting: &LocalityLbSetting) {
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
    let label_of = |item: &Name| item.split('=').next().unwrap_or_default().to_owned();
    let labels: Vec<String> = setting.failover_priority.iter().map(label_of).collect();
    for (i, label) in labels.iter().enumerate() {
        if labels[..i].contains(label) {
            f.refuse_field("failoverPriority", format!("`{label}` is given twice"));
        }
        if !setting.failover.is_empty() && TOPOLOGY.contains(&label.as_str()) {
            f.refuse_field(
                "failoverPriority",
                format!("`{label}` cannot stand beside `failover`"),
            );
        }
    }
}
