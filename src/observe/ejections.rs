//! Who stopped using which host, in the order of time. By id; names are added when a run is over.

use std::collections::BTreeSet;

use crate::units::{SimDuration, SimTime};

/// Notes that are kept of one run.
const KEPT: usize = 1_000;

/// A host that a proxy stopped using, or would have if `max_ejection_percent` allowed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectionNote {
    /// When.
    pub at: SimTime,
    /// What the proxy knows of the cluster: the edge.
    pub edge: u32,
    /// Pod whose proxy decided.
    pub proxy: u32,
    /// The client workload's cluster.
    pub slot: u32,
    /// Pod that was found bad.
    pub pod: u32,
    /// Envoy's word for why.
    pub kind: &'static str,
    /// How long at least; `None`: it was not allowed and the host stays.
    pub lasts: Option<SimDuration>,
    /// When the host was taken back.
    pub back_at: Option<SimTime>,
    /// Hosts that are out at this proxy from now on.
    pub out: u32,
    /// Hosts of the cluster as this proxy knows it.
    pub hosts: u32,
    /// Failed tries of the client workload's proxies at this cluster, up to and with this one.
    pub failures: u64,
}

/// The notes of one run.
#[derive(Clone, Debug, Default)]
pub struct EjectionLog {
    notes: Vec<EjectionNote>,
    /// Who was refused to whom already: that is said once.
    refused: BTreeSet<(u32, u32)>,
}

impl EjectionLog {
    /// True when a note is to be kept: of refusals only the first for each proxy and host.
    pub fn wants(&mut self, edge: u32, pod: u32, refused: bool) -> bool {
        self.notes.len() < KEPT && (!refused || self.refused.insert((edge, pod)))
    }

    /// Keeps a note that is [wanted](Self::wants).
    pub fn add(&mut self, note: EjectionNote) {
        self.notes.push(note);
    }

    /// A host is used again.
    pub fn back(&mut self, now: SimTime, edge: u32, pod: u32) {
        let mut notes = self.notes.iter_mut().rev();
        let is_it = |n: &&mut EjectionNote| n.edge == edge && n.pod == pod && n.lasts.is_some();
        if let Some(note) = notes.find(is_it) {
            note.back_at = Some(now);
        }
    }

    /// What was kept, in the order of time.
    pub fn notes(&self) -> &[EjectionNote] {
        &self.notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(ms: u64, pod: u32, lasts: Option<u64>) -> EjectionNote {
        EjectionNote {
            at: SimTime::ZERO.after(SimDuration::from_ms(ms)),
            edge: 0,
            proxy: 0,
            slot: 0,
            pod,
            kind: "consecutive_5xx",
            lasts: lasts.map(SimDuration::from_ms),
            back_at: None,
            out: 1,
            hosts: 4,
            failures: 5,
        }
    }

    #[test]
    fn a_refusal_is_told_once_and_a_return_belongs_to_the_latest_ejection() {
        let mut log = EjectionLog::default();
        for note in [
            note(10, 7, Some(30)),
            note(11, 8, None),
            note(12, 8, None),
            note(90, 7, Some(60)),
        ] {
            if log.wants(0, note.pod, note.lasts.is_none()) {
                log.add(note);
            }
        }
        let now = SimTime::ZERO.after(SimDuration::from_ms(200));
        log.back(now, 0, 7);
        log.back(now, 0, 8);
        let back: Vec<bool> = log.notes().iter().map(|n| n.back_at.is_some()).collect();
        assert_eq!(back, [false, false, true]);
    }

    #[test]
    fn the_first_of_many_are_kept() {
        let mut log = EjectionLog::default();
        for at in 0..KEPT as u64 {
            log.add(note(at, 7, Some(30)));
        }
        assert!(!log.wants(0, 9, false));
    }
}
