//! The published JSON Schema is the one the sources describe.

use std::fs;
use std::path::Path;

use towtank::config::scenario::{model_schema, scenario_schema};

/// Compares with the committed copy; `TOWTANK_BLESS=1` writes it instead.
fn check(file: &str, schema: &serde_json::Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("models/schema")
        .join(file);
    let mut current = serde_json::to_string_pretty(schema).expect("a schema is JSON");
    current.push('\n');
    if std::env::var_os("TOWTANK_BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("it has a folder"))
            .expect("the folder can be made");
        fs::write(&path, &current).expect("the schema can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == current,
        "models/schema/{file} is not current; run `TOWTANK_BLESS=1 cargo test schema` and look at the difference"
    );
}

#[test]
fn the_published_schema_of_models_is_current() {
    check("model.schema.json", &model_schema());
}

#[test]
fn the_published_schema_of_scenarios_is_current() {
    check("scenario.schema.json", &scenario_schema());
}
