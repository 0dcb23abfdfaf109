//! A proxy as annotations of its pod say (`pkg/kube/inject`, `pilot-agent`).

use std::collections::BTreeMap;

use super::ProxySettings;
use crate::config::decode::Fields;
use crate::diagnostic::{Class, Diagnostic};
use crate::manifest::{Node, Value, read_nested};
use crate::xds::Name;

const CONFIG: &str = "proxy.istio.io/config";
const CPU_LIMIT: &str = "sidecar.istio.io/proxyCPULimit";

/// The variable that gives a proxy a cluster of its own (1.31+).
pub(in crate::config) const SELF_DISCOVERY: &str = "ISTIO_META_ENABLE_SELF_DISCOVERY";

/// The variable that lets a proxy stay as long as it has connections.
pub(in crate::config) const EXIT_ON_ZERO: &str = "EXIT_ON_ZERO_ACTIVE_CONNECTIONS";

/// Reads both annotations.
pub(super) fn proxy_settings(f: &Fields<'_>, annotations: &BTreeMap<Name, Name>) -> ProxySettings {
    let wrong = |key: &str, what: &str| {
        let message = format!("the annotation `{key}` {what}");
        f.push(Diagnostic::warning(
            "TT-NOT-SIMULATED",
            Class::NotSimulated,
            message,
        ));
    };
    let cpu_limit = annotations.get(CPU_LIMIT).and_then(|text| {
        let cpus = whole_cpus(text);
        if cpus.is_none() {
            wrong(CPU_LIMIT, "is no quantity of CPU");
        }
        cpus
    });
    let config = annotations.get(CONFIG).and_then(|text| {
        let place = f.here().place();
        let node = Node {
            value: Value::text(text.clone()),
            line: place.line,
            column: place.column,
        };
        let (documents, problems) = read_nested(&place.file, &node, None);
        let root = documents.first().map(|document| &document.root);
        if !problems.is_empty() || root.is_none_or(|root| root.entries().is_empty()) {
            wrong(CONFIG, "is not YAML");
        }
        documents.into_iter().next().map(|document| document.root)
    });
    let concurrency = config.as_ref().and_then(|root| {
        let written = root.get("concurrency")?.value.scalar_text()?;
        let count = written.parse().ok();
        if count.is_none() {
            wrong(CONFIG, &format!("has no number of threads: `{written}`"));
        }
        count
    });
    let metadata = config.as_ref().and_then(|root| root.get("proxyMetadata"));
    let variable = metadata.and_then(|m| m.get(SELF_DISCOVERY)?.value.scalar_text());
    let zero = metadata.and_then(|m| m.get(EXIT_ON_ZERO)?.value.scalar_text());
    let termination_drain = config.as_ref().and_then(|root| {
        let written = root.get("terminationDrainDuration")?.value.scalar_text()?;
        let read = written.parse().ok();
        if read.is_none() {
            wrong(CONFIG, &format!("has no length of time: `{written}`"));
        }
        read
    });
    ProxySettings {
        concurrency,
        cpu_limit,
        self_discovery: variable.map(|text| &*text == "true"),
        termination_drain,
        exit_on_zero: zero.map(|text| &*text == "true"),
    }
}

/// `2000m`, `1.5` or `3` in whole CPUs, rounded up.
fn whole_cpus(text: &str) -> Option<u32> {
    let text = text.trim();
    let milli = match text.strip_suffix('m') {
        Some(milli) => milli.parse::<f64>().ok()?,
        None => text.parse::<f64>().ok()? * 1000.0,
    };
    let sensible = milli > 0.0 && milli < 1_000_000.0;
    sensible.then(|| (milli / 1000.0).ceil() as u32)
}

#[cfg(test)]
mod tests {
    use super::whole_cpus;

    #[test]
    fn cpu_limits_are_rounded_up() {
        let cpus = [
            "2000m", "1500m", "100m", "2", "0.5", " 3 ", "0", "two", "-1",
        ]
        .map(whole_cpus);
        let expected = [2, 2, 1, 2, 1, 3].map(Some);
        assert_eq!(cpus[..6], expected);
        assert_eq!(cpus[6..], [None; 3]);
    }
}
