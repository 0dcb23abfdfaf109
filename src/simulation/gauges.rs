//! Gauges: what stands at the end of a run, summed over the proxies of a workload.

use super::world::World;
use crate::data_plane::Trail;
use crate::observe::Stat;
use crate::units::SimTime;

impl<T: Trail> World<'_, T> {
    /// Adds every edge's gauges to its statistics.
    pub(super) fn read_gauges(&mut self, now: SimTime) {
        for edge in 0..self.edges.len() as u32 {
            self.expire_connections(now, edge);
            self.judge_last_interval(now, edge);
            let gauges = self.gauges(edge);
            let slot = self.edges[edge as usize].slot as usize;
            for (stat, value) in gauges {
                self.record.slots[slot].stats.add(stat, u64::from(value));
            }
        }
    }

    fn gauges(&self, edge_id: u32) -> [(Stat, u32); 11] {
        let edge = &self.edges[edge_id as usize];
        let cluster = &self.plan.clusters[edge.cluster as usize];
        let (limits, now) = (&cluster.thresholds, &edge.breakers);
        // Envoy looks at a limit when something under it comes or goes.
        let open = |count: u32, allowed: bool| u32::from(count > 0 && !allowed);
        let count = edge.balancers.len() * edge.host_count as usize;
        let pools = self.pools[edge.pools as usize..][..count].iter();
        let pools = pools.filter(|pool| !pool.is_empty()).count() as u32;
        let set = edge.set.as_deref().unwrap_or(&cluster.set);
        let hosts = (0..).zip(&set.hosts);
        let assigned = hosts.filter(|(_, host)| host.priority != u32::MAX);
        let healthy = assigned.filter(|(index, host)| host.healthy && !self.is_out(edge, *index));
        [
            (Stat::EjectionsActive, edge.monitor.ejections_active),
            (Stat::CxActive, now.connections),
            (Stat::RqActive, now.requests),
            (Stat::RqPendingActive, now.pending),
            (
                Stat::CxOpen,
                open(now.connections, now.allows_connection(limits)),
            ),
            (
                Stat::CxPoolOpen,
                open(pools, pools < limits.max_connection_pools),
            ),
            (Stat::RqOpen, open(now.requests, now.allows_request(limits))),
            (
                Stat::RqPendingOpen,
                open(now.pending, now.allows_pending(limits)),
            ),
            (
                Stat::RqRetryOpen,
                open(now.retries, now.allows_retry(limits)),
            ),
            (Stat::MembershipTotal, set.assigned()),
            (Stat::MembershipHealthy, healthy.count() as u32),
        ]
    }
}
