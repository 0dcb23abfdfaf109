//! The published JSON Schema of both kinds.
//!
//! Mirror types say how the documents are *written* (`rate: 200/s` is a text); the decoder's types
//! say what they *mean*. Two sets keep either readable, and `tests.rs` holds their fields together.
//! The types are never built, only described.
#![expect(dead_code, reason = "described by schemars, never built")]

mod call;
mod events;
mod expect;
mod length;
mod load;
mod model;
mod pod;
mod profile;
mod routes;
mod scenario;
mod value;

use schemars::{JsonSchema, Schema, json_schema};
use serde_json::Value;

use model::ModelSpec;
use scenario::ScenarioSpec;

/// JSON Schema of a Model document.
pub fn model_schema() -> Value {
    schema_of::<ModelDocument>("towtank Model")
}

/// JSON Schema of a Scenario document.
pub fn scenario_schema() -> Value {
    schema_of::<ScenarioDocument>("towtank Scenario")
}

fn schema_of<T: JsonSchema>(title: &str) -> Value {
    let mut schema = schemars::schema_for!(T);
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}

/// How the applications of a mesh behave.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct ModelDocument {
    #[schemars(schema_with = "api_version")]
    api_version: String,
    #[schemars(schema_with = "kind_model")]
    kind: String,
    metadata: Metadata,
    spec: ModelSpec,
}

/// One experiment.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct ScenarioDocument {
    #[schemars(schema_with = "api_version")]
    api_version: String,
    #[schemars(schema_with = "kind_scenario")]
    kind: String,
    metadata: Metadata,
    spec: ScenarioSpec,
}

#[derive(JsonSchema)]
struct Metadata {
    /// Name of the document.
    name: String,
}

fn api_version(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "const": super::API_VERSION})
}

fn kind_model(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "const": "Model"})
}

fn kind_scenario(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "const": "Scenario"})
}
