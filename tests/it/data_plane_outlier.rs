//! Promises of outlier detection (Envoy 1.40, measured).

use towtank::data_plane::outlier_detection::{
    Ejection, HostOutlier, Monitor, TryResult, Verdict, forgive, needs_sweep, next_sweep,
};
use towtank::units::{SimDuration, SimTime};
use towtank::xds::cluster::{Consecutive, OutlierDetection};

fn config(percent: u32) -> OutlierDetection {
    OutlierDetection {
        interval: SimDuration::from_secs(1),
        base_ejection_time: SimDuration::from_secs(2),
        max_ejection_time: SimDuration::from_secs(5),
        max_ejection_percent: percent,
        ..OutlierDetection::default()
    }
}

/// Ejection after so many in a row.
fn after(threshold: u32) -> Consecutive {
    Consecutive {
        threshold,
        enforcing: 100,
    }
}

fn at(ms: u64) -> SimTime {
    SimTime::ZERO.after(SimDuration::from_ms(ms))
}

/// Feeds results, one character each, and shows the verdicts: X ejected, O overflow,
/// D detected, `.` nothing. `0`–`9` is status 50x, `s` a 200, `n` a 404, `r` a reset, `t` a
/// timeout, `c` a connect success.
fn feed(config: &OutlierDetection, hosts: u32, results: &str) -> (String, Monitor, HostOutlier) {
    let (mut monitor, mut host) = (Monitor::new(config, hosts, 1), HostOutlier::default());
    let verdicts = results
        .chars()
        .map(|c| {
            let result = match c {
                's' => TryResult::Status(200),
                'n' => TryResult::Status(404),
                'r' => TryResult::LocalFailure,
                't' => TryResult::Timeout,
                'c' => TryResult::ConnectSuccess,
                digit => TryResult::Status(500 + digit.to_digit(10).unwrap() as u16),
            };
            match monitor.on_result(config, &mut host, at(0), result) {
                Verdict::Keep => '.',
                Verdict::Ejected { .. } => 'X',
                Verdict::Overflow { .. } => 'O',
                Verdict::Detected { .. } => 'D',
            }
        })
        .collect();
    (verdicts, monitor, host)
}

/// One sweep over one host; true when it returned.
fn sweep(
    config: &OutlierDetection,
    monitor: &mut Monitor,
    now: SimTime,
    host: &mut HostOutlier,
) -> bool {
    let returned = monitor.return_if_due(config, now, host);
    forgive(config, now, host);
    returned
}

fn check(config: &OutlierDetection, results: &str, verdicts: &str) {
    assert_eq!(feed(config, 1, results).0, verdicts, "{results}");
}

#[test]
fn a_success_between_errors_restarts_the_count() {
    check(&config(100), "0000s00000", ".........X");
    check(&config(100), "0000n00000", ".........X");
    check(&config(100), "00000000", "....X...");
}

#[test]
fn gateway_failures_are_detected_and_not_enforced_by_default() {
    let (verdicts, monitor, _) = feed(&config(100), 1, "33333");
    assert_eq!(verdicts, "....X");
    assert_eq!(monitor.of(Ejection::ConsecutiveGatewayFailure).detected, 1);
    assert_eq!(monitor.of(Ejection::ConsecutiveGatewayFailure).enforced, 0);
    assert_eq!(monitor.of(Ejection::Consecutive5xx).enforced, 1);
}

#[test]
fn gateway_failures_eject_first_when_both_are_enforced() {
    let mut both = config(100);
    both.consecutive_gateway_failure = after(5);
    let (verdicts, monitor, host) = feed(&both, 1, "33333");
    assert_eq!(
        (
            &*verdicts,
            monitor.of(Ejection::ConsecutiveGatewayFailure).enforced
        ),
        ("....X", 1)
    );
    assert_eq!(
        monitor.of(Ejection::Consecutive5xx).detected,
        0,
        "it found the host ejected"
    );
    assert_eq!(host.consecutive_5xx, 5, "and did not reset the counter");
    // A 500 between interrupts the gateway count, not the 5xx count.
    both.consecutive_5xx = after(9);
    check(&both, "3333033333", "........X.");
}

#[test]
fn resets_and_timeouts_count_as_gateway_failures_while_errors_are_not_split() {
    let mut three = config(100);
    three.consecutive_5xx = after(3);
    check(&three, "crcrcr", ".....X");
    check(&three, "tt2", "..X");
    three.consecutive_5xx.enforcing = 0;
    check(&three, "00000000", "..D..D..");
}

#[test]
fn split_errors_only_accumulate_without_a_connection() {
    let mut split = config(100);
    split.split_local_origin = true;
    split.consecutive_local_origin_failure = after(3);
    check(&split, "ctctctctct", "..........");
    check(&split, "rrr", "..X");
    split.consecutive_local_origin_failure = after(5);
    check(&split, "rrrrr", "....X");
    let (_, monitor, _) = feed(&split, 1, "rrrrr");
    assert_eq!(
        monitor.of(Ejection::ConsecutiveLocalOriginFailure).enforced,
        1
    );
}

#[test]
fn the_percentage_includes_the_candidate_and_knows_no_minimum() {
    let ejectable = |percent: u32, hosts: u32| {
        let config = config(percent);
        let mut monitor = Monitor::new(&config, hosts, 1);
        let mut ejected = 0;
        for _ in 0..hosts {
            let mut host = HostOutlier::default();
            for _ in 0..5 {
                let result = TryResult::Status(500);
                let verdict = monitor.on_result(&config, &mut host, at(0), result);
                ejected += u32::from(matches!(verdict, Verdict::Ejected { .. }));
            }
        }
        assert_eq!(monitor.ejections_active, ejected);
        assert_eq!(monitor.ejections_overflow, u64::from(hosts - ejected));
        ejected
    };
    assert_eq!(
        (ejectable(10, 4), ejectable(10, 9), ejectable(10, 10)),
        (0, 0, 1)
    );
    assert_eq!((ejectable(24, 4), ejectable(25, 4)), (0, 1));
    assert_eq!((ejectable(49, 4), ejectable(50, 4)), (1, 2));
    assert_eq!(
        (ejectable(100, 1), ejectable(33, 3), ejectable(34, 3)),
        (1, 0, 1)
    );
}

#[test]
fn an_overflow_needs_the_full_count_again() {
    let (verdicts, monitor, _) = feed(&config(10), 4, "0000000000");
    assert_eq!(verdicts, "....O....O");
    assert_eq!(monitor.ejections_overflow, 2);
}

#[test]
fn a_bad_host_is_out_for_two_four_five_and_five_seconds() {
    let config = config(100);
    let (mut monitor, mut hosts) = (Monitor::new(&config, 1, 1), [HostOutlier::default()]);
    let mut now = at(100);
    let mut stays = Vec::new();
    for _ in 0..4 {
        let mut until = SimTime::ZERO;
        for _ in 0..5 {
            let result = TryResult::Status(503);
            let verdict = monitor.on_result(&config, &mut hosts[0], now, result);
            if let Verdict::Ejected {
                kind,
                until_nominal,
            } = verdict
            {
                assert_eq!(kind, Ejection::Consecutive5xx);
                until = until_nominal;
            }
        }
        let ejected_at = now;
        let nominal = until.since(now).ns() / 1_000_000_000;
        let mut returned = false;
        while !returned {
            now = next_sweep(&config, now);
            returned = sweep(&config, &mut monitor, now, &mut hosts[0]);
        }
        stays.push((nominal, now.since(ejected_at).ns() / 1_000_000));
        now = now.after(SimDuration::from_ms(100));
    }
    // Returns happen on the grid of sweeps: 2 s nominal from 0.1 s on is 2.9 s.
    assert_eq!(stays, [(2, 2900), (4, 4900), (5, 5900), (5, 5900)]);
    assert_eq!(monitor.ejections_active, 0);
    assert_eq!(monitor.ejections_enforced_total, 4);
}

#[test]
fn the_multiplier_falls_by_one_per_healthy_sweep() {
    let config = config(100);
    let mut monitor = Monitor::new(&config, 1, 1);
    let mut hosts = [HostOutlier {
        ejected: true,
        multiplier: 2,
        ejected_at: at(0),
        ..HostOutlier::default()
    }];
    monitor.ejections_active = 1;
    let mut multipliers = Vec::new();
    for second in 1..=7 {
        sweep(&config, &mut monitor, at(second * 1000), &mut hosts[0]);
        multipliers.push(hosts[0].multiplier);
    }
    // Back at 4 s, falling from the next sweep on.
    assert_eq!(multipliers, [2, 2, 2, 2, 1, 0, 0]);
    assert!(!needs_sweep(&hosts));
    assert!(needs_sweep(&[HostOutlier {
        multiplier: 1,
        ..HostOutlier::default()
    }]));
}

#[test]
fn sweeps_stand_on_a_grid_from_the_start() {
    let config = config(100);
    assert_eq!(next_sweep(&config, at(0)), at(1000));
    assert_eq!(next_sweep(&config, at(999)), at(1000));
    assert_eq!(next_sweep(&config, at(1000)), at(2000));
}

#[test]
fn a_removed_host_no_longer_counts_as_ejected() {
    let (_, mut monitor, host) = feed(&config(100), 1, "00000");
    monitor.on_host_removed(&host);
    assert_eq!(
        (monitor.ejections_active, monitor.ejections_enforced_total),
        (0, 1)
    );
}

#[test]
fn grpc_statuses_count_as_their_http_counterparts() {
    let mapped: Vec<u16> = (0..=17).map(towtank::http::grpc::to_http).collect();
    let expected = [
        200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401, 500,
    ];
    assert_eq!(mapped, expected);
}
