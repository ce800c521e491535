//! Spaces: the sets from which observations and actions come.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Action, EnvError, ObsRef};

mod layout;

pub use layout::{BoxLayout, NO_BOUND, PictureShape, is_bound};

/// The type of a box's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Dtype {
    /// 32-bit floating point.
    F32,
    /// One byte, for pictures.
    U8,
}

/// A set of points in n dimensions, each number between its own bounds (inclusive; infinite bounds are
/// allowed).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoxSpace {
    /// Lower bounds, one per number in row-major order.
    pub low: Vec<f32>,
    /// Upper bounds, one per number in row-major order.
    pub high: Vec<f32>,
    /// The shape, for instance `[4]` or `[channels, height, width]`.
    pub shape: Vec<usize>,
    /// The type in which the numbers are stored.
    pub dtype: Dtype,
    /// The meaning of the dimensions: [`BoxSpace::new`] goes by the shape, [`BoxSpace::with_layout`] declares it.
    pub layout: BoxLayout,
}

impl BoxSpace {
    /// The number of numbers in a point.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns true if a point has no numbers at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The entry of a dict observation with the mask of discrete actions: a [`Space::MultiBinary`] with a 1 for
/// each action that makes sense. It is advice: the other actions are accepted, but agents that know of masks
/// do not take them.
pub const ACTION_MASK: &str = "action_mask";

/// A set of observations or actions, as in Gymnasium's `spaces`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Space {
    /// One of `n` choices `0..n`.
    Discrete(i64),
    /// Several choices at once, dimension `i` from `0..counts[i]`.
    MultiDiscrete(Vec<i64>),
    /// `n` bits.
    MultiBinary(usize),
    /// A box of numbers.
    Box(BoxSpace),
    /// Named spaces side by side, in this order. Only observations can be dicts.
    Dict(Vec<(String, Space)>),
}

impl Space {
    /// A box of `f32` with the same bounds for every number.
    ///
    /// # Errors
    /// [`EnvError::Contract`] for bounds that are NaN or the wrong way round.
    pub fn box_f32(low: f32, high: f32, shape: &[usize]) -> Result<Self, EnvError> {
        let count = shape.iter().product();
        Ok(Self::Box(BoxSpace::new(vec![low; count], vec![high; count], shape, Dtype::F32)?))
    }

    /// A box of `f32` whose numbers are bounded by `-bounds[i]` and `bounds[i]`: one dimension.
    ///
    /// # Errors
    /// [`EnvError::Contract`] for a bound that is NaN or negative.
    pub fn symmetric(bounds: &[f32]) -> Result<Self, EnvError> {
        let low = bounds.iter().map(|bound| -bound).collect();
        Ok(Self::Box(BoxSpace::new(low, bounds.to_vec(), &[bounds.len()], Dtype::F32)?))
    }

    /// A box of `f32` without bounds.
    pub fn unbounded(shape: &[usize]) -> Self {
        let count = shape.iter().product();
        let (low, high) = (vec![f32::NEG_INFINITY; count], vec![f32::INFINITY; count]);
        Self::Box(BoxSpace::of(low, high, shape, Dtype::F32))
    }

    /// A picture of bytes from 0 to 255; two dimensions are height and width.
    pub fn pixels(shape: &[usize]) -> Self {
        let count = shape.iter().product();
        let mut space = BoxSpace::of(vec![0.0; count], vec![255.0; count], shape, Dtype::U8);
        if shape.len() == 2 {
            space.layout = BoxLayout::Grey;
        }
        Self::Box(space)
    }

    /// Checks that the observation lies in the space; NaN never does.
    ///
    /// # Errors
    /// A sentence that names the leaf, the place in it, the value and the bounds that it breaks.
    pub fn check_observation(&self, observation: ObsRef<'_>) -> Result<(), String> {
        let mut rest = observation;
        self.check_leaves("", &mut rest)?;
        let extra = rest.floats.len() + rest.bytes.len();
        if extra == 0 {
            Ok(())
        } else {
            Err(format!("the observation has {extra} numbers more than its space"))
        }
    }

    fn check_leaves(&self, name: &str, rest: &mut ObsRef<'_>) -> Result<(), String> {
        match self {
            Self::Dict(entries) => entries.iter().try_for_each(|(key, space)| {
                let path = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                space.check_leaves(&path, rest)
            }),
            Self::Discrete(n) => check_counts(name, &[*n], rest),
            Self::MultiDiscrete(counts) => check_counts(name, counts, rest),
            Self::MultiBinary(n) => check_counts(name, &vec![2; *n], rest),
            Self::Box(space) if space.dtype == Dtype::F32 => {
                let floats = take(&mut rest.floats, space.len(), name)?;
                check_bounds(name, space, floats.iter().copied())
            }
            Self::Box(space) => {
                let bytes = take(&mut rest.bytes, space.len(), name)?;
                check_bounds(name, space, bytes.iter().map(|&byte| f32::from(byte)))
            }
        }
    }

    /// Checks that an environment with this action space takes the action: its kind, its width and each
    /// choice fit. A point may lie outside of its box; the environment itself says what it does then.
    ///
    /// # Errors
    /// [`EnvError::Action`] when it does not fit.
    pub fn accept(&self, action: Action<'_>) -> Result<(), EnvError> {
        match self {
            Self::Discrete(n) => action.discrete(*n).map(drop),
            Self::MultiDiscrete(counts) => action.multi_discrete(counts).map(drop),
            Self::MultiBinary(n) => action.multi_binary(*n).map(drop),
            Self::Box(space) => action.point(space.len()).map(drop),
            Self::Dict(_) => Err(EnvError::Contract("a dict cannot be an action space".into())),
        }
    }

    /// Returns true if the action lies in the space.
    pub fn contains_action(&self, action: Action<'_>) -> bool {
        match self {
            Self::Discrete(n) => action.discrete(*n).is_ok(),
            Self::MultiDiscrete(counts) => action.multi_discrete(counts).is_ok(),
            Self::MultiBinary(n) => action.multi_binary(*n).is_ok(),
            Self::Box(space) => match action.point(space.len()) {
                Ok(point) => check_bounds("", space, point.iter().copied()).is_ok(),
                Err(_) => false,
            },
            Self::Dict(_) => false,
        }
    }
}

impl BoxSpace {
    /// A box of these bounds, which must be valid, with the layout of its shape.
    pub(crate) fn of(low: Vec<f32>, high: Vec<f32>, shape: &[usize], dtype: Dtype) -> Self {
        Self { low, high, shape: shape.to_vec(), dtype, layout: BoxLayout::of_shape(shape, dtype) }
    }

    /// A box, its bounds checked, with the layout of its shape ([`BoxLayout::of_shape`]).
    ///
    /// # Errors
    /// [`EnvError::Contract`] for bounds that are NaN, the wrong way round or not as many as the shape says.
    pub fn new(low: Vec<f32>, high: Vec<f32>, shape: &[usize], dtype: Dtype) -> Result<Self, EnvError> {
        let space = Self::of(low, high, shape, dtype);
        let count = space.len();
        if space.low.len() != count || space.high.len() != count {
            let (low, high) = (space.low.len(), space.high.len());
            let message =
                format!("a box of shape {shape:?} needs {count} bounds, not {low} lower and {high} upper");
            return Err(EnvError::Contract(message));
        }
        match space
            .low
            .iter()
            .zip(&space.high)
            .position(|(low, high)| low.is_nan() || high.is_nan() || low > high)
        {
            None => Ok(space),
            Some(index) => {
                let (low, high) = (space.low[index], space.high[index]);
                Err(EnvError::Contract(format!("the bounds {low}..{high} of number {index} hold nothing")))
            }
        }
    }
}

fn take<'a, T>(rest: &mut &'a [T], count: usize, name: &str) -> Result<&'a [T], String> {
    if rest.len() < count {
        let have = rest.len();
        return Err(format!("{}there are {have} numbers where its space has {count}", place(name, None)));
    }
    let (head, tail) = rest.split_at(count);
    *rest = tail;
    Ok(head)
}

fn check_counts(name: &str, counts: &[i64], rest: &mut ObsRef<'_>) -> Result<(), String> {
    let numbers = take(&mut rest.floats, counts.len(), name)?;
    let wrong = |(number, n): (&f32, &i64)| !(number.fract() == 0.0 && (0.0..*n as f32).contains(number));
    match numbers.iter().zip(counts).position(wrong) {
        None => Ok(()),
        Some(index) => {
            let (number, last) = (numbers[index], counts[index] - 1);
            let place = place(name, Some(index));
            Err(format!("{place}{number} is not a whole number from 0 to {last}"))
        }
    }
}

fn check_bounds(name: &str, space: &BoxSpace, numbers: impl Iterator<Item = f32>) -> Result<(), String> {
    for (index, number) in numbers.enumerate() {
        let (low, high) = (space.low[index], space.high[index]);
        if !(low..=high).contains(&number) {
            return Err(format!("{}{number} is not within {low}..={high}", place(name, Some(index))));
        }
    }
    Ok(())
}

fn place(name: &str, index: Option<usize>) -> String {
    let leaf = if name.is_empty() { String::new() } else { format!("`{name}` ") };
    index.map_or_else(|| leaf.clone(), |index| format!("{leaf}[{index}]: "))
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discrete(n) => write!(f, "Discrete({n})"),
            Self::MultiDiscrete(counts) => write!(f, "MultiDiscrete({counts:?})"),
            Self::MultiBinary(n) => write!(f, "MultiBinary({n})"),
            Self::Box(space) => {
                let bounds = match (uniform(&space.low), uniform(&space.high)) {
                    (Some(low), Some(high)) => format!("{low}, {high}"),
                    _ if space.len() <= 6 => format!("{:?}, {:?}", space.low, space.high),
                    _ => "...".into(),
                };
                let dtype = if space.dtype == Dtype::F32 { "f32" } else { "u8" };
                write!(f, "Box({bounds}, {:?}, {dtype})", space.shape)
            }
            Self::Dict(entries) => {
                let entries: Vec<_> = entries.iter().map(|(key, space)| format!("{key}: {space}")).collect();
                write!(f, "Dict({})", entries.join(", "))
            }
        }
    }
}

fn uniform(bounds: &[f32]) -> Option<f32> {
    let first = bounds.first()?;
    bounds.iter().all(|bound| bound == first).then_some(*first)
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breach_is_named() {
        let space = Space::Dict(vec![
            ("speed".into(), Space::symmetric(&[1.0, 2.0]).unwrap()),
            ("gear".into(), Space::Discrete(5)),
        ]);
        let check = |floats: &[f32]| space.check_observation(ObsRef { floats, bytes: &[] });
        assert_eq!(check(&[1.0, -2.0, 4.0]), Ok(()));
        assert_eq!(check(&[1.0, 2.5, 4.0]).unwrap_err(), "`speed` [1]: 2.5 is not within -2..=2");
        assert!(check(&[f32::NAN, 0.0, 4.0]).is_err());
        assert!(check(&[0.0, 0.0, 4.5]).unwrap_err().contains("`gear`"));
        assert!(check(&[0.0, 0.0]).is_err() && check(&[0.0, 0.0, 0.0, 0.0]).is_err());
    }

    #[test]
    fn impossible_boxes_are_refused() {
        assert!(Space::box_f32(1.0, 0.0, &[2]).is_err());
        assert!(Space::box_f32(f32::NAN, 0.0, &[2]).is_err());
        assert!(BoxSpace::new(vec![0.0], vec![1.0], &[2], Dtype::F32).is_err());
    }

    #[test]
    fn spaces_are_written_as_gymnasium_does() {
        assert_eq!(Space::Discrete(2).to_string(), "Discrete(2)");
        assert_eq!(Space::pixels(&[1, 84, 84]).to_string(), "Box(0, 255, [1, 84, 84], u8)");
    }
}
