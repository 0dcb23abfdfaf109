//! What of a pod template analysis asks for and no simulation does.
//!
//! Read from the bare tree: a field that is asked for here stays one that `--set` refuses, because
//! nothing that is simulated reads it.

use super::PodNotes;
use crate::config::decode::Fields;
use crate::manifest::{Node, Value};
use crate::units::Origin;

/// The user that sidecars run as; what it sends is not captured.
const PROXY_USER: &str = "1337";

const PROXY: &str = "istio-proxy";

/// Reads the notes of a workload: a pod's own, or those of its template.
pub(super) fn notes(f: &Fields<'_>, kind: &str) -> PodNotes {
    let root = f.here().node();
    let pod = if kind == "Pod" {
        Some(root)
    } else {
        root.at(&["spec", "template"])
    };
    let Some(pod) = pod else {
        return PodNotes::default();
    };
    let at = |node: &Node| Origin {
        line: node.line,
        column: node.column,
        ..f.origin()
    };
    let containers = pod.at(&["spec", "containers"]).map_or(&[][..], Node::items);
    let auto = |container: &&Node| {
        text(container, "name") == Some(PROXY) && text(container, "image") == Some("auto")
    };
    let annotations = pod.at(&["metadata", "annotations"]);
    let annotations = annotations.map_or(&[][..], Node::entries).iter();
    PodNotes {
        runs_as_proxy: runs_as_proxy(pod, containers).map(at),
        image_auto: (containers.iter().find(auto))
            .and_then(|container| container.get("image"))
            .map(at),
        annotations: annotations
            .filter(|(key, _)| key.text.contains("istio.io/"))
            .map(|(key, _)| {
                let origin = Origin {
                    line: key.line,
                    column: key.column,
                    ..f.origin()
                };
                (key.text.clone(), origin)
            })
            .collect(),
    }
}

/// `runAsUser: 1337` of the pod, or of a container that is not the proxy
/// (`analyzers/deployment/pod.go`).
fn runs_as_proxy<'a>(pod: &'a Node, containers: &'a [Node]) -> Option<&'a Node> {
    let user = |node: &'a Node| {
        let user = node.at(&["securityContext", "runAsUser"])?;
        (user.value.scalar_text().as_deref() == Some(PROXY_USER)).then_some(user)
    };
    let is_application =
        |container: &&Node| !matches!(text(container, "name"), Some(PROXY | "istio-operator"));
    let of_pod = pod.get("spec").and_then(user);
    of_pod.or_else(|| containers.iter().filter(is_application).find_map(user))
}

fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    match &node.get(key)?.value {
        Value::Text(text, _) => Some(text),
        _ => None,
    }
}
