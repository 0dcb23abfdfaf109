//! A folder with a mesh, a Model and a Scenario of a test's own, run by the program.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program;

/// A namespace with sidecars, and workloads of so many pods in it; those with a port have a Service.
pub(crate) fn mesh(namespace: &str, workloads: &[(&str, u32, Option<u16>)]) -> String {
    let mut text = format!(
        "apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}, labels: {{istio-injection: enabled}}}}
"
    );
    for (name, replicas, port) in workloads {
        if let Some(port) = port {
            text.push_str(&format!(
                "---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: {port}}}]}}
"
            ));
        }
        text.push_str(&format!(
            "---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{containers: [{{name: {name}, image: example.test/{name}}}]}}}}
"
        ));
    }
    text
}

/// The folder; gone when it is dropped.
pub(crate) struct Tank(tempfile::TempDir);

impl Tank {
    /// Writes the files, of which `scenario.yaml` has to be one.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            fs::write(dir.path().join(name), text).expect("written");
        }
        Self(dir)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Path of the Scenario.
    pub(crate) fn path(&self) -> String {
        self.folder().join("scenario.yaml").display().to_string()
    }

    /// The run as JSON.
    pub(crate) fn run(&self, more: &[&str]) -> Value {
        let path = self.path();
        let mut args = vec!["run", path.as_str()];
        args.extend(more);
        program::json(&args)
    }
}
