//! Connection managers and the filters in them (`listener_patch.go`).

use std::sync::Arc;

use super::PatchId;
use crate::config::istio::{Change, ConfigPatch, HcmField, Insert, ListenerMatch};
use crate::units::{Origin, SimDuration};
use crate::xds::filter::{FilterKind, FilterPlace, HttpFilter};
use crate::xds::listener::{ChainKind, ChainMatch, HttpConnectionManager};
use crate::xds::{FilterChain, Inbound, Listener, Name};

/// Names in the chains that istiod builds (`core/listener_builder.go`); authorization stands where
/// something arrives at the mesh or at a pod.
const OUTBOUND: [&str; 7] = [MX, GRPC_STATS, ALPN, FAULT, CORS, STATS, ROUTER];
const INBOUND: [&str; 7] = [MX, RBAC, GRPC_STATS, FAULT, CORS, STATS, ROUTER];
const GATEWAY: [&str; 8] = [MX, RBAC, GRPC_STATS, ALPN, FAULT, CORS, STATS, ROUTER];
const MX: &str = "istio.metadata_exchange";
const RBAC: &str = "envoy.filters.http.rbac";
const GRPC_STATS: &str = "envoy.filters.http.grpc_stats";
const ALPN: &str = "istio.alpn";
const FAULT: &str = "envoy.filters.http.fault";
const CORS: &str = "envoy.filters.http.cors";
const STATS: &str = "istio.stats";
const ROUTER: &str = "envoy.filters.http.router";

/// Patches the connection managers of a listener.
pub(super) fn patch(
    listener: &mut Listener,
    patches: &[(PatchId, &ConfigPatch)],
    is_gateway: bool,
    used: &mut Vec<PatchId>,
) {
    let (name, port) = (listener.name.clone(), listener.port);
    let own: &[&str] = if is_gateway { &GATEWAY } else { &OUTBOUND };
    for chain in &mut listener.chains {
        if matches!(chain.kind, ChainKind::Tcp(_)) {
            continue;
        }
        let fits = |m: &ListenerMatch| {
            m.name.as_ref().is_none_or(|n| *n == name)
                && m.port.is_none_or(|p| p == port)
                && m.sni.as_ref().is_none_or(|sni| has_sni(chain, sni))
        };
        let hits = select(patches, fits);
        merge_manager(&mut chain.hcm, &hits, used);
        chain.hcm.filters = chain_of(own, &hits, used);
    }
}

fn has_sni(chain: &FilterChain, sni: &Name) -> bool {
    matches!(&chain.matches, ChainMatch::Sni(names) if names.contains(sni))
}

/// Filters of what arrives at a port of a pod: the chains of `virtualInbound`.
pub(super) fn patch_inbound(
    inbound: &mut Inbound,
    patches: &[(PatchId, &ConfigPatch)],
    used: &mut Vec<PatchId>,
) {
    let port = inbound.port;
    let fits = |m: &ListenerMatch| {
        let named = m.name.as_ref().is_none_or(|n| &**n == "virtualInbound");
        named && m.port.is_none_or(|p| p == port) && m.sni.is_none()
    };
    let hits = select(patches, fits);
    inbound.filters = chain_of(&INBOUND, &hits, used);
}

fn select<'p>(
    patches: &[(PatchId, &'p ConfigPatch)],
    fits: impl Fn(&ListenerMatch) -> bool,
) -> Vec<(PatchId, &'p ConfigPatch)> {
    let matched = |patch: &ConfigPatch| match &patch.change {
        Change::MergeManager(matches, _) | Change::InsertFilter(matches, ..) => {
            !matches.other_filter && fits(matches)
        }
        _ => false,
    };
    let hits = patches.iter().filter(|(_, patch)| matched(patch));
    hits.copied().collect()
}

fn merge_manager(
    manager: &mut HttpConnectionManager,
    hits: &[(PatchId, &ConfigPatch)],
    used: &mut Vec<PatchId>,
) {
    // Zero switches a timer off.
    let on = |length: &SimDuration| Some(*length).filter(|l| !l.is_zero());
    for (id, patch) in hits {
        let Change::MergeManager(_, fields) = &patch.change else {
            continue;
        };
        used.push(*id);
        for field in fields {
            match field {
                HcmField::StreamIdleTimeout(length) => manager.stream_idle_timeout = on(length),
                HcmField::RequestTimeout(length) => manager.request_timeout = on(length),
                HcmField::RequestHeadersTimeout(length) => {
                    manager.request_headers_timeout = on(length);
                }
                HcmField::MaxStreamDuration(length) => manager.max_stream_duration = on(length),
                HcmField::InternalAddresses(ranges) => {
                    manager.internal_addresses.extend(ranges.clone());
                }
                HcmField::RespectExpectedTimeout => manager.respect_expected_rq_timeout = true,
                HcmField::SuppressEnvoyHeaders => manager.suppress_envoy_headers = true,
            }
        }
    }
}

/// The added filters of a chain, each with its place among istiod's.
fn chain_of(
    own: &[&str],
    hits: &[(PatchId, &ConfigPatch)],
    used: &mut Vec<PatchId>,
) -> Vec<HttpFilter> {
    let mut chain: Vec<(Name, Option<(&FilterKind, Origin)>)> =
        own.iter().map(|name| ((*name).into(), None)).collect();
    for (id, patch) in hits {
        let Change::InsertFilter(matches, insert, name, kind) = &patch.change else {
            continue;
        };
        let found = match &matches.sub_filter {
            Some(wanted) => chain.iter().position(|(name, _)| name == wanted),
            None => Some(0),
        };
        let Some(found) = found else { continue };
        let at = match insert {
            Insert::First => 0,
            Insert::Before => found,
            Insert::After => found + 1,
        };
        used.push(*id);
        chain.insert(at, (name.clone(), Some((kind, patch.origin))));
    }
    let mut place = FilterPlace::First;
    let mut filters = Vec::new();
    // Where nothing authorizes, nothing stands before it either.
    if !own.contains(&RBAC) {
        place = FilterPlace::BeforeFault;
    }
    for (name, added) in chain {
        match added {
            Some((kind, origin)) => filters.push(HttpFilter {
                name,
                place,
                kind: of_its_own(kind),
                origin,
            }),
            None if *name == *RBAC => place = FilterPlace::BeforeFault,
            None if *name == *FAULT => place = FilterPlace::BeforeRouter,
            None => {}
        }
    }
    filters
}

/// Every connection manager instantiates its filters: buckets are not shared between them.
fn of_its_own(kind: &FilterKind) -> FilterKind {
    match kind {
        FilterKind::LocalRateLimit(limit) => {
            FilterKind::LocalRateLimit(Arc::new((**limit).clone()))
        }
        other => other.clone(),
    }
}
