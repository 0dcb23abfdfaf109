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
        let volumes = |of: fn(&HostOutlier) -> Volume| -> Vec<(u32, Volume)> {
            let staying = (0..).zip(&*hosts).filter(|(_, host)| !host.ejected);
            let seen = staying.map(|(index, host)| (index, of(host)));
            seen.filter(|(_, volume)| volume.total > 0).collect()
        };
        let (external, local) = (volumes(|h| h.external), volumes(|h| h.local));
        for host in &mut *hosts {
            host.external = Volume::default();
            host.local = Volume::default();
        }
        let kinds = [Ejection::SuccessRate, Ejection::FailurePercentage];
        self.judge(config, hosts, &external, kinds, now, &mut ejected);
        let kinds = [
            Ejection::LocalOriginSuccessRate,
            Ejection::LocalOriginFailurePercentage,
        ];
        self.judge(config, hosts, &local, kinds, now, &mut ejected);
        ejected
    }

    fn judge(
        &mut self,
        config: &OutlierDetection,
        hosts: &mut [HostOutlier],
        volumes: &[(u32, Volume)],
        [rate, percentage]: [Ejection; 2],
        now: SimTime,
        ejected: &mut Vec<u32>,
    ) {
        let enough = |least: u32| -> Vec<(u32, f64)> {
            let taken = volumes.iter().filter(|(_, volume)| volume.total >= least);
            taken.map(|(index, v)| (*index, v.success_rate())).collect()
        };
        let rates = enough(config.success_rate.request_volume);
        if !rates.is_empty() && rates.len() >= config.success_rate.minimum_hosts as usize {
            let limit = threshold(&rates, config.success_rate.stdev_factor);
            for (index, success) in &rates {
                if *success < limit {
                    self.detect(config, hosts, *index, rate, now, ejected);
                }
            }
        }
        let rates = enough(config.failure_percentage.request_volume);
        if !rates.is_empty() && rates.len() >= config.failure_percentage.minimum_hosts as usize {
            let limit = f64::from(config.failure_percentage.threshold);
            for (index, success) in &rates {
                if 100.0 - success >= limit {
                    self.detect(config, hosts, *index, percentage, now, ejected);
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
fn threshold(rates: &[(u32, f64)], stdev_factor: u32) -> f64 {
    let count = rates.len() as f64;
    let mean = rates.iter().map(|(_, rate)| rate).sum::<f64>() / count;
    let squares = rates.iter().map(|(_, rate)| (rate - mean) * (rate - mean));
    let deviation = libm::sqrt(squares.sum::<f64>() / count);
    mean - f64::from(stdev_factor) / 1000.0 * deviation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_lies_below_the_mean_by_some_deviations() {
        let rates: Vec<_> = (0..).zip([50.0, 100.0, 100.0, 100.0, 100.0]).collect();
        assert!((threshold(&rates, 1900) - 52.0).abs() < 1e-9);
        assert!((threshold(&rates, 0) - 90.0).abs() < 1e-9);
    }
}
