//! Arguments of `export`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{InputArgs, NamespaceArgs};

const EXAMPLES: &str = "\
Examples:
  What does this sidecar run?
    towtank export envoy -f manifests/ production/product-service-v1 -o yaml
  On this machine, against upstreams of your own:
    towtank export envoy -f manifests/ shop/web --endpoints map.yaml > envoy.json
    envoy -c envoy.json --concurrency 1

The endpoints map is YAML, loopback addresses by what they replace:
  shop/cart-0: 127.0.0.1:9101                # every port of the pod
  shop/cart-1:8080: 127.0.0.1:9102           # one port
  10.1.2.3:5432: 127.0.0.1:9103              # an address of the manifests
  listener/0.0.0.0_8080: 127.0.0.1:18080     # else a free port is taken
  listener/inbound_8080: 127.0.0.1:19080     # the workload's own port
  app/8080: 127.0.0.1:9104                   # and its application, else port 8080 here
  admin: 127.0.0.1:15000";

/// `towtank export`.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// To what.
    #[command(subcommand)]
    pub to: ExportTo,
}

/// Foreign formats.
#[derive(Clone, Debug, Subcommand)]
pub enum ExportTo {
    /// Write a static bootstrap that runs a workload's proxy in Envoy 1.40.
    ///
    /// Listeners, routes, clusters and endpoints are the ones that are simulated. What cannot be
    /// exported is named in a warning on standard error.
    #[command(after_long_help = EXAMPLES)]
    Envoy(Box<EnvoyArgs>),
}

/// `towtank export envoy`.
#[derive(Args, Clone, Debug)]
pub struct EnvoyArgs {
    /// Whose proxy: `namespace/name`, `name.namespace`, `name` (with -n) or `deploy/name`.
    #[arg(value_name = "WORKLOAD")]
    pub workload: String,
    /// The configuration.
    #[command(flatten)]
    pub input: InputArgs,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArgs,
    /// Run on one machine: a YAML file that maps endpoints to loopback addresses.
    ///
    /// Listeners then listen themselves, on 127.0.0.1, because nothing redirects to them.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub endpoints: Option<PathBuf>,
    /// A folder with `cert-chain.pem`, `key.pem` and `root-cert.pem`: mutual TLS is exported.
    ///
    /// Envoy reads them when it starts; istiod would issue them. Without it everything is plaintext.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub certificates: Option<String>,
    /// Output format.
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        help_heading = "Output"
    )]
    pub output: ExportFormat,
}

/// Formats Envoy reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// For Envoy and programs.
    #[default]
    Json,
    /// For Envoy and people.
    Yaml,
}
