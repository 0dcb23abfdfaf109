//! Certificates as istiod's agent would lay them out: one identity for the whole mesh of a case.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};

/// What every workload of a case is called: its namespace and the default service account.
const IDENTITY: &str = "spiffe://cluster.local/ns/lab/sa/default";

/// Writes `cert-chain.pem`, `key.pem` and `root-cert.pem`.
pub(crate) fn write(folder: &Path) {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    // A leaf with its issuer's name would pass for self-signed.
    root.distinguished_name.push(DnType::CommonName, "root");
    let key = KeyPair::generate().expect("a key");
    let root = CertifiedIssuer::self_signed(root, key).expect("a root");
    let key = KeyPair::generate().expect("a key");
    let mut leaf = CertificateParams::default();
    let identity = IDENTITY.try_into().expect("ASCII");
    leaf.subject_alt_names = vec![SanType::URI(identity)];
    let leaf = leaf.signed_by(&key, &root).expect("a certificate");
    let files = [
        ("root-cert.pem", root.pem()),
        ("cert-chain.pem", leaf.pem()),
        ("key.pem", key.serialize_pem()),
    ];
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("a certificate is written");
    }
}
