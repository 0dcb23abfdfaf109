//! Snapshot, Model and Scenario become a [`Plan`]: names are resolved, routes memoised, and
//! whatever cannot be run is said, all at once.

use std::collections::BTreeMap;

use super::build_events;
use super::build_route::Routes;
use super::plan::{App, LoadPlan, Plan, PodPlan, flat_targets};
use super::resolve::Resolver;
use super::run::FOREVER;
use super::throttle;
use super::versions::Tables;
use crate::config::scenario::{Model, Scenario, WORKERS_MAX, WorkloadModel};
use crate::diagnostic::{Class, Diagnostic, Place};
use crate::network::Distances;
use crate::units::Origin;
use crate::xds::{Locality, Name, ProxyKind, Snapshot, Workload, WorkloadId};

/// Marks a header value that is drawn for every request.
pub(super) const DRAWN: &str = "\u{1}drawn";

/// More hops than this cannot finish in a lifetime.
const HOPS_MAX: f64 = 1e12;

/// What is being put together.
pub(super) struct Builder<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) model: &'a Model,
    pub(super) resolver: Resolver<'a>,
    /// Which version of the tables `snapshot` and `resolver` are of, and all of them.
    pub(super) tables: Tables<'a>,
    pub(super) distances: Distances,
    pub(super) apps: Vec<App>,
    pub(super) pods: Vec<PodPlan>,
    /// Distinct localities.
    pub(super) places: Vec<Locality>,
    /// External apps by host.
    pub(super) externals: BTreeMap<String, u32>,
    /// Texts before the numbers of drawn headers.
    pub(super) prefixes: Vec<Name>,
    pub(super) assumed: Vec<String>,
    pub(super) warnings: Vec<String>,
    /// Pods come and go.
    pub(super) is_dynamic: bool,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// Prepares a run; every problem at once.
pub fn prepare(
    snapshot: &Snapshot,
    model: &Model,
    scenario: &Scenario,
) -> Result<Plan, Vec<Diagnostic>> {
    let network = &model.network;
    let pairs: Vec<_> = network
        .pairs
        .iter()
        .map(|p| (p.from.clone(), p.to.clone(), p.latency.clone()))
        .collect();
    let mut builder = Builder {
        snapshot,
        model,
        resolver: Resolver::new(snapshot),
        tables: Tables::of(snapshot),
        distances: Distances::new(
            &network.same_zone,
            &network.same_region,
            &network.between_regions,
            &pairs,
        )
        .with_areas(build_events::areas(&scenario.events)),
        apps: Vec::new(),
        pods: Vec::new(),
        places: Vec::new(),
        externals: BTreeMap::new(),
        prefixes: Vec::new(),
        assumed: snapshot.assumed.clone(),
        warnings: Vec::new(),
        is_dynamic: false,
        diagnostics: Vec::new(),
    };
    builder.check_areas(scenario);
    builder.take_workloads();
    builder.check_model();
    let mut routes = Routes::default();
    let loads: Vec<LoadPlan> = scenario
        .load
        .iter()
        .filter_map(|load| {
            let duration = scenario.duration.unwrap_or(FOREVER);
            builder.load(load, duration, &mut routes)
        })
        .collect();
    if scenario.load.is_empty() {
        builder
            .fail(
                "TT-NO-LOAD",
                scenario.origin,
                "the scenario has no load: nothing would happen",
            )
            .help = Some("add a `load:` entry with `from`, `url` and `rate`".into());
    }
    let timeline = builder.timeline(scenario);
    builder.is_dynamic = timeline.is_some();
    routes.expand(&mut builder);
    routes.slots.calls = builder.apps.iter().map(|a| a.calls.len()).collect();
    routes.check_cycles(&mut builder);
    if builder.diagnostics.iter().any(Diagnostic::is_error) {
        return Err(builder.diagnostics);
    }
    let expected_hops = routes.expected_hops(&loads);
    let seconds = scenario
        .duration
        .map_or(10.0, super::super::units::time::SimDuration::as_secs_f64);
    if expected_hops * seconds > HOPS_MAX {
        let message = format!(
            "about {:.0e} hops would be simulated, which cannot finish",
            expected_hops * seconds
        );
        builder.fail("TT-TOO-MUCH", scenario.origin, message).help =
            Some("lower `rate` or `duration`".into());
        return Err(builder.diagnostics);
    }
    let mut plan = builder.finish(scenario, routes, loads, expected_hops);
    plan.timeline = timeline;
    Ok(plan)
}

impl<'a> Builder<'a> {
    /// Adds an error about a place.
    pub(super) fn fail(
        &mut self,
        code: &'static str,
        origin: Origin,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let mut diagnostic = Diagnostic::error(code, Class::Model, message);
        if !origin.is_built_in() {
            let object = self.snapshot.origins.object(origin.object);
            diagnostic.place = Some(Place::new(&object.file, origin.line, origin.column));
            diagnostic.object = Some(object.to_string());
        }
        self.diagnostics.push(diagnostic);
        self.diagnostics.last_mut().expect("just pushed")
    }

    /// Index of a locality.
    pub(super) fn place(&mut self, locality: &Locality) -> u32 {
        let at = self.places.iter().position(|l| l == locality);
        at.unwrap_or_else(|| {
            self.places.push(locality.clone());
            self.places.len() - 1
        }) as u32
    }

    /// Apps and pods of the snapshot, in its order: the first ids are the same.
    fn take_workloads(&mut self) {
        for workload in &self.snapshot.workloads {
            let name = workload.full_name();
            let app = self.app(&name);
            self.apps.push(app);
        }
        for pod in &self.snapshot.pods {
            let place = self.place(&pod.locality);
            let app = pod.workload.index() as u32;
            let ordinal = self.apps[app as usize].pods.len() as u32;
            self.apps[app as usize].pods.push(self.pods.len() as u32);
            self.pods.push(PodPlan {
                name: pod.name.to_string(),
                app,
                ordinal,
                locality: pod.locality.clone(),
                place,
                ip: pod.ip.clone(),
                workers: self.workers(pod.workload),
                spare: pod.spare,
                proxy: self.snapshot.workloads[pod.workload].proxy,
            });
        }
    }

    /// The pods of a workload's local cluster, spare ones too, with their places.
    pub(super) fn peers(&self, workload: WorkloadId, here: &Locality) -> Vec<(u32, Locality)> {
        let pods = self.snapshot.peers_ever(workload, here).into_iter();
        pods.map(|pod| (pod.index() as u32, self.snapshot.pods[pod].locality.clone()))
            .collect()
    }

    /// Worker threads of a workload's proxies. Istio's own default is the CPU limit, 2; one is
    /// simulated where nobody writes anything, and where every core (0) is meant.
    fn workers(&self, workload: WorkloadId) -> u32 {
        let workload = &self.snapshot.workloads[workload];
        if workload.proxy == ProxyKind::None {
            return 1;
        }
        let known = self.model.proxy_concurrency.or(workload.concurrency);
        known.unwrap_or(1).clamp(1, WORKERS_MAX)
    }

    /// The app that stands for an address outside the manifests; made on first use, with one pod.
    pub(super) fn external(&mut self, host: &str) -> u32 {
        if let Some(app) = self.externals.get(host) {
            return *app;
        }
        let mut app = self.app(host);
        app.is_external = true;
        let pod = self.pods.len() as u32;
        app.pods.push(pod);
        let index = self.apps.len() as u32;
        let place = self.place(&Locality::default());
        self.apps.push(app);
        self.pods.push(PodPlan {
            name: host.to_owned(),
            app: index,
            ordinal: 0,
            locality: Locality::default(),
            place,
            ip: host.into(),
            workers: 1,
            spare: false,
            proxy: ProxyKind::None,
        });
        self.externals.insert(host.to_owned(), index);
        index
    }

    /// Entries of the Model that name nothing.
    fn check_model(&mut self) {
        let unknown: Vec<(Name, Origin)> = self
            .model
            .workloads
            .iter()
            .filter(|(name, _)| name.contains('/') && !self.apps.iter().any(|a| a.name == ***name))
            .map(|(name, spec)| (name.clone(), spec.origin))
            .collect();
        for (name, origin) in unknown {
            let names: Vec<&str> = self.apps.iter().map(|a| a.name.as_str()).collect();
            let help = nearest(&name, &names).map_or_else(
                || "add the workload's manifest, or remove the entry".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            self.fail(
                "TT-UNKNOWN-WORKLOAD",
                origin,
                format!("the Model describes `{name}`, which is no workload of the manifests"),
            )
            .help = Some(help);
        }
    }

    /// The Model's entry of an app, or its defaults.
    pub(super) fn behaviour(&self, app: u32) -> &'a WorkloadModel {
        self.model
            .workloads
            .get(self.apps[app as usize].name.as_str())
            .unwrap_or(&self.model.defaults)
    }

    fn finish(
        mut self,
        scenario: &Scenario,
        routes: Routes,
        mut loads: Vec<LoadPlan>,
        expected_hops: f64,
    ) -> Plan {
        self.note_assumed(&routes);
        self.note_unknown_hosts(scenario);
        for bad in std::mem::take(&mut self.resolver.bad_patterns) {
            self.warnings.push(bad);
        }
        let places = self.places.len();
        let versions = routes.versions(&self);
        let (mut slots, clusters) = routes.clusters(&mut self, places);
        let inbounds = routes.inbounds(&self, &mut slots);
        // Edges of a pod: one per slot of its workload.
        let mut edge_bases = Vec::with_capacity(self.pods.len());
        let mut edge_count = 0;
        for pod in &self.pods {
            edge_bases.push(edge_count as u32);
            edge_count += routes.slots_of(pod.app);
        }
        let classes = routes.classes();
        let mut plans = routes.plans;
        let targets = flat_targets(&mut plans);
        let has_throttles = throttle::number(&mut loads, &mut self.apps);
        Plan {
            scenario: scenario.name.to_string(),
            duration: scenario.duration,
            warm_up: scenario.warm_up,
            assumed: self.assumed,
            warnings: self.warnings,
            expected_events: (expected_hops * 3.2).max(1_000.0),
            in_flight_max: scenario.max_in_flight as usize,
            exact_balance: false,
            has_throttles,
            has_workers: self.pods.iter().any(|pod| pod.workers > 1),
            has_deadlines: (self.apps.iter())
                .any(|app| app.rare.as_ref().is_some_and(|rare| rare.propagates)),
            loads,
            apps: self.apps,
            pods: self.pods,
            slots,
            clusters,
            routes: plans,
            classes,
            targets,
            children: routes.children,
            rows: routes.rows,
            inbounds,
            guards: routes.guards,
            filters: routes.filters,
            prefixes: self.prefixes,
            distances: self.distances,
            tick: self.model.proxy_timer_tick,
            edge_bases,
            edge_count,
            watched: None,
            timeline: None,
            versions,
        }
    }

    /// Says which behaviour nobody wrote down.
    fn note_assumed(&mut self, routes: &Routes) {
        let defaults = &self.model.defaults;
        let assumed: Vec<&str> = routes
            .used_apps()
            .map(|app| &self.apps[app as usize])
            .filter(|app| app.is_assumed)
            .map(|app| app.name.as_str())
            .collect();
        // Defaults that somebody wrote are not assumptions.
        if !assumed.is_empty() && defaults.origin.is_built_in() {
            let limit =
                |n: Option<u32>| n.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
            self.assumed.push(format!(
                "behaviour of {}: {} of own work, {} requests at once per pod, {} waiting, no errors, no calls (no entry in the Model)",
                assumed.join(", "),
                defaults.service_time,
                limit(defaults.concurrency),
                limit(defaults.queue),
            ));
        }
        let every_core = (self.snapshot.workloads.iter()).filter(|w| w.concurrency == Some(0));
        let every_core: Vec<String> = every_core.map(Workload::full_name).collect();
        if !every_core.is_empty() && self.model.proxy_concurrency.is_none() {
            self.assumed.push(format!(
                "one worker thread for the proxies of {}: `concurrency: 0` means every core, and their number is not written",
                every_core.join(", ")
            ));
        }
        let unwritten = |w: &Workload| w.proxy != ProxyKind::None && w.concurrency.is_none();
        if self.snapshot.workloads.iter().any(unwritten) && self.model.proxy_concurrency.is_none() {
            self.assumed.push(
                "one worker thread per proxy where no `concurrency` is written (Istio's own default is 2)"
                    .to_owned(),
            );
        }
        let no_limit = (self.snapshot.workloads.iter()).filter(|w| {
            let model = self.model.workloads.get(w.full_name().as_str());
            let cpu = model.unwrap_or(defaults).cpu.as_ref();
            cpu.is_some_and(|cpu| cpu.milli_cores.or(w.cpu.limit).is_none())
        });
        let no_limit: Vec<String> = no_limit.map(Workload::full_name).collect();
        if !no_limit.is_empty() {
            self.assumed.push(format!(
                "no limit on CPU: {} (neither `cpu.limit` in the Model nor `resources.limits.cpu` of their containers)",
                no_limit.join(", ")
            ));
        }
        if self.model.origin.is_built_in() {
            let n = &self.model.network;
            self.assumed.push(format!(
                "network, one way: {} in a zone, {} between zones, {} between regions (no Model was given)",
                n.same_zone, n.same_region, n.between_regions
            ));
        } else {
            self.assumed.extend(self.network_assumed());
        }
    }

    /// The parts of the network that a Model left out, as far as pods are that far apart.
    fn network_assumed(&self) -> Option<String> {
        let n = &self.model.network;
        let apart = self.places.len() > 1;
        let parts = [
            (true, "in a zone", &n.same_zone),
            (apart, "between zones", &n.same_region),
            (apart, "between regions", &n.between_regions),
        ];
        let assumed = parts.iter().zip(n.written);
        let parts: Vec<String> = assumed
            .filter(|((used, ..), written)| *used && !written)
            .map(|((_, name, length), _)| format!("{length} {name}"))
            .collect();
        (!parts.is_empty()).then(|| {
            format!(
                "network, one way: {} (not written in the Model)",
                parts.join(", ")
            )
        })
    }
}

/// The name within edit distance 3, nearest first.
pub(super) fn nearest<'n>(wanted: &str, names: &[&'n str]) -> Option<&'n str> {
    let near = names.iter().map(|n| (distance(wanted, n), *n)).min();
    near.filter(|(d, _)| *d <= 3).map(|(_, n)| n)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = (diagonal + usize::from(x != *y))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = cost;
        }
    }
    row[b.len()]
}
