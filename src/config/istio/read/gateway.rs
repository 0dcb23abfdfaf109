//! Gateway, Istio's kind (`validateGateway`).

use super::super::{Gateway, Server, ServerTls, rules};
use super::service_entry::port_spec;
use super::{labels, schema_warning};
use crate::config::Meta;
use crate::config::decode::Fields;
use crate::xds::Name;

pub(in crate::config) fn gateway(f: &Fields<'_>, meta: Meta) -> Gateway {
    if meta.name.contains('.') {
        f.refuse("the name of a Gateway cannot have dots");
    }
    let gateway = Gateway {
        selector: labels(f, "selector"),
        servers: f.objects("servers", server),
        meta,
    };
    if gateway.servers.is_empty() {
        f.missing("servers");
    }
    let names: Vec<&Name> = gateway
        .servers
        .iter()
        .map(|server| &server.port.name)
        .collect();
    for (i, name) in names.iter().enumerate() {
        if !name.is_empty() && names[..i].contains(name) {
            f.refuse_field("servers", format!("the port name `{name}` is given twice"));
        }
    }
    gateway
}

fn server(f: &Fields<'_>) -> Server {
    f.known(&["name", "defaultEndpoint"]);
    let mut has_target = false;
    let port = f.object("port", |f| {
        has_target = f.get("targetPort").is_some();
        port_spec(f)
    });
    let has_port = port.is_some();
    if !has_port {
        f.missing("port");
    }
    let bind = f.text_or_empty("bind");
    let on_socket = bind.starts_with("unix://");
    if !bind.is_empty()
        && let Some(error) = rules::address_error(&bind, false)
    {
        f.refuse_field("bind", error);
    }
    if port.as_ref().is_some_and(|port| port.number == 0) && !on_socket {
        f.refuse_field("port", "`number` is required");
    }
    let server = Server {
        port: port.unwrap_or_default(),
        hosts: f.texts("hosts"),
        bind,
        tls: f.object("tls", server_tls),
        origin: f.origin(),
    };
    if has_port && server.port.name.is_empty() {
        f.refuse_field("port", "`name` is required");
    }
    if has_target {
        f.refuse_field("port", "`targetPort` is not used in a Gateway");
    }
    check_hosts(f, &server.hosts);
    if has_port {
        check_protocol(f, &server);
    }
    server
}

fn check_hosts(f: &Fields<'_>, hosts: &[Name]) {
    if hosts.is_empty() {
        f.missing("hosts");
    }
    for host in hosts {
        let name = host.split_once('/').map_or(&**host, |(_, name)| name);
        let short = !name.contains('.') && name != "*";
        let partial = name.starts_with('*') && name.len() > 1 && !name.starts_with("*.");
        if short {
            f.refuse_field(
                "hosts",
                format!("`{host}`: short names are not allowed in a Gateway"),
            );
        } else if partial {
            f.refuse_field(
                "hosts",
                format!("`{host}`: partial wildcards are not allowed"),
            );
        } else if let Some(error) = rules::host_error(name)
            && name.parse::<std::net::IpAddr>().is_err()
        {
            f.refuse_field("hosts", error);
        }
    }
}

fn check_protocol(f: &Fields<'_>, server: &Server) {
    let protocol = server.port.protocol.to_ascii_uppercase();
    if protocol.is_empty() || rules::protocol_error(&protocol).is_some() {
        let written = &server.port.protocol;
        f.refuse_field("port", format!("`{written}` is not a protocol Istio knows"));
        return;
    }
    let terminates = matches!(&*protocol, "HTTPS" | "TLS");
    let Some(tls) = &server.tls else {
        if terminates {
            f.refuse(format!("{protocol} needs `tls`"));
        }
        return;
    };
    let is_http = matches!(
        &*protocol,
        "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB" | "HTTP_PROXY"
    );
    let passes = matches!(&*tls.mode, "PASSTHROUGH" | "AUTO_PASSTHROUGH");
    let has_files = f.object("tls", |f| {
        f.accept_unknown();
        let files = ["serverCertificate", "privateKey", "caCertificates"];
        files.iter().any(|name| !f.text_or_empty(name).is_empty())
    });
    if is_http && passes && has_files == Some(true) {
        f.refuse_field("tls", format!("{protocol} cannot have certificates"));
    }
    if !terminates && !passes {
        f.refuse_field(
            "tls",
            format!("{protocol} cannot have TLS of mode {}", tls.mode),
        );
    } else if !terminates && !is_http {
        f.refuse_field("tls", format!("{protocol} cannot have `tls`"));
    }
    if tls.https_redirect && !is_http {
        let message = "`httpsRedirect` only has an effect on a plaintext HTTP port";
        f.push_at("tls", schema_warning(message));
    }
}

fn server_tls(f: &Fields<'_>) -> ServerTls {
    const MODES: [(&str, &str); 6] = [
        ("PASSTHROUGH", "PASSTHROUGH"),
        ("SIMPLE", "SIMPLE"),
        ("MUTUAL", "MUTUAL"),
        ("AUTO_PASSTHROUGH", "AUTO_PASSTHROUGH"),
        ("ISTIO_MUTUAL", "ISTIO_MUTUAL"),
        ("OPTIONAL_MUTUAL", "OPTIONAL_MUTUAL"),
    ];
    f.known(&[
        "credentialNames",
        "subjectAltNames",
        "minProtocolVersion",
        "maxProtocolVersion",
        "cipherSuites",
        "verifyCertificateSpki",
        "verifyCertificateHash",
        "tlsCertificates",
        "caCrl",
    ]);
    let given = |name| f.text(name).is_some_and(|text: Name| !text.is_empty());
    let mode = f.choice("mode", &MODES).unwrap_or("PASSTHROUGH");
    let (certificate, key) = (given("serverCertificate"), given("privateKey"));
    let (ca, credential) = (given("caCertificates"), given("credentialName"));
    let listed = f.get("credentialNames").is_some() || f.get("tlsCertificates").is_some();
    let (names, listed_files) = (f.get("credentialNames"), f.get("tlsCertificates"));
    let sources = [
        certificate && key,
        credential,
        names.is_some(),
        listed_files.is_some(),
    ];
    if mode != "ISTIO_MUTUAL" && sources.iter().filter(|given| **given).count() > 1 {
        f.refuse("certificates are given in more than one way");
    }
    let any = certificate || key || ca || credential || listed;
    match mode {
        "ISTIO_MUTUAL" if any => f.refuse("ISTIO_MUTUAL uses the mesh's own certificates"),
        "PASSTHROUGH" | "AUTO_PASSTHROUGH" if any => {
            f.push(schema_warning(format!(
                "certificates are not used with mode {mode}"
            )));
        }
        "SIMPLE" | "MUTUAL" | "OPTIONAL_MUTUAL" if !credential && !listed => {
            if !(certificate && key) {
                f.refuse(format!(
                    "{mode} needs `serverCertificate` and `privateKey`, or `credentialName`"
                ));
            } else if mode != "SIMPLE" && !ca {
                f.refuse(format!("{mode} needs `caCertificates`"));
            }
        }
        _ => {}
    }
    ServerTls {
        https_redirect: f.flag("httpsRedirect"),
        mode: mode.into(),
        credential_name: f.text_or_empty("credentialName"),
        files: (
            f.text_or_empty("serverCertificate"),
            f.text_or_empty("privateKey"),
        ),
    }
}
