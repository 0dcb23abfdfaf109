//! The kinds of ejection.

use crate::xds::cluster::OutlierDetection;

/// Why a host was found bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Ejection {
    /// `consecutive_5xx`.
    Consecutive5xx,
    /// `consecutive_gateway_failure`.
    ConsecutiveGatewayFailure,
    /// `consecutive_local_origin_failure`.
    ConsecutiveLocalOriginFailure,
    /// `success_rate`.
    SuccessRate,
    /// `local_origin_success_rate`.
    LocalOriginSuccessRate,
    /// `failure_percentage`.
    FailurePercentage,
    /// `local_origin_failure_percentage`.
    LocalOriginFailurePercentage,
}

impl Ejection {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Consecutive5xx,
        Self::ConsecutiveGatewayFailure,
        Self::ConsecutiveLocalOriginFailure,
        Self::SuccessRate,
        Self::LocalOriginSuccessRate,
        Self::FailurePercentage,
        Self::LocalOriginFailurePercentage,
    ];

    /// The word in `outlier_detection.ejections_enforced_<word>`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consecutive5xx => "consecutive_5xx",
            Self::ConsecutiveGatewayFailure => "consecutive_gateway_failure",
            Self::ConsecutiveLocalOriginFailure => "consecutive_local_origin_failure",
            Self::SuccessRate => "success_rate",
            Self::LocalOriginSuccessRate => "local_origin_success_rate",
            Self::FailurePercentage => "failure_percentage",
            Self::LocalOriginFailurePercentage => "local_origin_failure_percentage",
        }
    }

    /// Share of detections that are acted upon, in percent.
    pub(super) const fn enforcing(self, config: &OutlierDetection) -> u32 {
        match self {
            Self::Consecutive5xx => config.consecutive_5xx.enforcing,
            Self::ConsecutiveGatewayFailure => config.consecutive_gateway_failure.enforcing,
            Self::ConsecutiveLocalOriginFailure => {
                config.consecutive_local_origin_failure.enforcing
            }
            Self::SuccessRate => config.success_rate.enforcing,
            Self::LocalOriginSuccessRate => config.success_rate.enforcing_local_origin,
            Self::FailurePercentage => config.failure_percentage.enforcing,
            Self::LocalOriginFailurePercentage => config.failure_percentage.enforcing_local_origin,
        }
    }
}
