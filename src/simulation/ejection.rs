//! Outlier detection at work: results in, ejections and returns out, through the merge window.

use super::event::{Event, Kind};
use super::health::Checked;
use super::world::{Edge, World};
use crate::data_plane::merge_window::Merge;
use crate::data_plane::outlier_detection::{
    Ejection, TryResult, Verdict, forgive, needs_sweep, next_sweep,
};
use crate::data_plane::{LbView, Trail};
use crate::engine::Queue;
use crate::observe::{EjectionNote, Stat};
use crate::units::{SimDuration, SimTime};
use crate::xds::cluster::OutlierDetection;

impl<T: Trail> World<'_, T> {
    /// One try told something about its host.
    #[expect(
        clippy::inline_always,
        reason = "told once per try; most configurations keep nothing of it"
    )]
    #[inline(always)]
    pub(super) fn on_try_result(
        &mut self,
        now: SimTime,
        edge_id: u32,
        host: u32,
        result: TryResult,
        queue: &mut Queue<Event>,
    ) {
        let edge = &self.edges[edge_id as usize];
        let Some(config) = &self.plan.clusters[edge.cluster as usize].outlier else {
            return;
        };
        if edge.monitor.is_interval_over(now) {
            self.close_interval(now, edge_id, config, queue);
        }
        let edge = &mut self.edges[edge_id as usize];
        let outlier = &mut self.outliers[(edge.hosts + host) as usize];
        let verdict = edge.monitor.on_result(config, outlier, now, result);
        if verdict != Verdict::Keep {
            self.on_verdict(now, edge_id, host, verdict, queue);
        }
    }

    #[cold]
    fn on_verdict(
        &mut self,
        now: SimTime,
        edge_id: u32,
        host: u32,
        verdict: Verdict,
        queue: &mut Queue<Event>,
    ) {
        self.count_verdicts(edge_id);
        match verdict {
            Verdict::Ejected {
                kind,
                until_nominal,
            } => {
                let lasts = until_nominal.since(now);
                self.note_ejection(now, edge_id, host, kind.as_str(), Some(lasts));
                self.eject(now, edge_id, host, queue);
            }
            Verdict::Overflow { kind } => {
                self.note_ejection(now, edge_id, host, kind.as_str(), None);
            }
            Verdict::Keep | Verdict::Detected { .. } => {}
        }
    }

    /// Writes down who is out, or should be.
    fn note_ejection(
        &mut self,
        now: SimTime,
        edge_id: u32,
        host: u32,
        kind: &'static str,
        lasts: Option<SimDuration>,
    ) {
        let edge = &self.edges[edge_id as usize];
        let set = edge.set.as_deref();
        let cluster = &self.plan.clusters[edge.cluster as usize];
        let pod = cluster.hosts[host as usize].pod;
        if !self.record.ejections.wants(edge_id, pod, lasts.is_none()) {
            return;
        }
        let kin = self.edges.iter().filter(|e| e.slot == edge.slot);
        self.record.ejections.add(EjectionNote {
            at: now,
            edge: edge_id,
            proxy: edge.pod,
            slot: edge.slot,
            pod,
            kind,
            lasts,
            back_at: None,
            out: edge.monitor.ejections_active,
            hosts: set.unwrap_or(&cluster.set).assigned(),
            failures: kin.map(|e| e.monitor.failures).sum(),
        });
    }

    /// Rates are judged once an interval. Where that ejects nobody it can wait for the next
    /// result; where it may, sweeps are kept going.
    #[cold]
    fn close_interval(
        &mut self,
        now: SimTime,
        edge_id: u32,
        config: &OutlierDetection,
        queue: &mut Queue<Event>,
    ) {
        let edge = &mut self.edges[edge_id as usize];
        let first = edge.monitor.begin_interval(config, now);
        if first {
            if edge.monitor.enforces_rates(config) {
                self.arm_sweep(now, edge_id, config, queue);
            }
            return;
        }
        let (from, count) = (edge.hosts as usize, edge.host_count as usize);
        let hosts = &mut self.outliers[from..from + count];
        let ejected = edge.monitor.on_interval_end(config, hosts, now);
        self.count_verdicts(edge_id);
        for host in ejected {
            let outlier = &self.outliers[from + host as usize];
            let lasts = config
                .base_ejection_time
                .times(u64::from(outlier.multiplier));
            let lasts = lasts.min(config.max_ejection_time);
            self.note_ejection(now, edge_id, host, "rate", Some(lasts));
            self.eject(now, edge_id, host, queue);
        }
    }

    fn arm_sweep(
        &mut self,
        now: SimTime,
        edge_id: u32,
        config: &OutlierDetection,
        queue: &mut Queue<Event>,
    ) {
        let armed = &mut self.edges[edge_id as usize].sweep_armed;
        if !std::mem::replace(armed, true) {
            let at = next_sweep(config, now);
            queue.push(at, Event::new(Kind::OutlierSweep, edge_id));
        }
    }

    /// What the monitor has counted since it was asked last: one result may reach two thresholds.
    fn count_verdicts(&mut self, edge_id: u32) {
        let edge = &mut self.edges[edge_id as usize];
        let stats = &mut self.record.slots[edge.slot as usize].stats;
        let (now, before) = (&edge.monitor, &edge.counted);
        for kind in Ejection::ALL {
            let (now, before) = (now.of(kind), before.of(kind));
            let (detected, enforced) = stats_of(kind);
            stats.add(detected, now.detected - before.detected);
            stats.add(enforced, now.enforced - before.enforced);
        }
        let refused = now.ejections_overflow - before.ejections_overflow;
        stats.add(Stat::EjectionsOverflow, refused);
        let enforced = now.ejections_enforced_total - before.ejections_enforced_total;
        stats.add(Stat::EjectionsEnforcedTotal, enforced);
        edge.counted = edge.monitor;
    }

    /// The flag is set: pooled connections drain now, the balancer learns of it through the merge window.
    fn eject(&mut self, now: SimTime, edge_id: u32, host: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        let edge = &mut self.edges[edge_id as usize];
        let cluster = &plan.clusters[edge.cluster as usize];
        self.record.pods[cluster.hosts[host as usize].pod as usize].ejections += 1;
        self.drain_host(edge_id, host);
        if let Some(config) = &cluster.outlier {
            self.arm_sweep(now, edge_id, config, queue);
        }
        self.health_changed(now, edge_id, queue);
    }

    pub(super) fn on_outlier_sweep(
        &mut self,
        now: SimTime,
        edge_id: u32,
        queue: &mut Queue<Event>,
    ) {
        let edge = &self.edges[edge_id as usize];
        let (first, count) = (edge.hosts as usize, edge.host_count as usize);
        let Some(config) = &self.plan.clusters[edge.cluster as usize].outlier else {
            return;
        };
        // Each return is told by itself: of several, the second waits in the merge window already.
        for host in first..first + count {
            let monitor = &mut self.edges[edge_id as usize].monitor;
            if monitor.return_if_due(config, now, &mut self.outliers[host]) {
                self.note_return(now, edge_id, (host - first) as u32);
                self.health_changed(now, edge_id, queue);
            }
        }
        self.edges[edge_id as usize].sweep_armed = false;
        if self.edges[edge_id as usize].monitor.is_interval_over(now) {
            self.close_interval(now, edge_id, config, queue);
        }
        let hosts = &mut self.outliers[first..first + count];
        for host in &mut *hosts {
            forgive(config, now, host);
        }
        let rates = self.edges[edge_id as usize].monitor.enforces_rates(config);
        if rates || needs_sweep(hosts) {
            self.arm_sweep(now, edge_id, config, queue);
        }
    }

    /// Writes down who is used again.
    pub(super) fn note_return(&mut self, now: SimTime, edge_id: u32, host: u32) {
        let cluster = self.edges[edge_id as usize].cluster as usize;
        let pod = self.plan.clusters[cluster].hosts[host as usize].pod;
        self.record.ejections.back(now, edge_id, pod);
    }

    /// A host turned unhealthy: its pools drain in every worker.
    pub(super) fn drain_host(&mut self, edge_id: u32, host: u32) {
        let edge = &mut self.edges[edge_id as usize];
        for worker in 0..edge.balancers.len() as u32 {
            let pool_id = edge.pools + worker * edge.host_count + host;
            let pool = &mut self.pools[pool_id as usize];
            let closed = self.connections.drain(pool, pool_id);
            edge.breakers.connections -= closed;
            self.record.slots[edge.slot as usize]
                .stats
                .add(Stat::CxDestroy, u64::from(closed));
        }
    }

    pub(super) fn health_changed(&mut self, now: SimTime, edge_id: u32, queue: &mut Queue<Event>) {
        let edge = &mut self.edges[edge_id as usize];
        let window = self.plan.clusters[edge.cluster as usize].merge_window;
        match edge.merge.on_change(now, window) {
            Merge::ApplyNow => self.rebuild_view(now, edge_id),
            Merge::ArmTimer(at) => queue.push(at, Event::new(Kind::HealthMerged, edge_id)),
            Merge::Waiting => {}
        }
    }

    pub(super) fn on_health_merged(&mut self, now: SimTime, edge_id: u32) {
        if self.edges[edge_id as usize].merge.on_timer(now) {
            self.rebuild_view(now, edge_id);
        }
    }

    /// True for a host that is ejected or failed its health checks.
    pub(super) fn is_out(&self, edge: &Edge, host: u32) -> bool {
        let checked = edge
            .checked
            .map(|first| &self.checked[(first + host) as usize]);
        let ejected = self.outliers[(edge.hosts + host) as usize].ejected;
        ejected || checked.is_some_and(Checked::is_failed)
    }

    /// The balancer sees the flags as they are now.
    pub(super) fn rebuild_view(&mut self, now: SimTime, edge_id: u32) {
        let edge = &self.edges[edge_id as usize];
        let cluster = &self.plan.clusters[edge.cluster as usize];
        let is_out = |host: u32| self.is_out(edge, host);
        let set = edge.set.as_deref().unwrap_or(&cluster.set);
        let somebody = edge.set.is_some() || (0..edge.host_count).any(is_out);
        let view = somebody.then(|| Box::new(LbView::build(set, |host| !is_out(host))));
        let edge = &mut self.edges[edge_id as usize];
        edge.view = view;
        let active = &self.active[edge.hosts as usize..][..edge.host_count as usize];
        let set = edge.set.as_deref().unwrap_or(&cluster.set);
        let view = edge.view.as_deref().unwrap_or(&cluster.view);
        for balancer in &mut edge.balancers {
            balancer.on_view_changed(set, view, |host| active[host as usize], now);
        }
    }

    /// Rates that nobody asked for since their interval ended.
    pub(super) fn judge_last_interval(&mut self, now: SimTime, edge_id: u32) {
        let edge = &mut self.edges[edge_id as usize];
        let Some(config) = &self.plan.clusters[edge.cluster as usize].outlier else {
            return;
        };
        if edge.monitor.is_interval_over(now) && !edge.monitor.begin_interval(config, now) {
            let (from, count) = (edge.hosts as usize, edge.host_count as usize);
            let hosts = &mut self.outliers[from..from + count];
            // Nobody is left to be told of an ejection.
            let _ = edge.monitor.on_interval_end(config, hosts, now);
            self.count_verdicts(edge_id);
        }
    }
}

/// The counts of detections and of ejections of a kind.
const fn stats_of(kind: Ejection) -> (Stat, Stat) {
    match kind {
        Ejection::Consecutive5xx => (Stat::EjectionsDetected5xx, Stat::EjectionsEnforced5xx),
        Ejection::ConsecutiveGatewayFailure => (
            Stat::EjectionsDetectedGateway,
            Stat::EjectionsEnforcedGateway,
        ),
        Ejection::ConsecutiveLocalOriginFailure => {
            (Stat::EjectionsDetectedLocal, Stat::EjectionsEnforcedLocal)
        }
        Ejection::SuccessRate => (
            Stat::EjectionsDetectedSuccessRate,
            Stat::EjectionsEnforcedSuccessRate,
        ),
        Ejection::LocalOriginSuccessRate => (
            Stat::EjectionsDetectedLocalSuccessRate,
            Stat::EjectionsEnforcedLocalSuccessRate,
        ),
        Ejection::FailurePercentage => (
            Stat::EjectionsDetectedFailurePercentage,
            Stat::EjectionsEnforcedFailurePercentage,
        ),
        Ejection::LocalOriginFailurePercentage => (
            Stat::EjectionsDetectedLocalFailurePercentage,
            Stat::EjectionsEnforcedLocalFailurePercentage,
        ),
    }
}
