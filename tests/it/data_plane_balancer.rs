//! Promises of the balancer as a whole: what [`pick`] does with a host set (Envoy 1.40).

use std::sync::Arc;

use towtank::data_plane::load_balancer::Ring;
use towtank::data_plane::trail::{PickWhy, Reason};
use towtank::data_plane::{
    HostSet, LbState, LbView, NoTrail, Pick, PickContext, Recorder, ZonePick, pick,
};
use towtank::units::{Fraction, Origin, SimDuration, SimTime};
use towtank::xds::cluster::{CommonLb, PoolSettings, Thresholds, Upstream, Warmup};
use towtank::xds::endpoint::{LocalityGroup, LocalityPolicy};
use towtank::xds::snapshot::Protocol;
use towtank::xds::{
    Cluster, ClusterKind, Endpoint, Health, LbPolicy, LoadAssignment, Locality, Name, Tls,
};

const LEAST_REQUEST: LbPolicy = LbPolicy::LEAST_REQUEST;

/// A group of hosts: priority, locality weight, weights of its hosts.
type Group<'a> = (u32, Option<u32>, &'a [u32]);

fn set(policy: LbPolicy, panic_percent: f64, groups: &[Group<'_>]) -> HostSet {
    let mut endpoints = Vec::new();
    let mut assignment = LoadAssignment::default();
    for (number, (priority, weight, hosts)) in groups.iter().enumerate() {
        let locality = Locality::parse(&format!("r{number}"));
        let first = endpoints.len() as u32;
        for weight in *hosts {
            endpoints.push(Endpoint {
                address: format!("10.0.0.{}", endpoints.len() + 1).into(),
                port: 80,
                pod: None,
                weight: *weight,
                health: Health::Healthy,
                locality: locality.clone(),
                mtls: false,
                labels: Arc::default(),
            });
        }
        assignment.groups.push(LocalityGroup {
            locality,
            priority: *priority,
            weight: *weight,
            endpoints: (first..endpoints.len() as u32).collect(),
        });
    }
    let cluster = Cluster {
        name: "c".into(),
        host: "h".into(),
        port: 80,
        subset: "".into(),
        kind: ClusterKind::Eds,
        protocol: Protocol::Http,
        upstream: Upstream::Http1,
        endpoints: endpoints.into(),
        locality: LocalityPolicy {
            weighted: groups.iter().any(|g| g.1.is_some()),
            ..LocalityPolicy::default()
        },
        lb: policy,
        warmup: None,
        breakers: Thresholds::default(),
        pool: PoolSettings::default(),
        outlier: None,
        panic_threshold: Fraction::from_percent(panic_percent),
        common_lb: CommonLb::default(),
        health_checks: Vec::new(),
        tls: Tls::Auto,
        origin: Origin::BUILT_IN,
        policy_origin: Origin::BUILT_IN,
    };
    HostSet::new(&cluster, &assignment)
}

/// A small generator for tests; the product's own lives in the engine.
fn draws(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        towtank::units::hash::mix(state, 0x1234_5678_9abc_def1)
    }
}

fn context<D: FnMut() -> u64>(draw: D) -> PickContext<'static, D> {
    PickContext {
        draw,
        hash: None,
        attempt: 0,
        tried: &[],
        skip_previous_hosts: false,
        reselects: 0,
        skip_priorities: None,
        now: SimTime::ZERO,
    }
}

/// Picks per host, in permille, with these hosts unhealthy and idle otherwise.
fn shares(set: &HostSet, unhealthy: &[u32], picks: u32) -> Vec<u32> {
    let view = LbView::build(set, |host| !unhealthy.contains(&host));
    let mut state = LbState::new(7);
    let mut ctx = context(draws(1));
    let mut counts = vec![0_u32; set.hosts.len()];
    for _ in 0..picks {
        let pick = pick(set, &view, &mut state, &mut ctx, |_| 0, &mut NoTrail);
        counts[pick.host.expect("a host") as usize] += 1;
    }
    counts.iter().map(|c| c * 1000 / picks).collect()
}

fn near(got: &[u32], expected: &[u32], slack: u32) {
    let close = got
        .iter()
        .zip(expected)
        .all(|(g, e)| g.abs_diff(*e) <= slack);
    assert!(
        close && got.len() == expected.len(),
        "{got:?}, expected {expected:?}"
    );
}

#[test]
fn round_robin_takes_turns_from_a_random_start() {
    let set = set(LbPolicy::RoundRobin, 0.0, &[(0, None, &[1, 1, 1])]);
    let view = LbView::build(&set, |_| true);
    let mut state = LbState::new(5);
    let mut ctx = context(|| panic!("round robin draws nothing"));
    let mut order = Vec::new();
    for _ in 0..6 {
        order.push(
            pick(&set, &view, &mut state, &mut ctx, |_| 0, &mut NoTrail)
                .host
                .unwrap(),
        );
    }
    assert_eq!(order, [2, 0, 1, 2, 0, 1]);
    // An ejection changes the list under the index, which goes on.
    let ejected = LbView::build(&set, |host| host != 0);
    state.on_view_changed(&set, &ejected, |_| 0, SimTime::ZERO);
    let next = pick(&set, &ejected, &mut state, &mut ctx, |_| 0, &mut NoTrail);
    assert_eq!(next.host, Some([1, 2][11 % 2]));
}

#[test]
fn unequal_weights_are_exact_over_a_period() {
    for policy in [LbPolicy::RoundRobin, LEAST_REQUEST] {
        let set = set(policy, 0.0, &[(0, None, &[1, 2, 3])]);
        assert_eq!(shares(&set, &[], 120), [166, 333, 500], "20, 40, 60 of 120");
    }
    let random = set(LbPolicy::Random, 0.0, &[(0, None, &[1, 2, 7])]);
    near(&shares(&random, &[], 30_000), &[333, 333, 333], 15);
}

#[test]
fn least_request_gives_the_busier_of_two_a_quarter() {
    let set = set(LEAST_REQUEST, 0.0, &[(0, None, &[1, 1])]);
    let view = LbView::build(&set, |_| true);
    let (mut state, mut ctx) = (LbState::new(0), context(draws(3)));
    let mut busy = 0;
    for _ in 0..20_000 {
        let active = |host| if host == 0 { 9 } else { 0 };
        let pick = pick(&set, &view, &mut state, &mut ctx, active, &mut NoTrail);
        busy += u32::from(pick.host == Some(0));
    }
    near(&[busy / 20], &[250], 15);
}

#[test]
fn active_requests_flatten_scheduled_weights() {
    // Weights 1 and 3; the second host has two requests at every pick: 3 / (2 + 1).
    let set = set(LEAST_REQUEST, 0.0, &[(0, None, &[1, 3])]);
    let view = LbView::build(&set, |_| true);
    let (mut state, mut ctx) = (LbState::new(0), context(draws(3)));
    let mut counts = [0; 2];
    for _ in 0..100 {
        let active = |host| if host == 1 { 2 } else { 0 };
        let pick = pick(&set, &view, &mut state, &mut ctx, active, &mut NoTrail);
        counts[pick.host.unwrap() as usize] += 1;
    }
    assert_eq!(counts, [50, 50]);
}

#[test]
fn two_priorities_share_as_measured() {
    let two = |percent| {
        set(
            LbPolicy::RoundRobin,
            percent,
            &[(0, None, &[1; 4]), (1, None, &[1; 4])],
        )
    };
    let levels = |set: &HostSet, unhealthy: &[u32]| {
        let all = shares(set, unhealthy, 20_000);
        [all[..4].iter().sum::<u32>(), all[4..].iter().sum()]
    };
    near(&levels(&two(50.0), &[]), &[1000, 0], 4);
    near(&levels(&two(50.0), &[0]), &[1000, 0], 4);
    near(&levels(&two(50.0), &[0, 1]), &[700, 300], 15);
    near(&levels(&two(50.0), &[0, 1, 2]), &[350, 650], 15);
    // Total panic uses all eight hosts, threshold 0 the two healthy ones.
    let worst = [0, 1, 2, 4, 5, 6];
    near(&shares(&two(50.0), &worst, 20_000), &[125; 8], 15);
    near(
        &shares(&two(0.0), &worst, 20_000),
        &[0, 0, 0, 500, 0, 0, 0, 500],
        15,
    );
}

#[test]
fn panic_and_no_host_are_told() {
    let one = |percent| set(LEAST_REQUEST, percent, &[(0, None, &[1; 4])]);
    let first = |set: &HostSet, unhealthy: &[u32]| {
        let view = LbView::build(set, |host| !unhealthy.contains(&host));
        let mut ctx = context(draws(2));
        pick(
            set,
            &view,
            &mut LbState::new(0),
            &mut ctx,
            |_| 0,
            &mut NoTrail,
        )
    };
    assert!(first(&one(50.0), &[0, 1, 2]).panic);
    assert!(!first(&one(50.0), &[0, 1]).panic);
    assert!(first(&one(50.0), &[0, 1, 2, 3]).host.is_some());
    let nobody = Pick {
        zone: ZonePick::None,
        host: None,
        panic: false,
        priority: 0,
    };
    assert_eq!(first(&one(0.0), &[0, 1, 2, 3]), nobody);
    // Nobody is healthy where nobody is.
    let in_panic = Pick {
        panic: true,
        ..nobody
    };
    assert_eq!(first(&set(LEAST_REQUEST, 50.0, &[]), &[]), in_panic);
}

#[test]
fn localities_share_by_weight_and_availability() {
    let set = |weights: [Option<u32>; 2]| {
        set(
            LbPolicy::RoundRobin,
            0.0,
            &[(0, weights[0], &[1; 4]), (0, weights[1], &[1; 4])],
        )
    };
    let first = |set: &HostSet, unhealthy: &[u32]| {
        let all = shares(set, unhealthy, 10_000);
        all[..4].iter().sum::<u32>()
    };
    let weighted = set([Some(80), Some(20)]);
    near(&[first(&weighted, &[])], &[800], 4);
    near(&[first(&weighted, &[0, 1])], &[737], 4);
    near(&[first(&weighted, &[0, 1, 2, 3])], &[0], 0);
    near(&[first(&set([Some(80), None]), &[])], &[1000], 4);
    near(&[first(&set([None, None]), &[0, 1])], &[333], 4);
}

#[test]
fn a_hash_always_finds_the_same_host_and_a_retry_moves_on() {
    for policy in [
        LbPolicy::RingHash {
            minimum_ring_size: 1024,
        },
        LbPolicy::Maglev { table_size: 65_537 },
    ] {
        let set = set(policy, 0.0, &[(0, None, &[1, 1, 1])]);
        let view = LbView::build(&set, |_| true);
        let level = &view.priorities[0];
        let size = (
            level.ring().map(Ring::len),
            level.maglev().map(|m| m.slots().len()),
        );
        assert!(size == (Some(1026), None) || size == (None, Some(65_537)));
        let mut state = LbState::new(1);
        let mut go = |hash, attempt, tried: &[u32], skip_previous_hosts| {
            let mut ctx = PickContext {
                draw: || panic!("the hash is given"),
                hash: Some(hash),
                attempt,
                tried,
                skip_previous_hosts,
                reselects: 5,
                skip_priorities: None,
                now: SimTime::ZERO,
            };
            pick(&set, &view, &mut state, &mut ctx, |_| 0, &mut NoTrail)
                .host
                .unwrap()
        };
        let mut repeats = 0;
        for key in 0..1000_u64 {
            let hash = towtank::units::hash::xxhash64(&key.to_le_bytes());
            let host = go(hash, 0, &[], true);
            assert_eq!(go(hash, 1, &[host], false), host, "same hash, same host");
            repeats += u32::from(go(hash, 1, &[host], true) == host);
        }
        assert!(
            repeats <= 20,
            "{repeats} of 1000 retries found the old host"
        );
    }
}

#[test]
fn previous_hosts_gives_up_after_five_more_picks() {
    let set = set(LEAST_REQUEST, 0.0, &[(0, None, &[1, 1])]);
    let view = LbView::build(&set, |_| true);
    let mut state = LbState::new(1);
    let mut draw = draws(9);
    let mut repeated = 0;
    for _ in 0..10_000 {
        let mut ctx = PickContext {
            draw: &mut draw,
            attempt: 1,
            tried: &[0],
            skip_previous_hosts: true,
            reselects: 5,
            hash: None,
            skip_priorities: None,
            now: SimTime::ZERO,
        };
        let pick = pick(&set, &view, &mut state, &mut ctx, |_| 0, &mut NoTrail);
        repeated += u32::from(pick.host == Some(0));
    }
    assert!(
        (100..220).contains(&repeated),
        "{repeated} of 10000, expected 1/64"
    );
}

#[test]
fn the_trail_tells_how_a_host_was_found() {
    let set = set(LEAST_REQUEST, 0.0, &[(0, None, &[1, 1, 1])]);
    let view = LbView::build(&set, |host| host != 1);
    let mut trail = Recorder::default();
    let mut numbers = [0_u64, 1].into_iter();
    let mut ctx = context(|| numbers.next().unwrap());
    let active = |host| if host == 0 { 4 } else { 1 };
    let found = pick(
        &set,
        &view,
        &mut LbState::new(0),
        &mut ctx,
        active,
        &mut trail,
    );
    assert_eq!(found.host, Some(2));
    let why = PickWhy::FewestActive {
        active: 1,
        choices: 2,
    };
    let expected = Reason::HostPicked {
        host: 2,
        candidates: 2,
        priority: 0,
        policy: LEAST_REQUEST,
        why,
    };
    assert_eq!(trail.0, [expected]);
}

#[test]
fn endpoints_the_assignment_leaves_out_are_never_picked() {
    let mut set = set(LbPolicy::RoundRobin, 0.0, &[(0, None, &[1, 1])]);
    assert_eq!(set.hosts[0].key, Name::from("10.0.0.1:80"));
    set.hosts[1].healthy = false;
    assert_eq!(shares(&set, &[], 10), [1000, 0]);
}

#[test]
fn a_new_host_ramps_up_and_the_schedule_outlives_the_window() {
    // Measured: window 4 s, round robin, a third host added; its share per half second.
    let mut set = set(LbPolicy::RoundRobin, 0.0, &[(0, None, &[1, 1, 1])]);
    set.warmup = Some(Warmup {
        duration: SimDuration::from_secs(4),
        minimum: Fraction::from_percent(10.0),
        aggression: 1.0,
    });
    set.hosts[2].added_at = Some(SimTime::ZERO);
    let view = LbView::build(&set, |_| true);
    let mut state = LbState::new(0);
    state.on_view_changed(&set, &view, |_| 0, SimTime::ZERO);
    let mut shares = Vec::new();
    for half in 0..10_u64 {
        let mut third = 0;
        for step in 0..2000 {
            let mut ctx = context(|| panic!("a schedule draws nothing"));
            ctx.now = SimTime::from_ns(half * 500_000_000 + step * 250_000);
            let pick = pick(&set, &view, &mut state, &mut ctx, |_| 0, &mut NoTrail);
            third += u32::from(pick.host == Some(2));
        }
        shares.push(third / 2);
    }
    // f / (2 + f) of the factor in the middle of each half second.
    near(&shares[..5], &[47, 86, 135, 179, 220], 12);
    near(&shares[8..], &[333, 333], 2);
}

/// Share, in permille, of requests whose try and single retry both meet the failing host 0.
fn both_tries_fail(policy: LbPolicy, skip_previous_hosts: bool) -> u32 {
    let set = set(policy, 0.0, &[(0, None, &[1, 1])]);
    let view = LbView::build(&set, |_| true);
    let mut state = LbState::new(1);
    let mut draw = draws(11);
    let mut failed = 0;
    for _ in 0..20_000 {
        let mut tried = Vec::new();
        for attempt in 0..2 {
            let mut ctx = PickContext {
                draw: &mut draw,
                hash: None,
                attempt,
                tried: &tried,
                skip_previous_hosts,
                reselects: 5,
                skip_priorities: None,
                now: SimTime::ZERO,
            };
            let pick = pick(&set, &view, &mut state, &mut ctx, |_| 0, &mut NoTrail);
            tried.push(pick.host.unwrap());
        }
        failed += u32::from(tried == [0, 0]);
    }
    failed / 20
}

#[test]
fn retries_meet_the_failing_host_as_often_as_measured() {
    // Two hosts, one always failing, one retry.
    assert_eq!(both_tries_fail(LbPolicy::RoundRobin, false), 0);
    near(&[both_tries_fail(LbPolicy::Random, false)], &[250], 12);
    near(&[both_tries_fail(LEAST_REQUEST, false)], &[250], 12);
    near(&[both_tries_fail(LEAST_REQUEST, true)], &[8], 4);
}
