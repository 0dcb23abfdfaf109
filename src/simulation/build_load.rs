//! Loads: where their requests come from, and which kinds of request they send.

use std::sync::Arc;

use super::build::{Builder, DRAWN, nearest};
use super::build_app::repeat_plan;
use super::build_route::Routes;
use super::plan::{DrawnValue, LoadPlan, MixPlan, NIL};
use super::resolve::RequestClass;
use crate::config::scenario::{HeaderValue, Load, LoadSource, LoadStyle};
use crate::http::Headers;
use crate::units::{SimDuration, SimTime};
use crate::xds::{Locality, Name, ProxyKind};

impl Builder<'_> {
    /// Index of the text before a drawn number.
    fn prefix(&mut self, text: &Name) -> u32 {
        let at = self.prefixes.iter().position(|p| p == text);
        at.unwrap_or_else(|| {
            self.prefixes.push(text.clone());
            self.prefixes.len() - 1
        }) as u32
    }

    /// One load, its kinds of request routed.
    pub(super) fn load(
        &mut self,
        load: &Load,
        duration: SimDuration,
        routes: &mut Routes,
    ) -> Option<LoadPlan> {
        let (from, pods, workload, outside) = self.load_source(load)?;
        let entries: Vec<(u64, RequestClass, Option<DrawnValue>)> = if load.mix.is_empty() {
            let (class, drawn) = request_class(load, None);
            vec![(1, class, drawn)]
        } else {
            load.mix
                .iter()
                .filter(|entry| entry.weight > 0)
                .map(|entry| {
                    let (class, drawn) = request_class(load, Some(entry));
                    (u64::from(entry.weight), class, drawn)
                })
                .collect()
        };
        let mix: Vec<MixPlan> = entries
            .into_iter()
            .map(|(weight, class, drawn)| MixPlan {
                weight,
                route: routes.plan(self, workload, &from, &class),
                prefix: drawn.as_ref().map_or(NIL, |d| self.prefix(&d.prefix)),
                drawn,
            })
            .collect();
        let think = match &load.style {
            LoadStyle::Closed {
                think: Some(think), ..
            } => Some(think.sampler()),
            _ => None,
        };
        Some(LoadPlan {
            name: load.name.to_string(),
            from,
            app: workload,
            url: load.url.to_string(),
            pods,
            style: load.style.clone(),
            think,
            curve: load.profile.as_ref().and_then(|profile| {
                let LoadStyle::Open { rate, .. } = load.style else {
                    return None;
                };
                Some(profile.curve(rate, load.active(duration)))
            }),
            start: SimTime::ZERO.after(load.start),
            stop: (load.stop).map_or(SimTime::MAX, |stop| SimTime::ZERO.after(stop)),
            between_users: match load.style {
                LoadStyle::Closed { connections, .. } => {
                    SimDuration::from_ns(load.ramp_up.ns() / u64::from(connections.max(1)))
                }
                LoadStyle::Open { .. } => SimDuration::ZERO,
            },
            mix_total: mix.iter().map(|m| m.weight).sum(),
            mix,
            timeout: load.timeout,
            retries: repeat_plan(load.retries.as_ref(), &load.url),
            timeout_place: self.snapshot.origins.written(load.timeout_origin),
            retries_place: self.snapshot.origins.written(load.retries_origin),
            outside,
        })
    }

    /// (name, client pods, client workload for routing, the ways from a client outside to them).
    fn load_source(
        &mut self,
        load: &Load,
    ) -> Option<(String, Vec<u32>, u32, Vec<crate::network::Link>)> {
        match &load.from {
            LoadSource::Workload { name, .. } => {
                let Some(app) = self.apps.iter().position(|a| a.name == **name) else {
                    let names: Vec<&str> = self.apps.iter().map(|a| a.name.as_str()).collect();
                    let help = nearest(name, &names).map_or_else(
                        || "name a workload of the manifests as `namespace/name`, or use `from: outside`".to_owned(),
                        |near| format!("did you mean `{near}`?"),
                    );
                    let message = format!(
                        "load `{}` comes from `{name}`, which is no workload of the manifests",
                        load.name
                    );
                    self.fail("TT-UNKNOWN-WORKLOAD", load.origin, message).help = Some(help);
                    return None;
                };
                let pods = self.apps[app].pods.clone();
                if pods.is_empty() {
                    let message = format!(
                        "load `{}` comes from `{name}`, which has no pods",
                        load.name
                    );
                    self.fail("TT-NO-PODS", load.origin, message).help =
                        Some("set its `replicas` to 1 or more".into());
                    return None;
                }
                Some((name.to_string(), pods, app as u32, Vec::new()))
            }
            LoadSource::Outside { locality, via } => {
                self.outside_source(load, locality, via.as_ref())
            }
        }
    }

    fn outside_source(
        &mut self,
        load: &Load,
        locality: &Locality,
        via: Option<&Name>,
    ) -> Option<(String, Vec<u32>, u32, Vec<crate::network::Link>)> {
        let gateways: Vec<u32> = self
            .snapshot
            .workloads
            .iter_ids()
            .filter(|(_, w)| w.proxy == ProxyKind::Gateway && !w.pods.is_empty())
            .map(|(id, _)| id.index() as u32)
            .collect();
        let chosen = match via {
            Some(via) => {
                let found = gateways
                    .iter()
                    .copied()
                    .find(|g| self.apps[*g as usize].name == **via);
                if found.is_none() {
                    let names: Vec<String> = gateways
                        .iter()
                        .map(|g| self.apps[*g as usize].name.clone())
                        .collect();
                    let message = format!(
                        "load `{}` goes through `{via}`, which is no gateway of the manifests",
                        load.name
                    );
                    let help = if names.is_empty() {
                        "the manifests hold no gateway workload (a Deployment whose pods are injected with the gateway template)".to_owned()
                    } else {
                        format!("gateways: {}", names.join(", "))
                    };
                    self.fail("TT-UNKNOWN-GATEWAY", load.origin, message).help = Some(help);
                    return None;
                }
                found
            }
            None if gateways.len() == 1 => Some(gateways[0]),
            None => None,
        };
        if let Some(gateway) = chosen {
            let pods = self.apps[gateway as usize].pods.clone();
            let links = pods.iter().map(|pod| {
                let there = &self.pods[*pod as usize].locality;
                self.distances.link(locality, there)
            });
            let links = links.collect();
            return Some((
                format!("outside via {}", self.apps[gateway as usize].name),
                pods,
                gateway,
                links,
            ));
        }
        // A client of plain Kubernetes: an external app of its own, without a proxy.
        let app = self.external(&format!("client {}", load.name));
        let pods = self.apps[app as usize].pods.clone();
        let place = self.place(locality);
        for pod in &pods {
            self.pods[*pod as usize].locality = locality.clone();
            self.pods[*pod as usize].place = place;
        }
        Some(("outside".to_owned(), pods, app, Vec::new()))
    }
}

/// The class of a load's request, headers of the mix entry added; a drawn header gets a marker.
fn request_class(
    load: &Load,
    entry: Option<&crate::config::scenario::MixEntry>,
) -> (RequestClass, Option<DrawnValue>) {
    let mut headers = Headers::new();
    let mut drawn = None;
    for (name, value) in load
        .headers
        .iter()
        .chain(entry.iter().flat_map(|e| &e.headers))
    {
        set_header(&mut headers, name, value, &mut drawn);
    }
    let url = entry
        .and_then(|e| e.url.clone())
        .unwrap_or_else(|| load.url.clone());
    let method = entry
        .and_then(|e| e.method.clone())
        .unwrap_or_else(|| load.method.clone());
    (RequestClass::new(url, &method, headers), drawn)
}

/// Sets a header, or its marker when it is drawn.
pub(super) fn set_header(
    headers: &mut Headers,
    name: &str,
    value: &HeaderValue,
    drawn: &mut Option<DrawnValue>,
) {
    match value {
        HeaderValue::Text(text) => headers.set(name, text),
        HeaderValue::Uniform { prefix, count } => {
            headers.set(name, DRAWN);
            *drawn = Some(DrawnValue {
                prefix: prefix.clone(),
                count: (*count).max(1),
                cumulated: Arc::from([]),
            });
        }
        HeaderValue::Zipf {
            prefix,
            count,
            exponent,
        } => {
            headers.set(name, DRAWN);
            let mut sum = 0.0;
            // A table of a million entries is the most that is kept; beyond it the tail has no visible weight.
            let cumulated: Vec<f64> = (1..=(*count).clamp(1, 1_000_000))
                .map(|k| {
                    sum += libm::pow(k as f64, -exponent);
                    sum
                })
                .collect();
            *drawn = Some(DrawnValue {
                prefix: prefix.clone(),
                count: cumulated.len() as u64,
                cumulated: cumulated.into(),
            });
        }
    }
}
