//! States of a network: written whole, read whole, or read in part by names.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use tch::Kind;

use super::Parameters;
use crate::{NnError, StateDict, StateView};

/// From names in a file to names of the network: one start of a name is taken for another.
///
/// `{ from = "module.", to = "" }` strips a prefix, `{ from = "fc.", to = "head." }` renames a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// The start of the name in the file.
    pub from: String,
    /// The start that stands for it in the network.
    pub to: String,
}

impl Rename {
    /// Names that start with `from` start with `to` in the network.
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { from: from.into(), to: to.into() }
    }
}

/// An array that has another shape in a file than in the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherShape {
    /// The name in the network.
    pub name: String,
    /// The shape in the file.
    pub in_file: Vec<i64>,
    /// The shape in the network.
    pub in_network: Vec<i64>,
}

impl fmt::Display for OtherShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {:?} and should be {:?}", self.name, self.in_file, self.in_network)
    }
}

/// The report of a partial load. All but `unexpected` are names of the network's parameters and buffers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Loaded.
    pub matched: Vec<String>,
    /// In the network, not in the file: left as they were.
    pub missing: Vec<String>,
    /// In the file, not in the network: passed over. These are names of the file.
    pub unexpected: Vec<String>,
    /// In both, of different shapes: left as they were.
    pub other_shape: Vec<OtherShape>,
}

impl LoadReport {
    /// True if every parameter and buffer of the network was found with its shape.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.other_shape.is_empty()
    }

    /// All that does not fit, each kind with a count and the first few names; empty when all fits.
    fn complaints(&self) -> Vec<String> {
        let quoted = |name: &String| format!("`{name}`");
        let mut complaints = Vec::new();
        let mut complain = |what: &str, items: Vec<String>| {
            if !items.is_empty() {
                complaints.push(format!("{} {what}: {}", items.len(), first_few(&items)));
            }
        };
        complain("missing", self.missing.iter().map(quoted).collect());
        complain("of another shape", self.other_shape.iter().map(OtherShape::to_string).collect());
        complain("that the network does not have", self.unexpected.iter().map(quoted).collect());
        complaints
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let matched = self.matched.len();
        let all = matched + self.missing.len() + self.other_shape.len();
        write!(f, "{matched} of {all} arrays loaded")?;
        self.complaints().into_iter().try_for_each(|complaint| write!(f, "; {complaint}"))
    }
}

/// For each parameter that an array fits, its index and the array's name.
type Found<'s> = Vec<(usize, &'s str)>;

fn first_few(items: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = items[..items.len().min(SHOWN)].join(", ");
    match items.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

impl Parameters {
    /// Every parameter and buffer under its own name.
    ///
    /// # Errors
    /// [`NnError::State`] when a tensor cannot be copied.
    pub fn state(&self) -> Result<StateDict<'static>, NnError> {
        let mut state = StateDict::new();
        for (spec, view) in self.layout.specs().iter().zip(&self.views) {
            match spec.is_counter {
                true => state.put_tensor(&spec.name, &view.f_to_kind(Kind::Int64)?)?,
                false => state.put_tensor(&spec.name, view)?,
            }
        }
        Ok(state)
    }

    /// Overwrites every parameter and buffer with the array of its name, whatever its type of number. Nothing
    /// is changed unless all fit.
    ///
    /// # Errors
    /// [`NnError::State`] when arrays are missing, have other shapes, or are none of the network's, naming
    /// them.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), NnError> {
        let found = self.whole(state)?;
        self.take_over(state, &found)
    }

    /// Checks that [`Parameters::load_state`] would take this state, and changes nothing.
    ///
    /// # Errors
    /// As [`Parameters::load_state`].
    pub fn check_state(&self, state: &StateView<'_>) -> Result<(), NnError> {
        self.whole(state).map(|_| ())
    }

    /// The array of each parameter and buffer of a state that has them all and nothing else.
    fn whole<'s>(&self, state: &StateView<'s>) -> Result<Found<'s>, NnError> {
        let (report, found) = self.compare(state, &[])?;
        if report.is_complete() && report.unexpected.is_empty() {
            return Ok(found);
        }
        let complaints = report.complaints().join("; ");
        Err(NnError::State(format!("the arrays are not those of the network; {complaints}{}", state.place())))
    }

    /// Overwrites the parameters and buffers that the state has an array for, of the same name and shape; all
    /// else stays as it is. The report says what matched: print it, a misspelt name is no error here.
    ///
    /// The first of `renames` that fits a name in the state is applied to it.
    ///
    /// # Errors
    /// [`NnError::State`] when two arrays come to the same name; nothing is changed then.
    pub fn load_matching(
        &mut self,
        state: &StateView<'_>,
        renames: &[Rename],
    ) -> Result<LoadReport, NnError> {
        let (report, found) = self.compare(state, renames)?;
        self.take_over(state, &found)?;
        Ok(report)
    }

    /// The part of the state that fits.
    fn compare<'s>(
        &self,
        state: &StateView<'s>,
        renames: &[Rename],
    ) -> Result<(LoadReport, Found<'s>), NnError> {
        let mut arrays = renamed(state, renames)?;
        let (mut report, mut found) = (LoadReport::default(), Vec::new());
        for (index, spec) in self.layout.specs().iter().enumerate() {
            let name = spec.name.clone();
            let Some(array) = arrays.remove(&name) else {
                report.missing.push(name);
                continue;
            };
            let in_file: Vec<i64> =
                state.tensor_array(array)?.0.shape.iter().map(|&size| size as i64).collect();
            if in_file == spec.shape {
                report.matched.push(name);
                found.push((index, array));
            } else {
                report.other_shape.push(OtherShape { name, in_file, in_network: spec.shape.clone() });
            }
        }
        report.unexpected = arrays.into_values().map(str::to_string).collect();
        Ok((report, found))
    }

    /// Overwrites each parameter with the array found for it, whose shape fits.
    fn take_over(&mut self, state: &StateView<'_>, found: &[(usize, &str)]) -> Result<(), NnError> {
        let _guard = tch::no_grad_guard();
        for (index, array) in found {
            self.views[*index].f_copy_(&state.tensor(array)?)?;
        }
        Ok(())
    }
}

/// The names of the state's arrays by the names that they have in the network.
fn renamed<'s>(state: &StateView<'s>, renames: &[Rename]) -> Result<BTreeMap<String, &'s str>, NnError> {
    let mut arrays = BTreeMap::new();
    for name in state.array_names() {
        let fitting = renames.iter().find_map(|rename| Some((&rename.to, name.strip_prefix(&rename.from)?)));
        let own = fitting.map_or_else(|| name.to_string(), |(to, rest)| format!("{to}{rest}"));
        if let Some(other) = arrays.insert(own.clone(), name) {
            let message =
                format!("`{other}` and `{name}` both come to `{own}`: give renames that tell them apart");
            return Err(NnError::State(message));
        }
    }
    Ok(arrays)
}
