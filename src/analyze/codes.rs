//! The codes of analysis, for `--explain`, SARIF and the level of each.

/// How grave a message is, in Istio's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Something does not do what its author expected.
    Warning,
    /// Traffic fails, or the object is refused.
    Error,
}

/// What a code stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The code.
    pub code: &'static str,
    /// How grave it is.
    pub level: Level,
    /// In one line.
    pub title: &'static str,
    /// What it means for traffic, and what to do.
    pub text: &'static str,
}

/// The level of a code; a warning where it is not known here.
pub fn level(code: &str) -> Level {
    self::code(code).map_or(Level::Warning, |known| known.level)
}

/// What is known of a code.
pub fn code(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|known| known.code == code)
}

const fn entry(code: &'static str, level: Level, title: &'static str, text: &'static str) -> Code {
    Code {
        code,
        level,
        title,
        text,
    }
}

/// Every code that analysis gives, in order.
pub const CODES: &[Code] = &[
    entry(
        "IST0002",
        Level::Warning,
        "a field that is deprecated and ignored",
        "The field has no effect any more. Write what replaced it; the message names it.",
    ),
    entry(
        "IST0101",
        Level::Error,
        "something that is named does not exist",
        "A route to a host or subset that does not exist answers 503 NC (cluster_not_found); a VirtualService on a gateway that does not exist reaches nobody; a Gateway whose selector fits no pod opens no port. Correct the name, or add what is missing. A host without a dot is looked for in the object's own namespace.",
    ),
    entry(
        "IST0102",
        Level::Info,
        "a namespace that nobody labelled",
        "Its pods get no sidecar: what they send is routed by Kubernetes alone, and no VirtualService, DestinationRule or policy holds for it. Label it istio-injection=enabled, or istio-injection=disabled to say that it is meant. Where no Namespace object was read, pods count as injected and nothing is said.",
    ),
    entry(
        "IST0103",
        Level::Warning,
        "a pod without its sidecar",
        "The namespace is labelled, the pod, as it was read, has no container istio-proxy. Sidecars are added when a pod is created: one that was there before the label goes without routes, retries and policies until it is restarted. Only objects of kind Pod are looked at, and they are taken for what a cluster shows.",
    ),
    entry(
        "IST0106",
        Level::Error,
        "refused by admission",
        "Istio's webhook refuses the object: it never reaches a proxy, and what was applied before stays in force.",
    ),
    entry(
        "IST0109",
        Level::Error,
        "VirtualServices of the mesh with the same host",
        "Sidecars take the oldest of them and ignore the others; which one that is depends on creation times. Merge them into one, or bind all but one to gateways.",
    ),
    entry(
        "IST0110",
        Level::Error,
        "two Sidecars select the same pods",
        "Which of them holds is not defined: the oldest one, in practice.",
    ),
    entry(
        "IST0111",
        Level::Error,
        "two Sidecars without a selector in a namespace",
        "Only one can be the namespace's default: the oldest one, in practice.",
    ),
    entry(
        "IST0112",
        Level::Error,
        "a destination needs a port",
        "The destination has several ports and none is named. The proxy takes the port that the request came in by: where the destination lacks it, requests get 503 NC (cluster_not_found). Write `port: {number: …}`.",
    ),
    entry(
        "IST0116",
        Level::Warning,
        "one port by TCP and UDP",
        "Services give the pods of a Deployment one port number with different transports. Sidecars take TCP only: what comes by UDP passes beside every rule. Use different numbers.",
    ),
    entry(
        "IST0118",
        Level::Info,
        "a port's name says no protocol",
        "The protocol is sniffed at run time: HTTP routes, retries and timeouts hold only for what is recognised as HTTP, and server-first protocols wait for the sniffing to give up. Name it http-…, grpc-…, tcp-…, or set appProtocol.",
    ),
    entry(
        "IST0123",
        Level::Warning,
        "a namespace with several labels of injection",
        "istio-injection, istio.io/rev and istio.io/dataplane-mode each choose a proxy. The first one wins, so a namespace that was meant to move to another revision does not. Keep one.",
    ),
    entry(
        "IST0125",
        Level::Warning,
        "an annotation that the injector cannot read",
        "The injector checks the annotations of a pod before it adds the proxy. One wrong value and the pod is refused: a rollout stops with the pods there are. Looked at are interception, ports and ranges that are captured, resources and proxy.istio.io/config.",
    ),
    entry(
        "IST0127",
        Level::Warning,
        "an AuthorizationPolicy selects nobody",
        "The policy protects nothing. Compare its selector with the labels of the pods; a selector looks in its own namespace only.",
    ),
    entry(
        "IST0128",
        Level::Warning,
        "TLS to a host without caCertificates",
        "From Istio 1.21 on the proxy trusts the public authorities of its image then: a server with a certificate of your own authority gets no request, callers see 503 UF. Older releases verified nothing. Write caCertificates; a credentialName counts only together with a workloadSelector.",
    ),
    entry(
        "IST0129",
        Level::Warning,
        "TLS to a port without caCertificates",
        "The same as IST0128, for one port of the host.",
    ),
    entry(
        "IST0130",
        Level::Warning,
        "a rule that is never reached",
        "An earlier rule takes all of its requests.",
    ),
    entry(
        "IST0131",
        Level::Info,
        "a match that is never decisive",
        "An earlier match takes all of its requests.",
    ),
    entry(
        "IST0132",
        Level::Warning,
        "no host of the VirtualService is one of its gateway's",
        "The gateway answers 404 for all of its routes: give the gateway's server the host.",
    ),
    entry(
        "IST0133",
        Level::Warning,
        "accepted by admission with a warning",
        "The object is stored; what the message names does not do what it seems to.",
    ),
    entry(
        "IST0134",
        Level::Warning,
        "a TCP port of a ServiceEntry without addresses",
        "A TCP connection names no host. Without an address the sidecar has the port number alone to go by, and takes connections to other destinations on that port as well, or misses this one. Write addresses, or let proxies answer DNS and allocate some. What istiod allocates by default (1.25 on) helps clients with that DNS only, so it does not silence this, as in Istio.",
    ),
    entry(
        "IST0137",
        Level::Warning,
        "several ports before one port of the pods",
        "A sidecar has one listener for each port of its pod. Two Services that lead there by different ports share it: the protocol, the connection limits and the policies of one of them, usually the oldest, hold for both. Give each a targetPort of its own.",
    ),
    entry(
        "IST0138",
        Level::Warning,
        "one certificate in two Gateways",
        "Browsers use one HTTP/2 connection for all hosts of a certificate. The second host's requests arrive on the first Gateway's connection, whose routes do not know them: 404. Put the hosts into one Gateway, or split the certificate.",
    ),
    entry(
        "IST0140",
        Level::Warning,
        "a subset that gateways do not see",
        "A gateway routes by its own VirtualService, and sends to all pods of the host when that names no subset. What another VirtualService chooses for the host holds for sidecars only. Name the subset in the gateway's route too.",
    ),
    entry(
        "IST0144",
        Level::Warning,
        "an application that runs as the sidecar's user",
        "Whatever user 1337 sends is taken for the sidecar's own and not captured. The application's requests go out without routes, retries, mTLS and telemetry. Run it as another user.",
    ),
    entry(
        "IST0145",
        Level::Error,
        "two Gateways want the same host on the same port",
        "One of them is ignored for that host on the pods they share: the newer one.",
    ),
    entry(
        "IST0146",
        Level::Warning,
        "the image auto without injection",
        "The injector puts the proxy's image in place of `auto`. Where no label asks it to, the pods fail to pull an image of that name and never start. Label the namespace or the pod.",
    ),
    entry(
        "IST0147",
        Level::Error,
        "a pod with the image auto",
        "A pod that exists and still says `auto` was never seen by the injector: its proxy does not start. Create it again where injection is on.",
    ),
    entry(
        "IST0148",
        Level::Info,
        "a namespace that is injected by default",
        "The injector's enableNamespacesByDefault adds sidecars where no label says anything. Label the namespace to say what is meant.",
    ),
    entry(
        "IST0149",
        Level::Error,
        "a match on claims that nobody checks",
        "Claims exist only where a RequestAuthentication has checked the token. Without one on the gateway's pods the match never holds, and requests fall to later rules or get 404.",
    ),
    entry(
        "IST0150",
        Level::Warning,
        "a port of an ExternalName without a protocol",
        "An ExternalName has no address. With a port that is TCP by its name or has none, sidecars take every connection to that port number for it. Name the port for its protocol, or write a ServiceEntry.",
    ),
    entry(
        "IST0151",
        Level::Warning,
        "an EnvoyFilter patch relative to another",
        "Whether it applies depends on the order in which patches arrive.",
    ),
    entry(
        "IST0152",
        Level::Warning,
        "an EnvoyFilter REPLACE that does nothing",
        "REPLACE is for HTTP and network filters only.",
    ),
    entry(
        "IST0153",
        Level::Warning,
        "an EnvoyFilter ADD that does nothing",
        "ADD needs a place that knows it.",
    ),
    entry(
        "IST0154",
        Level::Warning,
        "an EnvoyFilter REMOVE that does nothing",
        "REMOVE needs a place that knows it.",
    ),
    entry(
        "IST0157",
        Level::Warning,
        "access logs without a provider",
        "A Telemetry asks for access logs and names no provider, and MeshConfig has no default one: nothing is logged. Traffic is not touched.",
    ),
    entry(
        "IST0159",
        Level::Error,
        "two Telemetries for the same pods",
        "One of them holds, the other is ignored. Traffic is not touched.",
    ),
    entry(
        "IST0160",
        Level::Error,
        "two Telemetries without a selector in a namespace",
        "One of them holds, the other is ignored. Traffic is not touched.",
    ),
    entry(
        "IST0161",
        Level::Error,
        "a Secret that is no certificate",
        "A Gateway's server names a Secret without certificate and key, or whose certificate cannot be read or has ended: the listener gets no certificate and TLS handshakes fail. The end is held against the age of this program, not against today's date, so that the same files get the same answer every day.",
    ),
    entry(
        "IST0162",
        Level::Warning,
        "a port of a Gateway that no Service has",
        "The gateway's pods listen there and their Services do not lead there: who comes through a Service or its load balancer is refused. Add the port to the Service, or use one it has.",
    ),
    entry(
        "IST0165",
        Level::Warning,
        "a Gateway that istiod generates",
        "istiod makes a Gateway of each listener of the Gateway API, under a name of its own. It may be called something else after an update, and the routes are gone then. Attach an HTTPRoute, or name a Gateway that you wrote.",
    ),
    entry(
        "IST0166",
        Level::Warning,
        "a selector on pods of the Gateway API",
        "Pods of a Gateway of the Gateway API take policies by targetRefs only: one that selects them by labels protects nothing there.",
    ),
    entry(
        "IST0167",
        Level::Warning,
        "a policy that cannot have an effect",
        "A Sidecar speaks of sidecars, and pods in ambient mode have none: they see every host. Take it away, or give the pods sidecars.",
    ),
    entry(
        "IST0173",
        Level::Error,
        "a subset selects no pod",
        "Requests that are routed to it get 503 UH (no_healthy_upstream). Compare the subset's labels with those of the pods, and their replicas.",
    ),
    entry(
        "IST0174",
        Level::Warning,
        "a DestinationRule for a host that does not exist",
        "The rule applies to nothing. A host without a dot is looked for in the rule's own namespace.",
    ),
    entry(
        "IST0177",
        Level::Warning,
        "one host and port with two protocols",
        "ServiceEntries that the same clients see give one port of a host different protocols. Sidecars treat it as one of them, by age: requests of the other kind are taken for the wrong protocol. Give it one protocol everywhere.",
    ),
    entry(
        "TT-BREAKER-UNLIMITED",
        Level::Warning,
        "a limit that is none",
        "istiod takes a written 0 for not written, and then tells Envoy 4294967295; a number that nobody reaches is the same. The breaker never opens: connections, waiting requests or retries grow without bound. Write the number that is meant.",
    ),
    entry(
        "TT-DISTRIBUTE-NOBODY",
        Level::Warning,
        "a share for a place without pods",
        "istiod leaves out places without endpoints, so the other places of the rule take the share. Compare the pattern with the nodes' region and zone labels.",
    ),
    entry(
        "TT-EJECTS-NOTHING",
        Level::Warning,
        "outlier detection that ejects nobody",
        "With consecutive5xxErrors: 0 and no count of gateway errors nothing is detected; and since Envoy 1.28 (Istio 1.20) no pod is ejected when maxEjectionPercent of the pods, rounded down, is none: the default of 10 lets nobody of fewer than ten go. A broken pod keeps its share of the requests.",
    ),
    entry(
        "TT-FAILOVER-NEVER",
        Level::Warning,
        "locality failover that never happens",
        "istiod makes priorities by place only where there is outlierDetection, and Envoy leaves a place only when its hosts are unhealthy. Without it pods of every locality are used alike, and those of a dead zone too until Kubernetes takes them out. Add outlierDetection to the same policy. A `failover` between regions says nothing either where no client is in the one or no pod in the other.",
    ),
    entry(
        "TT-FAULT-LEFT",
        Level::Warning,
        "an injected fault",
        "The fault hits real requests. It is meant for tests: remove it before production.",
    ),
    entry(
        "TT-HASH-NOTHING",
        Level::Warning,
        "a consistent hash without a key",
        "Where a request has nothing to hash (the header, cookie or query parameter is not there) Envoy takes a random number: every request goes anywhere, sessions and caches are lost, and nothing is said. Named when no request of the scenario has the key, or when the port speaks no HTTP.",
    ),
    entry(
        "TT-NO-TIMEOUT-OUTSIDE",
        Level::Info,
        "no timeout for a host outside the mesh",
        "Istio's default is no timeout: a host outside that hangs holds requests, and their callers' places, for as long as it likes. Add a VirtualService with a timeout.",
    ),
    entry(
        "TT-QUEUE-UNLIMITED",
        Level::Info,
        "connections are limited, what waits for them is not",
        "Over HTTP/1.1 a request that finds no connection waits in the proxy. Without http1MaxPendingRequests (or http2MaxRequests) that queue has no end: the pool slows clients down instead of refusing, and latency grows as long as the load lasts.",
    ),
    entry(
        "TT-RETRY-LAYERS",
        Level::Warning,
        "retries of several layers multiply",
        "Each layer tries again what the layer behind it has tried already: three layers of three tries are 27 tries of the last one, just when it fails. Named along the calls of the Model, where each layer retries the status its callee answers with and no retry budget bounds it. Retry at one layer only, the one next to what fails.",
    ),
    entry(
        "TT-ROUTE-NOWHERE",
        Level::Warning,
        "rules that no proxy has",
        "istiod sends the rules to nobody: the host is no service, its ports speak no HTTP, or a match asks for a port or a client that does not exist. Requests go by other rules, or by Kubernetes alone.",
    ),
    entry(
        "TT-ROUTE-SHADOWED",
        Level::Warning,
        "a match that an earlier rule always takes",
        "Rules are tried in the order written and the first that matches decides. Every request that fulfils this match fulfils the earlier one too, so its destinations, timeout, retries and faults never apply. Move it up, or remove it.",
    ),
    entry(
        "TT-RULE-ELSEWHERE",
        Level::Warning,
        "a DestinationRule where no client looks for it",
        "Proxies look for rules in their own namespace, in that of the service, and in the root namespace: this one holds for clients of its own namespace only, and there are none.",
    ),
    entry(
        "TT-SUBSET-ELSEWHERE",
        Level::Info,
        "a subset without pods where clients are",
        "With locality load balancing requests stay in the client's zone where they can; a subset that has no pod there sends all of them to another one: latency of the way, its costs, and no subset at all when that zone is gone.",
    ),
    entry(
        "TT-SUBSET-MISNAMED",
        Level::Warning,
        "a subset that selects what another name says",
        "Routes name subsets, labels decide: whoever reads `subset: v2` expects version=v2. Often two subsets were swapped, and the canary gets what was meant for the stable version.",
    ),
    entry(
        "TT-SUPPRESS-UNUSED",
        Level::Info,
        "an entry that silences nothing",
        "What it was written for is gone, or its object is spelt in another way.",
    ),
    entry(
        "TT-TIMEOUTS-INVERTED",
        Level::Warning,
        "a caller gives up before the one it calls",
        "The caller answers its own client and the callee goes on working for nobody, with its places taken. The nearer to the client the longer a timeout has to be. Compared are timeouts that somebody wrote, along the calls of the Model; the finding of the same code in a run says where it cost something, calls without any timeout included.",
    ),
    entry(
        "TT-TRIES-DO-NOT-FIT",
        Level::Warning,
        "tries that do not fit into the timeout",
        "timeout covers all tries together: the last of them never run to their perTryTimeout. Raise the timeout, or allow fewer attempts.",
    ),
    entry(
        "TT-WEIGHT-TO-NOBODY",
        Level::Warning,
        "a share of requests for workloads without pods",
        "The destination exists and nobody is behind it: its share of the requests is answered 503 UH at once. Give its workload pods before the weight, and take the weight away before the pods.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_in_order_and_once() {
        let codes: Vec<&str> = CODES.iter().map(|c| c.code).collect();
        assert!(
            codes.is_sorted() && codes.windows(2).all(|w| w[0] != w[1]),
            "{codes:?}"
        );
    }
}
