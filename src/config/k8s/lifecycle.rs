//! How pods come and go, as far as their templates say: probes, `preStop`, update strategy.

use crate::config::decode::Fields;
use crate::xds::snapshot::{Lifecycle, Probe};

/// Update strategy of a Deployment.
pub(super) fn strategy(f: &Fields<'_>, into: &mut Lifecycle) {
    f.object("strategy", |f| {
        f.object("rollingUpdate", |f| {
            let written = |name| f.get(name)?.node().value.scalar_text();
            into.max_surge = written("maxSurge");
            into.max_unavailable = written("maxUnavailable");
        });
    });
}

/// What one container says.
pub(super) fn container(f: &Fields<'_>) -> Lifecycle {
    let mut read = Lifecycle {
        readiness: f.object("readinessProbe", |f| Probe {
            initial_delay: f.integer("initialDelaySeconds").unwrap_or(0),
            period: f.integer("periodSeconds").unwrap_or(10).max(1),
            failures: f.integer("failureThreshold").unwrap_or(3).max(1),
        }),
        ..Lifecycle::default()
    };
    f.object("lifecycle", |f| {
        f.object("preStop", |f| read.pre_stop_seconds = pre_stop(f));
    });
    read
}

/// `sleep: {seconds: 5}` or an `exec` of `sleep 5`.
fn pre_stop(f: &Fields<'_>) -> Option<u32> {
    let slept = f.object("sleep", |f| f.integer("seconds")).flatten();
    let words = f.object("exec", |f| {
        let items = f.items("command");
        let texts = items.iter().filter_map(|at| at.node().as_text().cloned());
        texts.collect::<Vec<_>>().join(" ")
    });
    slept.or_else(|| {
        let words = words?;
        let (_, rest) = words.split_once("sleep ")?;
        let digits: String = rest
            .trim()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().ok()
    })
}

/// A pod is ready when all containers are, and ends when the slowest `preStop` is over.
pub(super) fn join(pod: &mut Lifecycle, container: &Lifecycle) {
    pod.readiness = pod.readiness.or(container.readiness);
    pod.pre_stop_seconds = pod.pre_stop_seconds.max(container.pre_stop_seconds);
}
