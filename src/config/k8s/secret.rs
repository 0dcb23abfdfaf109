//! Secrets as gateways read them (`pilot/pkg/credentials/kube`). Nothing of them is kept but what is
//! wrong with them.

use super::certificate::{certificate_problem, decode_base64};
use crate::manifest::Node;

/// Keys of a certificate and its private key, in the order istiod asks for them.
const PAIRS: [(&str, &str); 2] = [("cert", "key"), ("tls.crt", "tls.key")];

/// Why a Secret cannot serve as a gateway's certificate, in words; `None` where it can.
pub(in crate::config) fn secret_problem(root: &Node) -> Option<String> {
    let value = |key: &str| {
        let plain = root.at(&["stringData"]).and_then(|data| data.get(key));
        if let Some(text) = plain.and_then(|node| node.value.scalar_text()) {
            return Some(text.as_bytes().to_vec());
        }
        let data = root.at(&["data"])?.get(key)?;
        decode_base64(&data.value.scalar_text()?)
    };
    let filled = |key: &str| value(key).filter(|bytes| !bytes.is_empty());
    let pair = |(certificate, key): &(&str, &str)| filled(key).and(filled(certificate));
    match PAIRS.iter().find_map(pair) {
        Some(certificate) => certificate_problem(&certificate),
        None => Some("it has neither `tls.crt` and `tls.key` nor `cert` and `key`".to_owned()),
    }
}
