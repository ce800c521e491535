//! What the originals of our environments did, as `scripts/record-traces` has recorded it.

/// The fixture of this name: the JSON of `envs/fixtures/<name>.json.gz`.
pub fn read(name: &str) -> serde_json::Value {
    let path = format!("{}/fixtures/{name}.json.gz", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_reader(flate2::read::GzDecoder::new(file))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}
