//! Hash policies of a route, evaluated as far as a kind of request allows.

use super::build::DRAWN;
use super::plan::HashPart;
use super::resolve::RequestClass;
use crate::data_plane::hash_policy::{Downstream, request_hash};
use crate::http::Headers;
use crate::xds::route::HashPolicy;

/// Evaluates what can be known of the hash beforehand; drawn headers and client addresses stay
/// open. A cookie that the proxy would generate differs per connection of the application; here
/// all of a pod's connections count as one.
pub(super) fn hash_parts(policies: &[HashPolicy], sent: &RequestClass) -> Vec<HashPart> {
    let nobody = Downstream {
        remote_ip: "",
        remote_address: "",
        local_address: "",
    };
    let mut parts = Vec::new();
    for policy in policies {
        match policy {
            HashPolicy::SourceIp => parts.push(HashPart::SourceIp),
            HashPolicy::Header(name) if sent.headers.get(name) == Some(DRAWN) => {
                parts.push(HashPart::Drawn);
            }
            HashPolicy::Cookie {
                name, ttl: Some(_), ..
            } if !has_cookie(&sent.headers, name) => parts.push(HashPart::SourceIp),
            other => parts.extend(
                request_hash(std::slice::from_ref(other), &sent.view(), &nobody)
                    .map(HashPart::Fixed),
            ),
        }
    }
    parts
}

fn has_cookie(headers: &Headers, name: &str) -> bool {
    headers
        .all("cookie")
        .flat_map(|line| line.split(';'))
        .any(|c| c.trim().split('=').next() == Some(name))
}
