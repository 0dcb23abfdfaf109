//! Whatever the text, reading, loading and compiling end with diagnostics and not with a panic.

use proptest::prelude::*;
use towtank::config::{LoadOptions, load};
use towtank::control_plane::compile;
use towtank::manifest::Source;
use towtank::xds::dump;

/// One object of many kinds, so that mutations reach every decoder.
const SEED: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: n}
spec:
  hosts: [a, '*.b.c']
  gateways: [mesh, n/g]
  http:
  - match: [{uri: {prefix: /x}, headers: {h: {exact: v}}, port: 80}]
    fault: {delay: {percentage: {value: 0.1}, fixedDelay: 5s}, abort: {httpStatus: 503}}
    retries: {attempts: 3, perTryTimeout: 2s, retryOn: '5xx,503'}
    mirror: {host: m}
    mirrorPercentage: {value: 10}
    route:
    - {destination: {host: a, subset: v1, port: {number: 80}}, weight: 90}
    - {destination: {host: b}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a, namespace: n}
spec:
  host: a
  trafficPolicy: &p
    connectionPool: {tcp: {maxConnections: 1}, http: {maxRetries: 2}}
    outlierDetection: {consecutive5xxErrors: 3, interval: 10s, minHealthPercent: 5}
    loadBalancer: {localityLbSetting: {distribute: [{from: r/*, to: {r/*: 100}}]}}
    portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]
  subsets: [{name: v1, labels: {version: v1}, trafficPolicy: *p}]
---
apiVersion: v1
kind: Service
metadata: {name: a, namespace: n}
spec: {selector: {app: a}, ports: [{name: http, port: 80, targetPort: web}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: a, namespace: n}
spec: {replicas: 2, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, ports: [{containerPort: 80}]}]}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: g, namespace: n}
spec: {replicas: 1, template: {metadata: {labels: {istio: g}}, spec: {containers: [{name: istio-proxy, args: [proxy, router]}]}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: g, namespace: n}
spec:
  selector: {istio: g}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ['*'], tls: {httpsRedirect: true}}
  - {port: {number: 443, name: tls, protocol: TLS}, hosts: [n/*.b.c], tls: {mode: PASSTHROUGH}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: e, namespace: n}
spec:
  hosts: [e.b.c]
  addresses: [10.0.0.0/8]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1, ports: {http: 81}, locality: r/z, weight: 3}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: s, namespace: n}
spec:
  egress: [{port: {number: 80, protocol: HTTP}, hosts: ['./*']}, {hosts: ['*/*']}]
  ingress: [{port: {number: 8080, protocol: HTTP}, defaultEndpoint: '127.0.0.1:80'}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: n}
spec: {action: DENY, rules: [{from: [{source: {namespaces: [x]}}], to: [{operation: {ports: ['80']}}]}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: l, namespace: n, labels: {kubernetes.io/service-name: a}}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints: [{addresses: [10.0.0.7], zone: z, conditions: {ready: false}}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: a, namespace: n}
spec: {scaleTargetRef: {kind: Deployment, name: a}, minReplicas: 3, maxReplicas: 5}
";

fn check(text: String) {
    let loaded = load(vec![Source::new("f.yaml", text)], &LoadOptions::default());
    // Excerpts must survive any place, too.
    let shown = loaded.render(false);
    assert_eq!(shown.is_empty(), loaded.diagnostics.is_empty());
    // Tables are made of whatever was read; `proxy-config` and `--force` do so in spite of errors.
    let snapshot = compile(&loaded.config);
    for (id, _) in snapshot.workloads.iter_ids() {
        let _ = dump::text(&snapshot, id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        check(String::from_utf8_lossy(&bytes).into_owned());
    }

    #[test]
    fn any_yaml_like_text_is_survived(text in "([a-c]|[:\\-?&*!|>'\"%#{}\\[\\],<~. \t\n]){0,120}") {
        check(text);
    }

    #[test]
    fn mutated_manifests_are_survived(
        edits in proptest::collection::vec((0..SEED.len(), 0..12_usize, "[\\PC\n]{0,6}"), 1..5),
    ) {
        let mut text: Vec<char> = SEED.chars().collect();
        for (at, removed, inserted) in edits {
            let at = at.min(text.len());
            let end = (at + removed).min(text.len());
            text.splice(at..end, inserted.chars());
        }
        check(text.into_iter().collect());
    }

    #[test]
    fn values_of_any_type_are_survived_anywhere(
        line in 0..SEED.lines().count(),
        value in prop::sample::select(vec!["5", "-1", "1e999", "[]", "{}", "x", "true", "~", "[~]", "{a: ~}", "99999999999999999999", "5h5h", "''"]),
    ) {
        let replace = |(i, l): (usize, &str)| match l.split_once(": ") {
            Some((key, _)) if i == line => format!("{key}: {value}"),
            _ => l.to_owned(),
        };
        let lines: Vec<String> = SEED.lines().enumerate().map(replace).collect();
        check(lines.join("\n"));
    }
}
