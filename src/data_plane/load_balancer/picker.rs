//! One pick: priority, locality, policy, and the retry's wish for another host.

use super::bounded_load;
use super::edf::Edf;
use super::host_set::HostSet;
use super::least_request::{best_of, better_of_two, least_of_all, scheduled_weight};
use super::priority::{choose_excluding, choose_priority};
use super::random;
use super::round_robin;
use super::slow_start::weight;
use super::state::LbState;
use super::view::{LbView, Source, Table};
use super::zone::ZonePick;
use crate::data_plane::trail::{PickWhy, Reason, Trail};
use crate::units::Fraction;
use crate::units::SimTime;
use crate::xds::LbPolicy;

/// What a pick may ask about the request.
#[derive(Debug)]
pub struct PickContext<'a, D: FnMut() -> u64> {
    /// Source of random numbers.
    pub draw: D,
    /// The request's hash, for ring and Maglev.
    pub hash: Option<u64>,
    /// 0 for the first try.
    pub attempt: u32,
    /// Hosts of earlier tries, in order.
    pub tried: &'a [u32],
    /// Retries avoid hosts that were tried (`previous_hosts`).
    pub skip_previous_hosts: bool,
    /// Picks beyond the first while the host was tried before; the last one stands.
    pub reselects: u32,
    /// Retries avoid priorities that were tried (`previous_priorities`, update frequency).
    pub skip_priorities: Option<u32>,
    /// The time.
    pub now: SimTime,
}

/// The balancer's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Index of the endpoint; `None` is 503 UH.
    pub host: Option<u32>,
    /// The pick was made in panic (`lb_healthy_panic`).
    pub panic: bool,
    /// The priority it was made in.
    pub priority: u32,
    /// What routing by zone said.
    pub zone: ZonePick,
}

/// Picks a host. `active` is the number of requests this Envoy (all workers) has on a host.
#[inline]
pub fn pick<D: FnMut() -> u64, T: Trail>(
    set: &HostSet,
    view: &LbView,
    state: &mut LbState,
    ctx: &mut PickContext<'_, D>,
    active: impl Fn(u32) -> u32,
    trail: &mut T,
) -> Pick {
    if view.simple && ctx.attempt == 0 && !T::ON {
        return Pick {
            host: pick_simply(set, view, state, &mut ctx.draw, active),
            panic: false,
            priority: 0,
            zone: ZonePick::None,
        };
    }
    pick_any(set, view, state, ctx, &active, trail)
}

/// The pick of a first try in a view that [is simple](LbView::is_simple): nothing about the
/// request matters.
#[expect(clippy::inline_always, reason = "once per call, in one place")]
#[inline(always)]
pub fn pick_simply(
    set: &HostSet,
    view: &LbView,
    state: &mut LbState,
    draw: &mut impl FnMut() -> u64,
    active: impl Fn(u32) -> u32,
) -> Option<u32> {
    let two_choices = matches!(
        set.policy,
        LbPolicy::LeastRequest {
            choice_count: 2,
            full_scan: false,
            ..
        }
    );
    if two_choices && view.all_of > 1 {
        return Some(better_of_two(view.all_of, draw, active));
    }
    let hosts = &*view.priorities.first()?.healthy.hosts;
    match set.policy {
        LbPolicy::RoundRobin => round_robin::turn(hosts, &mut state.turn),
        LbPolicy::LeastRequest { choice_count, .. } => {
            best_of(hosts, choice_count, draw, &active).map(|(host, _)| host)
        }
        _ => random::any(hosts, draw()),
    }
}

/// The general case; the common one is answered before it.
fn pick_any<D: FnMut() -> u64, T: Trail>(
    set: &HostSet,
    view: &LbView,
    state: &mut LbState,
    ctx: &mut PickContext<'_, D>,
    active: &impl Fn(u32) -> u32,
    trail: &mut T,
) -> Pick {
    let nobody = Pick {
        host: None,
        // Without a host none is healthy: the pick counts as one in panic and finds nobody.
        panic: view.priorities.is_empty() && set.panic_threshold > Fraction::ZERO,
        priority: 0,
        zone: ZonePick::None,
    };
    if view.priorities.is_empty() {
        if T::ON {
            trail.note(Reason::NoHost);
        }
        return nobody;
    }
    state.prepare(set, view, active, ctx.now);
    let hashing = matches!(
        set.policy,
        LbPolicy::RingHash { .. } | LbPolicy::Maglev { .. }
    );
    let hash = if hashing {
        ctx.hash.unwrap_or_else(&mut ctx.draw)
    } else {
        0
    };
    let wants_other = ctx.attempt > 0 && ctx.skip_previous_hosts;
    let reselects = if wants_other { ctx.reselects } else { 0 };
    let mut pick = nobody;
    for repick in 0..=reselects {
        pick = if hashing {
            by_hash(set, view, hash, repick, ctx.hash.is_some(), active, trail)
        } else {
            by_policy(set, view, state, ctx, active, trail)
        };
        match pick.host {
            Some(host) if wants_other && ctx.tried.contains(&host) => {
                if T::ON && repick < reselects {
                    trail.note(Reason::HostRejected { host });
                }
            }
            _ => break,
        }
    }
    if T::ON && pick.host.is_none() {
        trail.note(Reason::NoHost);
    }
    pick
}

/// Ring and Maglev: the priority by the same hash; retries never change it.
fn by_hash<T: Trail>(
    set: &HostSet,
    view: &LbView,
    hash: u64,
    repick: u32,
    has_hash: bool,
    active: &impl Fn(u32) -> u32,
    trail: &mut T,
) -> Pick {
    let priority = choose_priority(&view.loads.load, hash);
    let level = &view.priorities[priority as usize];
    let panic = view.loads.panic[priority as usize];
    let host = match &level.table {
        Table::Ring(ring) => ring.lookup(hash, repick),
        Table::Maglev(table) => table.lookup(hash, repick),
        Table::None => None,
    };
    let host = match (host, set.balance_factor) {
        (Some(host), Some(factor)) => Some(bounded_load::choose(
            &level.shares,
            host,
            hash,
            factor,
            active,
        )),
        _ => host,
    };
    if T::ON {
        let why = if has_hash {
            PickWhy::Hash { hash }
        } else {
            PickWhy::RandomHash
        };
        let source = if panic { &level.all } else { &level.healthy };
        note(set, source, host, priority, panic, why, trail);
    }
    Pick {
        host,
        panic,
        priority,
        zone: ZonePick::None,
    }
}

fn by_policy<D: FnMut() -> u64, T: Trail>(
    set: &HostSet,
    view: &LbView,
    state: &mut LbState,
    ctx: &mut PickContext<'_, D>,
    active: &impl Fn(u32) -> u32,
    trail: &mut T,
) -> Pick {
    // Only the choice of a priority and RANDOM look at this number.
    let random = set.policy == LbPolicy::Random;
    let several = view.priorities.len() > 1;
    let hash = if random || several { (ctx.draw)() } else { 0 };
    let priority = match ctx.skip_priorities {
        Some(frequency) if ctx.attempt > 0 && several => {
            let levels = ctx
                .tried
                .iter()
                .map(|host| set.hosts[*host as usize].priority);
            choose_excluding(&view.loads, hash, frequency, levels)
        }
        _ => choose_priority(&view.loads.load, hash),
    };
    let panic = view.loads.panic[priority as usize];
    if panic && set.fail_on_panic {
        if T::ON {
            trail.note(Reason::Panic { priority });
        }
        return Pick {
            host: None,
            panic,
            priority,
            zone: ZonePick::None,
        };
    }
    let zones = view.priorities[priority as usize].zones.as_deref();
    let (locality, zone) = match (&set.zones, zones) {
        (Some(zones), Some(shares)) if !panic => zones.choose(shares, &mut ctx.draw),
        _ => (None, ZonePick::None),
    };
    if zone == ZonePick::LocalClusterNotOk && set.fail_on_panic {
        return Pick {
            host: None,
            panic,
            priority,
            zone,
        };
    }
    let candidates = candidates(view, state, priority, panic, locality);
    let source = candidates.source;
    let (host, why) = choose(set, candidates, hash, ctx, active);
    if T::ON {
        if zone != ZonePick::None {
            trail.note(Reason::Zone { zone });
        } else if let Some(why) = view.zones_off.filter(|_| priority == 0 && !panic) {
            trail.note(Reason::NoZones { why });
        }
        note(set, source, host, priority, panic, why, trail);
    }
    Pick {
        host,
        panic,
        priority,
        zone,
    }
}

/// A list of candidates with the worker's memory of it.
struct Candidates<'a> {
    source: &'a Source,
    index: &'a mut u64,
    schedule: Option<&'a mut Edf>,
}

/// Whom to choose from: everybody in panic, one locality where they are weighted or the zone
/// decides, else the healthy hosts of the priority.
fn candidates<'a>(
    view: &'a LbView,
    state: &'a mut LbState,
    priority: u32,
    panic: bool,
    locality: Option<usize>,
) -> Candidates<'a> {
    let level = &view.priorities[priority as usize];
    if view.simple {
        return Candidates {
            source: &level.healthy,
            index: &mut state.turn,
            schedule: None,
        };
    }
    let memory = &mut state.priorities[priority as usize];
    let (source, memory) = if panic {
        (&level.all, &mut memory.all)
    } else {
        let weight = |item: u32| level.locality_weights[item as usize];
        let at = if level.locality_weights.is_empty() {
            locality
        } else {
            memory.locality_schedule.pick(weight).map(|at| at as usize)
        };
        match at {
            Some(at) => (&level.localities[at], &mut memory.localities[at]),
            // One index for the healthy hosts of priority 0, whatever the view.
            None if priority == 0 => {
                return Candidates {
                    source: &level.healthy,
                    index: &mut state.turn,
                    schedule: memory.healthy.schedule.as_mut(),
                };
            }
            None => (&level.healthy, &mut memory.healthy),
        }
    };
    Candidates {
        source,
        index: &mut memory.index,
        schedule: memory.schedule.as_mut(),
    }
}

/// The policy's choice from one list of candidates.
fn choose<D: FnMut() -> u64>(
    set: &HostSet,
    candidates: Candidates<'_>,
    hash: u64,
    ctx: &mut PickContext<'_, D>,
    active: &impl Fn(u32) -> u32,
) -> (Option<u32>, PickWhy) {
    let hosts = &*candidates.source.hosts;
    let now = ctx.now;
    match (set.policy, candidates.schedule) {
        (LbPolicy::RoundRobin, Some(schedule)) => (
            schedule.pick(|host| weight(set, host, now)),
            PickWhy::Schedule,
        ),
        (LbPolicy::RoundRobin, None) => (round_robin::turn(hosts, candidates.index), PickWhy::Turn),
        (LbPolicy::LeastRequest { bias, .. }, Some(schedule)) => {
            let weight = |host| scheduled_weight(weight(set, host, now), active(host), bias);
            (schedule.pick(weight), PickWhy::Schedule)
        }
        (
            LbPolicy::LeastRequest {
                choice_count,
                full_scan,
                ..
            },
            None,
        ) => {
            let best = if full_scan {
                least_of_all(hosts, &mut ctx.draw, active)
            } else {
                best_of(hosts, choice_count, &mut ctx.draw, active)
            };
            match best {
                Some((host, active)) => {
                    let choices = if full_scan {
                        hosts.len() as u32
                    } else {
                        choice_count
                    };
                    (Some(host), PickWhy::FewestActive { active, choices })
                }
                None => (None, PickWhy::Random),
            }
        }
        (LbPolicy::Random, _) => (random::any(hosts, hash), PickWhy::Random),
        // The client's own address: there is no choice unless there is one host.
        _ => match hosts {
            [only] => (Some(*only), PickWhy::Turn),
            _ => (None, PickWhy::Turn),
        },
    }
}

fn note<T: Trail>(
    set: &HostSet,
    source: &Source,
    host: Option<u32>,
    priority: u32,
    panic: bool,
    why: PickWhy,
    trail: &mut T,
) {
    if panic {
        trail.note(Reason::Panic { priority });
    }
    if let Some(host) = host {
        trail.note(Reason::HostPicked {
            host,
            candidates: source.hosts.len() as u32,
            priority,
            policy: set.policy,
            why,
        });
    }
}
