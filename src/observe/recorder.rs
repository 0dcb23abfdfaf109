//! Counters by id while a run goes on. Called by the simulation; returns nothing that could
//! change a run. Names are added when the run is over.

use super::Histogram;
use super::app_stats::AppStats;
use super::ejections::EjectionLog;
use super::envoy_stats::ClusterStats;
use super::proxy_stats::ProxyStats;
use super::tally::Tally;
use super::worker_counts::WorkerCounts;
use crate::http::{Details, Flags};
use crate::units::hash::Digest;
use crate::units::{SimDuration, SimTime};

/// What one load saw.
#[derive(Clone, Debug, Default)]
pub struct ClientCounts {
    /// Started after warm-up.
    pub started: u64,
    /// Ended, of those.
    pub ended: u64,
    /// By status.
    pub statuses: Tally<u16>,
    /// By flags.
    pub flags: Tally<Flags>,
    /// By tries.
    pub attempts: Tally<u32>,
    /// Whole requests.
    pub latency: Histogram,
}

/// Calls of one (caller, cluster, server).
#[derive(Clone, Debug, Default)]
pub struct RowCounts {
    /// Calls.
    pub requests: u64,
    /// Their tries.
    pub attempts: u64,
    /// By status.
    pub statuses: Tally<u16>,
    /// By flags, those without any left out.
    pub flags: Tally<Flags>,
    /// As the caller sees it, where the proxy has a word in it too.
    pub latency: Histogram,
    /// Calls that the caller waited for and the proxy charged to no cluster: the caller left
    /// first, or a timeout fired between two tries.
    pub uncharged: Histogram,
}

/// One cluster of one client workload. Its latency is that of its rows.
#[derive(Clone, Debug, Default)]
pub struct SlotCounts {
    /// Envoy's statistics.
    pub stats: ClusterStats,
    /// Most connections that one proxy had open at once, warm-up included.
    pub most_connections: u32,
}

/// One pod as a target.
#[derive(Clone, Copy, Debug, Default)]
pub struct PodCounts {
    /// Requests that reached it.
    pub requests: u64,
    /// Ejections by client proxies.
    pub ejections: u64,
}

/// One workload as a server.
#[derive(Clone, Debug, Default)]
pub struct AppCounts {
    /// Taken.
    pub requests: u64,
    /// Refused.
    pub rejected: u64,
    /// Answered with 5xx, or not at all.
    pub errors: u64,
    /// Time in queue of those that waited.
    pub queue_time: Histogram,
    /// Served without waiting.
    pub served_at_once: u64,
    /// Arrival to answer.
    pub latency: Histogram,
    /// Caches, asynchronous calls and the like.
    pub rare: AppStats,
}

/// One window of one client.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Start.
    pub at: SimTime,
    /// Client.
    pub client: u32,
    /// Started in it.
    pub started: u64,
    /// Ended in it.
    pub ended: u64,
    /// Of those, failed.
    pub errors: u64,
    /// Tries of those.
    pub attempts: u64,
    /// Median latency.
    pub p50: SimDuration,
    /// 99th percentile.
    pub p99: SimDuration,
    /// In flight at its end.
    pub in_flight: u64,
}

/// How a root request ended.
#[derive(Clone, Copy, Debug)]
pub struct RootEnd {
    /// Load.
    pub client: u32,
    /// Number in its load.
    pub number: u64,
    /// When it was started.
    pub at: SimTime,
    /// Latency.
    pub duration: SimDuration,
    /// Status; 0 for none.
    pub status: u16,
    /// Flags.
    pub flags: Flags,
    /// Details.
    pub details: Details,
    /// Tries.
    pub attempts: u32,
    /// Route plan.
    pub route: u32,
    /// Weighted cluster of it, `u32::MAX` for none.
    pub weighted: u32,
    /// Pod of the last try, `u32::MAX` for none.
    pub pod: u32,
    /// True when the pod answered.
    pub answered: bool,
}

/// All counters of one run.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// Loads.
    pub clients: Vec<ClientCounts>,
    /// Rows.
    pub rows: Vec<RowCounts>,
    /// Slots.
    pub slots: Vec<SlotCounts>,
    /// Pods.
    pub pods: Vec<PodCounts>,
    /// Workloads.
    pub apps: Vec<AppCounts>,
    /// HTTP filters of proxies, by prefix.
    pub proxies: Vec<ProxyStats>,
    /// Requests by worker, where proxies have several.
    pub workers: WorkerCounts,
    /// Finished windows.
    pub windows: Vec<Window>,
    /// Who stopped using which host.
    pub ejections: EjectionLog,
    /// Single root requests, up to `keep`.
    pub roots: Vec<RootEnd>,
    /// How many single requests are kept.
    pub keep: usize,
    /// Over every root request that ended.
    pub digest: Digest,
    /// Tries sent, warm-up included.
    pub hops: u64,
    window: SimDuration,
    window_end: SimTime,
    current: Vec<Window>,
    window_latency: Vec<Histogram>,
    counting_from: SimTime,
}

impl Recorder {
    /// Counters for so many loads, rows, slots, pods and workloads; `window` is the series' step.
    pub fn new(
        sizes: [usize; 5],
        window: SimDuration,
        counting_from: SimTime,
        keep: usize,
    ) -> Self {
        let [clients, rows, slots, pods, apps] = sizes;
        Self {
            clients: vec![ClientCounts::default(); clients],
            rows: vec![RowCounts::default(); rows],
            slots: vec![SlotCounts::default(); slots],
            pods: vec![PodCounts::default(); pods],
            apps: vec![AppCounts::default(); apps],
            keep,
            window,
            window_end: SimTime::ZERO.after(window),
            current: (0..clients)
                .map(|client| Window {
                    client: client as u32,
                    ..Window::default()
                })
                .collect(),
            window_latency: vec![Histogram::default(); clients],
            counting_from,
            ..Self::default()
        }
    }

    /// A root request starts.
    #[inline]
    pub fn root_started(&mut self, now: SimTime, client: u32) {
        self.roll(now);
        let window = &mut self.current[client as usize];
        window.started += 1;
        window.in_flight += 1;
        if now >= self.counting_from {
            self.clients[client as usize].started += 1;
        }
    }

    /// A root request ended.
    pub fn root_ended(&mut self, now: SimTime, end: &RootEnd) {
        self.roll(now);
        let failed = end.status == 0 || end.status >= 500;
        let window = &mut self.current[end.client as usize];
        window.ended += 1;
        window.errors += u64::from(failed);
        window.attempts += u64::from(end.attempts);
        window.in_flight = window.in_flight.saturating_sub(1);
        self.window_latency[end.client as usize].record(end.duration);
        self.digest.add(end.number ^ (u64::from(end.client) << 56));
        self.digest.add(end.duration.ns());
        self.digest.add(
            u64::from(end.status)
                | (u64::from(end.flags.bits()) << 16)
                | (u64::from(end.attempts) << 48),
        );
        if self.roots.len() < self.keep {
            self.roots.push(*end);
        }
        if end.at >= self.counting_from {
            let client = &mut self.clients[end.client as usize];
            client.ended += 1;
            client.statuses.inc(end.status);
            client.flags.inc(end.flags);
            client.attempts.inc(end.attempts);
            client.latency.record(end.duration);
        }
    }

    /// A call ended.
    #[expect(clippy::inline_always, reason = "once per call, in one place")]
    #[inline(always)]
    pub fn call_ended(
        &mut self,
        row: u32,
        attempts: u32,
        status: u16,
        flags: Flags,
        latency: SimDuration,
        charged: bool,
    ) {
        let row = &mut self.rows[row as usize];
        row.requests += 1;
        row.attempts += u64::from(attempts);
        row.statuses.inc(status);
        if flags != Flags::NONE {
            row.flags.inc(flags);
        }
        if charged {
            row.latency.record(latency);
        } else {
            row.uncharged.record(latency);
        }
    }

    /// Warm-up is over: everything that is not bound to a root request's start is forgotten.
    pub fn reset(&mut self) {
        self.rows
            .iter_mut()
            .for_each(|row| *row = RowCounts::default());
        for slot in &mut self.slots {
            slot.stats.clear();
        }
        self.pods
            .iter_mut()
            .for_each(|pod| *pod = PodCounts::default());
        self.apps
            .iter_mut()
            .for_each(|app| *app = AppCounts::default());
        self.proxies
            .iter_mut()
            .for_each(|proxy| *proxy = ProxyStats::default());
        self.workers.clear();
    }

    /// Closes windows that lie before `now`.
    #[inline]
    fn roll(&mut self, now: SimTime) {
        while now >= self.window_end {
            self.close_window();
        }
    }

    fn close_window(&mut self) {
        for (window, latency) in self.current.iter_mut().zip(&mut self.window_latency) {
            window.p50 = latency.quantile(0.5);
            window.p99 = latency.quantile(0.99);
            self.windows.push(window.clone());
            *window = Window {
                at: self.window_end,
                client: window.client,
                in_flight: window.in_flight,
                ..Window::default()
            };
            latency.clear();
        }
        self.window_end = self.window_end.after(self.window);
    }

    /// Closes the window that is open at the end.
    pub fn finish(&mut self, now: SimTime) {
        self.roll(now);
        if self.current.iter().any(|w| w.started + w.ended > 0) {
            self.close_window();
        }
    }

    /// Length of a window.
    pub fn window(&self) -> SimDuration {
        self.window
    }
}
