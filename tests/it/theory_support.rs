//! Small meshes for theory: one line per workload, a network without delay, and figures with
//! confidence intervals over independent runs.
//!
//! Seeds are fixed, so a check cannot flake. The intervals hold with 99.9 %: with some fifty of
//! them in this binary, 95 % would leave several wrong by luck alone. Every check also bounds the
//! interval's width, so that it can fail.

use std::fmt::Write;
use std::sync::atomic::AtomicBool;

use statrs::distribution::{ContinuousCDF, StudentsT};
use towtank::experiment::replicate;
use towtank::observe::Record;
use towtank::simulation::Control;

use crate::harness::Case;

/// A mesh in namespace `t`, everything injected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mesh {
    manifests: String,
    workloads: String,
    services: Vec<String>,
}

impl Mesh {
    /// A mesh with one client pod.
    pub(crate) fn new() -> Self {
        let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: t, labels: {istio-injection: enabled}}\n";
        let mesh = Self {
            manifests: namespace.to_owned(),
            ..Self::default()
        };
        mesh.pods("client", "client", 1, "{}")
    }

    /// `count` pods of a workload behind `http://<app>:8080/`, behaving as `model` says.
    pub(crate) fn pods(mut self, name: &str, app: &str, count: u32, model: &str) -> Self {
        if !self.services.iter().any(|s| s == app) {
            self.services.push(app.to_owned());
            write!(
                self.manifests,
                "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {app}, namespace: t}}\n\
                 spec: {{selector: {{app: {app}}}, ports: [{{name: http, port: 8080}}]}}\n"
            )
            .unwrap();
        }
        write!(
            self.manifests,
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: t}}\n\
             spec:\n  replicas: {count}\n  selector: {{matchLabels: {{run: {name}}}}}\n  template:\n    \
             metadata: {{labels: {{app: {app}, run: {name}}}}}\n    \
             spec: {{containers: [{{name: app, image: example.test/app, ports: [{{containerPort: 8080}}]}}]}}\n"
        )
        .unwrap();
        writeln!(self.workloads, "    t/{name}: {model}").unwrap();
        self
    }

    /// Containers of the workload named last say this as well.
    pub(crate) fn container(mut self, rest: &str) -> Self {
        let image = "image: example.test/app, ";
        let at = self.manifests.rfind(image).expect("there is a workload") + image.len();
        self.manifests.insert_str(at, &format!("{rest}, "));
        self
    }

    /// A DestinationRule for an app; `policy` is its `trafficPolicy`.
    pub(crate) fn rule(mut self, app: &str, policy: &str) -> Self {
        write!(
            self.manifests,
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
             metadata: {{name: {app}, namespace: t}}\nspec: {{host: {app}, trafficPolicy: {policy}}}\n"
        )
        .unwrap();
        self
    }

    /// A VirtualService for an app with one route; `rest` are its fields beside `route`.
    pub(crate) fn route(mut self, app: &str, rest: &str) -> Self {
        write!(
            self.manifests,
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n\
             metadata: {{name: {app}, namespace: t}}\nspec:\n  hosts: [{app}]\n  http:\n  \
             - route: [{{destination: {{host: {app}}}}}]\n    {rest}\n"
        )
        .unwrap();
        self
    }

    /// One pod without a sidecar behind `http://<app>:8080/`.
    pub(crate) fn bare(self, app: &str, model: &str) -> Self {
        let mut mesh = self.pods(app, app, 1, model);
        let labels = format!("labels: {{app: {app}, run: {app}}}");
        let off = format!("annotations: {{sidecar.istio.io/inject: 'false'}}, {labels}");
        mesh.manifests = mesh.manifests.replace(&labels, &off);
        mesh
    }

    /// Another manifest.
    pub(crate) fn manifest(mut self, text: &str) -> Self {
        write!(self.manifests, "---\n{text}").unwrap();
        self
    }

    /// With a scenario and places for pods, in flow style, over a network without delay.
    pub(crate) fn placed(&self, placement: &str, scenario: &str) -> Case {
        let near = "network: {sameZone: 0ms, sameRegion: 0ms, betweenRegions: 0ms}";
        self.build(&format!("{near}\n  placement: {{{placement}}}"), scenario)
    }

    /// With a scenario: lines of its `spec` in flow style.
    pub(crate) fn case(&self, scenario: &str) -> Case {
        self.over("0ms", scenario)
    }

    /// The same over a network with this one-way delay.
    pub(crate) fn over(&self, delay: &str, scenario: &str) -> Case {
        self.build(&format!("network: {{sameZone: {delay}}}"), scenario)
    }

    fn build(&self, model: &str, scenario: &str) -> Case {
        Case::text(&format!(
            "{}---\napiVersion: towtank/v1alpha1\nkind: Model\nmetadata: {{name: theory}}\n\
             spec:\n  {model}\n  workloads:\n{}\
             ---\napiVersion: towtank/v1alpha1\nkind: Scenario\nmetadata: {{name: theory}}\n\
             spec: {{manifests: [], {scenario}}}\n",
            self.manifests, self.workloads
        ))
    }
}

/// An open load on an app.
pub(crate) fn open(app: &str, rate: f64, seconds: u32, warm_up: u32) -> String {
    format!(
        "duration: {}s, warmUp: {warm_up}s, load: [{{name: load, from: t/client, url: 'http://{app}:8080/', rate: {rate}/s}}]",
        seconds + warm_up
    )
}

/// Independent runs with the seeds 1, 2, …
pub(crate) fn runs(case: &Case, count: u64) -> Vec<Record> {
    let plan = case.plan();
    let interrupted = AtomicBool::new(false);
    let control = Control {
        interrupted: &interrupted,
        progress: None,
        keep_requests: 20_000,
    };
    (1..=count)
        .map(|seed| replicate(&plan, seed, 1, Some(1), &control))
        .collect()
}

/// A mean over independent runs with its 99.9 % interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    pub(crate) mean: f64,
    pub(crate) half: f64,
}

impl Estimate {
    /// Of one figure of each run.
    pub(crate) fn of(records: &[Record], figure: impl Fn(&Record) -> f64) -> Self {
        let values: Vec<f64> = records.iter().map(figure).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
        let t = StudentsT::new(0.0, 1.0, n - 1.0)
            .unwrap()
            .inverse_cdf(0.9995);
        let half = t * (squares / (n - 1.0) / n).sqrt();
        Self { mean, half }
    }

    /// The theory's value lies within the interval, which is at most `width` of it to either side.
    pub(crate) fn agrees(self, what: &str, theory: f64, width: f64) {
        self.within(what, theory, theory, width);
    }

    /// The interval overlaps what is predicted only up to a known bias.
    pub(crate) fn within(self, what: &str, low: f64, high: f64, width: f64) {
        let Self { mean, half } = self;
        println!("{what}: {mean:.5} ± {half:.5}, theory {low:.5} to {high:.5}");
        assert!(
            mean + half >= low && mean - half <= high,
            "{what}: {mean} ± {half} does not contain {low} to {high}"
        );
        assert!(
            half <= width * high.abs(),
            "{what}: {mean} ± {half} is wider than {width} of {high}"
        );
    }
}

/// Mean latency of the first load in ms.
pub(crate) fn mean_ms(record: &Record) -> f64 {
    record.clients[0].latency.mean().as_millis_f64()
}

/// Share of the first load's requests that failed.
pub(crate) fn failed(record: &Record) -> f64 {
    record.clients[0].per_replication[0].error_share
}

/// Tries per request of the first load's own proxy.
pub(crate) fn tries(record: &Record) -> f64 {
    record.clients[0].per_replication[0].attempts_per_request
}
