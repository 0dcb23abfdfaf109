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
        "The Service has several ports and the destination names none: the route is left out, requests get 404 NR or fall through to a later rule.",
    ),
    entry(
        "IST0118",
        Level::Info,
        "a port's name says no protocol",
        "The protocol is sniffed at run time: HTTP routes, retries and timeouts hold only for what is recognised as HTTP, and server-first protocols wait for the sniffing to give up. Name it http-…, grpc-…, tcp-…, or set appProtocol.",
    ),
    entry(
        "IST0127",
        Level::Warning,
        "an AuthorizationPolicy selects nobody",
        "The policy protects nothing. Compare its selector with the labels of the pods; a selector looks in its own namespace only.",
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
        "IST0145",
        Level::Error,
        "two Gateways want the same host on the same port",
        "One of them is ignored for that host on the pods they share: the newer one.",
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
        "TT-FAILOVER-NEVER",
        Level::Warning,
        "locality failover that never happens",
        "istiod makes priorities by place only where there is outlierDetection, and Envoy leaves a place only when its hosts are unhealthy. Without it pods of every locality are used alike, and those of a dead zone too until Kubernetes takes them out. Add outlierDetection to the same policy.",
    ),
    entry(
        "TT-FAULT-LEFT",
        Level::Warning,
        "an injected fault",
        "The fault hits real requests. It is meant for tests: remove it before production.",
    ),
    entry(
        "TT-NO-TIMEOUT-OUTSIDE",
        Level::Info,
        "no timeout for a host outside the mesh",
        "Istio's default is no timeout: a host outside that hangs holds requests, and their callers' places, for as long as it likes. Add a VirtualService with a timeout.",
    ),
    entry(
        "TT-RULE-ELSEWHERE",
        Level::Warning,
        "a DestinationRule where no client looks for it",
        "Proxies look for rules in their own namespace, in that of the service, and in the root namespace: this one holds for clients of its own namespace only, and there are none.",
    ),
    entry(
        "TT-TRIES-DO-NOT-FIT",
        Level::Warning,
        "tries that do not fit into the timeout",
        "timeout covers all tries together: the last of them never run to their perTryTimeout. Raise the timeout, or allow fewer attempts.",
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
