//! The story of one request as sentences.

use super::zones::{no_zones_words, zone_words};
use crate::data_plane::Reason;
use crate::data_plane::retry::{RetryDecision, TryOutcome};
use crate::data_plane::trail::{DomainMatch, PickWhy, Timer};
use crate::simulation::Story;
use crate::units::{Origin, SimDuration, SimTime};
use crate::xds::route::{AbortStatus, Fault, Forward};
use crate::xds::{Action, LbPolicy, Route, Snapshot, VirtualHost};

/// One sentence per decision, in the order in which they were made.
pub fn narrate(snapshot: &Snapshot, story: &Story) -> Vec<String> {
    let told = narrate_in_time(snapshot, story);
    told.into_iter().map(|told| told.what).collect()
}

/// A sentence about a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// When it was made; `None`: when the request came.
    pub at: Option<SimTime>,
    /// The sentence.
    pub what: String,
}

/// The same with the time of each decision, as far as the story knows it.
pub fn narrate_in_time(snapshot: &Snapshot, story: &Story) -> Vec<Told> {
    let teller = Teller {
        snapshot: snapshot.at(story.version),
        story,
    };
    let untimed = |what: String| Told { at: None, what };
    let mut told: Vec<Told> = Vec::new();
    told.extend(teller.entrance().map(untimed));
    if story.route_config.is_none() {
        told.push(untimed(teller.without_http()));
    }
    // A weighted pick belongs to the match: what the route asks for is said after both.
    let mut asked = Vec::new();
    let first_timed = story.reasons.len() - story.times.len();
    let mut rejected: Vec<u32> = Vec::new();
    for (index, reason) in story.reasons.iter().enumerate() {
        // Picks that were made again are told together, before the one that stood.
        match (reason, story.reasons.get(index + 1)) {
            (Reason::HostRejected { host }, _) => {
                rejected.push(*host);
                continue;
            }
            (Reason::HostPicked { .. }, Some(Reason::HostRejected { .. })) => continue,
            _ => {}
        }
        if !matches!(reason, Reason::WeightedPick { .. }) {
            told.append(&mut asked);
        }
        let times = index.checked_sub(first_timed);
        let at = times.and_then(|index| story.times.get(index).copied());
        let again = teller.picked_again(&std::mem::take(&mut rejected));
        told.extend(again.map(|what| Told { at, what }));
        let what = teller.sentence(reason);
        told.push(Told { at, what });
        if let Reason::RouteMatched { .. } = reason {
            asked = teller.settings().into_iter().map(untimed).collect();
        }
    }
    told.append(&mut asked);
    told.extend(teller.refused().map(untimed));
    told.extend(teller.attempt_count().map(untimed));
    told.push(untimed(teller.end()));
    told
}

pub(super) struct Teller<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) story: &'a Story,
}

impl Teller<'_> {
    fn vhost(&self, index: usize) -> Option<&VirtualHost> {
        let config = &self.snapshot.route_configs[self.story.route_config?];
        config.virtual_hosts.get(index)
    }

    fn route(&self, index: usize) -> Option<&Route> {
        let vhost = self.story.reasons.iter().find_map(|reason| match reason {
            Reason::VirtualHostMatched { vhost, .. } => Some(*vhost),
            _ => None,
        })?;
        self.vhost(vhost)?.routes.get(index)
    }

    pub(super) fn matched(&self) -> Option<&Route> {
        let (vhost, route) = self.story.route?;
        self.vhost(vhost)?.routes.get(route)
    }

    pub(super) fn forward(&self) -> Option<&Forward> {
        match &self.matched()?.action {
            Action::Forward(forward) => Some(forward),
            _ => None,
        }
    }

    fn fault(&self) -> Option<&Fault> {
        self.matched()?.fault.as_ref()
    }

    /// ` (vs.yaml:12)`, or nothing for built-in defaults.
    pub(super) fn at(&self, origin: Origin) -> String {
        if origin.is_built_in() {
            String::new()
        } else {
            format!(" ({})", self.snapshot.origins.place(origin))
        }
    }

    fn route_name(&self, index: usize) -> String {
        let Some(route) = self.route(index) else {
            return format!("route {}", index + 1);
        };
        let name = if route.name.is_empty() || &*route.name == "default" {
            String::new()
        } else {
            format!(" `{}`", route.name)
        };
        format!("route {}{name}{}", index + 1, self.at(route.origin))
    }

    /// The request met no HTTP routing in a proxy.
    fn without_http(&self) -> String {
        let cluster = &self.story.request.cluster;
        match cluster.as_str() {
            "" if self.story.request.details == "-" => {
                "the client has no sidecar: Kubernetes alone chose the pod, and no Istio rule applies"
                    .to_owned()
            }
            "" => "no listener of the sidecar takes this port, and unknown destinations are blocked"
                .to_owned(),
            "PassthroughCluster" => "no listener of the sidecar takes this port: the connection is passed through as it is (outboundTrafficPolicy ALLOW_ANY)".to_owned(),
            cluster => format!("the listener handles the bytes as TCP, without HTTP rules: `{cluster}`"),
        }
    }

    fn sentence(&self, reason: &Reason) -> String {
        match reason {
            Reason::VirtualHostMatched { vhost, domain, how } => {
                self.vhost_matched(*vhost, domain, *how)
            }
            Reason::NoVirtualHost => {
                "no virtual host has a domain that fits the Host header".to_owned()
            }
            Reason::RouteSkipped { route, why } => {
                format!(
                    "{} does not match: {}",
                    self.route_name(*route),
                    why.describe()
                )
            }
            Reason::RouteMatched { route } => format!("{} matches", self.route_name(*route)),
            Reason::NoRoute { .. } => "no route of the virtual host matches".to_owned(),
            Reason::WeightedPick {
                index,
                draw_mod,
                total,
            } => self.weighted(*index, *draw_mod, *total),
            Reason::PathRewritten { from, to } => format!("the path `{from}` becomes `{to}`"),
            Reason::AuthorityRewritten { to } => format!("the Host header becomes `{to}`"),
            Reason::Redirect { status } => format!("the route answers with a redirect ({status})"),
            Reason::DirectResponse { status } => {
                format!(
                    "the route answers itself with {status}{}",
                    self.location(*status)
                )
            }
            Reason::FaultDelay { delay } => {
                self.fault_said(&format!("delays the request by {delay}"))
            }
            Reason::FaultAbort { status } => self.fault_said(&match status {
                AbortStatus::Http(status) => {
                    format!("answers with {status} instead of the upstream")
                }
                AbortStatus::Grpc(status) => {
                    format!("answers with grpc-status {status} instead of the upstream")
                }
            }),
            Reason::FaultNot { delay } => self.fault_escaped(*delay),
            Reason::FilterRefused { details } => {
                format!("a filter that an EnvoyFilter added refuses the request: {details}")
            }
            Reason::ClusterMissing { cluster, status } => format!(
                "the proxy knows no cluster `{cluster}` (the host or subset does not exist, or is out of scope): {status} NC"
            ),
            Reason::HostPicked {
                host,
                candidates,
                priority,
                policy,
                why,
            } => self.picked(*host, *candidates, *priority, *policy, why),
            Reason::HostRejected { host } => self.picked_again(&[*host]).unwrap_or_default(),
            Reason::Panic { priority } => format!(
                "too few hosts of priority {priority} are healthy: all of them are used (panic threshold)"
            ),
            Reason::Zone { zone } => zone_words(*zone).to_owned(),
            Reason::NoZones { why } => no_zones_words(*why),
            Reason::NoHost => self.no_host(),
            Reason::Overflow { which } => {
                format!("the circuit breaker `{}` is full", which.as_str())
            }
            Reason::Retry { outcome, decision } => self.retry(*outcome, decision),
            Reason::Ejected { host, kind, until } => {
                format!(
                    "{} is ejected ({kind:?}) until {until} at least",
                    self.host(*host)
                )
            }
            Reason::Timeout { which, after } => self.timed_out(*which, *after),
            Reason::Denied { policy } => match policy {
                Some(policy) => format!("AuthorizationPolicy `{policy}` refuses the request"),
                None => "no ALLOW policy matches: the request is refused".to_owned(),
            },
        }
    }

    fn vhost_matched(&self, index: usize, domain: &str, how: DomainMatch) -> String {
        let how = match how {
            DomainMatch::Exact => format!("has the domain `{domain}`"),
            DomainMatch::Suffix | DomainMatch::Prefix => {
                format!("has the wildcard domain `{domain}`")
            }
            DomainMatch::Any => "takes every host that no other takes".to_owned(),
        };
        let Some(vhost) = self.vhost(index) else {
            return format!("the virtual host {how}");
        };
        let object = if vhost.origin.is_built_in() {
            String::new()
        } else {
            format!(", from {}", self.snapshot.origins.describe(vhost.origin))
        };
        format!("virtual host `{}` {how}{object}", vhost.name)
    }

    fn weighted(&self, index: usize, draw: u64, total: u64) -> String {
        let name = self.story.clusters.get(index).map_or("?", String::as_str);
        let Some(cluster) = self.forward().and_then(|f| f.clusters.get(index)) else {
            return format!("the weighted pick falls on `{name}`");
        };
        format!(
            "weight {} of {total}: the request's number {draw} falls on `{name}`{}",
            cluster.weight,
            self.at(cluster.origin)
        )
    }

    fn fault_said(&self, what: &str) -> String {
        let origin = self.fault().map_or(Origin::BUILT_IN, |f| f.origin);
        format!("the route's fault{} {what}", self.at(origin))
    }

    fn fault_escaped(&self, delay: bool) -> String {
        let fault = self.fault();
        let share = fault.and_then(|f| {
            if delay {
                f.delay.map(|(share, _)| share)
            } else {
                f.abort.map(|(share, _)| share)
            }
        });
        let what = if delay { "delay" } else { "abort" };
        let share = share.map_or_else(String::new, |share| format!(" of {share}"));
        let origin = fault.map_or(Origin::BUILT_IN, |f| f.origin);
        format!(
            "the injected {what}{share}{} does not hit this request",
            self.at(origin)
        )
    }

    fn host(&self, host: u32) -> String {
        let name = self.story.hosts.get(host as usize);
        name.map_or_else(|| format!("host {host}"), Clone::clone)
    }

    fn picked(
        &self,
        host: u32,
        candidates: u32,
        priority: u32,
        policy: LbPolicy,
        why: &PickWhy,
    ) -> String {
        if candidates == 1 {
            return format!("{} is picked: it is the only endpoint", self.host(host));
        }
        let policy = match policy {
            LbPolicy::RoundRobin => "ROUND_ROBIN",
            LbPolicy::LeastRequest { .. } => "LEAST_REQUEST",
            LbPolicy::Random => "RANDOM",
            LbPolicy::RingHash { .. } => "RING_HASH",
            LbPolicy::Maglev { .. } => "MAGLEV",
            LbPolicy::ClusterProvided => "the original destination",
        };
        let why = match why {
            PickWhy::Turn => "it is its turn".to_owned(),
            PickWhy::Schedule => "by weight".to_owned(),
            PickWhy::FewestActive { active, choices } => {
                format!("fewest active requests ({active}) of {choices} random choices")
            }
            PickWhy::Random => "at random".to_owned(),
            PickWhy::Hash { hash } => format!("by the request's hash {hash:016x}"),
            PickWhy::RandomHash => "at random: the request has nothing to hash".to_owned(),
        };
        let level = if priority == 0 {
            String::new()
        } else {
            format!(" of priority {priority}")
        };
        format!(
            "{} is picked, one of {candidates} endpoints{level}: {policy}{}, {why}",
            self.host(host),
            self.policy_written()
        )
    }

    /// Picks that fell on hosts of earlier tries.
    fn picked_again(&self, rejected: &[u32]) -> Option<String> {
        let mut hosts: Vec<u32> = rejected.to_vec();
        hosts.sort_unstable();
        hosts.dedup();
        let names: Vec<String> = hosts.iter().map(|host| self.host(*host)).collect();
        match (rejected.len(), names.as_slice()) {
            (0, _) => None,
            (1, [only]) => Some(format!(
                "{only} was tried before: another is picked (previous_hosts)"
            )),
            (n, names) => Some(format!(
                "{n} picks in a row fell on {}, tried before, and were made again (previous_hosts)",
                names.join(" and ")
            )),
        }
    }

    fn retry(&self, outcome: TryOutcome, decision: &RetryDecision) -> String {
        let what = match outcome {
            TryOutcome::Response {
                grpc_status: Some(status),
                ..
            } => format!("the try was answered with grpc-status {status}"),
            TryOutcome::Response { status, .. } => format!("the try was answered with {status}"),
            TryOutcome::Reset(reason) => {
                let (status, flags, _) = reason.reply();
                format!("the try failed ({status} {flags})")
            }
        };
        let retry = self.forward().and_then(|f| f.retry.as_ref());
        let policy = retry.map_or_else(String::new, |r| {
            if r.origin.is_built_in() {
                " (default policy)".to_owned()
            } else {
                self.at(r.origin)
            }
        });
        match decision {
            RetryDecision::No { was_success: true } => format!("{what}: the retry is over"),
            RetryDecision::No { was_success: false } => format!("{what}: not retried{policy}"),
            RetryDecision::LimitExceeded => format!("{what}, and the retries are used up{policy}"),
            RetryDecision::Overflow => format!("{what}; the breaker for retries is full"),
            RetryDecision::After(delay) => {
                let wait = if *delay == SimDuration::ZERO {
                    "at once".to_owned()
                } else {
                    format!("after {delay}")
                };
                format!("{what}: tried again {wait}{policy}")
            }
        }
    }

    /// A direct response 201 or 3xx carries the request's own URL (`router.cc`).
    fn location(&self, status: u16) -> String {
        let class = self.story.class.as_ref();
        let class = class.filter(|_| status == 201 || (300..400).contains(&status));
        class.map_or_else(String::new, |class| {
            let scheme = class.view().scheme;
            format!(
                " (location: {scheme}://{}{})",
                class.authority, class.url.path
            )
        })
    }

    fn timed_out(&self, which: Timer, after: SimDuration) -> String {
        match which {
            Timer::PerTry => format!("the try took longer than perTryTimeout {after}"),
            Timer::PerTryIdle => format!("the try said nothing for per_try_idle_timeout {after}"),
            Timer::TryDuration => {
                format!("the try took longer than the cluster's max_stream_duration {after}")
            }
            Timer::Route => format!(
                "the request took longer than the route's timeout {after}{}",
                self.forward()
                    .map_or_else(String::new, |f| self.at(f.timeout_origin))
            ),
            Timer::StreamIdle => format!("nothing moved for the stream's idle timeout {after}"),
            Timer::StreamDuration => {
                format!("the stream lasted longer than max_stream_duration {after}")
            }
        }
    }

    /// The header that tells upstreams which try they see (`include_request_attempt_count`).
    fn attempt_count(&self) -> Option<String> {
        let (vhost, _) = self.story.route?;
        let tries = self.story.request.attempts;
        let counted = self.vhost(vhost).is_some_and(|v| v.include_attempt_count);
        (counted && tries > 1).then(|| {
            format!("the last try carries `x-envoy-attempt-count: {tries}`, the first one 1")
        })
    }

    fn end(&self) -> String {
        let r = &self.story.request;
        let flags = if r.flags == "-" {
            String::new()
        } else {
            format!(" with flags {}", r.flags)
        };
        let by = if r.workload.is_empty() {
            format!("({})", r.details)
        } else {
            format!("from {}", r.workload)
        };
        let status = if r.status == 0 {
            "no answer".to_owned()
        } else {
            format!("answer {}", r.status)
        };
        let tries = match r.attempts {
            0 | 1 => String::new(),
            n => format!(", {n} tries"),
        };
        format!("{status}{flags} {by} after {}{tries}", r.duration)
    }
}
