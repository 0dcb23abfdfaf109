//! How many pods a HorizontalPodAutoscaler wants, as far as it is written.
//!
//! Defaults are those of Kubernetes (`pkg/apis/autoscaling/v2/defaults.go`).

use crate::units::{Origin, SimDuration};

/// An autoscaler that goes by the use of CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Autoscaler {
    /// `minReplicas`, 1.
    pub min_replicas: u32,
    /// `maxReplicas`.
    pub max_replicas: u32,
    /// `averageUtilization` of the resource `cpu`, in percent.
    pub target_percent: u32,
    /// `behavior.scaleUp`.
    pub up: ScalingRules,
    /// `behavior.scaleDown`.
    pub down: ScalingRules,
    /// Where it was declared.
    pub origin: Origin,
}

/// How fast the number of pods may change in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalingRules {
    /// `stabilizationWindowSeconds`: the most careful of what was wanted in this time counts.
    pub stabilization: SimDuration,
    /// `selectPolicy`.
    pub select: SelectPolicy,
    /// `policies`.
    pub policies: Vec<ScalingPolicy>,
}

/// Which of several policies counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectPolicy {
    /// The one that allows the greatest change.
    Max,
    /// The one that allows the smallest change.
    Min,
    /// No change in this direction.
    Disabled,
}

/// At most so much in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalingPolicy {
    /// Of the pods at the begin of the period; else a number of pods.
    pub is_percent: bool,
    /// How much.
    pub value: u32,
    /// `periodSeconds`.
    pub period: SimDuration,
}

impl ScalingRules {
    /// Upwards: at once, to the double or by four pods every 15 s, whatever is more.
    pub fn up() -> Self {
        Self {
            stabilization: SimDuration::ZERO,
            select: SelectPolicy::Max,
            policies: vec![every_quarter(true, 100), every_quarter(false, 4)],
        }
    }

    /// Downwards: when fewer have been enough for five minutes, as far as is wanted.
    pub fn down() -> Self {
        Self {
            stabilization: SimDuration::from_secs(300),
            select: SelectPolicy::Max,
            policies: vec![every_quarter(true, 100)],
        }
    }
}

const fn every_quarter(is_percent: bool, value: u32) -> ScalingPolicy {
    ScalingPolicy {
        is_percent,
        value,
        period: SimDuration::from_secs(15),
    }
}
