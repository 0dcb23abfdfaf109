//! Loads whose rate changes: counts per window against the integral of the rate.

use towtank::observe::Record;

use crate::theory_support::{Mesh, runs};

/// Requests started in each second, over runs with different seeds.
fn per_second(rest: &str, seeds: u64) -> Vec<f64> {
    let mesh = Mesh::new().pods("server", "server", 1, "{serviceTime: 1ms}");
    let scenario = format!(
        "duration: 10s, load: [{{name: load, from: t/client, url: 'http://server:8080/', {rest}}}]"
    );
    let mut counts = vec![0.0; 10];
    for record in runs(&mesh.case(&scenario), seeds) {
        for point in &record.series.points {
            let second = (point.at.ns() / 1_000_000_000) as usize;
            if let Some(count) = counts.get_mut(second) {
                *count += point.started as f64 / seeds as f64;
            }
        }
    }
    counts
}

/// Each second's mean count is the integral of the rate, within five standard errors.
fn agrees(rest: &str, expected: [f64; 10]) {
    const SEEDS: u64 = 20;
    let counts = per_second(rest, SEEDS);
    for (second, (count, mean)) in counts.iter().zip(expected).enumerate() {
        let error = 5.0 * (mean / SEEDS as f64).sqrt();
        assert!(
            (count - mean).abs() <= error,
            "{rest}, second {second}: {count} instead of {mean} ± {error}"
        );
    }
}

#[test]
fn stages_are_followed() {
    agrees(
        "rate: 100/s, profile: {stages: [{duration: 2s}, {duration: 4s, target: 500/s}, {duration: 0s, target: 50/s}, {duration: 2s}, {duration: 1s, rate: 300/s}]}",
        [
            100.0, 100.0, 150.0, 250.0, 350.0, 450.0, 50.0, 50.0, 300.0, 300.0,
        ],
    );
}

#[test]
fn a_ramp_from_nothing_needs_no_rate() {
    let expected = std::array::from_fn(|second| 40.0 * second as f64 + 20.0);
    agrees(
        "profile: {stages: [{duration: 10s, target: 400/s}]}",
        expected,
    );
}

#[test]
fn a_day_has_a_peak_and_spikes_come_on_top() {
    let sine = |from: f64, to: f64| {
        let angle = |at: f64| std::f64::consts::TAU * (at - 2.5) / 10.0;
        let area = (angle(to).sin() - angle(from).sin()) * 10.0 / std::f64::consts::TAU;
        200.0 * ((to - from) + 0.5 * area)
    };
    let mut expected = std::array::from_fn(|s| sine(s as f64, s as f64 + 1.0));
    expected[7] = sine(7.0, 7.5) + 4.0 * sine(7.5, 8.0);
    agrees(
        "rate: 200/s, profile: {daily: {amplitude: 50%, period: 10s, peakAt: 2500ms}, spikes: [{at: 7500ms, duration: 500ms, factor: 4}]}",
        expected,
    );
}

#[test]
fn a_load_starts_and_stops() {
    let mut expected = [0.0; 10];
    expected[3..7].fill(100.0);
    agrees("rate: 100/s, start: 3s, stop: 7s", expected);
    // A profile's time begins with its load.
    let mut late = [0.0; 10];
    late[4..10].copy_from_slice(&[100.0, 100.0, 300.0, 300.0, 300.0, 300.0]);
    agrees(
        "rate: 100/s, start: 4s, profile: {stages: [{duration: 2s}, {duration: 1s, rate: 300/s}]}",
        late,
    );
}

#[test]
fn constant_arrivals_follow_the_integral_exactly() {
    let counts = per_second(
        "rate: 100/s, arrivals: constant, profile: {stages: [{duration: 5s, rate: 100/s}, {duration: 5s, rate: 200/s}]}",
        1,
    );
    let off = |count: f64, mean: f64| (count - mean).abs() <= 1.0;
    assert!(counts[..5].iter().all(|n| off(*n, 100.0)), "{counts:?}");
    assert!(counts[5..].iter().all(|n| off(*n, 200.0)), "{counts:?}");
}

fn users(record: &Record) -> Vec<(u64, u64)> {
    let mut all: Vec<(u64, u64)> = (record.requests.iter())
        .map(|r| (r.at.ns() / 1_000_000, r.number))
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn users_ramp_up_start_and_stop() {
    let mesh = Mesh::new().pods("server", "server", 1, "{serviceTime: 100ms}");
    let scenario = "duration: 10s, load: [{name: load, from: t/client, url: 'http://server:8080/', connections: 4, think: 900ms, start: 2s, stop: 7s, rampUp: 4s}]";
    let record = &runs(&mesh.case(scenario), 1)[0];
    let users = users(record);
    let began: Vec<u64> = (0..4)
        .map(|user| users.iter().find(|(_, n)| *n == user).unwrap().0)
        .collect();
    assert_eq!(began, [2000, 3000, 4000, 5000]);
    assert!(users.iter().all(|(at, _)| *at < 7000), "{users:?}");
    // 5, 4, 3 and 2 seconds of one request a second.
    assert_eq!(users.len(), 14);
}
