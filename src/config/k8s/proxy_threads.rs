//! Worker threads of a proxy, as annotations of its pod say (`pkg/kube/inject`, `pilot-agent`).

use std::collections::BTreeMap;

use super::ProxyThreads;
use crate::config::decode::Fields;
use crate::diagnostic::{Class, Diagnostic};
use crate::manifest::{Node, Value, read_nested};
use crate::xds::Name;

const CONFIG: &str = "proxy.istio.io/config";
const CPU_LIMIT: &str = "sidecar.istio.io/proxyCPULimit";

/// Reads both annotations.
pub(super) fn proxy_threads(f: &Fields<'_>, annotations: &BTreeMap<Name, Name>) -> ProxyThreads {
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
    let concurrency = annotations.get(CONFIG).and_then(|text| {
        let place = f.here().place();
        let node = Node {
            value: Value::Text(text.clone()),
            line: place.line,
            column: place.column,
        };
        let (documents, problems) = read_nested(&place.file, &node, None);
        let root = documents.first().map(|document| &document.root);
        if !problems.is_empty() || root.is_none_or(|root| root.entries().is_empty()) {
            wrong(CONFIG, "is not YAML");
        }
        let written = root?.get("concurrency")?.value.scalar_text()?;
        let count = written.parse().ok();
        if count.is_none() {
            wrong(CONFIG, &format!("has no number of threads: `{written}`"));
        }
        count
    });
    ProxyThreads {
        concurrency,
        cpu_limit,
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
