//! How many pods each workload needs: first so many that it holds, then as few as still do.
//!
//! Where it does not hold, every workload that is busy gets as many pods as its work needs at a
//! comfortable share of its places; a workload that is full shows no more of its demand than that,
//! and is doubled. One that has no pod left, because all stood in the zone that is lost, shows no
//! demand at all: it gets one more, and nobody else does in that round; one that still has none
//! is placed there and nowhere else, and the others have to do without it. Then each workload
//! gives pods back, the largest first, as long as it still holds. Every step is a simulation; nothing is promised that was not run.

use std::collections::{BTreeMap, BTreeSet};

/// Pods by workload, `namespace/name`.
pub type Replicas = BTreeMap<String, u32>;

/// What a simulation with some numbers of pods said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trial {
    /// What is expected holds.
    pub holds: bool,
    /// Busy share of each workload's places, where they are limited.
    pub busy: BTreeMap<String, f64>,
    /// Workloads that had no pod left.
    pub gone: BTreeSet<String>,
}

/// Share of its places that a workload may have busy when pods are added.
const COMFORT: f64 = 0.7;
/// From here on a workload does not show how much more it would do.
const FULL: f64 = 0.95;
/// Below this only the busiest gets pods.
const BUSY: f64 = 0.5;
/// Rounds of adding.
const ROUNDS_MAX: u32 = 12;
/// Pods that one workload is given at most.
pub const PODS_MAX: u32 = 10_000;

/// Pods that suffice, or `None`: more of them do not help. `now`: the workloads whose pods may
/// change, with what they have.
pub fn needed<E>(
    now: &Replicas,
    mut simulate: impl FnMut(&Replicas) -> Result<Trial, E>,
) -> Result<Option<Replicas>, E> {
    let mut pods = now.clone();
    let mut trial = simulate(&pods)?;
    let mut rounds = 0;
    let mut given = BTreeSet::new();
    while !trial.holds {
        rounds += 1;
        let gone = &trial.gone - &given;
        given.extend(gone.iter().cloned());
        // Without them nothing that was measured says what the others need.
        let added = add_to_gone(&mut pods, &gone) || add(&mut pods, &trial);
        if rounds > ROUNDS_MAX || !added {
            return Ok(None);
        }
        trial = simulate(&pods)?;
    }
    let mut order: Vec<String> = pods.keys().cloned().collect();
    // Stable: equal numbers keep the order of their names.
    order.sort_by_key(|name| std::cmp::Reverse(pods[name]));
    for name in order {
        let most = pods[&name];
        let busy = trial.busy.get(&name).copied();
        let Some(busy) = busy.filter(|_| most > 1) else {
            continue;
        };
        // Fewer than this would be full.
        let least = ((f64::from(most) * busy / FULL) as u32).clamp(1, most);
        let fits = fewest(least, most, |count| {
            let mut fewer = pods.clone();
            fewer.insert(name.clone(), count);
            Ok(simulate(&fewer)?.holds)
        })?;
        pods.insert(name, fits);
    }
    Ok(Some(pods))
}

/// The fewest of `least..=most` that holds; `most` is known to.
fn fewest<E>(
    mut least: u32,
    mut most: u32,
    mut holds: impl FnMut(u32) -> Result<bool, E>,
) -> Result<u32, E> {
    while least < most {
        let middle = least + (most - least) / 2;
        if holds(middle)? {
            most = middle;
        } else {
            least = middle + 1;
        }
    }
    Ok(most)
}

/// Gives pods to those that are busy, else to the busiest: ejections and refusals keep even a
/// workload that lacks pods from being busy. False when there is nobody to give any to.
fn add(pods: &mut Replicas, trial: &Trial) -> bool {
    let of = |name: &String| trial.busy.get(name).copied();
    let busiest = pods.keys().filter_map(of).fold(0.0, f64::max);
    let from = BUSY.min(busiest);
    let mut added = false;
    for (name, count) in pods {
        let Some(busy) = of(name).filter(|busy| *busy >= from && *busy > 0.0) else {
            continue;
        };
        let wanted = if busy >= FULL {
            count.saturating_mul(2)
        } else {
            (f64::from(*count) * busy / COMFORT) as u32 + 1
        };
        let wanted = wanted.max(*count + 1).min(PODS_MAX);
        added |= wanted > *count;
        *count = wanted;
    }
    added
}

/// One more pod, which stands somewhere else where pods are placed in turn.
fn add_to_gone(pods: &mut Replicas, gone: &BTreeSet<String>) -> bool {
    let mut added = false;
    for (_, count) in pods.iter_mut().filter(|(name, _)| gone.contains(*name)) {
        added |= *count < PODS_MAX;
        *count = (*count + 1).min(PODS_MAX);
    }
    added
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Workloads that need so many busy places, with ten places a pod.
    fn mesh(demand: &[(&str, f64)], least_busy: f64) -> impl Fn(&Replicas) -> Result<Trial, ()> {
        let demand: Vec<(String, f64)> = (demand.iter())
            .map(|(n, d)| ((*n).to_owned(), *d))
            .collect();
        move |pods: &Replicas| {
            let busy = |(name, demand): &(String, f64)| {
                let places = 10.0 * f64::from(pods[name]);
                (name.clone(), (demand / places).min(1.0))
            };
            let busy: BTreeMap<String, f64> = demand.iter().map(busy).collect();
            let holds = busy.values().all(|b| *b <= least_busy);
            Ok(Trial {
                holds,
                busy,
                ..Trial::default()
            })
        }
    }

    #[test]
    fn as_many_as_the_work_needs_and_no_more() {
        let now: Replicas = [("a".to_owned(), 1), ("b".to_owned(), 50)].into();
        let found = needed(&now, mesh(&[("a", 300.0), ("b", 30.0)], 0.8));
        let found = found.expect("nothing fails").expect("it can be had");
        assert_eq!((found["a"], found["b"]), (38, 4));
    }

    /// `a` is in the lost zone for good; its work is done by `b`.
    #[test]
    fn others_do_the_work_of_one_that_is_placed_in_the_lost_zone() {
        let now: Replicas = [("a".to_owned(), 3), ("b".to_owned(), 2)].into();
        let lost = |pods: &Replicas| -> Result<Trial, ()> {
            let busy = [
                ("a", 0.0),
                ("b", (20.0 / (10.0 * f64::from(pods["b"]))).min(1.0)),
            ];
            Ok(Trial {
                holds: pods["b"] >= 3,
                busy: busy.map(|(n, b)| (n.to_owned(), b)).into(),
                gone: ["a".to_owned()].into(),
            })
        };
        let found = needed(&now, lost)
            .expect("nothing fails")
            .expect("it can be had");
        assert_eq!(found["b"], 3);
    }

    /// All pods of `a` stand in the lost zone as long as there is one; `b` has some work.
    #[test]
    fn a_workload_without_a_pod_left_gets_another_and_nobody_else_does() {
        let now: Replicas = [("a".to_owned(), 1), ("b".to_owned(), 3)].into();
        let lost = |pods: &Replicas| -> Result<Trial, ()> {
            let gone = if pods["a"] < 2 { vec!["a"] } else { Vec::new() };
            let busy = [("a", if pods["a"] < 2 { 0.0 } else { 0.2 }), ("b", 0.3)];
            Ok(Trial {
                holds: gone.is_empty() && pods["b"] >= 3,
                busy: busy.map(|(n, b)| (n.to_owned(), b)).into(),
                gone: gone.into_iter().map(str::to_owned).collect(),
            })
        };
        let found = needed(&now, lost).expect("nothing fails");
        let wanted: Replicas = [("a".to_owned(), 2), ("b".to_owned(), 3)].into();
        assert_eq!(found, Some(wanted));
    }

    #[test]
    fn what_pods_do_not_help_is_said() {
        let now: Replicas = [("a".to_owned(), 2)].into();
        let never = |_: &Replicas| -> Result<Trial, ()> { Ok(Trial::default()) };
        assert_eq!(needed(&now, never), Ok(None));
    }
}
