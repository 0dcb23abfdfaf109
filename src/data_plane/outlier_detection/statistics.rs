//! Success rate and failure percentage: what is made of an interval when it ends.
//!
//! Envoy walks its hosts in the order of a hash map; here it is the order of the cluster, which
//! matters only when `max_ejection_percent` stops the ejections half way. A host that both kinds
//! find is ejected twice, and counted twice as active, as in Envoy; its return counts once.

use super::{Ejection, HostOutlier, Monitor, Volume};
use crate::units::SimTime;
use crate::xds::cluster::OutlierDetection;

impl Monitor {
    /// The interval is over: judges its results, forgets them, and tells which hosts were
    /// ejected.
    pub fn on_interval_end(
        &mut self,
        config: &OutlierDetection,
        hosts: &mut [HostOutlier],
        now: SimTime,
    ) -> Vec<u32> {
        let mut ejected = Vec::new();
        // Who is out already is not looked at.
        for host in hosts.iter_mut().filter(|host| host.ejected) {
            (host.external, host.local) = Default::default();
        }
        let kinds = [Ejection::SuccessRate, Ejection::FailurePercentage];
        self.judge(config, hosts, |h| h.external, kinds, now, &mut ejected);
        if config.split_local_origin {
            let kinds = [
                Ejection::LocalOriginSuccessRate,
                Ejection::LocalOriginFailurePercentage,
            ];
            self.judge(config, hosts, |h| h.local, kinds, now, &mut ejected);
        }
        for host in hosts {
            (host.external, host.local) = Default::default();
        }
        ejected
    }

    fn judge(
        &mut self,
        config: &OutlierDetection,
        hosts: &mut [HostOutlier],
        of: fn(&HostOutlier) -> Volume,
        [rate, percentage]: [Ejection; 2],
        now: SimTime,
        ejected: &mut Vec<u32>,
    ) {
        let (successes, failures) = (config.success_rate, config.failure_percentage);
        let rate_of = |host: &HostOutlier, least: u32| {
            let volume = of(host);
            (volume.total >= least.max(1)).then(|| volume.success_rate())
        };
        let rates = |least: u32| hosts.iter().filter_map(move |host| rate_of(host, least));
        let enough = |least: u32, minimum: u32| {
            let count = rates(least).count();
            count > 0 && count >= minimum as usize
        };
        let by_rate = enough(successes.request_volume, successes.minimum_hosts)
            .then(|| threshold(rates(successes.request_volume), successes.stdev_factor));
        let by_share = enough(failures.request_volume, failures.minimum_hosts);
        if let Some(limit) = by_rate {
            for index in 0..hosts.len() {
                let success = rate_of(&hosts[index], successes.request_volume);
                if success.is_some_and(|success| success < limit) {
                    self.detect(config, hosts, index as u32, rate, now, ejected);
                }
            }
        }
        if by_share {
            let limit = f64::from(failures.threshold);
            for index in 0..hosts.len() {
                let success = rate_of(&hosts[index], failures.request_volume);
                if success.is_some_and(|success| 100.0 - success >= limit) {
                    self.detect(config, hosts, index as u32, percentage, now, ejected);
                }
            }
        }
    }

    fn detect(
        &mut self,
        config: &OutlierDetection,
        hosts: &mut [HostOutlier],
        index: u32,
        kind: Ejection,
        now: SimTime,
        ejected: &mut Vec<u32>,
    ) {
        self.counts[kind as usize].detected += 1;
        let host = &mut hosts[index as usize];
        if let super::Verdict::Ejected { .. } = self.eject(config, host, now, kind) {
            ejected.push(index);
        }
    }
}

/// Mean less so many thousandths of the (population's) standard deviation.
fn threshold(rates: impl Iterator<Item = f64> + Clone, stdev_factor: u32) -> f64 {
    let count = rates.clone().count() as f64;
    let mean = rates.clone().sum::<f64>() / count;
    let squares = rates.map(|rate| (rate - mean) * (rate - mean));
    let deviation = libm::sqrt(squares.sum::<f64>() / count);
    mean - f64::from(stdev_factor) / 1000.0 * deviation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_lies_below_the_mean_by_some_deviations() {
        let rates = || [50.0, 100.0, 100.0, 100.0, 100.0].into_iter();
        assert!((threshold(rates(), 1900) - 52.0).abs() < 1e-9);
        assert!((threshold(rates(), 0) - 90.0).abs() < 1e-9);
    }
}
