//! Words of HTTP shared by both planes: headers, hosts in URLs, response flags.

pub mod flags;
pub mod grpc;
pub mod headers;
pub mod url;

pub use flags::{Details, Flags};
pub use headers::Headers;
pub use url::Url;
