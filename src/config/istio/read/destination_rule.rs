//! DestinationRule (`validateDestinationRule`).

use super::super::{DestinationRule, Subset, rules};
use super::traffic_policy::traffic_policy;
use super::{Level, PolicyContext, export_to, labels, schema_warning};
use crate::config::decode::Fields;
use crate::config::{IstioVersion, Meta};

pub(in crate::config) fn destination_rule(
    f: &Fields<'_>,
    meta: Meta,
    version: IstioVersion,
) -> DestinationRule {
    let host = f.required_text("host");
    if !host.is_empty()
        && let Some(error) = rules::host_error(&host)
    {
        f.refuse_field("host", error);
    }
    let at = |level| PolicyContext { version, level };
    let rule = DestinationRule {
        host,
        policy: f.object("trafficPolicy", |f| traffic_policy(f, at(Level::Top))),
        subsets: f.objects("subsets", |f| subset(f, at(Level::Subset))),
        export_to: export_to(f, &meta.namespace),
        workload_selector: f.object("workloadSelector", |f| {
            let selector = labels(f, "matchLabels");
            if selector.is_empty() {
                f.push(schema_warning(
                    "the selector has no labels and selects every workload",
                ));
            }
            selector
        }),
        meta,
    };
    check_subset_names(f, &rule, version);
    let own = |value: &str| value == "." || value == &*rule.meta.namespace;
    if rule.workload_selector.is_some()
        && !rule.export_to.is_empty()
        && !(rule.export_to.len() == 1 && own(&rule.export_to[0]))
    {
        f.refuse_field(
            "exportTo",
            "a rule with `workloadSelector` stays in its own namespace",
        );
    }
    rule
}

fn subset(f: &Fields<'_>, context: PolicyContext) -> Subset {
    let name = f.required_text("name");
    if !name.is_empty() && !rules::is_dns_label(&name) {
        f.refuse_field("name", format!("`{name}` is not a subset name"));
    }
    Subset {
        name,
        labels: labels(f, "labels"),
        policy: f.object("trafficPolicy", |f| traffic_policy(f, context)),
        origin: f.origin(),
    }
}

/// Twice the same name is refused from 1.22 on; the first one counts.
fn check_subset_names(f: &Fields<'_>, rule: &DestinationRule, version: IstioVersion) {
    if !version.at_least(22) {
        return;
    }
    for (i, subset) in rule.subsets.iter().enumerate() {
        if rule.subsets[..i]
            .iter()
            .any(|earlier| earlier.name == subset.name)
        {
            f.refuse_field(
                "subsets",
                format!("the subset `{}` is given twice", subset.name),
            );
        }
    }
}
