//! Processor time that containers may use and ask for (`resources` of a container).

use crate::config::decode::Fields;
use crate::xds::snapshot::Cpu;

/// More cores than a node has.
const MILLI_CORES_MAX: f64 = 1_000_000.0;

/// Thousandths of a core of an amount as Kubernetes writes it: `500m`, `2`, `0.5`; `None` when it is
/// none, or below one thousandth (`k8s.io/apimachinery/pkg/api/resource/quantity.go`).
pub(in crate::config) fn milli_cores(text: &str) -> Option<u32> {
    let (number, scale) = match text.strip_suffix('m') {
        Some(number) => (number, 1.0),
        None => (text, 1000.0),
    };
    let milli = number.parse::<f64>().ok()? * scale;
    // Kubernetes rounds parts of a thousandth up.
    ((1.0..=MILLI_CORES_MAX).contains(&milli)).then(|| milli.ceil() as u32)
}

/// What one container says; a request that is not written is its limit.
pub(super) fn container(f: &Fields<'_>) -> Cpu {
    let mut read = Cpu::default();
    f.object("resources", |f| {
        let cpu = |f: &Fields<'_>| milli_cores(&f.get("cpu")?.node().value.scalar_text()?);
        read.limit = f.object("limits", cpu).flatten();
        read.request = f.object("requests", cpu).flatten().or(read.limit);
    });
    read
}

/// Containers of a pod together; a limit only when each has one.
pub(super) fn sum(containers: &[Cpu]) -> Cpu {
    let all = |of: fn(&Cpu) -> Option<u32>| {
        let each: Option<Vec<u32>> = containers.iter().map(of).collect();
        each.filter(|each| !each.is_empty())
            .map(|each| each.iter().sum())
    };
    Cpu {
        limit: all(|c| c.limit),
        request: all(|c| c.request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_kubernetes_does() {
        let read = ["500m", "2", "0.5", "1.5m", "0", "-1", "lots"].map(milli_cores);
        assert_eq!(
            read,
            [Some(500), Some(2000), Some(500), Some(2), None, None, None]
        );
    }

    #[test]
    fn a_pod_has_a_limit_when_each_of_its_containers_has() {
        let of = |limit, request| Cpu { limit, request };
        let both = sum(&[of(Some(500), Some(100)), of(None, Some(50))]);
        assert_eq!(both, of(None, Some(150)));
        assert_eq!(sum(&[]), of(None, None));
    }
}
