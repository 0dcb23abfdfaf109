//! Statistics of a proxy's HTTP filters under Envoy's own names, below a prefix such as
//! `http.outbound_0.0.0.0_80` or a filter's `stat_prefix`.

use std::collections::BTreeMap;

macro_rules! stats {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// A statistic of an HTTP filter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum ProxyStat { $($(#[$doc])* $variant),* }

        impl ProxyStat {
            /// Every statistic.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            const COUNT: usize = Self::ALL.len();

            /// Envoy's name below the prefix.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

stats! {
    /// Delays injected.
    DelaysInjected = "fault.delays_injected";
    /// Aborts injected.
    AbortsInjected = "fault.aborts_injected";
    /// Faults not injected because of `max_active_faults`.
    FaultsOverflow = "fault.faults_overflow";
    /// Requests that AuthorizationPolicies let pass, once for those that deny and once for those that allow.
    RbacAllowed = "rbac.allowed";
    /// Requests (TCP: connections) that they refused.
    RbacDenied = "rbac.denied";
    /// Requests a local rate limit looked at.
    RateLimitEnabled = "http_local_rate_limit.enabled";
    /// Of those, the ones that found a token.
    RateLimitOk = "http_local_rate_limit.ok";
    /// Of those, the ones that found none.
    RateLimited = "http_local_rate_limit.rate_limited";
    /// Of those, the ones that were refused.
    RateLimitEnforced = "http_local_rate_limit.enforced";
    /// Requests refused by admission control.
    AdmissionRejected = "admission_control.rq_rejected";
    /// Requests refused by adaptive concurrency.
    ConcurrencyBlocked = "adaptive_concurrency.gradient_controller.rq_blocked";
    /// The limit when it was last looked at (gauge).
    ConcurrencyLimit = "adaptive_concurrency.gradient_controller.concurrency_limit";
}

/// Counters of one prefix, summed over the proxies of a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyStats {
    values: [u64; ProxyStat::COUNT],
}

impl ProxyStats {
    /// Adds one.
    pub fn inc(&mut self, stat: ProxyStat) {
        self.values[stat as usize] += 1;
    }

    /// Adds so many.
    pub fn add(&mut self, stat: ProxyStat, count: u64) {
        self.values[stat as usize] += count;
    }

    /// Sets a gauge.
    pub fn set(&mut self, stat: ProxyStat, value: u64) {
        self.values[stat as usize] = value;
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.values.iter_mut().zip(&other.values) {
            *mine += theirs;
        }
    }

    /// What was counted, by full names.
    pub fn named(&self, prefix: &str) -> BTreeMap<String, u64> {
        let all = ProxyStat::ALL.iter().zip(self.values);
        let counted = all.filter(|(_, value)| *value > 0);
        counted
            .map(|(stat, value)| (format!("{prefix}.{}", stat.name()), value))
            .collect()
    }
}
