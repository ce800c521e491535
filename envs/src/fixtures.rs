//! What the Python originals did, recorded by `scripts/record-traces`.

use std::fs::File;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;

/// The fixture of this name, without `.json.gz`.
pub fn read(name: &str) -> Value {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"));
    let file = File::open(folder.join(format!("{name}.json.gz"))).expect("a fixture of this name");
    serde_json::from_reader(GzDecoder::new(file)).expect("JSON, compressed by gzip")
}
