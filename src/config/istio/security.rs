//! PeerAuthentication and AuthorizationPolicy as written.

use std::collections::BTreeMap;

use crate::config::Meta;
use crate::units::Origin;
use crate::xds::Name;
use crate::xds::listener::{Condition, Operation, Source};

/// `PeerAuthentication`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAuthentication {
    /// Metadata.
    pub meta: Meta,
    /// `selector.matchLabels`; `None` or empty: the whole namespace.
    pub selector: Option<BTreeMap<Name, Name>>,
    /// `mtls.mode`.
    pub mtls: MtlsSetting,
    /// `portLevelMtls` by pod port.
    pub ports: BTreeMap<u16, MtlsSetting>,
}

/// A mode as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MtlsSetting {
    /// Inherit.
    #[default]
    Unset,
    /// Plaintext only.
    Disable,
    /// Both.
    Permissive,
    /// mTLS only.
    Strict,
}

/// Annotation of a policy that is only tried out.
pub const DRY_RUN: &str = "istio.io/dry-run";

/// `AuthorizationPolicy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationPolicy {
    /// Metadata.
    pub meta: Meta,
    /// `selector.matchLabels`; `None` or empty: every workload.
    pub selector: Option<BTreeMap<Name, Name>>,
    /// `targetRef` or `targetRefs` is written: it speaks of a Gateway API object, of no sidecar.
    pub has_target: bool,
    /// `action`.
    pub action: AuthorizationAction,
    /// `rules`.
    pub rules: Vec<AuthorizationRule>,
}

impl AuthorizationPolicy {
    /// True for a policy that is only tried out: it is counted and blocks nothing.
    pub fn is_dry_run(&self) -> bool {
        let word = self.meta.annotations.get(DRY_RUN);
        word.is_some_and(|word| matches!(&**word, "1" | "t" | "T" | "TRUE" | "true" | "True"))
    }
}

/// `action`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthorizationAction {
    /// Some rule must match.
    #[default]
    Allow,
    /// No rule may match.
    Deny,
    /// Never blocks.
    Audit,
    /// External authorizer (named as not simulated).
    Custom,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorizationRule {
    /// `from[].source`.
    pub sources: Vec<Source>,
    /// `to[].operation`.
    pub operations: Vec<Operation>,
    /// `when`, as far as it is simulated.
    pub conditions: Vec<Condition>,
    /// Other keys of `when` (each named in a warning), and JWT-based source fields.
    pub unsupported: Vec<Name>,
    /// Where the rule starts.
    pub origin: Origin,
}
