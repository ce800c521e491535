//! Fixtures: behaviour of the originals, recorded by the scripts in `scripts/record-traces`.

use std::fs::File;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;

/// The fixture `envs/fixtures/<name>.json.gz`.
pub fn read(name: &str) -> Value {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/")).join(format!("{name}.json.gz"));
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_reader(GzDecoder::new(file)).expect("a fixture is JSON")
}
