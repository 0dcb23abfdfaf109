//! A request in the HTTP filters that people add: refused, or let on and remembered until it ends.
//!
//! Everything here is off the common path: without such filters nothing of it is entered.

use std::collections::BTreeMap;

use super::filter_plan::FilterStep;
use super::plan::{Guard, NIL};
use super::world::World;
use crate::data_plane::adaptive_concurrency::Controller;
use crate::data_plane::admission_control::Window;
use crate::data_plane::local_rate_limit::Bucket;
use crate::data_plane::{Reason, Trail};
use crate::engine::Queue;
use crate::http::{Details, Flags};
use crate::observe::ProxyStat;
use crate::units::{Fraction, SimTime};

use super::event::Event;

/// State of all added filters.
#[derive(Debug, Default)]
pub(super) struct FilterStates {
    /// By limit and pod: the default bucket, then those of descriptors.
    buckets: BTreeMap<(u32, u32), Box<[Bucket]>>,
    /// By filter, pod and worker.
    windows: BTreeMap<(u32, u32, u32), Window>,
    /// By filter and pod, with the number of random draws so far.
    controllers: BTreeMap<(u32, u32), (Controller, u64)>,
    /// Filters that want to know how a call or a try ends.
    calls: BTreeMap<u32, Vec<Entered>>,
    attempts: BTreeMap<u32, Vec<Entered>>,
    /// Requests that a fault was injected into, by scope and pod, and whose they are.
    faults: BTreeMap<(u32, u32), u32>,
    faulted: BTreeMap<u32, (u32, u32)>,
}

impl FilterStates {
    /// A fault is about to be injected into a call; false when `has_room` finds too many active.
    pub(super) fn add_fault(
        &mut self,
        id: u32,
        of: (u32, u32),
        has_room: impl Fn(u32) -> bool,
    ) -> bool {
        if self.faulted.contains_key(&id) {
            return true;
        }
        let active = self.faults.entry(of).or_insert(0);
        let room = has_room(*active);
        if room {
            *active += 1;
            self.faulted.insert(id, of);
        }
        room
    }

    /// A call of a route with faults ended.
    pub(super) fn end_fault(&mut self, id: u32) {
        if let Some(of) = self.faulted.remove(&id)
            && let Some(active) = self.faults.get_mut(&of)
        {
            *active -= 1;
        }
    }

    /// True when no try has passed a filter that waits for its end.
    #[inline]
    pub(super) fn no_attempts(&self) -> bool {
        self.attempts.is_empty()
    }
}

/// A request that a filter let on.
#[derive(Clone, Copy, Debug)]
enum Entered {
    Admission { filter: u32, pod: u32, worker: u32 },
    Concurrency { filter: u32, pod: u32, at: SimTime },
}

/// What a filter answers itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) flags: Flags,
    pub(super) details: Details,
}

/// Who passes: pod and worker of the proxy, and the key of its draws.
#[derive(Clone, Copy, Debug)]
struct Passing {
    pod: u32,
    worker: u32,
    key: u64,
}

impl<T: Trail> World<'_, T> {
    /// A call in its client's proxy, before or after the fault filter; true when it goes on.
    #[cold]
    pub(super) fn pass_filters(
        &mut self,
        now: SimTime,
        id: u32,
        after_fault: bool,
        queue: &mut Queue<Event>,
    ) -> bool {
        let plan = self.plan;
        let call = &self.calls[id as usize];
        let passing = Passing {
            pod: call.pod,
            worker: call.worker,
            key: call.key,
        };
        let Some(filters) = &plan.routes[call.route as usize].filters else {
            return true;
        };
        let steps = if after_fault {
            &filters.after_fault
        } else {
            &filters.before_fault
        };
        let mut entered = self.filters.calls.remove(&id).unwrap_or_default();
        let refusal = self.run_steps(now, steps, passing, &mut entered);
        if !entered.is_empty() {
            self.filters.calls.insert(id, entered);
        }
        if let Some(Refusal {
            status,
            flags,
            details,
        }) = refusal
        {
            self.note(id, || Reason::FilterRefused { details });
            self.finish(now, id, status, flags, details, queue);
        }
        refusal.is_none()
    }

    /// A call ends in its client's proxy: with an answer, unless its client left.
    #[cold]
    pub(super) fn leave_filters(&mut self, now: SimTime, id: u32) {
        self.filters.end_fault(id);
        let call = &self.calls[id as usize];
        let left = call.flags.has(Flags::DC);
        let status = if left { 0 } else { call.status };
        if let Some(entered) = self.filters.calls.remove(&id) {
            self.ended(now, &entered, status);
        }
    }

    /// A try in its server's sidecar; the status of a filter that refuses it.
    #[cold]
    pub(super) fn pass_server_filters(&mut self, now: SimTime, id: u32, steps: u32) -> Option<u16> {
        let plan = self.plan;
        let attempt = &self.attempts[id as usize];
        let passing = Passing {
            pod: attempt.pod,
            worker: self.worker_of_server(id),
            key: attempt.key,
        };
        let mut entered = Vec::new();
        let steps = &plan.filters.at_servers[steps as usize];
        let refusal = self.run_steps(now, steps, passing, &mut entered);
        if refusal.is_some() {
            // What the filters before let on ends with the refusal of the one behind.
            let status = refusal.map_or(0, |r| r.status);
            self.ended(now, &entered, status);
        } else if !entered.is_empty() {
            self.filters.attempts.insert(id, entered);
        }
        refusal.map(|r| r.status)
    }

    /// A try's answer leaves the server's sidecar, or its client gave it up (status 0).
    #[cold]
    pub(super) fn leave_server_filters(&mut self, now: SimTime, id: u32, status: u16) {
        if let Some(entered) = self.filters.attempts.remove(&id) {
            self.ended(now, &entered, status);
        }
    }

    fn run_steps(
        &mut self,
        now: SimTime,
        steps: &[FilterStep],
        passing: Passing,
        entered: &mut Vec<Entered>,
    ) -> Option<Refusal> {
        for (number, step) in steps.iter().enumerate() {
            let purpose = self.keys.filter ^ number as u64;
            let mut draws = Self::draws(passing.key, purpose);
            let mut draw = || draws.next_u64();
            let refusal = match step {
                FilterStep::RateLimit(limit, buckets) => {
                    self.rate_limit(now, *limit, buckets, passing.pod, &mut draw)
                }
                FilterStep::Admission(filter) => {
                    self.admission(now, *filter, passing, draw(), entered)
                }
                FilterStep::Concurrency(filter) => {
                    self.concurrency(now, *filter, passing.pod, entered)
                }
            };
            if refusal.is_some() {
                return refusal;
            }
        }
        None
    }

    fn rate_limit(
        &mut self,
        now: SimTime,
        limit: u32,
        order: &[Option<usize>],
        pod: u32,
        draw: &mut dyn FnMut() -> u64,
    ) -> Option<Refusal> {
        let plan = &self.plan.filters.limits[limit as usize];
        let settings = &plan.settings;
        let scope = self.scope_of(plan.scope, pod);
        let stats = &mut self.record.proxies[scope];
        let mut happens = |share: Fraction| share == Fraction::ONE || share.hit(draw());
        if settings.enabled == Fraction::ZERO || !happens(settings.enabled) {
            return None;
        }
        stats.inc(ProxyStat::RateLimitEnabled);
        let descriptors = settings.descriptors.iter().map(|d| Some(d.bucket));
        let all: Vec<_> = std::iter::once(settings.bucket)
            .chain(descriptors)
            .collect();
        let buckets = self.filters.buckets.entry((limit, pod)).or_insert_with(|| {
            let full = |b: &Option<_>| b.as_ref().map_or_else(Bucket::none, Bucket::full);
            all.iter().map(full).collect()
        });
        let allowed = order.iter().all(|position| {
            let at = position.map_or(0, |p| p + 1);
            all[at].is_none_or(|bucket| buckets[at].take(now, &bucket))
        });
        if allowed {
            stats.inc(ProxyStat::RateLimitOk);
            return None;
        }
        stats.inc(ProxyStat::RateLimited);
        if settings.enforced == Fraction::ZERO || !happens(settings.enforced) {
            return None;
        }
        stats.inc(ProxyStat::RateLimitEnforced);
        Some(Refusal {
            status: settings.status,
            flags: Flags::RL,
            details: Details::LocalRateLimited,
        })
    }

    fn admission(
        &mut self,
        now: SimTime,
        filter: u32,
        Passing { pod, worker, .. }: Passing,
        draw: u64,
        entered: &mut Vec<Entered>,
    ) -> Option<Refusal> {
        let plan = &self.plan.filters.admissions[filter as usize];
        let windows = &mut self.filters.windows;
        let window = windows.entry((filter, pod, worker)).or_default();
        if !window.rejects(now, &plan.settings, draw) {
            entered.push(Entered::Admission {
                filter,
                pod,
                worker,
            });
            return None;
        }
        let scope = self.scope_of(plan.scope, pod);
        self.record.proxies[scope].inc(ProxyStat::AdmissionRejected);
        Some(Refusal {
            status: 503,
            flags: Flags::NONE,
            details: Details::DeniedByAdmissionControl,
        })
    }

    fn concurrency(
        &mut self,
        now: SimTime,
        filter: u32,
        pod: u32,
        entered: &mut Vec<Entered>,
    ) -> Option<Refusal> {
        let plan = &self.plan.filters.concurrencies[filter as usize];
        let controllers = &mut self.filters.controllers;
        let known = controllers.entry((filter, pod));
        let (controller, _) = known.or_insert_with(|| (Controller::new(&plan.settings), 0));
        let admitted = controller.admit(now, &plan.settings);
        let limit = u64::from(controller.limit());
        let scope = self.scope_of(plan.scope, pod);
        let stats = &mut self.record.proxies[scope];
        stats.set(ProxyStat::ConcurrencyLimit, limit);
        if admitted {
            entered.push(Entered::Concurrency {
                filter,
                pod,
                at: now,
            });
            return None;
        }
        stats.inc(ProxyStat::ConcurrencyBlocked);
        Some(Refusal {
            status: plan.settings.status,
            flags: Flags::NONE,
            details: Details::ReachedConcurrencyLimit,
        })
    }

    /// What filters let on ended; status 0: without an answer.
    fn ended(&mut self, now: SimTime, entered: &[Entered], status: u16) {
        let plans = &self.plan.filters;
        for one in entered {
            match *one {
                Entered::Admission {
                    filter,
                    pod,
                    worker,
                } => {
                    let settings = &plans.admissions[filter as usize].settings;
                    let window = self.filters.windows.get_mut(&(filter, pod, worker));
                    if let (Some(window), 1..) = (window, status) {
                        window.record(now, settings, status);
                    }
                }
                Entered::Concurrency { filter, pod, at } => {
                    let plan = &plans.concurrencies[filter as usize];
                    let found = self.filters.controllers.get_mut(&(filter, pod));
                    let Some((controller, drawn)) = found else {
                        continue;
                    };
                    if status == 0 {
                        controller.cancelled();
                        continue;
                    }
                    let name = &self.plan.pods[pod as usize].name;
                    let key = self.seed.key("adaptive-concurrency", name);
                    controller.answered(now, at, &plan.settings, || {
                        *drawn += 1;
                        Self::draws(key ^ u64::from(filter), *drawn).next_u64()
                    });
                    let limit = u64::from(controller.limit());
                    let scope = self.scope_of(plan.scope, pod);
                    let stats = &mut self.record.proxies[scope];
                    stats.set(ProxyStat::ConcurrencyLimit, limit);
                }
            }
        }
    }

    /// A try arrives where more than limits stand before the application; true when it goes in.
    #[cold]
    pub(super) fn pass_guard(
        &mut self,
        now: SimTime,
        id: u32,
        guard: u32,
        queue: &mut Queue<Event>,
    ) -> bool {
        let plan = self.plan;
        let guard = &plan.guards[guard as usize];
        let attempt = &mut self.attempts[id as usize];
        attempt.behind_sidecar = true;
        if !guard.rbac.is_empty() && self.is_denied(id, guard) {
            self.attempts[id as usize].status = self.sidecar_status(id, 403);
            self.send_back(now, id, queue);
            return false;
        }
        let refusal = match guard.steps {
            NIL => None,
            steps => self.pass_server_filters(now, id, steps),
        };
        let Some(status) = refusal else {
            return guard.inbound == NIL || self.enter_gate(now, id, guard.inbound, queue);
        };
        self.attempts[id as usize].status = self.sidecar_status(id, status);
        let pod = self.attempts[id as usize].pod;
        let app = self.plan.pods[pod as usize].app;
        self.record.apps[app as usize].rejected += 1;
        self.send_back(now, id, queue);
        false
    }

    /// What AuthorizationPolicies say, counted. A client that left on the way gets no answer
    /// whatever it would be: where its address matters it is let through uncounted.
    fn is_denied(&mut self, id: u32, guard: &Guard) -> bool {
        let call = self.attempts[id as usize].call;
        let counts = match (guard.rbac.as_slice(), call) {
            ([all], _) => Some(*all),
            (_, NIL) => None,
            (by_pod, call) => {
                let pod = self.calls[call as usize].pod;
                let ordinal = self.plan.pods[pod as usize].ordinal as usize;
                by_pod.get(ordinal).copied()
            }
        };
        let counts = counts.unwrap_or_default();
        let server = self.attempts[id as usize].pod;
        let scope = self.scope_of(guard.rbac_scope, server);
        let stats = &mut self.record.proxies[scope];
        stats.add(ProxyStat::RbacAllowed, u64::from(counts.allowed));
        stats.add(ProxyStat::RbacDenied, u64::from(counts.denied));
        counts.denied
    }
}
