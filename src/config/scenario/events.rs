//! `events` of a Scenario: what happens to the mesh while load is offered.

use std::collections::BTreeMap;
use std::fmt;

use super::model::AppError;
use crate::config::MeshConfig;
use crate::config::load::Change;
use crate::engine::Distribution;
use crate::manifest::Source;
use crate::units::{Fraction, Origin, SimDuration};
use crate::xds::{Locality, Name};

/// One thing that happens at a moment.
#[derive(Clone, Debug)]
pub struct TimedEvent {
    /// When, from the start of the run.
    pub at: SimDuration,
    /// How long it lasts; `None`: to the end, or until another event ends it.
    pub lasts: Option<SimDuration>,
    /// What happens.
    pub what: EventKind,
    /// Where it was written.
    pub origin: Origin,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// Pods stop working.
    Fail {
        /// Which.
        target: Target,
        /// What is seen of them.
        how: FailureKind,
        /// From the failure to the change of the pods' readiness; `None`: as Kubernetes notices it.
        noticed: Option<SimDuration>,
    },
    /// Failed pods start again.
    Restore {
        /// Which.
        target: Target,
    },
    /// Own work takes longer.
    Slow {
        /// Which pods.
        target: Target,
        /// Service times are multiplied by this.
        factor: f64,
        /// And this is added.
        add: Option<Distribution>,
    },
    /// Applications fail more often.
    Errors {
        /// Which pods.
        target: Target,
        /// Tried before the application's own.
        errors: Vec<AppError>,
    },
    /// Pods serve fewer requests at once.
    Capacity {
        /// Which pods.
        target: Target,
        /// Of their slots (at least one slot stays).
        share: Fraction,
    },
    /// Nothing passes between two places.
    Partition {
        /// The places; everything else when there is one only.
        between: (Locality, Locality),
    },
    /// What passes between two places takes longer.
    Delay {
        /// The places.
        between: (Locality, Locality),
        /// One way, on top.
        by: Distribution,
    },
    /// A workload gets another number of pods.
    Scale {
        /// `namespace/name`.
        workload: Name,
        /// Pods it shall have.
        replicas: u32,
    },
    /// All pods of a workload are replaced, as `kubectl rollout restart` does.
    Rollout {
        /// `namespace/name`.
        workload: Name,
    },
    /// Manifests are given to the API server, as `kubectl apply -f` does it.
    Apply {
        /// Their texts, in order.
        files: Vec<Source>,
    },
    /// Objects of manifests are taken from the API server, as `kubectl delete -f` does it.
    Delete {
        /// Texts that hold them, in order.
        files: Vec<Source>,
    },
}

impl EventKind {
    /// The change of configuration that this is; `None` for everything else.
    pub fn change(&self) -> Option<Change<'_>> {
        let (files, is_deletion) = match self {
            Self::Apply { files } => (files, false),
            Self::Delete { files } => (files, true),
            _ => return None,
        };
        Some(Change { files, is_deletion })
    }
}

/// What is seen of a failed pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The pod is gone: its connections are reset, new ones refused.
    Kill,
    /// The application is gone and its sidecar lives: 503 UF. The same as `Kill` without one.
    Crash,
    /// The application accepts and does not answer.
    Hang,
    /// The machine or its network is gone: packets vanish.
    Blackhole,
}

/// Which pods an event is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Where they are looked for.
    pub of: TargetKind,
    /// How many of them.
    pub part: Part,
}

/// Where pods are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// Pods of a workload, `namespace/name`.
    Workload(Name),
    /// A pod, `namespace/name`.
    Pod(Name),
    /// Pods on a node.
    Node(Name),
    /// Pods in a region or zone.
    Locality(Locality),
}

/// How many of the pods found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// All of them.
    All,
    /// The first so many, in name order.
    Count(u32),
    /// This share of them, rounded up, the first in name order.
    Share(Fraction),
}

impl EventKind {
    /// The verb it is written with.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Fail { .. } => "fail",
            Self::Restore { .. } => "restore",
            Self::Slow { .. } => "slow",
            Self::Errors { .. } => "errors",
            Self::Capacity { .. } => "capacity",
            Self::Partition { .. } => "partition",
            Self::Delay { .. } => "delay",
            Self::Scale { .. } => "scale",
            Self::Rollout { .. } => "rollout",
            Self::Apply { .. } => "apply",
            Self::Delete { .. } => "delete",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Part::All => {}
            Part::Count(1) => f.write_str("1 pod of ")?,
            Part::Count(n) => write!(f, "{n} pods of ")?,
            Part::Share(share) => write!(f, "{share} of ")?,
        }
        match &self.of {
            TargetKind::Workload(name) => f.write_str(name),
            TargetKind::Pod(name) => write!(f, "pod {name}"),
            TargetKind::Node(name) => write!(f, "node {name}"),
            TargetKind::Locality(place) if place.zone.is_empty() => write!(f, "region {place}"),
            TargetKind::Locality(place) => write!(f, "zone {place}"),
        }
    }
}

impl fmt::Display for EventKind {
    /// A sentence about what begins.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fail { target, how, .. } => match how {
                FailureKind::Kill => write!(f, "{target} is killed"),
                FailureKind::Crash => write!(f, "the application of {target} crashes"),
                FailureKind::Hang => write!(f, "{target} hangs"),
                FailureKind::Blackhole => write!(f, "{target} cannot be reached any more"),
            },
            Self::Restore { target } => write!(f, "{target} starts again"),
            Self::Slow {
                target,
                factor,
                add,
            } => {
                write!(f, "{target} slows down: service time")?;
                if (factor - 1.0).abs() > f64::EPSILON {
                    write!(f, " × {factor}")?;
                }
                add.iter().try_for_each(|add| write!(f, " + {add}"))
            }
            Self::Errors { target, errors } => {
                write!(f, "{target} fails more often:")?;
                for error in errors {
                    let kind = match error.kind {
                        super::ErrorKind::Status(status) => format!("status {status}"),
                        super::ErrorKind::Grpc(status) => format!("grpc-status {status}"),
                        super::ErrorKind::Reset => "resets".to_owned(),
                        super::ErrorKind::Hang => "no answer".to_owned(),
                        super::ErrorKind::Refuse => "refused connections".to_owned(),
                    };
                    write!(f, " {kind} for {} of requests", error.rate)?;
                }
                Ok(())
            }
            Self::Capacity { target, share } => {
                write!(f, "{target} has {share} of its slots")
            }
            Self::Partition { between: (a, b) } => write!(f, "nothing passes between {a} and {b}"),
            Self::Delay {
                between: (a, b),
                by,
            } => write!(f, "the way between {a} and {b} takes {by} longer"),
            Self::Scale { workload, replicas } => {
                write!(f, "{workload} is scaled to {replicas} pods")
            }
            Self::Rollout { workload } => write!(f, "{workload} is rolled out anew"),
            Self::Apply { files } => write!(f, "{} applied", listed(files)),
            Self::Delete { files } => write!(f, "{} deleted", listed(files)),
        }
    }
}

/// `a.yaml is`, `a.yaml and b.yaml are`.
fn listed(files: &[Source]) -> String {
    let short = |file: &Source| file.path.rsplit('/').next().map(str::to_owned);
    let names: Vec<String> = (files.iter().filter_map(short))
        .map(|name| format!("`{name}`"))
        .collect();
    match names.as_slice() {
        [only] => format!("{only} is"),
        [first @ .., last] => format!("{} and {last} are", first.join(", ")),
        [] => "nothing is".to_owned(),
    }
}

/// Pods beyond those that manifests ask for which events and autoscalers may start, per workload.
pub fn spare_pods(events: &[TimedEvent], config: &MeshConfig) -> BTreeMap<Name, u32> {
    let mut spare = BTreeMap::new();
    for owner in &config.workloads {
        let name = owner.meta.full_name();
        let existing = config.replicas(owner);
        let (mut most, mut rolls) = (existing, false);
        for event in events {
            match &event.what {
                EventKind::Scale { workload, replicas } if **workload == *name => {
                    most = most.max(*replicas);
                }
                EventKind::Rollout { workload } if **workload == *name => rolls = true,
                _ => {}
            }
        }
        if let Some(scaler) = config.autoscaler(owner).filter(|s| s.rules.is_some()) {
            most = most.max(scaler.max_replicas);
        }
        // A rolling update runs a whole set of new pods beside the old ones, at most.
        let all = if rolls { 2 * most } else { most };
        if all > existing {
            spare.insert(name.into(), all - existing);
        }
    }
    spare
}
