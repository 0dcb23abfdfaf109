//! The readable form.

use std::fmt::Write as _;

use super::rare::rare;
use super::{filters, words};
use crate::units::Origin;
use crate::xds::filter::HttpFilter;
use crate::xds::listener::{Authorization, ChainKind};
use crate::xds::route::{Forward, HeaderOps, RetryPolicy, Rewrite};
use crate::xds::{Action, Cluster, Inbound, Listener, Route, RouteConfig, Snapshot, WorkloadId};

/// Everything a workload's proxies were told, by section; a workload without proxy says so.
pub fn text(snapshot: &Snapshot, workload: WorkloadId) -> String {
    let mut out = Text {
        snapshot,
        out: String::new(),
    };
    let subject = &snapshot.workloads[workload];
    let kind = words::proxy_kind(subject.proxy);
    out.line(
        0,
        &format!(
            "{} proxy={kind} istio={}",
            subject.full_name(),
            snapshot.istio_version
        ),
    );
    let Some(tables) = subject.tables.map(|t| &snapshot.tables[t]) else {
        return out.out;
    };
    out.line(0, "listeners");
    tables.listeners.iter().for_each(|l| out.listener(l));
    for id in &tables.routes {
        out.route_config(&snapshot.route_configs[*id]);
    }
    out.line(0, "clusters");
    for id in &tables.clusters {
        out.cluster(1, &snapshot.clusters[*id]);
    }
    if !subject.inbound.is_empty() {
        out.line(0, "inbound");
        subject.inbound.iter().for_each(|i| out.inbound(i));
    }
    out.out
}

struct Text<'a> {
    snapshot: &'a Snapshot,
    out: String,
}

impl Text<'_> {
    fn line(&mut self, depth: usize, text: &str) {
        for _ in 0..depth {
            self.out.push_str("  ");
        }
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn at(&self, origin: Origin) -> String {
        self.snapshot.origins.place(origin)
    }

    fn listener(&mut self, listener: &Listener) {
        let at = self.at(listener.origin);
        self.line(1, &format!("{} ({at})", listener.name));
        for chain in &listener.chains {
            let to = match &chain.kind {
                ChainKind::Http(id) => {
                    format!("Route: {}", self.snapshot.route_configs[*id].name)
                }
                ChainKind::HttpsTerminate(id) => {
                    format!("TLS, Route: {}", self.snapshot.route_configs[*id].name)
                }
                ChainKind::Tcp(clusters) => weighted(clusters.iter().map(|(n, w)| (&**n, *w))),
            };
            self.line(
                2,
                &format!("{} -> {to}", words::chain_match(&chain.matches)),
            );
            self.filters(3, &chain.hcm.filters);
        }
    }

    fn filters(&mut self, depth: usize, added: &[HttpFilter]) {
        for filter in added {
            let at = self.at(filter.origin);
            self.line(depth, &format!("filter {} ({at})", filters::added(filter)));
        }
    }

    fn route_config(&mut self, config: &RouteConfig) {
        self.line(0, &format!("routes {}", config.name));
        for host in &config.virtual_hosts {
            let at = self.at(host.origin);
            self.line(1, &format!("{} ({at})", host.name));
            self.line(2, &format!("domains: {}", host.domains.join(", ")));
            host.routes.iter().for_each(|r| self.route(r));
        }
    }

    fn route(&mut self, route: &Route) {
        let name = if route.name.is_empty() {
            String::new()
        } else {
            format!("[{}] ", route.name)
        };
        let to = match &route.action {
            Action::Forward(f) => weighted(f.clusters.iter().map(|c| (&*c.name, c.weight))),
            Action::Redirect(r) => format!("redirect {r:?}"),
            Action::Direct(d) => format!("direct response {} {:?}", d.status, d.body),
            Action::Unusable => "no usable action".to_owned(),
        };
        let at = self.at(route.origin);
        let matches = words::route_match(&route.matches);
        self.line(2, &format!("{name}{matches} -> {to} ({at})"));
        if let Some(fault) = &route.fault {
            let mut text = "fault:".to_owned();
            if let Some((share, length)) = &fault.delay {
                let _ = write!(text, " delay {length} for {share}");
            }
            if let Some((share, status)) = &fault.abort {
                let _ = write!(text, " abort {} for {share}", words::abort_status(*status));
            }
            self.line(3, &text);
        }
        for line in route.filters.iter().flat_map(|f| filters::of_route(f)) {
            self.line(3, &line);
        }
        self.header_ops("request headers", &route.request_headers);
        self.header_ops("response headers", &route.response_headers);
        if let Action::Forward(forward) = &route.action {
            self.forward(forward);
        }
    }

    fn forward(&mut self, forward: &Forward) {
        let at = self.at(forward.timeout_origin);
        self.line(
            3,
            &format!("timeout: {} ({at})", words::timeout(forward.timeout)),
        );
        let retries = retry_text(forward.retry.as_ref());
        let at = forward
            .retry
            .as_ref()
            .map_or_else(String::new, |r| format!(" ({})", self.at(r.origin)));
        self.line(3, &format!("retries: {retries}{at}"));
        for (key, value) in words::rare_timers(forward) {
            self.line(3, &format!("{key}: {value}"));
        }
        for policy in &forward.hash {
            self.line(3, &format!("hash: {}", words::hash_policy(policy)));
        }
        match &forward.rewrite {
            Some(Rewrite::Prefix(to)) => self.line(3, &format!("rewrite: {to}")),
            Some(Rewrite::Regex {
                pattern,
                substitution,
            }) => {
                self.line(3, &format!("rewrite: {pattern} -> {substitution}"));
            }
            None => {}
        }
        if let Some(authority) = &forward.authority {
            self.line(3, &format!("authority: {authority}"));
        }
        for mirror in &forward.mirrors {
            self.line(
                3,
                &format!("mirror: {} for {}", mirror.cluster, mirror.fraction),
            );
        }
        for cluster in &forward.clusters {
            self.header_ops(
                &format!("request headers to {}", cluster.name),
                &cluster.request_headers,
            );
            self.header_ops(
                &format!("response headers from {}", cluster.name),
                &cluster.response_headers,
            );
        }
    }

    fn header_ops(&mut self, what: &str, ops: &HeaderOps) {
        if ops.is_empty() {
            return;
        }
        let mut parts = Vec::new();
        parts.extend(ops.remove.iter().map(|n| format!("-{n}")));
        parts.extend(ops.set.iter().map(|(n, v)| format!("{n}={v}")));
        parts.extend(ops.add.iter().map(|(n, v)| format!("+{n}={v}")));
        self.line(3, &format!("{what}: {}", parts.join(", ")));
    }

    fn cluster(&mut self, depth: usize, cluster: &Cluster) {
        let (made, policy) = (self.at(cluster.origin), self.at(cluster.policy_origin));
        self.line(
            depth,
            &format!("{} ({made}; policy {policy})", cluster.name),
        );
        let mut text = format!(
            "{}, {}, {}, {}, {}",
            words::cluster_kind(cluster.kind),
            words::protocol(cluster.protocol),
            words::upstream(cluster.upstream),
            words::lb_policy(cluster.lb),
            words::tls(&cluster.tls),
        );
        if let Some(warmup) = &cluster.warmup {
            let _ = write!(text, ", warmup {} from {}", warmup.duration, warmup.minimum);
        }
        self.line(depth + 1, &text);
        let b = &cluster.breakers;
        let mut text = format!(
            "limits: connections {}, pending {}, requests {}, retries {}",
            words::limit(b.max_connections),
            words::limit(b.max_pending_requests),
            words::limit(b.max_requests),
            words::limit(b.max_retries),
        );
        if let Some((share, least)) = b.retry_budget {
            let _ = write!(text, ", retry budget {share} at least {least}");
        }
        self.line(depth + 1, &text);
        let p = &cluster.pool;
        let mut text = format!(
            "pool: connect {}, idle {}",
            p.connect_timeout, p.idle_timeout
        );
        if p.max_requests_per_connection > 0 {
            let _ = write!(
                text,
                ", {} requests per connection",
                p.max_requests_per_connection
            );
        }
        if let Some(length) = p.max_stream_duration {
            let _ = write!(text, ", max_stream_duration {length}");
        }
        if let Some(age) = p.max_connection_duration {
            let _ = write!(text, ", age {age}");
        }
        let _ = write!(text, ", streams {}", p.max_concurrent_streams);
        self.line(depth + 1, &text);
        self.outlier(depth + 1, cluster);
        let rare = rare(cluster);
        if !rare.is_empty() {
            let texts: Vec<String> = rare.iter().map(|(k, v)| format!("{k} {v}")).collect();
            self.line(depth + 1, &format!("further: {}", texts.join(", ")));
        }
        self.line(
            depth + 1,
            &format!("locality: {}", words::locality(&cluster.locality)),
        );
        for e in cluster.endpoints.iter() {
            let place = if e.locality.is_empty() {
                String::new()
            } else {
                format!(" {}", e.locality)
            };
            let mtls = if e.mtls { " mtls" } else { "" };
            let text = format!(
                "{} {} weight={}{mtls}{place}",
                e.key(),
                words::health(e.health),
                e.weight
            );
            self.line(depth + 1, &text);
        }
    }

    fn outlier(&mut self, depth: usize, cluster: &Cluster) {
        let panic = format!("panic below {}", cluster.panic_threshold);
        let Some(o) = &cluster.outlier else {
            self.line(depth, &format!("outlier detection: none, {panic}"));
            return;
        };
        let count = |value: Option<u32>| value.map_or_else(|| "off".to_owned(), |v| v.to_string());
        let text = format!(
            "outlier detection: 5xx {}, gateway {}, local {}, every {}, eject {} up to {}, at most {}%, {panic}",
            count(o.consecutive_5xx.enforced()),
            count(o.consecutive_gateway_failure.enforced()),
            count(o.local_origin()),
            o.interval,
            o.base_ejection_time,
            o.max_ejection_time,
            o.max_ejection_percent,
        );
        self.line(depth, &text);
    }

    fn inbound(&mut self, inbound: &Inbound) {
        let at = self.at(inbound.origin);
        let head = format!(
            "{} {} mtls={} retries: {} ({at})",
            inbound.port,
            words::protocol(inbound.protocol),
            words::mtls_mode(inbound.mtls),
            retry_text(inbound.retry.as_ref()),
        );
        self.line(1, &head);
        let Authorization { deny, allow } = &inbound.authorization;
        for (word, policies) in [("DENY", deny), ("ALLOW", allow)] {
            for policy in policies {
                let at = self.at(policy.origin);
                let rules = policy.rules.len();
                self.line(2, &format!("{word} {} rules={rules} ({at})", policy.name));
            }
        }
        self.filters(2, &inbound.filters);
        for line in inbound
            .route_filters
            .iter()
            .flat_map(|f| filters::of_route(f))
        {
            self.line(2, &line);
        }
        self.cluster(2, &inbound.cluster);
    }
}

fn weighted<'a>(clusters: impl Iterator<Item = (&'a str, u32)>) -> String {
    let clusters: Vec<(&str, u32)> = clusters.collect();
    match clusters.as_slice() {
        [(only, _)] => format!("Cluster: {only}"),
        many => {
            let parts: Vec<String> = many
                .iter()
                .map(|(n, w)| format!("{n} weight={w}"))
                .collect();
            format!("Clusters: {}", parts.join(", "))
        }
    }
}

fn retry_text(policy: Option<&RetryPolicy>) -> String {
    let Some(p) = policy else {
        return "none".to_owned();
    };
    let mut text = format!("{} on {}", p.retries, p.on_text);
    if !p.status_codes.is_empty() {
        let codes: Vec<String> = p.status_codes.iter().map(ToString::to_string).collect();
        let _ = write!(text, " codes={}", codes.join(","));
    }
    if let Some(limit) = p.per_try_timeout {
        let _ = write!(text, " per try {limit}");
    }
    let _ = write!(text, " backoff {}..{}", p.backoff_base, p.backoff_max);
    if p.skip_previous_hosts {
        let _ = write!(text, " other hosts ({} reselects)", p.host_reselects);
    }
    if let Some(frequency) = p.skip_previous_priorities {
        let _ = write!(text, " other priorities (every {frequency})");
    }
    for (key, value) in words::rare_conditions(p) {
        let _ = write!(text, " {key} {value}");
    }
    text
}
