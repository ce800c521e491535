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
            (Some(Value::Integer(_)), Value::Float(above)) => {
                base.insert(key, whole(above).map_or(Value::Float(above), Value::Integer));
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// The whole number that a float is, `1e6` say, in the range in which floats have no gaps.
fn whole(number: f64) -> Option<i64> {
    let is_whole = number.fract() == 0.0 && number.abs() <= (1i64 << f64::MANTISSA_DIGITS) as f64;
    is_whole.then_some(number as i64)
}

/// A whole number as people write it: `1000000`, `1_000_000` or `1e6`.
///
/// # Errors
/// The words for one that is none, or too large.
pub fn parse_whole(text: &str) -> Result<u64, String> {
    let plain = text.replace('_', "");
    let of_float = || plain.parse().ok().and_then(whole).and_then(|number| u64::try_from(number).ok());
    plain.parse().ok().or_else(of_float).ok_or_else(|| {
        format!("`{text}` is no whole number from 0 to {}: write 1000000, 1_000_000 or 1e6", u64::MAX)
    })
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

/// The table as a `T`. Where a whole number is wanted, a float that is one will do, `1e6` say.
///
/// # Errors
/// [`WrongKey`], with the path of the first key that does not fit.
pub fn typed<T: DeserializeOwned>(table: Table) -> Result<T, WrongKey> {
    let mut table = Value::Table(table);
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(table.clone()) {
            Ok(typed) => return Ok(typed),
            Err(error) => error,
        };
        let (path, message) = (error.path().to_string(), error.inner().message().trim().to_string());
        let is_float = message.starts_with("invalid type: floating point");
        if !(is_float && at(&mut table, error.path()).is_some_and(make_whole)) {
            return Err(WrongKey { path: if path == "." { String::new() } else { path }, message });
        }
    }
}

/// The value at the path, or the one next above it that the path leads to.
fn at<'t>(table: &'t mut Value, path: &serde_path_to_error::Path) -> Option<&'t mut Value> {
    use serde_path_to_error::Segment;
    let mut value = table;
    for segment in path.iter() {
        value = match segment {
            Segment::Map { key } => value.get_mut(key.as_str())?,
            Segment::Seq { index } => value.get_mut(*index)?,
            // A variant stands for the value around it.
            Segment::Enum { .. } | Segment::Unknown => value,
        };
    }
    Some(value)
}

/// Makes whole numbers of the floats that are some, and says whether there were any.
fn make_whole(value: &mut Value) -> bool {
    match value {
        Value::Float(number) => match whole(*number) {
            Some(number) => {
                *value = Value::Integer(number);
                true
            }
            None => false,
        },
        // All of them, not up to the first.
        Value::Array(values) => values.iter_mut().map(make_whole).filter(|made| *made).count() > 0,
        Value::Table(table) => {
            table.iter_mut().map(|(_, value)| make_whole(value)).filter(|made| *made).count() > 0
        }
        _ => false,
    }
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
    fn whole_numbers_are_written_as_people_do() {
        let mut base: Table = "steps = 10\nrate = 1.0".parse().unwrap();
        merge_tables(&mut base, "steps = 1e6\nrate = 2.0".parse().unwrap());
        assert_eq!((base["steps"].as_integer(), base["rate"].as_float()), (Some(1_000_000), Some(2.0)));
        merge_tables(&mut base, "steps = 1.5".parse().unwrap());
        assert_eq!(base["steps"].as_float(), Some(1.5), "its error is told where it is read");
        let max = u64::MAX;
        for (text, number) in [("7", 7), ("1_000_000", 1_000_000), ("1e6", 1_000_000), ("2.5e3", 2_500)] {
            assert_eq!(parse_whole(text), Ok(number));
        }
        assert_eq!(parse_whole(&max.to_string()), Ok(max));
        for text in ["", "-1", "1.5", "1e300", "nan", "inf", "18446744073709551616", "x", "-1e3"] {
            assert!(parse_whole(text).unwrap_err().contains("1_000_000 or 1e6"), "{text}");
        }
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
    fn whole_numbers_may_be_floats() {
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        enum Wrapper {
            Limit { steps: u32, share: f64 },
        }
        #[derive(Debug, PartialEq, Deserialize)]
        struct Settings {
            steps: u64,
            rate: f64,
            sizes: Vec<i64>,
            wrappers: Vec<Wrapper>,
        }
        let read = |text: &str| typed::<Settings>(text.parse().unwrap());
        let rest = "rate = 2.0\nsizes = [4, 1e2]\nwrappers = [{ kind = 'limit', steps = 1e3, share = 1.0 }]";
        let wrappers = vec![Wrapper::Limit { steps: 1000, share: 1.0 }];
        let want = Settings { steps: 1_000_000, rate: 2.0, sizes: vec![4, 100], wrappers };
        assert_eq!(read(&format!("steps = 1e6\n{rest}")).unwrap(), want);
        for wrong in ["1.5", "-1e3", "1e300", "nan"] {
            assert_eq!(read(&format!("steps = {wrong}\n{rest}")).unwrap_err().path, "steps", "{wrong}");
        }
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
