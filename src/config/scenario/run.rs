//! `Scenario`: one experiment.

use super::profile::Profile;
use crate::engine::Distribution;
use crate::http::Url;
use crate::units::{Origin, Rate, SimDuration};
use crate::xds::{Locality, Name};

/// One experiment: which mesh, which load, how long, which luck.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// `metadata.name`.
    pub name: Name,
    /// Paths of manifests as written, relative to the scenario's folder.
    pub manifests: Vec<Name>,
    /// Path of the Model as written; `None`: the Model in the same file, or defaults.
    pub model: Option<Name>,
    /// Istio release as written.
    pub istio_version: Option<Name>,
    /// How long load is offered; `None` with only closed loads that stop by count.
    pub duration: Option<SimDuration>,
    /// Time before counting begins.
    pub warm_up: SimDuration,
    /// Seed.
    pub seed: u64,
    /// Independent repetitions.
    pub replications: u32,
    /// Calls, or tries, that may be under way before a run is ended.
    pub max_in_flight: u32,
    /// Sources of requests.
    pub load: Vec<Load>,
    /// What happens to the mesh meanwhile, in the order of time.
    pub events: Vec<super::TimedEvent>,
    /// What has to hold.
    pub expect: Vec<super::Expectation>,
    /// Where single requests have to go.
    pub routes: Vec<super::RouteTest>,
    /// Where it starts; built in when made from flags.
    pub origin: Origin,
}

impl Scenario {
    /// Multiplies the rates of all open loads. Returns how many there are: closed loads send as
    /// fast as answers come, and have no rate to multiply.
    pub fn scale(&mut self, factor: f64) -> usize {
        let mut scaled = 0;
        for load in &mut self.load {
            if let LoadStyle::Open { rate, .. } = &mut load.style {
                *rate = Rate::per_second(rate.as_f64() * factor);
                if let Some(profile) = &mut load.profile {
                    profile.scale(factor);
                }
                scaled += 1;
            }
        }
        scaled
    }

    /// The same, and multiplies the users of closed loads (at least one stays).
    pub fn scale_all(&mut self, factor: f64) {
        self.scale(factor);
        for load in &mut self.load {
            if let LoadStyle::Closed {
                connections, qps, ..
            } = &mut load.style
            {
                let users = f64::from(*connections) * factor + 0.5;
                *connections = (users as u32).clamp(1, super::CONNECTIONS_MAX);
                *qps = qps.map(|qps| Rate::per_second(qps.as_f64() * factor));
            }
        }
    }
}

/// One source of requests.
#[derive(Clone, Debug)]
pub struct Load {
    /// Name, unique in the scenario.
    pub name: Name,
    /// Who calls.
    pub from: LoadSource,
    /// What is called.
    pub url: Url,
    /// `GET` when not written.
    pub method: Name,
    /// Headers of every request.
    pub headers: Vec<(Name, HeaderValue)>,
    /// Kinds of request by weight; empty: one kind.
    pub mix: Vec<MixEntry>,
    /// How requests are paced.
    pub style: LoadStyle,
    /// How the rate of an open load changes; `None`: it does not.
    pub profile: Option<Profile>,
    /// When it begins to send.
    pub start: SimDuration,
    /// When it stops; `None`: at the end of the duration.
    pub stop: Option<SimDuration>,
    /// Closed loop: the users begin one after the other within this time.
    pub ramp_up: SimDuration,
    /// The client's own timeout of each try.
    pub timeout: Option<SimDuration>,
    /// The client's own retries, above those of its proxy.
    pub retries: Option<super::AppRetries>,
    /// Where its timeout was written.
    pub timeout_origin: Origin,
    /// Where its own retries were written.
    pub retries_origin: Origin,
    /// Where it was written.
    pub origin: Origin,
}

impl Load {
    /// How long it sends in a run of this duration.
    pub fn active(&self, duration: SimDuration) -> SimDuration {
        let stop = self.stop.map_or(duration, |stop| stop.min(duration));
        SimDuration::from_ns(stop.ns().saturating_sub(self.start.ns()))
    }

    /// Requests that an open load is expected to send in a run of this duration; `None` of a
    /// closed one.
    pub fn expected(&self, duration: SimDuration) -> Option<f64> {
        let LoadStyle::Open { rate, requests, .. } = &self.style else {
            return None;
        };
        let active = self.active(duration);
        let offered = match &self.profile {
            Some(profile) => profile.curve(*rate, active).expected(active.as_secs_f64()),
            None => rate.as_f64() * active.as_secs_f64(),
        };
        Some(requests.map_or(offered, |n| offered.min(n as f64)))
    }
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadSource {
    /// The pods of a workload (`namespace/name`), in turn; an implied injected client when it does not exist and `implied` is set.
    Workload {
        /// `namespace/name`.
        name: Name,
        /// Made by the tool (`curl`, `load`, `run --to`): no manifest is needed.
        implied: bool,
    },
    /// A client outside the mesh, without a proxy, calling a gateway or a Service.
    Outside {
        /// Where it stands.
        locality: Locality,
        /// Gateway workload (`namespace/name`) that takes its requests; `None`: the only one, else plain Kubernetes.
        via: Option<Name>,
    },
}

/// Pacing.
#[derive(Clone, Debug)]
pub enum LoadStyle {
    /// Requests come whether or not answers do.
    Open {
        /// Mean rate over all client pods.
        rate: Rate,
        /// Spacing.
        arrivals: ArrivalKind,
        /// Stop after this many.
        requests: Option<u64>,
    },
    /// Each connection sends its next request when the last is answered, as `fortio -c N -qps 0`.
    Closed {
        /// Concurrent users.
        connections: u32,
        /// Stop after this many.
        requests: Option<u64>,
        /// Upper limit over all connections, as fortio's `-qps`; `None`: as fast as it goes.
        qps: Option<Rate>,
        /// Pause before each next request.
        think: Option<Distribution>,
    },
}

/// Spacing of an open load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArrivalKind {
    /// Exponential gaps.
    #[default]
    Poisson,
    /// Equal gaps.
    Constant,
}

/// One kind of request in a mix.
#[derive(Clone, Debug)]
pub struct MixEntry {
    /// Share.
    pub weight: u32,
    /// Replaces the load's URL.
    pub url: Option<Url>,
    /// Replaces the load's method.
    pub method: Option<Name>,
    /// Added to the load's headers; the same name replaces.
    pub headers: Vec<(Name, HeaderValue)>,
}

/// A header's value: written, or drawn for every request.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderValue {
    /// As written.
    Text(Name),
    /// `prefix` and a number, all equally likely.
    Uniform {
        /// Text before the number.
        prefix: Name,
        /// Numbers 0 to `count` - 1.
        count: u64,
    },
    /// `prefix` and a number, the k-th with weight 1/k^exponent.
    Zipf {
        /// Text before the number.
        prefix: Name,
        /// Numbers 0 to `count` - 1.
        count: u64,
        /// 1.0 is the classic.
        exponent: f64,
    },
}
