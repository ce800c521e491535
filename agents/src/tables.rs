//! Configurations as TOML tables.

use toml::{Table, Value};

/// Lays `over` upon `base`: tables are merged, anything else is replaced. A table that says of which `kind` it is
/// replaces one of another kind whole, since the two have different keys.
pub fn merge_tables(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) if same_kind(below, &above) => {
                merge_tables(below, above);
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn same_kind(below: &Table, above: &Table) -> bool {
    above.get("kind").is_none_or(|kind| below.get("kind") == Some(kind))
}
