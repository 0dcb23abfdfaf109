//! Envoy's response flags and `response_code_details`
//! (`envoy/stream_info/stream_info.h`, `source/common/stream_info/utility.cc`).

use std::fmt;

/// A set of response flags; prints as Envoy's access log does, `-` when empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flags(u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        impl Flags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*
            /// Every flag with its text. Envoy prints flags in the order in which they were set:
            /// the fault filter's, then the retry decision's, then why the last try failed.
            const TABLE: &'static [(Self, &'static str)] = &[$((Self::$name, $text)),*];
        }
    };
}

flags! {
    /// Delay injected by the fault filter.
    DI = 1, "DI";
    /// Aborted by the fault filter.
    FI = 2, "FI";
    /// Retry limit exceeded.
    URX = 0, "URX";
    /// Upstream overflow: a circuit breaker.
    UO = 5, "UO";
    /// No healthy upstream.
    UH = 3, "UH";
    /// Upstream connection failure.
    UF = 4, "UF";
    /// TCP connect attempts used up; the same flag, set after why the last one failed.
    URX_TCP = 18, "URX";
    /// No route found.
    NR = 6, "NR";
    /// No cluster found.
    NC = 7, "NC";
    /// Upstream request timeout.
    UT = 8, "UT";
    /// Upstream connection termination.
    UC = 9, "UC";
    /// Upstream remote reset.
    UR = 10, "UR";
    /// Local reset.
    LR = 11, "LR";
    /// Downstream connection termination.
    DC = 12, "DC";
    /// Rate limited.
    RL = 13, "RL";
    /// Denied by external authorization.
    UAEX = 14, "UAEX";
    /// Stream idle timeout.
    SI = 15, "SI";
    /// Upstream protocol error.
    UPE = 16, "UPE";
    /// Max stream duration reached upstream.
    UMSDR = 17, "UMSDR";
}

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True when every flag of `other` is set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when no flag is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Every text a flag can have, some of them twice.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::TABLE.iter().map(|(_, text)| *text)
    }

    /// True when a flag with this text is set.
    pub fn has_named(self, text: &str) -> bool {
        let mut table = Self::TABLE.iter();
        table.any(|(flag, name)| *name == text && self.has(*flag))
    }

    /// The set as bits: dense, for counters.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (flag, text) in Self::TABLE {
            if self.has(*flag) {
                if !first {
                    f.write_str(",")?;
                }
                f.write_str(text)?;
                first = false;
            }
        }
        if first { f.write_str("-") } else { Ok(()) }
    }
}

/// `response_code_details`: why a response is what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Details {
    /// The upstream answered.
    #[default]
    ViaUpstream,
    /// A route's redirect or direct response answered.
    DirectResponse,
    /// No virtual host or no route matched.
    RouteNotFound,
    /// The route names a cluster that does not exist.
    ClusterNotFound,
    /// The load balancer found no host.
    NoHealthyUpstream,
    /// The fault filter aborted.
    FaultFilterAbort,
    /// The route timeout fired.
    ResponseTimeout,
    /// A per-try timeout fired and was not retried.
    PerTryTimeout,
    /// A per-try idle timeout fired and was not retried.
    PerTryIdleTimeout,
    /// The try took longer than its cluster allows.
    UpstreamMaxStreamDuration,
    /// Nothing moved on the stream for too long.
    StreamIdleTimeout,
    /// The stream lasted too long.
    MaxDurationTimeout,
    /// A circuit breaker refused.
    Overflow,
    /// The connection was refused.
    RemoteConnectionFailure,
    /// The connection was not made in time.
    ConnectionTimeout,
    /// The connection closed while the answer was awaited.
    ConnectionTermination,
    /// The TLS handshake failed.
    TlsFailure,
    /// The peer reset the HTTP/2 stream.
    RemoteReset,
    /// The peer refused the HTTP/2 stream (REFUSED_STREAM).
    RemoteRefusedStream,
    /// An AuthorizationPolicy refused.
    RbacDenied,
    /// `REGISTRY_ONLY`: the catch-all virtual host answered 502.
    BlockAll,
    /// A client without a proxy: nothing is known but what came back.
    NoProxy,
    /// The client gave up before the response.
    DownstreamRemoteDisconnect,
    /// The local rate limit filter refused.
    LocalRateLimited,
    /// The admission control filter refused.
    DeniedByAdmissionControl,
    /// The adaptive concurrency filter refused.
    ReachedConcurrencyLimit,
}

impl Details {
    /// Envoy's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ViaUpstream => "via_upstream",
            Self::DirectResponse | Self::BlockAll => "direct_response",
            Self::RouteNotFound => "route_not_found",
            Self::ClusterNotFound => "cluster_not_found",
            Self::NoHealthyUpstream => "no_healthy_upstream",
            Self::FaultFilterAbort => "fault_filter_abort",
            Self::ResponseTimeout => "response_timeout",
            Self::PerTryTimeout => "upstream_per_try_timeout",
            Self::PerTryIdleTimeout => "upstream_per_try_idle_timeout",
            Self::UpstreamMaxStreamDuration => "upstream_max_stream_duration_reached",
            Self::StreamIdleTimeout => "stream_idle_timeout",
            Self::MaxDurationTimeout => "max_duration_timeout",
            Self::Overflow => "upstream_reset_before_response_started{overflow}",
            Self::RemoteConnectionFailure => {
                "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"
            }
            Self::ConnectionTimeout => "upstream_reset_before_response_started{connection_timeout}",
            Self::ConnectionTermination => {
                "upstream_reset_before_response_started{connection_termination}"
            }
            Self::TlsFailure => {
                "upstream_reset_before_response_started{remote_connection_failure|TLS_error}"
            }
            Self::RemoteReset => "upstream_reset_before_response_started{remote_reset}",
            Self::RemoteRefusedStream => {
                "upstream_reset_before_response_started{remote_refused_stream_reset}"
            }
            Self::RbacDenied => "rbac_access_denied_matched_policy[none]",
            Self::NoProxy => "-",
            Self::DownstreamRemoteDisconnect => "downstream_remote_disconnect",
            Self::LocalRateLimited => "local_rate_limited",
            Self::DeniedByAdmissionControl => "denied_by_admission_control",
            Self::ReachedConcurrencyLimit => "reached_concurrency_limit",
        }
    }
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_print_in_the_order_envoy_prints_them() {
        assert_eq!(Flags::NONE.to_string(), "-");
        assert_eq!(Flags::UF.with(Flags::URX).to_string(), "URX,UF");
        assert_eq!(Flags::UT.with(Flags::DI).to_string(), "DI,UT");
        let all = Flags::UF.with(Flags::URX).with(Flags::DI);
        assert_eq!(all.to_string(), "DI,URX,UF");
        assert_eq!(Flags::UF.with(Flags::UO).to_string(), "UO,UF");
        assert_eq!(Flags::DC.with(Flags::DI).to_string(), "DI,DC");
    }
}
