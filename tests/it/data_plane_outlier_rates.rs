//! Promises of outlier detection that need luck or an interval's end (Envoy 1.40, measured).

use towtank::data_plane::outlier_detection::{
    Ejection, HostOutlier, Monitor, TryResult, Verdict, next_sweep,
};
use towtank::units::{SimDuration, SimTime};
use towtank::xds::cluster::OutlierDetection;

fn at(ms: u64) -> SimTime {
    SimTime::ZERO.after(SimDuration::from_ms(ms))
}

fn rates() -> OutlierDetection {
    let mut config = OutlierDetection {
        interval: SimDuration::from_secs(1),
        max_ejection_percent: 100,
        ..OutlierDetection::default()
    };
    config.consecutive_5xx.threshold = 0;
    config
}

/// One interval in which every host gets so many (failures, results); who is ejected, and what
/// was counted.
fn interval(config: &OutlierDetection, results: &[(u32, u32)]) -> (Vec<u32>, Monitor) {
    let mut hosts = vec![HostOutlier::default(); results.len()];
    let mut monitor = Monitor::new(config, results.len() as u32, 1);
    for (host, (failures, total)) in hosts.iter_mut().zip(results) {
        for number in 0..*total {
            let status = if number < *failures { 500 } else { 200 };
            let _ = monitor.on_result(config, host, at(10), TryResult::Status(status));
        }
    }
    (
        monitor.on_interval_end(config, &mut hosts, at(1000)),
        monitor,
    )
}

#[test]
fn a_success_rate_far_below_the_others_ejects() {
    let config = rates();
    // Rates 50 and four times 100: mean 90, deviation 20, threshold 52.
    let one = [(50, 100), (0, 100), (0, 100), (0, 100), (0, 100)];
    let (ejected, monitor) = interval(&config, &one);
    assert_eq!(ejected, [0]);
    let counts = monitor.of(Ejection::SuccessRate);
    assert_eq!((counts.detected, counts.enforced), (1, 1));
    // With one request fewer nobody looks at it, and there are too few others.
    let few = [(50, 99), (0, 100), (0, 100), (0, 100), (0, 100)];
    assert!(interval(&config, &few).0.is_empty());
    let everybody = [(50, 100); 5];
    assert!(interval(&config, &everybody).0.is_empty());
}

#[test]
fn istio_only_counts_a_low_success_rate() {
    let mut config = rates();
    config.success_rate.enforcing = 0;
    let one = [(50, 100), (0, 100), (0, 100), (0, 100), (0, 100)];
    let (ejected, monitor) = interval(&config, &one);
    let counts = monitor.of(Ejection::SuccessRate);
    assert_eq!((ejected.len(), counts.detected, counts.enforced), (0, 1, 0));
    config.max_ejection_percent = 10;
    let (_, monitor) = interval(&config, &one);
    assert_eq!(monitor.ejections_overflow, 1, "the share is tested first");
}

#[test]
fn a_share_of_failures_ejects_where_it_is_enforced() {
    let mut config = rates();
    config.success_rate.enforcing = 0;
    config.failure_percentage.enforcing = 100;
    let all = [(85, 100), (84, 100), (43, 50), (49, 49), (0, 100), (0, 100)];
    let (ejected, monitor) = interval(&config, &all);
    assert_eq!(ejected, [0, 2]);
    assert_eq!(monitor.of(Ejection::FailurePercentage).enforced, 2);
    assert!(
        interval(&config, &[(100, 100); 4]).0.is_empty(),
        "five hosts are needed"
    );
}

#[test]
fn a_host_that_both_rates_find_counts_twice() {
    let mut config = rates();
    config.failure_percentage.enforcing = 100;
    let one = [(100, 100), (0, 100), (0, 100), (0, 100), (0, 100)];
    let (ejected, monitor) = interval(&config, &one);
    assert_eq!((ejected, monitor.ejections_active), (vec![0, 0], 2));
}

#[test]
fn split_errors_have_rates_of_their_own() {
    let mut config = rates();
    config.split_local_origin = true;
    config.consecutive_local_origin_failure.threshold = 0;
    let mut hosts = vec![HostOutlier::default(); 5];
    let mut monitor = Monitor::new(&config, 5, 1);
    for number in 0..100 {
        for (index, host) in hosts.iter_mut().enumerate() {
            let fails = index == 0 && number % 2 == 0;
            let local = if fails {
                TryResult::LocalFailure
            } else {
                TryResult::ConnectSuccess
            };
            let _ = monitor.on_result(&config, host, at(10), local);
        }
    }
    let ejected = monitor.on_interval_end(&config, &mut hosts, at(1000));
    assert_eq!(ejected, [0]);
    assert_eq!(monitor.of(Ejection::LocalOriginSuccessRate).enforced, 1);
    assert_eq!(monitor.of(Ejection::SuccessRate).detected, 0);
}

#[test]
fn intervals_are_kept_where_there_are_hosts_enough() {
    let config = rates();
    assert!(!Monitor::new(&config, 4, 1).is_interval_over(at(5000)));
    let mut monitor = Monitor::new(&config, 5, 1);
    assert!(monitor.is_interval_over(at(300)) && monitor.begin_interval(&config, at(300)));
    assert!(
        !monitor.is_interval_over(at(999))
            && monitor.is_interval_over(next_sweep(&config, at(300)))
    );
    assert!(!monitor.begin_interval(&config, at(1500)));
    assert!(!monitor.is_interval_over(at(1999)));
}

#[test]
fn enforcement_is_a_share_of_detections() {
    let mut config = rates();
    config.consecutive_5xx.threshold = 1;
    config.consecutive_5xx.enforcing = 30;
    let mut monitor = Monitor::new(&config, 1000, 9);
    for _ in 0..1000 {
        let mut host = HostOutlier::default();
        let _ = monitor.on_result(&config, &mut host, at(0), TryResult::Status(500));
    }
    let counts = monitor.of(Ejection::Consecutive5xx);
    assert_eq!(counts.detected, 1000);
    assert!((250..350).contains(&counts.enforced), "{}", counts.enforced);
}

#[test]
fn jitter_lengthens_an_ejection_by_whole_milliseconds() {
    let mut config = rates();
    config.consecutive_5xx.threshold = 1;
    config.max_ejection_time_jitter = SimDuration::from_ms(3);
    let mut monitor = Monitor::new(&config, 1000, 9);
    let mut seen = [0; 4];
    for _ in 0..400 {
        let mut host = HostOutlier::default();
        let verdict = monitor.on_result(&config, &mut host, at(0), TryResult::Status(500));
        let Verdict::Ejected { until_nominal, .. } = verdict else {
            panic!("{verdict:?}")
        };
        let extra = until_nominal.since(at(30_000)).ns();
        assert_eq!(extra % 1_000_000, 0);
        seen[(extra / 1_000_000) as usize] += 1;
    }
    assert!(seen.iter().all(|n| (60..140).contains(n)), "{seen:?}");
}

#[test]
fn one_host_may_always_be_ejected_where_that_is_asked_for() {
    let mut config = rates();
    config.consecutive_5xx.threshold = 1;
    config.max_ejection_percent = 10;
    config.always_eject_one_host = true;
    let mut monitor = Monitor::new(&config, 3, 1);
    let mut verdicts = Vec::new();
    for _ in 0..3 {
        let mut host = HostOutlier::default();
        let verdict = monitor.on_result(&config, &mut host, at(0), TryResult::Status(500));
        verdicts.push(matches!(verdict, Verdict::Ejected { .. }));
    }
    assert_eq!(verdicts, [true, false, false]);
    assert_eq!(monitor.ejections_overflow, 2);
}
