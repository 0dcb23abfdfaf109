//! HorizontalPodAutoscaler: which workload, between which bounds, by which use of CPU.
//!
//! The resource `cpu` with `averageUtilization` is simulated, `autoscaling/v2` and the older
//! `targetCPUUtilizationPercentage` alike; other metrics are named. With several metrics
//! Kubernetes takes the greatest number, so leaving one out is said and goes on with the rest.

use super::HorizontalPodAutoscaler;
use super::workloads::{not_simulated, pods};
use crate::config::Meta;
use crate::config::decode::Fields;
use crate::units::SimDuration;
use crate::xds::autoscaler::{Autoscaler, ScalingPolicy, ScalingRules, SelectPolicy};

/// Kubernetes' own target where none is written (`pkg/apis/autoscaling/v2/defaults.go`).
const TARGET_PERCENT: u32 = 80;

pub(in crate::config) fn autoscaler(f: &Fields<'_>, meta: Meta) -> HorizontalPodAutoscaler {
    let mut autoscaler = HorizontalPodAutoscaler {
        target: Default::default(),
        min_replicas: 1,
        max_replicas: 1,
        rules: None,
        meta,
    };
    f.object("spec", |f| {
        autoscaler.target = f
            .object("scaleTargetRef", |f| {
                (f.text_or_empty("kind"), f.text_or_empty("name"))
            })
            .unwrap_or_default();
        autoscaler.min_replicas = pods(f, "minReplicas").unwrap_or(1);
        autoscaler.max_replicas = pods(f, "maxReplicas").unwrap_or(autoscaler.min_replicas);
        let Some(target_percent) = target(f) else {
            f.push(not_simulated(
                "no metric of this autoscaler is simulated (the resource `cpu` with `averageUtilization` is): its target keeps the pods it starts with",
            ));
            return;
        };
        let (up, down) = behavior(f);
        autoscaler.rules = Some(Autoscaler {
            min_replicas: autoscaler.min_replicas,
            max_replicas: autoscaler.max_replicas.max(autoscaler.min_replicas),
            target_percent,
            up,
            down,
            origin: f.origin(),
        });
    });
    autoscaler
}

/// Percent of CPU that is wanted; `None` when only other metrics are written.
fn target(f: &Fields<'_>) -> Option<u32> {
    if let Some(percent) = f.integer::<u32>("targetCPUUtilizationPercentage") {
        return Some(percent.max(1));
    }
    if !f.has("metrics") {
        return Some(TARGET_PERCENT);
    }
    let read = f.objects("metrics", |f| {
        let percent = f.object("resource", |f| {
            let is_cpu = &*f.text_or_empty("name") == "cpu";
            let percent = f.object("target", |f| f.integer::<u32>("averageUtilization"));
            percent.flatten().filter(|_| is_cpu)
        });
        let percent = percent.flatten();
        if percent.is_none() {
            let what = "only the resource `cpu` with `averageUtilization` is simulated: this metric is left out";
            f.push(not_simulated(what));
        }
        percent
    });
    // Of several targets the lowest asks for the most pods.
    read.into_iter()
        .flatten()
        .map(|percent| percent.max(1))
        .min()
}

fn behavior(f: &Fields<'_>) -> (ScalingRules, ScalingRules) {
    let (mut up, mut down) = (ScalingRules::up(), ScalingRules::down());
    f.object("behavior", |f| {
        f.object("scaleUp", |f| rules(f, &mut up));
        f.object("scaleDown", |f| rules(f, &mut down));
    });
    (up, down)
}

fn rules(f: &Fields<'_>, into: &mut ScalingRules) {
    const SELECT: &[(&str, SelectPolicy)] = &[
        ("Max", SelectPolicy::Max),
        ("Min", SelectPolicy::Min),
        ("Disabled", SelectPolicy::Disabled),
    ];
    let seconds = |n: u32| SimDuration::from_secs(u64::from(n));
    if let Some(window) = f.integer::<u32>("stabilizationWindowSeconds") {
        if window > 3600 {
            f.refuse_field("stabilizationWindowSeconds", "must be at most 3600");
        }
        into.stabilization = seconds(window.min(3600));
    }
    if let Some(select) = f.choice("selectPolicy", SELECT) {
        into.select = select;
    }
    if f.has("policies") {
        into.policies = f.objects("policies", |f| {
            let kind = f.choice("type", &[("Percent", true), ("Pods", false)]);
            let period = f.integer::<u32>("periodSeconds").unwrap_or(15);
            if !(1..=1800).contains(&period) {
                f.refuse_field("periodSeconds", "must be between 1 and 1800");
            }
            let value = f.integer::<u32>("value").unwrap_or(0);
            if value == 0 {
                f.refuse_field("value", "must be greater than zero");
            }
            ScalingPolicy {
                is_percent: kind.unwrap_or(true),
                value: value.max(1),
                period: seconds(period.clamp(1, 1800)),
            }
        });
    }
}
