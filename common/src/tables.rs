//! Tables of settings in TOML: merged, and read into typed configurations.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// Lays `over` upon `base`: tables are merged, anything else is replaced. A table with a `kind` replaces one
/// of another kind whole, since the two have different keys.
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
    match (below.get("kind"), above.get("kind")) {
        (Some(below), Some(above)) => below == above,
        // A table that has no kind yet gets one.
        _ => true,
    }
}

/// A table that is no `T`: the path of the key, and serde's message about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongKey {
    /// Where the key stands, `net.hidden_sizes` for instance; empty for the table itself.
    pub path: String,
    /// The error at that place.
    pub message: String,
}

impl std::fmt::Display for WrongKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "`{path}`: {}", self.message),
        }
    }
}

impl std::error::Error for WrongKey {}

/// The table as a `T`.
///
/// # Errors
/// [`WrongKey`], with the path of the first key that does not fit.
pub fn typed<T: DeserializeOwned>(table: Table) -> Result<T, WrongKey> {
    serde_path_to_error::deserialize(table).map_err(|error| {
        let (path, message) = (error.path().to_string(), error.inner().message().trim().to_string());
        WrongKey { path: if path == "." { String::new() } else { path }, message }
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn a_kind_that_is_set_later_leaves_what_was_set_before() {
        let mut base: Table = "[options]\nheader = false".parse().unwrap();
        merge_tables(&mut base, "[options]\nkind = \"none\"".parse().unwrap());
        assert_eq!(base["options"]["header"].as_bool(), Some(false));
        assert_eq!(base["options"]["kind"].as_str(), Some("none"));
    }

    #[test]
    fn another_kind_replaces_the_whole_table() {
        let mut base: Table = "[optimizer]\nkind = \"adam\"\neps = 1e-5".parse().unwrap();
        merge_tables(&mut base, "[optimizer]\nkind = \"sgd\"".parse().unwrap());
        assert!(base["optimizer"].get("eps").is_none());
        merge_tables(&mut base, "[optimizer]\nmomentum = 0.9".parse().unwrap());
        assert_eq!(base["optimizer"]["kind"].as_str(), Some("sgd"));
    }

    #[test]
    fn a_wrong_key_is_named_with_its_path() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Net {
            #[allow(dead_code)]
            width: i64,
        }
        #[derive(Debug, Deserialize)]
        #[allow(dead_code)]
        struct Settings {
            net: Net,
        }
        let wrong = |text: &str| typed::<Settings>(text.parse().unwrap()).unwrap_err();
        assert_eq!(wrong("net = { width = \"wide\" }").path, "net.width");
        assert!(wrong("net = { width = 1, depth = 2 }").to_string().contains("depth"));
    }
}
