//! `loadBalancer` (`validateLoadBalancer`).

use super::super::{ConsistentHash, HashKey, LoadBalancer, SimpleLb, Warmup};
use super::locality::locality;
use super::zone_aware::zone_aware_setting;
use super::{Level, PolicyContext, at_most_one, duration, schema_warning};
use crate::config::IstioVersion;
use crate::config::decode::Fields;
use crate::units::SimDuration;
use crate::xds::Name;

/// `fails_over`: the same policy has `outlierDetection`, without which failover does nothing.
pub(super) fn load_balancer(
    f: &Fields<'_>,
    context: PolicyContext,
    fails_over: bool,
) -> LoadBalancer {
    let simple = [
        ("UNSPECIFIED", SimpleLb::LeastRequest),
        ("LEAST_CONN", SimpleLb::LeastRequest),
        ("LEAST_REQUEST", SimpleLb::LeastRequest),
        ("ROUND_ROBIN", SimpleLb::RoundRobin),
        ("RANDOM", SimpleLb::Random),
        ("PASSTHROUGH", SimpleLb::Passthrough),
    ];
    at_most_one(f, &["simple", "consistentHash"]);
    at_most_one(f, &["localityLbSetting", "zoneAwareLbSetting"]);
    let old_warmup = duration(f, "warmupDurationSecs").map(|duration| Warmup {
        duration,
        minimum_percent_milli: 10_000,
        aggression_milli: 1_000,
    });
    LoadBalancer {
        simple: f.choice("simple", &simple).unwrap_or_default(),
        consistent_hash: f.object("consistentHash", |f| consistent_hash(f, context)),
        locality: f.object("localityLbSetting", |f| {
            locality(f, context.level, fails_over)
        }),
        // The block is a word of 1.24; before, the API server dropped it.
        warmup: (f.object("warmup", warmup))
            .filter(|_| context.version.at_least(24))
            .or(old_warmup),
        zone_aware: zone_aware_setting(f, context.version, context.level, fails_over),
        origin: f.origin(),
    }
}

fn warmup(f: &Fields<'_>) -> Warmup {
    let duration = duration(f, "duration");
    if duration.is_none() {
        f.missing("duration");
    }
    let number = |name, default| {
        let wrapped = f.get(name).and_then(|at| {
            if at.is_object() {
                at.object(|f| f.float("value"))
            } else {
                at.float()
            }
        });
        wrapped.unwrap_or(default)
    };
    let (percent, aggression) = (number("minimumPercent", 10.0), number("aggression", 1.0));
    if !(0.0..=100.0).contains(&percent) {
        f.refuse_field("minimumPercent", "is not between 0 and 100");
    }
    if aggression <= 0.0 {
        f.refuse_field("aggression", "must be above 0");
    }
    Warmup {
        duration: duration.unwrap_or(SimDuration::ZERO),
        minimum_percent_milli: (percent.clamp(0.0, 100.0) * 1000.0 + 0.5) as u32,
        aggression_milli: (aggression.max(0.0) * 1000.0 + 0.5) as u32,
    }
}

fn consistent_hash(f: &Fields<'_>, context: PolicyContext) -> ConsistentHash {
    at_most_one(
        f,
        &[
            "httpHeaderName",
            "httpCookie",
            "useSourceIp",
            "httpQueryParameterName",
        ],
    );
    at_most_one(f, &["ringHash", "maglev"]);
    let cookie = f.object("httpCookie", cookie);
    let filled = |name| f.text(name).filter(|text: &Name| !text.is_empty());
    let key = filled("httpHeaderName")
        .map(HashKey::Header)
        .or(cookie)
        .or_else(|| f.flag("useSourceIp").then_some(HashKey::SourceIp))
        .or_else(|| filled("httpQueryParameterName").map(HashKey::Query));
    let old: Option<u64> = f.integer("minimumRingSize");
    if old.is_some() {
        if f.get("ringHash").is_some() || f.get("maglev").is_some() {
            f.refuse_field("minimumRingSize", "excludes `ringHash` and `maglev`");
        } else if context.level == Level::Top {
            let message = "`minimumRingSize` is deprecated; write `ringHash: {minimumRingSize: …}`";
            f.push_at("minimumRingSize", schema_warning(message));
        }
    }
    let ring = f.object("ringHash", |f| f.integer("minimumRingSize").unwrap_or(0));
    ConsistentHash {
        key,
        minimum_ring_size: ring.or(old).unwrap_or(0),
        maglev: f.object("maglev", |f| maglev(f, context.version)),
    }
}

fn cookie(f: &Fields<'_>) -> HashKey {
    let mut seen: Vec<Name> = Vec::new();
    f.objects("attributes", |f| {
        f.known(&["value"]);
        let name = f.text_or_empty("name");
        if seen.contains(&name) {
            f.refuse(format!("the attribute `{name}` is given twice"));
        }
        seen.push(name);
    });
    HashKey::Cookie {
        name: f.required_text("name"),
        path: f.text_or_empty("path"),
        // `0s` asks for a session cookie, so zero is fine here.
        ttl: f.duration("ttl"),
    }
}

fn maglev(f: &Fields<'_>, version: IstioVersion) -> u64 {
    /// Envoy's largest table.
    const TABLE_SIZE_MAX: u64 = 5_000_011;
    let size: u64 = f.integer("tableSize").unwrap_or(0);
    let fits = size < TABLE_SIZE_MAX && is_prime(size);
    if version.at_least(22) && !fits {
        f.refuse(format!(
            "`tableSize` must be a prime below {TABLE_SIZE_MAX}"
        ));
    }
    size
}

fn is_prime(n: u64) -> bool {
    n >= 2 && (2..=n.isqrt()).all(|d| !n.is_multiple_of(d))
}

#[cfg(test)]
mod tests {
    use super::is_prime;

    #[test]
    fn primes_are_told_from_others() {
        for prime in [2, 3, 65_537, 5_000_011] {
            assert!(is_prime(prime), "{prime}");
        }
        for other in [0, 1, 4, 65_535, 5_000_009 * 3] {
            assert!(!is_prime(other), "{other}");
        }
    }
}
