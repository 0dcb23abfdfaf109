//! Who stopped using which host, when, and for how long.

use super::{heading, legend};
use crate::observe::record::{EjectionRecord, Record};
use crate::report::format::{count, duration, plural, wrap};
use crate::report::table::{Align, PAGE, Table};
use crate::units::SimTime;
use crate::xds::cluster::{service_host, short_host};

/// Rows of one caller and cluster.
const ROWS_MAX: usize = 12;

/// Nothing where nobody was ejected or refused ejection.
pub(super) fn block(out: &mut String, record: &Record) {
    if record.ejections.is_empty() {
        return;
    }
    heading(out, "Ejections");
    let mut words = "every proxy judges by its own tries; for: at least, a host comes back at the next sweep after it; out: \
         hosts that this proxy does not use; failed: tries of all of the caller's proxies at this cluster up to then"
        .to_owned();
    if record.replications > 1 {
        words.push_str("; of the first replication");
    }
    legend(out, &words);
    for group in groups(&record.ejections) {
        table(out, &group);
    }
}

/// By caller and cluster, each in the order of time.
fn groups(all: &[EjectionRecord]) -> Vec<Vec<&EjectionRecord>> {
    let mut sorted: Vec<&EjectionRecord> = all.iter().collect();
    sorted.sort_by_key(|e| (&e.workload, &e.cluster));
    let same = |a: &&EjectionRecord, b: &&EjectionRecord| {
        (&a.workload, &a.cluster) == (&b.workload, &b.cluster)
    };
    sorted.chunk_by(same).map(<[_]>::to_vec).collect()
}

fn table(out: &mut String, group: &[&EjectionRecord]) {
    let host = short_host(service_host(&group[0].cluster));
    let title = format!("{} → {host}: {}", group[0].workload, summary(group));
    out.push_str(&wrap(&title, "  ", 4, PAGE));
    let mut table = Table::new(&[
        ("AT", Align::Right),
        ("PROXY", Align::Flex),
        ("POD", Align::Flex),
        ("WHY", Align::Left),
        ("FOR", Align::Right),
        ("BACK AT", Align::Right),
        ("OUT", Align::Right),
        ("FAILED", Align::Right),
    ]);
    for ejection in group.iter().take(ROWS_MAX) {
        table.row([
            moment(ejection.at),
            ejection.proxy.clone(),
            ejection.pod.clone(),
            why(ejection.why).to_owned(),
            ejection.lasts.map_or_else(|| "stays".to_owned(), duration),
            ejection.back_at.map_or_else(|| "-".to_owned(), moment),
            format!("{} of {}", ejection.out, ejection.hosts),
            count(ejection.failures),
        ]);
    }
    out.push_str(&table.render(4));
    let rest = group.len().saturating_sub(ROWS_MAX);
    if rest > 0 {
        out.push_str(&format!(
            "    … and {} more (-o json lists them)\n",
            count(rest as u64)
        ));
    }
}

/// `3 ejections by 1 proxy, at worst 3 of 3 hosts were out; 1 host stays, no more may be ejected`.
fn summary(group: &[&EjectionRecord]) -> String {
    let (done, refused): (Vec<&EjectionRecord>, Vec<_>) =
        group.iter().copied().partition(|e| e.lasts.is_some());
    let mut proxies: Vec<&str> = group.iter().map(|e| e.proxy.as_str()).collect();
    proxies.sort_unstable();
    proxies.dedup();
    let proxies = plural(proxies.len() as u64, "proxy", "proxies");
    let mut words = Vec::new();
    let worst = done
        .iter()
        .max_by_key(|e| (e.out, std::cmp::Reverse(e.hosts)));
    if let Some(worst) = worst {
        words.push(format!(
            "{} by {proxies}, at worst {} of {} hosts out at once",
            plural(done.len() as u64, "ejection", "ejections"),
            worst.out,
            worst.hosts
        ));
    }
    if !refused.is_empty() {
        let mut pods: Vec<&str> = refused.iter().map(|e| e.pod.as_str()).collect();
        pods.sort_unstable();
        pods.dedup();
        words.push(format!(
            "{}: maxEjectionPercent allows no more",
            plural(
                pods.len() as u64,
                "pod is bad enough and stays",
                "pods are bad enough and stay"
            ),
        ));
    }
    words.join("; ")
}

/// Envoy's word in ours, as long as a column allows.
fn why(kind: &str) -> &str {
    match kind {
        "consecutive_5xx" => "5xx in a row",
        "consecutive_gateway_failure" => "502-504 in a row",
        "consecutive_local_origin_failure" => "no connection",
        other => other,
    }
}

fn moment(at: SimTime) -> String {
    format!("{:.2}s", at.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_stay_are_counted_in_their_number() {
        let kept = |pod: &str| EjectionRecord {
            proxy: "web-0".to_owned(),
            pod: pod.to_owned(),
            ..EjectionRecord::default()
        };
        let (one, other) = (kept("a-0"), kept("a-1"));
        let limit = "maxEjectionPercent allows no more";
        let said = summary(&[&one, &one]);
        assert_eq!(said, format!("1 pod is bad enough and stays: {limit}"));
        let said = summary(&[&one, &other]);
        assert_eq!(said, format!("2 pods are bad enough and stay: {limit}"));
    }
}
