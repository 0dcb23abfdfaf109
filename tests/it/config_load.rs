//! The way from texts to the ordered store.

use towtank::config::istio::{HashKey, MtlsSetting, OutboundMode, SimpleLb};
use towtank::config::k8s::TargetPort;
use towtank::config::{LoadOptions, Loaded, load};
use towtank::manifest::Source;

fn load_text(text: &str) -> Loaded {
    load(vec![Source::new("f.yaml", text)], &LoadOptions::default())
}

/// Loads a text that nothing is to be said about.
fn check_clean(text: &str) -> Loaded {
    let loaded = load_text(text);
    assert_eq!(said(&loaded), [""; 0], "{text}");
    loaded
}

fn said(loaded: &Loaded) -> Vec<String> {
    loaded.diagnostics.iter().map(ToString::to_string).collect()
}

fn deployment(name: &str, pod: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\n\
         spec: {{replicas: 2, template: {{metadata: {{labels: {{app: a}}}}, spec: {pod}}}}}\n---\n"
    )
}

#[test]
fn objects_are_ordered_by_namespace_and_name_whatever_the_files() {
    let service = |name: &str, namespace: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        )
    };
    let sources = vec![
        Source::new("z.yaml", service("b", "two")),
        Source::new("y.yaml", service("c", "one")),
        Source::new("x.yaml", service("a", "two")),
    ];
    let loaded = load(sources, &LoadOptions::default());
    let names: Vec<String> = loaded
        .config
        .services
        .iter()
        .map(|s| loaded.config.origins.describe(s.meta.origin))
        .collect();
    assert_eq!(
        names,
        [
            "Service one/c (y.yaml:1)",
            "Service two/a (x.yaml:1)",
            "Service two/b (z.yaml:1)"
        ]
    );
}

#[test]
fn the_later_of_two_equal_names_counts_and_both_are_named() {
    let rule = |host: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: a}}\nspec: {{host: {host}}}\n---\n"
        )
    };
    let loaded = load_text(&(rule("old") + &rule("new")));
    assert_eq!(
        said(&loaded),
        [
            "warning[TT-DUPLICATE-OBJECT] f.yaml:6:1: DestinationRule default/a: the object is given twice; this later one counts"
        ]
    );
    assert_eq!(loaded.diagnostics[0].related[0].0.to_string(), "f.yaml:1:1");
    assert_eq!(&*loaded.config.destination_rules[0].host, "new");
    check_clean(&rule("same").repeat(2));
}

#[test]
fn services_are_read_as_written() {
    let loaded = check_clean(
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  clusterIP: None\n  selector: {app: a}\n  ports:\n\
         \x20 - {name: http, port: 80, targetPort: web, appProtocol: http}\n  - {port: 81, targetPort: 8081}\n  - port: 82\n",
    );
    let service = &loaded.config.services[0];
    assert!(service.is_headless());
    let targets: Vec<&TargetPort> = service.ports.iter().map(|port| &port.target).collect();
    let expected = [
        TargetPort::Name("web".into()),
        TargetPort::Number(8081),
        TargetPort::Same,
    ];
    assert_eq!(targets, expected.iter().collect::<Vec<_>>());
    assert_eq!(service.ports[1].origin.line, 9);
}

#[test]
fn pods_of_an_owner_that_is_there_are_left_to_it() {
    let pod = |name: &str, labels: &str, owner: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{{labels}}}, ownerReferences: [{{kind: ReplicaSet, name: {owner}, controller: true}}]}}\n\
             spec: {{containers: [{{name: a}}]}}\nstatus: {{podIP: 10.0.0.1, conditions: [{{type: Ready, status: 'False'}}]}}\n---\n"
        )
    };
    let text = deployment("a", "{containers: []}")
        + &pod("a-5d4f-x", "pod-template-hash: 5d4f", "a-5d4f")
        + &pod("b-77-x", "pod-template-hash: '77'", "b-77");
    let loaded = check_clean(&text);
    let names: Vec<(&str, &str)> = loaded
        .config
        .workloads
        .iter()
        .map(|w| (&*w.kind, &*w.meta.name))
        .collect();
    assert_eq!(names, [("Deployment", "a"), ("Pod", "b-77-x")]);
    let lonely = &loaded.config.workloads[1];
    assert_eq!(
        (lonely.ready, lonely.pod_ip.as_deref()),
        (false, Some("10.0.0.1"))
    );
}

#[test]
fn proxies_and_gateways_are_told_from_applications() {
    let facts = |pod: &str| {
        let loaded = check_clean(&deployment("a", pod));
        let owner = &loaded.config.workloads[0];
        (
            owner.has_proxy_container,
            owner.is_gateway,
            owner.ports.len(),
        )
    };
    assert_eq!(
        facts("{containers: [{name: a, ports: [{containerPort: 80}]}]}"),
        (false, false, 1)
    );
    let injected = "{containers: [{name: a, ports: [{containerPort: 80}]}, {name: istio-proxy, image: proxyv2, ports: [{containerPort: 15090}]}]}";
    assert_eq!(facts(injected), (true, false, 1));
    let native = "{initContainers: [{name: istio-proxy, image: proxyv2, restartPolicy: Always}], containers: [{name: a}]}";
    assert_eq!(facts(native), (true, false, 0));
    let router = "{containers: [{name: istio-proxy, image: proxyv2, args: [proxy, router], ports: [{containerPort: 8080}]}]}";
    assert_eq!(facts(router), (true, true, 1));
}

#[test]
fn a_gateway_template_makes_a_gateway() {
    let loaded = check_clean(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: g}\nspec: {template: {metadata: {annotations: {inject.istio.io/templates: gateway}}, spec: {containers: [{name: istio-proxy, image: auto}]}}}\n",
    );
    let owner = &loaded.config.workloads[0];
    assert_eq!(
        (owner.is_gateway, owner.has_proxy_container, owner.replicas),
        (true, false, None)
    );
}

#[test]
fn endpoints_become_slices_unless_slices_are_there() {
    let endpoints = "apiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\nsubsets:\n- {addresses: [{ip: 10.0.0.1}], notReadyAddresses: [{ip: 10.0.0.2}], ports: [{name: http, port: 80}]}\n---\n";
    let loaded = check_clean(endpoints);
    let slice = &loaded.config.endpoint_slices[0];
    assert_eq!((&*slice.service, slice.ports[0].1), ("a", 80));
    let ready: Vec<bool> = slice.endpoints.iter().map(|e| e.ready).collect();
    assert_eq!(ready, [true, false]);
    let mirrored = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a-x, labels: {kubernetes.io/service-name: a}}\naddressType: IPv4\nendpoints: [{addresses: [10.0.0.9]}]\n";
    let loaded = check_clean(&(endpoints.to_owned() + mirrored));
    assert_eq!(loaded.config.endpoint_slices.len(), 1);
    assert_eq!(
        &*loaded.config.endpoint_slices[0].endpoints[0].addresses[0],
        "10.0.0.9"
    );
}

#[test]
fn mesh_settings_are_found_in_a_config_map_an_operator_and_a_bare_file() {
    let settings = "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\nconnectTimeout: 3s\nlocalityLbSetting: {enabled: false}\naccessLogFile: /dev/stdout\n";
    let indented = settings.replace('\n', "\n    ");
    let map = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\ndata:\n  mesh: |-\n    {indented}"
    );
    let operator = format!(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: i}}\nspec:\n  meshConfig:\n    {indented}"
    );
    for text in [settings, &map, &operator] {
        let mesh = check_clean(text).config.mesh;
        assert_eq!(mesh.outbound, OutboundMode::RegistryOnly, "{text}");
        assert_eq!(
            (mesh.connect_timeout.ns(), mesh.locality.enabled),
            (3_000_000_000, false)
        );
    }
}

#[test]
fn a_mistake_inside_the_config_map_is_found_at_its_line() {
    let loaded = load_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata:\n  mesh: |-\n    enableAutoMtls: true\n    connectTimeout: soon\n",
    );
    assert_eq!(
        loaded.diagnostics[0].place.as_ref().unwrap().to_string(),
        "f.yaml:7:21"
    );
}

#[test]
fn other_config_maps_are_nobodys_business() {
    check_clean("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\ndata: {mesh: '{{ x'}\n");
}

#[test]
fn our_own_kinds_are_kept_undecoded_and_the_rest_is_named() {
    let loaded = load_text(
        "apiVersion: towtank/v1alpha1\nkind: Model\nmetadata: {name: m}\n---\napiVersion: towtank/v1alpha1\nkind: Scenario\nmetadata: {name: s}\n---\n\
         apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: e}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: x}\n",
    );
    assert_eq!((loaded.models.len(), loaded.scenarios.len()), (1, 1));
    assert_eq!(
        said(&loaded),
        [
            "warning[TT-NOT-SIMULATED] f.yaml:9:1: Telemetry default/e: the kind `Telemetry` is not simulated; this object has no effect"
        ]
    );
}

#[test]
fn destination_rules_keep_every_number_apart_from_nothing() {
    let loaded = check_clean(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec:\n  host: a\n  trafficPolicy:\n\
         \x20   connectionPool: {tcp: {maxConnections: 0}, http: {maxRetries: 3}}\n    outlierDetection: {consecutive5xxErrors: 0}\n\
         \x20   loadBalancer: {consistentHash: {httpCookie: {name: c, ttl: 0s}}}\n  subsets:\n  - name: v1\n    trafficPolicy: {loadBalancer: {simple: RANDOM}}\n",
    );
    let rule = &loaded.config.destination_rules[0];
    let policy = rule.policy.as_ref().unwrap();
    let pool = policy.connection_pool.as_ref().unwrap();
    assert_eq!(
        (
            pool.max_connections,
            pool.http1_max_pending_requests,
            pool.max_retries
        ),
        (Some(0), None, Some(3))
    );
    let detection = policy.outlier_detection.as_ref().unwrap();
    assert_eq!(
        (detection.consecutive_5xx, detection.consecutive_gateway),
        (Some(0), None)
    );
    let hash = policy
        .load_balancer
        .as_ref()
        .unwrap()
        .consistent_hash
        .as_ref()
        .unwrap();
    assert!(matches!(&hash.key, Some(HashKey::Cookie { ttl: Some(ttl), .. }) if ttl.is_zero()));
    let subset = rule.subsets[0].policy.as_ref().unwrap();
    assert_eq!(
        subset.load_balancer.as_ref().unwrap().simple,
        SimpleLb::Random
    );
    // A block's origin is the line of its key.
    assert_eq!((pool.origin.line, detection.origin.line), (7, 8));
}

#[test]
fn shares_of_mirrors_are_resolved() {
    let shares = |mirror: &str| {
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\nspec: {{hosts: [a], http: [{{route: [{{destination: {{host: a}}}}], {mirror}}}]}}\n"
        );
        let loaded = load_text(&text);
        let mirrors = &loaded.config.virtual_services[0].http[0].mirrors;
        mirrors
            .iter()
            .map(|m| m.fraction.ppm())
            .collect::<Vec<u32>>()
    };
    assert_eq!(shares("mirror: {host: m}"), [1_000_000]);
    assert_eq!(
        shares("mirror: {host: m}, mirrorPercentage: {value: 0.57}"),
        [5_699]
    );
    assert_eq!(shares("mirror: {host: m}, mirrorPercent: 20"), [200_000]);
    assert_eq!(
        shares("mirror: {host: m}, mirrorPercent: 20, mirrorPercentage: {value: 5}"),
        [50_000]
    );
    assert_eq!(
        shares("mirror: {host: m}, mirrorPercentage: {value: 0}"),
        [0; 0]
    );
    assert_eq!(
        shares(
            "mirrors: [{destination: {host: m}}, {destination: {host: n}, percentage: {value: 1}}]"
        ),
        [1_000_000, 10_000]
    );
}

#[test]
fn security_kinds_are_read() {
    let loaded = check_clean(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p}\nspec: {selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}\n---\n\
         apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: nothing, namespace: ns}\n---\n\
         apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: some, namespace: ns}\nspec: {rules: [{from: [{source: {serviceAccounts: [curl]}}], to: [{operation: {ports: [80], methods: [GET]}}]}]}\n",
    );
    let peer = &loaded.config.peer_authentications[0];
    assert_eq!(
        (peer.mtls, peer.ports[&8080]),
        (MtlsSetting::Strict, MtlsSetting::Disable)
    );
    let policies = &loaded.config.authorization_policies;
    assert_eq!(policies[0].rules, []);
    let rule = &policies[1].rules[0];
    assert_eq!(rule.sources[0].principals.0, ["*/ns/ns/sa/curl".into()]);
    assert_eq!(rule.operations[0].ports.0, ["80".into()]);
}
