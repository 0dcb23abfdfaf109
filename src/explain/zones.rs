//! Routing by zone in words.

use crate::data_plane::{ZonePick, ZonesOff};

/// Why a cluster is not routed by zone.
pub(super) fn no_zones_words(why: ZonesOff) -> String {
    let why = match why {
        ZonesOff::OneLocality => "the hosts, or the proxies of this kind, are in one place",
        ZonesOff::LocalClusterNotOk => "no proxy of this kind is known in this one's own place",
        ZonesOff::ClusterTooSmall { healthy, least } => {
            return format!(
                "zones play no part: {healthy} healthy hosts are fewer than {least} (minClusterSize)"
            );
        }
    };
    format!("zones play no part: {why}")
}

/// What routing by zone said.
pub(super) const fn zone_words(zone: ZonePick) -> &'static str {
    match zone {
        ZonePick::None => "zones play no part",
        ZonePick::AllDirectly => {
            "the proxy's own zone: it has as large a share of the hosts as of the proxies"
        }
        ZonePick::Sampled => "the proxy's own zone: this request is of the share it can take",
        ZonePick::CrossZone => {
            "another zone: the proxy's own has too few hosts for all of its requests"
        }
        ZonePick::NoCapacityLeft => "any zone: none has more hosts than its proxies need",
        ZonePick::LocalClusterNotOk => {
            "zones play no part: too few of the proxy's own kind are healthy"
        }
    }
}
