//! A case: one description from which both sides are made.
//!
//! The first document of a file is the case itself: a small mesh (pods with loopback addresses,
//! so that both sides hash the same addresses), how its applications behave, what is sent, and
//! what is compared. The others are Istio's own objects, word for word.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use towtank::config::IstioVersion;
use towtank::config::load::{LoadOptions, load};
use towtank::config::scenario::{Model, Scenario, decode_model, decode_scenario};
use towtank::control_plane::compile;
use towtank::manifest::{Object, Source};
use towtank::units::ObjectRef;
use towtank::xds::Snapshot;

/// Tick of the clock that Envoy's timers read where the recordings are made: a kernel with
/// `CONFIG_HZ=250`, as most have.
const TICK: &str = "4ms";
/// Port of every pod.
const PORT: u16 = 20080;

/// The first document of a case file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    /// What is shown.
    pub(crate) feature: String,
    /// Where the rule is described: a section of the reference, for the table.
    pub(crate) section: String,
    /// Service → pod → version.
    mesh: BTreeMap<String, BTreeMap<String, String>>,
    /// Loads come from outside through a gateway, `lab/door`, and its proxy is the one that is looked at.
    #[serde(default)]
    pub(crate) gateway: bool,
    /// Services whose pods have a sidecar of their own.
    #[serde(default)]
    sidecars: Vec<String>,
    /// Names of the services' ports, which say what they speak; `http` when not written.
    #[serde(default)]
    ports: BTreeMap<String, String>,
    /// Behaviour by pod (`web-a`), in the words of the Model; others answer 200 at once.
    #[serde(default)]
    apps: BTreeMap<String, Value>,
    /// Workers of every proxy; more than one play the loads one after another, over connections
    /// that are spread evenly.
    #[serde(default = "one_worker")]
    pub(crate) workers: u32,
    /// Localities by pod, and of the `client`.
    #[serde(default)]
    placement: BTreeMap<String, String>,
    /// Istio's release; the default one when not written.
    #[serde(default)]
    istio: Option<String>,
    /// Localities of the client's pods, of which the first sends: a Deployment behind a Service.
    #[serde(default)]
    peers: Vec<String>,
    /// Loads by name, in the words of the Scenario.
    loads: BTreeMap<String, Value>,
    /// Compared exactly: fields of requests, `stat:NAME` of clusters (`stat:*`: every one), `proxy:NAME`, `server:NAME` (all sidecars of servers together), `hits`.
    #[serde(default)]
    pub(crate) exact: Vec<String>,
    /// Compared within the spread of both sides: `ms`, `share:FIELD`, `stat:NAME`, `hits`.
    #[serde(default)]
    pub(crate) near: Vec<String>,
    /// Counters are read so long after the last answer, in milliseconds.
    #[serde(default = "settle_ms")]
    pub(crate) settle_ms: u64,
    /// Why the sides are known to differ; the test then holds that they do.
    #[serde(default)]
    pub(crate) differs: Option<String>,
}

fn settle_ms() -> u64 {
    150
}

fn one_worker() -> u32 {
    1
}

/// A case made ready.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) head: Head,
    pub(crate) snapshot: Snapshot,
    pub(crate) model: Model,
    pub(crate) scenario: Scenario,
}

/// The folder of this test.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/envoy")
}

/// Every case, by name; `TOWTANK_CASE` narrows to names that contain it.
pub(crate) fn all() -> Vec<Case> {
    let wanted = std::env::var("TOWTANK_CASE").unwrap_or_default();
    let mut files: Vec<PathBuf> = fs::read_dir(folder().join("cases"))
        .expect("the folder of cases")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .filter(|path| path.to_string_lossy().contains(&wanted))
        .collect();
    files.sort();
    files.iter().map(|path| Case::read(path)).collect()
}

impl Case {
    fn read(path: &Path) -> Self {
        let name = path.file_stem().expect("a file").to_string_lossy();
        let text = fs::read_to_string(path).expect("a case is readable");
        let (head, manifests) = text.split_once("\n---\n").unwrap_or((&text, ""));
        let head: Head =
            serde_yaml::from_str(head).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        let mut documents = vec![manifests.to_owned()];
        documents.extend(head.documents(&name).iter().map(Value::to_string));
        Self::compile(&name, head, &documents.join("\n---\n"))
    }

    fn compile(name: &str, head: Head, text: &str) -> Self {
        let source = Source::new(format!("{name}.yaml"), text.to_owned());
        let mut options = LoadOptions::default();
        if let Some(version) = &head.istio {
            options.version = IstioVersion::parse(version).expect("a release of Istio");
        }
        let mut loaded = load(vec![source], &options);
        let mut problems = loaded.diagnostics.clone();
        let mut id = |object: &Object| {
            loaded.config.origins.push(ObjectRef {
                kind: object.kind.clone(),
                namespace: "".into(),
                name: object.name.clone(),
                file: object.place().file,
                line: object.place().line,
            })
        };
        let no_files = |name: &str| Err(format!("no file {name} here"));
        let (model, found) = decode_model(&loaded.models[0], id(&loaded.models[0]), &no_files);
        problems.extend(found);
        let object = &loaded.scenarios[0];
        let (scenario, found) = decode_scenario(object, id(object), &no_files);
        problems.extend(found);
        let errors: Vec<String> = (problems.iter().filter(|d| d.is_error()))
            .map(ToString::to_string)
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
        loaded.config.placement.clone_from(&model.placement);
        Self {
            name: name.to_owned(),
            head,
            snapshot: compile(&loaded.config),
            model,
            scenario,
        }
    }

    /// What real Envoy did, when it was asked last.
    pub(crate) fn recorded(&self) -> PathBuf {
        folder()
            .join("recorded")
            .join(format!("{}.json", self.name))
    }
}

impl Head {
    /// Namespace, client, services, pods, Model and Scenario.
    fn documents(&self, name: &str) -> Vec<Value> {
        let meta = |name: &str| json!({"name": name, "namespace": "lab"});
        let mut documents = vec![
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lab"}}),
            self.sender(),
        ];
        for (number, (service, pods)) in self.mesh.iter().enumerate() {
            let port = self.ports.get(service).map_or("http", String::as_str);
            documents.push(
                json!({"apiVersion": "v1", "kind": "Service", "metadata": meta(service),
                "spec": {"selector": {"app": service},
                    "ports": [{"name": port, "port": 80, "targetPort": PORT}]}}),
            );
            let injected = self.sidecars.contains(service).to_string();
            for (place, (pod, version)) in pods.iter().enumerate() {
                documents.push(json!({"apiVersion": "v1", "kind": "Pod",
                    "metadata": {"name": format!("{service}-{pod}"), "namespace": "lab",
                        "labels": {"app": service, "version": version,
                            "sidecar.istio.io/inject": injected}},
                    "spec": {"containers": [{"name": "app", "image": "example.test/app",
                        "ports": [{"containerPort": PORT}]}]},
                    "status": {"podIP": format!("127.1.{}.{}", number + 1, place + 1)}}));
            }
        }
        if !self.peers.is_empty() {
            documents.push(
                json!({"apiVersion": "v1", "kind": "Service", "metadata": meta(self.proxy()),
                "spec": {"selector": {"app": self.proxy()},
                    "ports": [{"name": "http", "port": 80, "targetPort": PORT}]}}),
            );
        }
        documents.push(self.model());
        documents.push(self.scenario(name));
        documents
    }

    /// The pod whose proxy is looked at.
    fn sender(&self) -> Value {
        let name = self.proxy();
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "lab",
                "labels": {"app": name, "sidecar.istio.io/inject": "true"}},
            "spec": {"containers": [{"name": name, "image": "example.test/client"}]},
            "status": {"podIP": "127.1.0.1"}});
        if !self.peers.is_empty() {
            let labels = pod["metadata"]["labels"].take();
            let spec = pod["spec"].take();
            return json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": name, "namespace": "lab"},
                "spec": {"replicas": self.peers.len(), "selector": {"matchLabels": {"app": name}},
                    "template": {"metadata": {"labels": labels}, "spec": spec}}});
        }
        if self.gateway {
            pod["metadata"]["annotations"] = json!({"inject.istio.io/templates": "gateway"});
        }
        pod
    }

    /// Its workload.
    pub(crate) fn proxy(&self) -> &'static str {
        if self.gateway { "door" } else { "client" }
    }

    /// Loads speak to a port of opaque bytes: a connection for every exchange, and nothing in it
    /// that a proxy reads.
    pub(crate) fn is_tcp(&self) -> bool {
        let tcp = self.ports.values().any(|name| name == "tcp");
        assert!(!tcp || self.loads.len() == 1, "no log names a TCP load");
        tcp
    }

    /// Loopback takes no time to speak of; applications have no limits but those that are written.
    fn model(&self) -> Value {
        let full = |name: &String| format!("lab/{name}");
        let apps: BTreeMap<String, &Value> = self
            .apps
            .iter()
            .map(|(pod, app)| (full(pod), app))
            .collect();
        let mut placement: BTreeMap<String, Vec<&String>> = (self.placement.iter())
            .map(|(pod, at)| (full(pod), vec![at]))
            .collect();
        if !self.peers.is_empty() {
            placement.insert(full(&self.proxy().to_owned()), self.peers.iter().collect());
        }
        json!({"apiVersion": "towtank/v1alpha1", "kind": "Model", "metadata": {"name": "lab"},
        "spec": {
            "network": {"sameZone": "20us", "sameRegion": "20us", "betweenRegions": "20us"},
            "defaults": {"serviceTime": "0.2ms", "concurrency": "unlimited", "queue": "unlimited"},
            "proxy": {"concurrency": self.workers, "timerTick": TICK},
            "workloads": apps,
            "placement": placement,
        }})
    }

    fn scenario(&self, name: &str) -> Value {
        let load = |(name, load): (&String, &Value)| {
            let mut load = load.clone();
            load["name"] = json!(name);
            load["from"] = if self.gateway {
                json!({"outside": {"via": "lab/door"}})
            } else {
                json!("lab/client")
            };
            load
        };
        let loads: Vec<Value> = self.loads.iter().map(load).collect();
        json!({"apiVersion": "towtank/v1alpha1", "kind": "Scenario", "metadata": {"name": name},
            "spec": {"seed": 1, "load": loads}})
    }
}
