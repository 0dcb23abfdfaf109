//! Requests by worker thread of proxies that have several.

/// Counters of all workers of all pods' proxies; empty where every proxy has one.
#[derive(Clone, Debug, Default)]
pub struct WorkerCounts {
    /// Where the workers of each pod begin, and where those of the last end.
    first: Vec<usize>,
    sent: Vec<u64>,
    served: Vec<u64>,
}

impl WorkerCounts {
    /// Counters for so many workers of each pod.
    pub fn new(workers: impl Iterator<Item = u32>) -> Self {
        let mut first = vec![0];
        first.extend(workers.scan(0, |end, count| {
            *end += count as usize;
            Some(*end)
        }));
        let count = first.last().copied().unwrap_or(0);
        Self {
            first,
            sent: vec![0; count],
            served: vec![0; count],
        }
    }

    /// A call of the pod's application, or of a client outside, is in a worker's hands.
    pub fn count_sent(&mut self, pod: u32, worker: u32) {
        self.sent[self.first[pod as usize] + worker as usize] += 1;
    }

    /// A request for the pod's application came over a connection of a worker.
    pub fn count_served(&mut self, pod: u32, worker: u32) {
        self.served[self.first[pod as usize] + worker as usize] += 1;
    }

    /// Calls by worker of a pod's proxy.
    pub fn sent(&self, pod: u32) -> &[u64] {
        self.of(&self.sent, pod)
    }

    /// Requests for the application, by worker of a pod's proxy.
    pub fn served(&self, pod: u32) -> &[u64] {
        self.of(&self.served, pod)
    }

    /// Forgets what was counted.
    pub fn clear(&mut self) {
        self.sent.fill(0);
        self.served.fill(0);
    }

    fn of<'c>(&self, counts: &'c [u64], pod: u32) -> &'c [u64] {
        match self.first.get(pod as usize..) {
            Some([from, to, ..]) => &counts[*from..*to],
            _ => &[],
        }
    }
}
