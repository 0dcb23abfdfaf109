//! Protocol of a port (`pkg/config/kube/conversion.go`, `pkg/config/protocol/instance.go`).

use crate::config::k8s::ServicePort;
use crate::xds::snapshot::Protocol;

/// Ports of protocols where the server speaks first: sniffing would wait for ever.
const WELL_KNOWN_TCP: [u16; 4] = [25, 53, 3306, 27017];

/// Protocol of a Service port: `appProtocol` if present, else the port's name up to the first `-`.
pub(super) fn of_service_port(port: &ServicePort) -> Protocol {
    if &*port.transport == "UDP" {
        return Protocol::Udp;
    }
    let text = port.app_protocol.as_deref().unwrap_or(&port.name);
    if port.app_protocol.is_some() {
        match text {
            "kubernetes.io/h2c" => return Protocol::Http2,
            "kubernetes.io/ws" => return Protocol::Http,
            "kubernetes.io/wss" => return Protocol::Https,
            _ => {}
        }
    }
    let lower = text.to_ascii_lowercase();
    let word = if lower.starts_with("grpc-web") {
        "grpc-web"
    } else {
        lower.split('-').next().unwrap_or("")
    };
    match parse(word) {
        Protocol::Auto if WELL_KNOWN_TCP.contains(&port.port) => Protocol::Tcp,
        protocol => protocol,
    }
}

/// Protocol of a word as ServiceEntries and Gateways write it; anything unknown is sniffed.
pub(super) fn parse(word: &str) -> Protocol {
    match word.to_ascii_lowercase().as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "grpc" => Protocol::Grpc,
        "grpc-web" => Protocol::GrpcWeb,
        "http" => Protocol::Http,
        "http_proxy" => Protocol::HttpProxy,
        "http2" => Protocol::Http2,
        "https" => Protocol::Https,
        "tls" => Protocol::Tls,
        "mongo" => Protocol::Mongo,
        "redis" => Protocol::Redis,
        "mysql" => Protocol::MySql,
        _ => Protocol::Auto,
    }
}

/// True for ports that take part in HTTP routing: HTTP ones and sniffed ones.
pub(super) const fn is_http_or_sniffed(protocol: Protocol) -> bool {
    protocol.is_http() || matches!(protocol, Protocol::Auto)
}

/// True for ports whose bytes are TLS and routed by server name.
pub(super) const fn is_tls(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Tls | Protocol::Https)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::k8s::TargetPort;
    use crate::units::Origin;

    fn check(name: &str, app_protocol: Option<&str>, port: u16, want: Protocol) {
        let port = ServicePort {
            name: name.into(),
            port,
            transport: "TCP".into(),
            app_protocol: app_protocol.map(Into::into),
            target: TargetPort::Same,
            origin: Origin::BUILT_IN,
        };
        assert_eq!(of_service_port(&port), want, "{name} {app_protocol:?}");
    }

    #[test]
    fn the_name_up_to_the_first_dash_decides() {
        check("http-web", None, 80, Protocol::Http);
        check("HTTP2", None, 80, Protocol::Http2);
        check("grpc-web-x", None, 80, Protocol::GrpcWeb);
        check("grpc-x", None, 80, Protocol::Grpc);
        check("httpweb", None, 80, Protocol::Auto);
        check("", None, 8080, Protocol::Auto);
    }

    #[test]
    fn server_first_ports_are_tcp_unless_named() {
        check("", None, 3306, Protocol::Tcp);
        check("http", None, 3306, Protocol::Http);
    }

    #[test]
    fn app_protocol_beats_the_name() {
        check("http", Some("tcp"), 80, Protocol::Tcp);
        check("tcp", Some("kubernetes.io/h2c"), 80, Protocol::Http2);
        check("http", Some("mine.example/x"), 80, Protocol::Auto);
    }
}
